//! The sender's command line: as the stock tool's where that has one, and what is new beside it.

use fence_kdump_tests::datagram::LITTLE;
use fence_kdump_tests::{Need, Netns, Output, Run, programs, requires};
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(8);

fn ours() -> std::path::PathBuf {
    programs::ours("fence_kdump_send")
}

fn run(program: &Path, net: &Netns, args: &[&str]) -> Output {
    Run::new(program).args(args).inside(net).run(LIMIT)
}

/// Command lines that end by themselves with either tool.
const LINES: [&[&str]; 88] = [
    &[],
    &["-h"],
    &["-V"],
    &["--help"],
    &["--version"],
    &["--h"],
    &["--vers"],
    &["--ver"],
    &["--ve"],
    &["--v"],
    &["--verb"],
    &["--verb=2", "-c1", "127.1"],
    &["--verbose", "-c1", "127.1"],
    &["-v", "-v", "-c1", "127.1"],
    &["-v3", "-c1", "127.1"],
    &["-v0", "-c1", "127.1"],
    &["-v2x", "-c1", "127.1"],
    &["-v-1", "-c1", "127.1"],
    &["--verb=", "-c1", "127.1"],
    &["--verbose=x", "-c1", "127.1"],
    &["-vvv"],
    &["-v"],
    &["-p0", "-c1", "127.1"],
    &["-p", "65536", "-c1", "127.1"],
    &["-p", "65535", "-c1", "127.1"],
    &["-p", "abc", "-c1", "127.1"],
    &["-p", "7410x", "-c1", "127.1"],
    &["-p", "7410.9", "-c1", "127.1"],
    &["-p", "0x10", "-c1", "127.1"],
    &["-p", "010", "-c1", "127.1"],
    &["-p", " 12", "-c1", "127.1"],
    &["-p", "+12", "-c1", "127.1"],
    &["-p", "-1", "-c1", "127.1"],
    &["-p", "", "-c1", "127.1"],
    &["-p7410", "-c1", "127.1"],
    &["-c1", "-f", "IPV4", "127.1"],
    &["-c1", "--fam=AuTo", "127.1"],
    &["-c1", "-f", "ipv5", "127.1"],
    &["-c1", "-f", "", "127.1"],
    &["-c1", "-f", "ip", "127.1"],
    &["-c1", "-ff"],
    &["-c1", "-f4", "127.1"],
    &["-c1", "-i0", "127.1"],
    &["-c1", "-i", "-3", "127.1"],
    &["-c1", "-i", "x", "127.1"],
    &["-c1", "-i5.5", "127.1"],
    &["-c1", "-i", "2147483648", "127.1"],
    &["-c1", "-i", "99999999999999999999", "127.1"],
    &["-c-1", "127.1"],
    &["-c", "1x", "127.1"],
    &["-c", "01", "127.1"],
    &["-c", "2147483648", "127.1"],
    &["-c", "99999999999999999999", "127.1"],
    &["-c"],
    &["--count"],
    &["-x", "127.1"],
    &["--bogus", "127.1"],
    &["--i", "1", "-c1", "127.1"],
    &["--in", "1", "-c1", "127.1"],
    &["--ip=5", "-c1", "127.1"],
    &["--int=5", "--f", "auto", "--c", "1", "127.1"],
    &["--="],
    &["--c=1", "127.1"],
    &["--help=3"],
    &["--version=1"],
    &["127.1", "-c", "1", "--", "127.2"],
    &["-c1", "127.1", "--"],
    &["--"],
    &["-c1", "-h"],
    &["-i0", "-h"],
    &["-h", "-i0"],
    &["-hV"],
    &["-Vh"],
    &["-V", "extra", "-x"],
    &["-c1", "-f", "ipv6", "127.0.0.1"],
    &["-c1", "-f", "ipv4", "::1"],
    &["-c1", "-f", "ipv6", "::1"],
    &["-c1", ""],
    &["-c1", "", "127.1"],
    &["-c1", "0x7f.1"],
    &["-c1", "0177.0.0.1"],
    &["-c1", "2130706433"],
    &["-c1", "::ffff:127.0.0.1"],
    &["-c1", "-f", "ipv6", "::ffff:127.0.0.1"],
    &["-c1", "fe80::1%lo"],
    &["-c1", "::1%1"],
    &["-c1", "localhost"],
    &["-c1", "LOCALHOST"],
];

