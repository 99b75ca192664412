//! Who may speak to the servers, and how it is known that they are the right ones.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use fence_kdump_tests::{Need, requires};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::NamedTempFile;

use crate::cluster::{Servers, until};
use crate::{counters, listener, tell, wait_delivered};

/// An NKey of a user, as the documentation of NATS shows it, and its seed.
const NKEY: &str = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

fn secret(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o600)).unwrap();
    file
}

#[test]
fn password_token_and_key() {
    if !requires(&[Need::Nats]) {
        return;
    }
    let (right, wrong) = (secret("s3cret pass\n"), secret("other\n"));
    let (token, nkey) = (secret("some-t0ken"), secret(SEED));
    let path = |file: &NamedTempFile| file.path().display().to_string();
    for (server, good, bad) in [
        (
            "authorization { user: fence, password: 's3cret pass' }".to_owned(),
            format!("user = 'fence'\npassword_file = '{}'", path(&right)),
            format!("user = 'fence'\npassword_file = '{}'", path(&wrong)),
        ),
        (
            "authorization { token: 'some-t0ken' }".to_owned(),
            format!("token_file = '{}'", path(&token)),
            format!("token_file = '{}'", path(&wrong)),
        ),
        (
            format!("authorization {{ users: [ {{ nkey: {NKEY} }} ] }}"),
            format!("nkey_file = '{}'", path(&nkey)),
            String::new(),
        ),
    ] {
        let servers = Servers::start(1, &server);
        let (sinks, said) = listener(&servers.urls(), &bad);
        tell(&sinks, 1..=3, Duration::ZERO);
        until("it is refused", || counters(&sinks).last_error.is_some());
        let why = counters(&sinks).last_error.unwrap().to_lowercase();
        assert!(why.contains("authorization violation"), "{server}: {why}");
        assert_eq!(counters(&sinks).delivered, 0);
        let said = said.lock().unwrap().join("\n");
        assert!(!said.contains("other"), "no secret is shown: {said}");
        let (sinks, _) = listener(&servers.urls(), &good);
        tell(&sinks, 1..=3, Duration::ZERO);
        wait_delivered(&sinks, 3);
    }
}

/// A publisher that must not publish is told so, instead of waiting for answers that never come.
#[test]
fn what_is_not_permitted_is_known() {
    if !requires(&[Need::Nats]) {
        return;
    }
    let permitted = "authorization { users: [ { user: fence, password: pass, permissions: \
                     { publish: ['$JS.>', '$KV.>'], subscribe: '_INBOX.>' } } ] }";
    let servers = Servers::start(1, permitted);
    let password = secret("pass");
    let settings =
        format!("timeout = '1s'\nuser = 'fence'\npassword_file = '{}'", password.path().display());
    let (sinks, _) = listener(&servers.urls(), &settings);
    tell(&sinks, 1..=1, Duration::ZERO);
    let why = || counters(&sinks).last_error.unwrap_or_default().to_lowercase();
    until("it is known", || why().contains("permissions violation for publish"));
    assert_eq!(counters(&sinks).waiting, 1);
}

/// Makes a certificate authority, and a certificate of it for `name`, as files in `dir`.
fn certificates(dir: &Path, name: &str) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    for (file, text) in [
        ("ca.pem", ca_certificate.pem()),
        ("cert.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        let path = dir.join(file);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn both_ends_show_their_certificates() {
    if !requires(&[Need::Nats]) {
        return;
    }
    let (ours, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certificates(ours.path(), "127.0.0.1");
    certificates(others.path(), "127.0.0.1");
    let files = |dir: &Path| {
        let dir = dir.display();
        (
            format!(
                "ca_file: '{dir}/ca.pem', cert_file: '{dir}/cert.pem', key_file: '{dir}/key.pem'"
            ),
            format!("ca_file = '{dir}/ca.pem'"),
            format!("certificate_file = '{dir}/cert.pem'\nkey_file = '{dir}/key.pem'"),
        )
    };
    let (server, ca, certificate) = files(ours.path());
    let (_, other_ca, other_certificate) = files(others.path());
    let servers = Servers::start(1, &format!("tls {{ {server}, verify: true }}"));
    for bad in [
        format!("{other_ca}\n{certificate}"),
        format!("{ca}\n{other_certificate}"),
        ca.clone(),
        certificate.clone(),
    ] {
        let (sinks, _) = listener(&servers.urls(), &format!("{bad}\ntimeout = '2s'"));
        tell(&sinks, 1..=1, Duration::ZERO);
        until("it is refused", || counters(&sinks).last_error.is_some());
        assert_eq!(counters(&sinks).delivered, 0, "{bad}");
    }
    let (sinks, _) = listener(&servers.urls(), &format!("{ca}\n{certificate}"));
    tell(&sinks, 1..=3, Duration::ZERO);
    wait_delivered(&sinks, 3);
    // Nothing is said to a server without TLS.
    let plain = Servers::start(1, "");
    let (sinks, _) = listener(&plain.urls(), &format!("{ca}\ntimeout = '2s'"));
    tell(&sinks, 1..=1, Duration::ZERO);
    until("it is refused", || counters(&sinks).last_error.is_some());
    assert_eq!(counters(&sinks).delivered, 0);
}
