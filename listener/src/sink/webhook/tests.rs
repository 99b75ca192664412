use super::*;
use crate::fleet::event::Kind;
use crate::sink::fields::tests::event;
use crate::sink::tests::{only, start, tell, until};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it came.
#[derive(Debug)]
struct Heard {
    connection: usize,
    first: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Reads one request; `None` at the end of the connection.
fn hear(stream: &mut impl Read, connection: usize) -> Option<Heard> {
    let mut stream = BufReader::with_capacity(1, stream);
    let mut line = || {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|&read| read > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let mut headers = BTreeMap::new();
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    Some(Heard { connection, first, headers, body: String::from_utf8(body).unwrap() })
}

/// What to do with the request of this number, counted from 0.
type Answer = fn(usize, &mut dyn Write) -> bool;

/// Answers each request; goes on with a connection as long as that returns true.
fn serve(
    stream: &mut (impl Read + Write),
    number: usize,
    count: &Mutex<usize>,
    answer: Answer,
    tell: &Sender<Heard>,
) {
    while let Some(heard) = hear(stream, number) {
        let request = {
            let mut count = count.lock().unwrap();
            *count += 1;
            *count - 1
        };
        tell.send(heard).unwrap();
        if !answer(request, stream) {
            return;
        }
    }
}

/// A web server; `tls` makes it a secure one.
fn server(answer: Answer, tls: Option<Arc<ServerConfig>>) -> (u16, Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, heard) = channel();
    thread::spawn(move || {
        let count = Arc::new(Mutex::new(0));
        for (number, stream) in listener.incoming().enumerate() {
            let (count, tell, tls) = (Arc::clone(&count), tell.clone(), tls.clone());
            let mut stream = stream.unwrap();
            thread::spawn(move || match tls {
                None => serve(&mut stream, number, &count, answer, &tell),
                Some(tls) => {
                    let connection = ServerConnection::new(tls).unwrap();
                    let mut stream: StreamOwned<_, TcpStream> =
                        StreamOwned::new(connection, stream);
                    serve(&mut stream, number, &count, answer, &tell);
                }
            });
        }
    });
    (port, heard)
}

fn say(to: &mut dyn Write, status: &str) -> bool {
    write!(to, "HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok").is_ok()
}

fn next(heard: &Receiver<Heard>) -> Heard {
    heard.recv_timeout(Duration::from_secs(20)).unwrap()
}

fn hook(port: u16, more: &str) -> String {
    format!("[[sink.webhook]]\nname = 'w'\nurl = 'http://127.0.0.1:{port}/hook?a=b'\n{more}")
}

#[test]
fn an_event_is_posted_whole() {
    let (port, heard) = server(|_, to| say(to, "200 OK"), None);
    let (sinks, said) = start(&hook(port, "at_once = 1"));
    let told = event(3, "n1", Kind::Lost);
    sinks.tell(&Arc::new(told.clone()));
    let Heard { first, headers, body, .. } = next(&heard);
    assert_eq!(first, "POST /hook?a=b HTTP/1.1");
    assert_eq!(serde_json::from_str::<Event>(&body).unwrap(), told);
    assert_eq!(headers["host"], format!("127.0.0.1:{port}"));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["idempotency-key"], "h-1-3");
    assert!(headers["user-agent"].starts_with("fence_kdumpd/"));
    assert!(
        !headers.contains_key("authorization") && !headers.contains_key("fence-kdump-signature")
    );
    // The same connection is good for the next.
    until("it arrived", || only(&sinks).delivered == 1);
    tell(&sinks, 1);
    assert_eq!(next(&heard).connection, 0);
    until("it arrived", || only(&sinks).delivered == 2);
    assert!(said.lock().unwrap().is_empty());
}

#[test]
fn a_server_that_closes_each_time_is_fine() {
    let (port, heard) = server(
        |_, to| {
            say(to, "204 No Content");
            false
        },
        None,
    );
    let (sinks, _) = start(&hook(port, "at_once = 1\nattempts = 1"));
    tell(&sinks, 20);
    for number in 0..20 {
        assert_eq!(next(&heard).connection, number);
    }
    until("all arrived", || only(&sinks).delivered == 20);
}