#[test]
fn exit_codes_are_the_stock_tools() {
    if !requires(&[Need::Root, Need::Netns, Need::Stock]) {
        return;
    }
    let net = Netns::new();
    net.ip("addr add fe80::2/64 dev lo nodad");
    let mut different = Vec::new();
    for line in LINES {
        let stock = run(&programs::stock_sender(), &net, line);
        let ours = run(&ours(), &net, line);
        if stock.code != ours.code {
            different.push(format!("{line:?}: stock {:?}, {ours}", stock.code));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Names that nobody knows: the stock tool leaves them out, ours too when it is time to go.
#[test]
fn unknown_names_end_as_with_the_stock_tool() {
    if !requires(&[Need::Root, Need::Netns, Need::Stock]) {
        return;
    }
    let net = Netns::new();
    for line in [
        &["-c1", "nosuch"][..],
        &["-c1", "nosuch", "127.1"],
        &["-c1", "127.1", "nosuch"],
        &["-c1", "1.2.3.4.5"],
        &["-c1", "127.1 "],
        &["-c1", "[::1]"],
        &["-c1", "-"],
        &["-c1", "--", "-x"],
    ] {
        let end = |program: &Path| {
            let run = Run::new(program).args(line).inside(&net);
            let run = run.file("/etc/resolv.conf", "nameserver 127.0.0.1\n");
            run.file("/etc/hosts", "127.0.0.1 localhost\n").run(LIMIT)
        };
        let (stock, ours) = (end(&programs::stock_sender()), end(&ours()));
        assert_eq!(stock.code, ours.code, "{line:?}: {ours}");
    }
}

/// Both say the same: the same bytes, the same number of times, to the same port.
#[test]
fn both_send_the_same_bytes() {
    if !requires(&[Need::Root, Need::Netns, Need::Stock]) {
        return;
    }
    let net = Netns::new();
    for (local, node) in [("127.0.0.1", "127.1"), ("[::1]", "::1")] {
        let hear = |program: &Path, port: u16| {
            let socket = net.udp(&format!("{local}:{port}"));
            let port = port.to_string();
            let _ = run(program, &net, &["-c2", "-i1", "-p", &port, node]).expect_success();
            let timeout = Some(Duration::from_millis(100));
            socket.set_read_timeout(timeout).unwrap();
            let mut heard = Vec::new();
            let mut buffer = [0; 64];
            while let Ok(length) = socket.recv(&mut buffer) {
                heard.push(buffer[..length].to_vec());
            }
            heard
        };
        let stock = hear(&programs::stock_sender(), 7411);
        assert_eq!(stock, hear(&ours(), 7412));
        assert_eq!(stock.len(), 2);
        #[cfg(target_endian = "little")]
        assert!(stock.iter().all(|message| *message == LITTLE));
    }
}

/// What is wrong is said with what would be right, on standard error, in one line.
#[test]
fn errors_name_what_would_be_right() {
    if !requires(&[Need::Root, Need::Netns]) {
        return;
    }
    let net = Netns::new();
    for (line, parts) in [
        (&["-p0", "n"][..], &["ipport: '0' is not", "1 to 65535"][..]),
        (&["-i", "x", "n"], &["interval: 'x' is not", "seconds", "from 1"]),
        (&["--ttl=300", "n"], &["ttl: '300' is not", "1 to 255"]),
        (&["--burst=0,x", "n"], &["burst: '0,x' is not", "none", "3600"]),
        (&["-d", "a-name-that-is-too-long", "n"], &["device: 'a-name", "interface"]),
        (&["-f", "inet", "n"], &["family: 'inet' is not", "auto, ipv4 or ipv6"]),
        (&["-m", "sign", "n"], &["message: 'sign' is not", "plain, signed or both"]),
        (&["--ver"], &["ver:", "more than one"]),
        (&["--bogus"], &["bogus: no such option"]),
        (&["-c"], &["count: needs a value"]),
        (&["--help=1"], &["help: takes no value"]),
    ] {
        let output = run(&ours(), &net, line).expect_failure();
        assert_eq!((output.code, output.stderr.lines().count()), (Some(1), 1), "{output}");
        for part in parts {
            assert!(output.stderr.contains(part), "{part}: {output}");
        }
    }
    let output = run(&ours(), &net, &["-c1", "-i", "1s", "127.1"]).expect_success();
    assert!(output.stderr.contains("interval: '1s' is not"), "{output}");
}

/// The help names every option, its man page has every option of the help, and both defaults.
#[test]
fn every_option_is_in_the_help_and_the_man_page() {
    if !requires(&[Need::Root, Need::Netns, Need::Mandoc]) {
        return;
    }
    let help = run(&ours(), &Netns::new(), &["--help"]).expect_success().stdout;
    let page = programs::workspace().join("dist/man/fence_kdump_send.8");
    let shown = Run::new("mandoc").args(["-T", "ascii", "-O", "width=200"]).arg(&page).run(LIMIT);
    // Bold is a letter, a backspace and the letter again.
    let mut manual = String::new();
    for letter in shown.expect_success().stdout.chars() {
        if letter == '\u{8}' {
            manual.pop();
        } else {
            manual.push(letter);
        }
    }
    let mut options = 0;
    for line in help.lines().filter(|line| line.starts_with("  -")) {
        let mut words = line.split_whitespace();
        let short = words.next().unwrap().trim_end_matches(',');
        let long = words.next().unwrap().split(['=', '[']).next().unwrap();
        assert!(manual.contains(&format!("{short}, {long}")), "{short}, {long}: not in the manual");
        options += 1;
    }
    assert_eq!(options, 17, "{help}");
    for default in ["7410", "10", "0,0.2,0.5,1,2"] {
        assert!(help.contains(&format!("default: {default}")), "{default}: {help}");
        assert!(manual.contains(&format!("default is {default}")), "{default}: {manual}");
    }
    assert!(help.contains("fence_kdump_nodes"), "an example for kdump.conf");
    assert!(help.lines().all(|line| line.replace('\t', "        ").len() < 80), "short lines");
    let lint = Run::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&page).run(LIMIT);
    let _ = lint.expect_success();
}
