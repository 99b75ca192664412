//! Who gets in, and how.

use std::fs::{self, Permissions};
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Instant;

use fence_kdump_listener::fleet::event::Kind;
use fence_kdump_listener::web::{NoPast, Server, WebConfig};
use fence_kdump_tests::{Need, requires};
use tempfile::TempDir;

use super::chromium::Browser;
use super::client::{connect, get, read_head, request};
use super::fake::Fake;

const TOKEN: &str = "3f1d7c0a9b8e4d6f5a2c";

/// A file of mode 0600 in `folder`.
fn file(folder: &TempDir, name: &str, content: &str) -> std::path::PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

fn any_port() -> WebConfig {
    WebConfig { listen: "127.0.0.1:0".parse().unwrap(), ..WebConfig::default() }
}

/// A server with a token on the loopback interface; the folder holds the token.
pub(crate) fn with_token() -> (TempDir, WebConfig) {
    let folder = TempDir::new().unwrap();
    let token_file = Some(file(&folder, "token", &format!("{TOKEN}\n")));
    (folder, WebConfig { token_file, ..any_port() })
}

/// With a token and a certificate for this host.
fn with_all() -> (TempDir, WebConfig) {
    let (folder, config) = with_token();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate_file = Some(file(&folder, "certificate", &made.cert.pem()));
    let private_key_file = Some(file(&folder, "key", &made.signing_key.serialize_pem()));
    (folder, WebConfig { certificate_file, private_key_file, ..config })
}

fn refusal(config: WebConfig) -> String {
    match Server::start(config, Arc::new(NoPast)) {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn others_hosts_need_token_and_tls() {
    let (_folder, all) = with_all();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "[::ffff:192.0.2.1]:0"] {
        let listen = listen.parse().unwrap();
        let open = WebConfig { listen, ..WebConfig::default() };
        let needs = |config: WebConfig, what: &str| {
            let error = config.check().unwrap_err().to_string();
            assert!(error.contains(&format!("{what} needed as well")), "{error}");
        };
        needs(open.clone(), "web.token_file, web.certificate_file and web.private_key_file are");
        let token = WebConfig { token_file: all.token_file.clone(), ..open.clone() };
        needs(token, "web.certificate_file and web.private_key_file are");
        needs(WebConfig { token_file: None, listen, ..all.clone() }, "web.token_file is");
        assert!(WebConfig { listen, ..all.clone() }.check().is_ok());
    }
    for listen in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
        assert!(
            WebConfig { listen: listen.parse().unwrap(), ..WebConfig::default() }.check().is_ok()
        );
    }
    // Refused before anything listens.
    let open = WebConfig { listen: "0.0.0.0:0".parse().unwrap(), ..WebConfig::default() };
    assert!(refusal(open).contains("can be reached from other hosts"));
}

#[test]
fn what_cannot_be_used_is_told() {
    let folder = TempDir::new().unwrap();
    let (_kept, all) = with_all();
    let refused = |config: WebConfig, said: &[&str]| {
        let error = config.check().unwrap_err().to_string();
        assert!(said.iter().all(|said| error.contains(said)), "{error}");
        assert!(!error.contains(TOKEN), "{error}");
    };
    let token = |path| WebConfig { token_file: Some(path), ..any_port() };
    let open = file(&folder, "open", TOKEN);
    fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    refused(token(open), &["token_file", "open", "0644 lets others read", "0600"]);
    refused(token(folder.path().join("none")), &["token_file", "No such file"]);
    refused(token(folder.path().to_owned()), &["this is no file"]);
    refused(token(file(&folder, "short", "secret\n")), &["at least 20"]);
    refused(token(file(&folder, "two", &format!("{TOKEN}\n{TOKEN}\n"))), &["one line"]);
    refused(token(file(&folder, "binary", "\u{1}\u{2}ünïcödéünïcödéünïcödé")), &["one line"]);

    let half = WebConfig { private_key_file: None, ..all.clone() };
    refused(half, &["web.certificate_file is given and web.private_key_file is not"]);
    let half = WebConfig { certificate_file: None, ..all.clone() };
    refused(half, &["web.private_key_file is given and web.certificate_file is not"]);
    let empty = Some(file(&folder, "empty", ""));
    let none = WebConfig { certificate_file: empty.clone(), ..all.clone() };
    refused(none, &["certificate_file", "no certificate"]);
    refused(
        WebConfig { private_key_file: empty, ..all.clone() },
        &["private_key_file", "no private key"],
    );
    let (_other_folder, other) = with_all();
    let mixed = WebConfig { private_key_file: other.private_key_file, ..all };
    refused(mixed, &["private_key_file", "cannot be used with the certificate in"]);
    refused(WebConfig { connections: 7, ..any_port() }, &["web.connections: 7", "8 to 10000"]);

    let fake = Fake::start();
    let taken = WebConfig { listen: fake.address, ..WebConfig::default() };
    assert!(refusal(taken).contains("in use"));
}

