//! Key files: which key is used, and what happens without one that can be.

use super::*;
use fence_kdump_tests::requires;
use fence_kdump_tests::signed::field;

#[test]
fn which_line_is_used() {
    if !requires(&NEEDS) {
        return;
    }
    let net = Netns::new();
    let [first, second] = [1, 2].map(NodeKey::of);
    let long = "x".repeat(253);
    let text =
        format!("# keys\n\n{}  {}{}", first.line("n1"), second.line("N2"), first.line(&long));
    let folder = Folder::new();
    folder.write(&text, 0o400);
    let socket = net.udp("127.0.0.1:7410");
    for (args, key, name) in [
        (&[][..], first, "n1"),
        (&["-n", "n2"], second, "N2"),
        (&["--node-name=N1"], first, "n1"),
        (&["-n", &long], first, &long),
    ] {
        let _sender = folder.sender(&net, args).arg("127.0.0.1").spawn();
        let (message, _) = signed(&socket, &key);
        assert_eq!(message.bytes(field::NODE_NAME), name.as_bytes());
        drop(_sender);
        while next(&socket, Duration::from_millis(50)).is_some() {}
    }
}

/// A key file that gives no key is told, whatever the level, once; everybody gets plain messages; and the
/// exit code says that this is not what was asked for.
#[test]
fn without_a_key_it_speaks_all_the_same() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(1));
    let good = key.line("n1");
    let cluster = format!("cluster 01020304 {}\n", "ab".repeat(32));
    let too_long = format!("{}{good}", "# more words\n".repeat(400));
    let mut damaged = good.clone();
    damaged.replace_range(40..41, if &good[40..41] == "0" { "1" } else { "0" });
    let sockets = [net.udp("127.0.0.1:7410"), net.udp("[::1]:7410")];
    for (text, args, says) in [
        (None, &[][..], "no such file"),
        (Some("# nothing\n"), &[], "has no key of this node"),
        (Some(&good), &["-n", "n2"], "has no key of this node"),
        (Some(&format!("#\n{damaged}")), &[], "is damaged, line 2"),
        (Some(&format!("{good}{cluster}")), &[], "a cluster key does not belong on a node, line 2"),
        (Some(&too_long), &[], "is longer than 2048 bytes"),
    ] {
        let folder = Folder::new();
        if let Some(text) = text {
            folder.write(text, 0o600);
        }
        for (more, count) in [(&["-c2", "-i1"][..], 2), (&["-c1", "-v2", "-m", "both"], 1)] {
            let run = folder.sender(&net, more).args(args).args(["127.1", "signed:::1"]);
            let output = run.run(LIMIT).expect_failure();
            assert_eq!(output.code, Some(1), "{output}");
            let line = format!("key-file: {}: {says}\n", folder.file().display());
            assert_eq!(output.stderr.matches(&line).count(), 1, "{output}");
            for socket in &sockets {
                let heard = all(socket, Duration::from_millis(50));
                let plain = heard.len() == count && heard.iter().all(|bytes| bytes.len() == 8);
                assert!(plain, "{says}: {heard:?}");
            }
        }
    }
    // Asked for without any file.
    for args in [&["-c1", "-m", "signed", "127.1"][..], &["-c1", "both:127.1"]] {
        let run = Run::new(programs::ours("fence_kdump_send")).args(args).inside(&net);
        let output = run.run(LIMIT).expect_failure();
        assert_eq!(output.stderr, "fence_kdump_send: key-file: none was given\n");
        assert_eq!(all(&sockets[0], Duration::from_millis(50)).len(), 1);
    }
    // Not needed by anybody, it is not even looked for.
    let folder = Folder::new();
    let output = folder.sender(&net, &["-c1", "-m", "plain", "127.1"]).run(LIMIT).expect_success();
    assert_eq!(output.stderr, "");
}

/// A file that comes later, or is only half written yet, is found.
#[test]
fn a_key_file_that_comes_later() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(1));
    let folder = Folder::new();
    let socket = net.udp("127.0.0.1:7410");
    let sender = folder.sender(&net, &["-c4", "-i1", "127.1"]).spawn();
    let length = || next(&socket, LIMIT).expect("a message").0.len();
    assert_eq!(length(), 8);
    sender.wait_stderr_line("no such file", LIMIT);
    folder.write(&key.line("n1")[..60], 0o600);
    assert_eq!(length(), 8);
    sender.wait_stderr_line("is damaged, line 1", LIMIT);
    folder.write(&key.line("n1"), 0o600);
    // The next second at the latest.
    let mut lengths = [length(), length()];
    lengths.sort();
    assert!(lengths[1] > 8, "{lengths:?}");
    let output = sender.wait_for(LIMIT).expect_success();
    assert_eq!(output.stderr.lines().count(), 2, "{output}");
}

/// Others can read it: in a crash kernel there are none, so it is told and used.
#[test]
fn a_key_file_that_others_can_read() {
    if !requires(&NEEDS) {
        return;
    }
    let (net, key) = (Netns::new(), NodeKey::of(1));
    let socket = net.udp("127.0.0.1:7410");
    for (mode, told) in [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1), (0o644, 1)] {
        let folder = Folder::new();
        folder.write(&key.line("n1"), mode);
        let output = folder.sender(&net, &["-c2", "-i1", "127.1"]).run(LIMIT).expect_success();
        let line = format!("key-file: {}: others can read it", folder.file().display());
        assert_eq!(output.stderr.matches(&line).count(), told, "{mode:o}: {output}");
        for _ in 0..2 {
            let _ = signed(&socket, &key);
        }
    }
}