fn secret_file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

#[test]
fn token_and_signature() {
    let (port, heard) = server(|_, to| say(to, "200 OK"), None);
    let token = secret_file("some-token\n");
    let secret = secret_file("0123456789abcdef\n");
    let files = format!(
        "bearer_token_file = '{}'\nhmac_secret_file = '{}'",
        token.path().display(),
        secret.path().display()
    );
    let (sinks, said) = start(&hook(port, &files));
    tell(&sinks, 1);
    let Heard { headers, body, .. } = next(&heard);
    assert_eq!(headers["authorization"], "Bearer some-token");
    let mut mac = Hmac::<Sha256>::new_from_slice(b"0123456789abcdef").unwrap();
    mac.update(body.as_bytes());
    let expected: String =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(headers["fence-kdump-signature"], format!("sha256={expected}"));
    let said = said.lock().unwrap().join("\n");
    assert!(said.contains("unencrypted") && !said.contains("hook"), "{said}");
}

/// RFC 4231, test case 2.
#[test]
fn the_signature_is_hmac_sha_256() {
    let value = sign(b"Jefe", b"what do ya want for nothing?").unwrap();
    let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(value, expected);
}

#[test]
fn what_passes_is_tried_again_with_the_same_key() {
    let (port, heard) = server(
        |request, to| match request {
            0 => say(to, "503 Service Unavailable"),
            1 => say(to, "429 Too Many Requests"),
            // Not a word.
            2 => false,
            3 => say(to, "408 Request Timeout"),
            4 => write!(to, "no HTTP\r\n\r\n").is_err(),
            _ => say(to, "201 Created"),
        },
        None,
    );
    let (sinks, said) = start(&hook(port, "retry_after = '1s'\nat_once = 1"));
    tell(&sinks, 1);
    let first = next(&heard);
    for _ in 0..5 {
        let again = next(&heard);
        assert_eq!(again.headers["idempotency-key"], first.headers["idempotency-key"]);
        assert_eq!(again.body, first.body);
    }
    until("it arrived", || only(&sinks).delivered == 1);
    assert!(only(&sinks).last_error.is_some());
    assert!(said.lock().unwrap().is_empty(), "{said:?}");
}

#[test]
fn what_is_refused_is_given_up_at_once() {
    for (status, answer) in [
        (
            "301 Moved Permanently",
            (|_, to| {
                write!(to, "HTTP/1.1 301 Moved Permanently\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n").is_ok()
            }) as Answer,
        ),
        ("307 Temporary Redirect", |_, to| {
            write!(
                to,
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"
            )
            .is_ok()
        }),
        ("400 Bad Request", |_, to| say(to, "400 Bad Request")),
        ("404 Not Found", |_, to| say(to, "404 Not Found")),
    ] {
        let (port, heard) = server(answer, None);
        let (sinks, said) = start(&hook(port, ""));
        tell(&sinks, 1);
        until("it is given up", || only(&sinks).failed == 1);
        assert_eq!(
            *said.lock().unwrap(),
            [format!("w: started of n1 is given up: the server said {status}")]
        );
        next(&heard);
        assert!(heard.try_recv().is_err(), "{status}");
    }
}

#[test]
fn tries_have_a_number_and_events_an_age() {
    let (port, heard) = server(|_, to| say(to, "500 Internal Server Error"), None);
    let (sinks, _) = start(&hook(port, "attempts = 3\nretry_after = '1s'"));
    tell(&sinks, 1);
    until("it is given up", || only(&sinks).failed == 1);
    assert_eq!(heard.try_iter().count(), 3);
    let why = only(&sinks).last_error.unwrap();
    assert_eq!(&*why, "the server said 500 Internal Server Error (the last of 3 tries)");
    let (sinks, _) = start(&hook(port, "max_age = '1s'\nretry_after = '1s'\nat_once = 1"));
    // The second waits behind the first.
    tell(&sinks, 30);
    until("all are given up", || only(&sinks).failed == 30);
    assert!(heard.try_iter().count() < 90);
}