#[test]
fn the_configuration_is_read_as_it_is_documented() {
    let config: WebConfig = serde_json::from_str("{}").unwrap();
    assert_eq!(config, WebConfig::default());
    assert_eq!(config.listen.to_string(), "127.0.0.1:7412");
    let text = r#"{"listen": "[::1]:80", "token_file": "/t", "certificate_file": "/c",
        "private_key_file": "/k", "host_names": ["proxy"], "connections": 9, "node_metrics": 1}"#;
    let config: WebConfig = serde_json::from_str(text).unwrap();
    assert_eq!(config.host_names, ["proxy"]);
    assert!(serde_json::from_str::<WebConfig>(r#"{"port": 1}"#).is_err());
    assert!(serde_json::from_str::<WebConfig>(r#"{"listen": "localhost"}"#).is_err());
}

#[test]
fn only_with_the_token() {
    let (folder, config) = with_token();
    let fake = Fake::start_as(config).unwrap();
    let address = fake.address;
    let ask = |path: &str, authorization: &str| {
        request(address, ("GET", path), &[("Authorization", authorization)]).status
    };
    for path in ["/api/v1/fleet", "/api/v1/events", "/api/v1/openapi.json", "/metrics", "/api/"] {
        let answer = get(address, path);
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer x",
            &format!("Basic {TOKEN}"),
            TOKEN,
            &format!("Bearer {TOKEN}x"),
            &format!("Bearer {}", &TOKEN[1..]),
        ] {
            assert_eq!(ask(path, wrong), 401, "{path}: {wrong}");
        }
    }
    for right in [format!("Bearer {TOKEN}"), format!("bearer  {TOKEN} ")] {
        assert_eq!(ask("/api/v1/fleet", &right), 200);
        assert_eq!(ask("/metrics", &right), 200);
    }
    // What shows nothing is for all.
    for path in ["/", "/app.js", "/healthz", "/readyz"] {
        assert_eq!(get(address, path).status, 200, "{path}");
    }
    // Another token, without a new start.
    let other = "another-token-of-enough-signs";
    let mut stream = connect(address);
    let old = format!("Host: x\r\nAuthorization: Bearer {TOKEN}");
    write!(stream, "GET /api/v1/events HTTP/1.1\r\n{old}\r\n\r\n").unwrap();
    let mut stream = BufReader::new(stream);
    assert_eq!(read_head(&mut stream).unwrap().status, 200);
    file(&folder, "token", "short");
    assert!(fake.server.reread().is_err());
    assert_eq!(ask("/metrics", &format!("Bearer {TOKEN}")), 200, "the old one stays");
    file(&folder, "token", other);
    fake.server.reread().unwrap();
    // What the old one has opened is at an end, sooner than within the 30 s that reading waits.
    io::copy(&mut stream, &mut io::sink()).unwrap();
    assert_eq!(ask("/metrics", &format!("Bearer {TOKEN}")), 401);
    assert_eq!(ask("/metrics", &format!("Bearer {other}")), 200);
}

/// A page from elsewhere that has its name mean 127.0.0.1 does not get in.
#[test]
fn only_by_a_name_of_this_host() {
    let config = WebConfig { host_names: vec!["proxy.example".to_owned()], ..any_port() };
    let fake = Fake::start_as(config).unwrap();
    let ask =
        |host: &str| request(fake.address, ("GET", "/api/v1/fleet"), &[("Host", host)]).status;
    for right in [
        "localhost",
        "LOCALHOST:80",
        "127.0.0.1:7412",
        "127.1.2.3",
        "[::1]:7412",
        "[::1]",
        "Proxy.Example:443",
    ] {
        assert_eq!(ask(right), 200, "{right}");
    }
    for wrong in [
        "evil.example",
        "evil.example:7412",
        "localhost.evil.example",
        "192.0.2.1",
        "[2001:db8::1]",
        "",
        ":80",
        "127.0.0.1.evil.example",
        "proxy.example.evil",
        "[::1",
        "0.0.0.0",
    ] {
        assert_eq!(ask(wrong), 421, "{wrong}");
    }
    let absolute =
        |target: &str| request(fake.address, ("GET", target), &[("Host", "localhost")]).status;
    assert_eq!(absolute("http://evil.example/api/v1/fleet"), 421);
    assert_eq!(absolute("http://localhost/api/v1/fleet"), 200);
    let two = [("Host", "localhost"), ("Host", "evil.example")];
    assert_ne!(request(fake.address, ("GET", "/api/v1/fleet"), &two).status, 200);
}

#[test]
fn every_answer_has_the_rules_for_browsers() {
    let fake = Fake::start();
    for path in [
        "/",
        "/style.css",
        "/app.js",
        "/icon.svg",
        "/api/v1/fleet",
        "/metrics",
        "/healthz",
        "/nothing",
    ] {
        let answer = request(fake.address, ("GET", path), &[("Origin", "http://evil.example")]);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        for never in ["access-control-allow-origin", "set-cookie", "server"] {
            assert_eq!(answer.header(never), None, "{path}");
        }
        let files = ["/", "/style.css", "/app.js", "/icon.svg"];
        let kept = if files.contains(&path) { "no-cache" } else { "no-store" };
        assert_eq!(answer.header("cache-control"), Some(kept), "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        let answer = request(fake.address, (method, "/api/v1/fleet"), &[("Content-Length", "0")]);
        assert_eq!(answer.status, 405, "{method}");
    }
    assert_eq!(request(fake.address, ("HEAD", "/api/v1/fleet"), &[]).status, 200);
}

/// Who does not agree on encryption in time, or speaks plainly, is not served.
#[test]
fn only_encrypted() {
    let (_folder, config) = with_all();
    let fake = Fake::start_as(config).unwrap();
    let mut silent = connect(fake.address);
    let mut plain = connect(fake.address);
    plain.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut said = Vec::new();
    // An alert at most: the connection ends.
    drop(plain.read_to_end(&mut said));
    assert!(said.len() < 16 && !said.starts_with(b"HTTP"), "{said:?}");
    let begin = Instant::now();
    said.clear();
    silent.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"");
    assert!((5..25).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

/// By TLS, in a real browser: without the token nothing is shown, with it all is.
#[test]
fn a_browser_shows_the_token() {
    if !requires(&[Need::Chromium]) {
        return;
    }
    let (_folder, config) = with_all();
    let fake = Fake::start_as(config).unwrap();
    fake.add(["alpha", "beta"]);
    fake.happen("alpha", Kind::Started);
    let mut browser = Browser::start();
    // Nobody vouches for this certificate.
    browser.call("Security.enable", serde_json::json!({}));
    browser.call("Security.setIgnoreCertificateErrors", serde_json::json!({"ignore": true}));
    browser.open(&format!("https://{}/", fake.address), (360, 740), true);
    let submit = |token: &str| {
        format!(
            "document.getElementById('token').value = '{token}', document.querySelector('#token-form button').click()"
        )
    };
    browser.wait("!document.getElementById('token-form').hidden");
    assert_eq!(browser.value("document.querySelectorAll('#rows tr').length"), 0);
    // One answer comes so late that there is another token by then.
    browser.value(
        "(() => { const real = window.fetch; window.fetch = async (path, options) => { \
         const answer = await real(path, options); \
         if (answer.status === 401 && path.includes('history')) \
         { await new Promise((done) => setTimeout(done, 3000)); window.late = true; } \
         return answer; }; return 0; })()",
    );
    browser.value(&submit("this-is-not-the-token-at-all"));
    browser.wait("!document.getElementById('token-wrong').hidden");
    browser.picture("token");
    browser.value(&submit(TOKEN));
    browser.wait("window.late === true");
    browser.wait("document.querySelectorAll('#rows tr').length === 2");
    browser.wait("document.getElementById('link').innerText === 'live'");
    browser.wait(
        "document.getElementById('token-form').hidden && document.getElementById('banner').hidden",
    );
    fake.happen("beta", Kind::Started);
    browser.wait("document.title === '(2) fence_kdumpd'");
    assert_eq!(browser.value("document.cookie"), "");
}