/// Of one node one after the other, of others meanwhile.
#[test]
fn a_node_that_waits_holds_up_no_other() {
    let (port, heard) = server(|request, to| request > 0 && say(to, "200 OK"), None);
    let (sinks, _) = start(&hook(port, "retry_after = '2s'\nat_once = 2"));
    for number in 1..=3 {
        sinks.tell(&Arc::new(event(number, "bad", Kind::Phase)));
    }
    // Its first try fails, whatever comes of the others.
    let first = next(&heard);
    for number in 4..=9 {
        sinks.tell(&Arc::new(event(number, "good", Kind::Phase)));
    }
    let keys: Vec<_> = (0..9).map(|_| next(&heard).headers["idempotency-key"].clone()).collect();
    assert_eq!(first.headers["idempotency-key"], "h-1-1");
    let expected = [4, 5, 6, 7, 8, 9, 1, 2, 3].map(|number| format!("h-1-{number}"));
    assert_eq!(keys, expected);
    until("all arrived", || only(&sinks).delivered == 9);
}

#[test]
fn a_server_that_says_nothing_or_never_ends_costs_one_try() {
    // Accepts, since the system does, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let (sinks, _) =
        start(&hook(silent.local_addr().unwrap().port(), "timeout = '1s'\nattempts = 2"));
    tell(&sinks, 3);
    until("all are given up", || only(&sinks).failed == 3);
    assert_eq!(only(&sinks).last_error.as_deref(), Some("no answer in 1s (the last of 2 tries)"));
    let endless: Answer = |_, to| {
        drop(to.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
        while to.write_all(b"5\r\nhello\r\n").is_ok() {}
        false
    };
    let (port, heard) = server(endless, None);
    let (sinks, _) = start(&hook(port, "timeout = '5s'"));
    tell(&sinks, 1);
    next(&heard);
    until("its status counts", || only(&sinks).delivered == 1);
    let huge: Answer = |_, to| {
        drop(to.write_all(b"HTTP/1.1 200 OK\r\nX: "));
        while to.write_all(&[b'x'; 4096]).is_ok() {}
        false
    };
    let (port, _heard) = server(huge, None);
    let (sinks, _) = start(&hook(port, "attempts = 1"));
    tell(&sinks, 1);
    until("it is given up", || only(&sinks).failed == 1);
}

#[test]
fn a_server_that_is_not_there() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (sinks, _) = start(&hook(port, "attempts = 1"));
    tell(&sinks, 1);
    until("it is given up", || only(&sinks).failed == 1);
    let why = only(&sinks).last_error.unwrap();
    assert!(why.contains(&format!("127.0.0.1:{port}: Connection refused")), "{why}");
}

#[test]
fn only_a_server_with_the_right_certificate_is_told() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let (port, heard) = server(|_, to| say(to, "200 OK"), Some(Arc::new(tls)));
    let ca = secret_file(&cert.pem());
    for (host, more, is_right) in [
        ("localhost", format!("ca_file = '{}'", ca.path().display()), true),
        ("127.0.0.1", format!("ca_file = '{}'", ca.path().display()), true),
        // Another name of the same machine.
        ("127.0.0.2", format!("ca_file = '{}'", ca.path().display()), false),
    ] {
        let text =
            format!("[[sink.webhook]]\nurl = 'https://{host}:{port}/'\nattempts = 1\n{more}");
        let (sinks, _) = start(&text);
        tell(&sinks, 1);
        until("it came to something", || only(&sinks).waiting == 0);
        assert_eq!(only(&sinks).delivered == 1, is_right, "{host}: {:?}", only(&sinks).last_error);
        assert_eq!(heard.try_iter().count(), usize::from(is_right));
    }
    // By another certificate.
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = secret_file(&other.cert.pem());
    let text = format!(
        "[[sink.webhook]]\nurl = 'https://localhost:{port}/'\nattempts = 1\nca_file = '{}'",
        ca.path().display()
    );
    let (sinks, _) = start(&text);
    tell(&sinks, 1);
    until("it is given up", || only(&sinks).failed == 1);
    assert!(only(&sinks).last_error.unwrap().contains("certificate"));
    assert_eq!(heard.try_iter().count(), 0);
}
