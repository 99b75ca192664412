use super::*;
use proptest::prelude::*;

fn words<'a>(line: &'a [&'a str]) -> std::vec::Vec<Word<'a>> {
    Words::new(line.iter().map(|word| word.as_bytes())).collect()
}

/// Options and nodes, or the first thing that is wrong.
fn read<'a>(
    line: &'a [&'a str],
) -> Result<(Options<'a>, std::vec::Vec<&'a str>), (Wrong, &'a str)> {
    let (mut options, mut nodes) = (Options::default(), std::vec::Vec::new());
    for word in words(line) {
        let text = std::str::from_utf8(word.text).unwrap();
        match word.what {
            What::Node => nodes.push(text),
            What::Option(name) => {
                options.take(name, word.text).ok_or((Wrong::BadValue(name), text))?;
            }
            What::Wrong(wrong) => return Err((wrong, text)),
        }
    }
    Ok((options, nodes))
}

#[test]
fn options_and_nodes_mix() {
    let (options, nodes) =
        read(&["a", "-c", "3", "b", "-p7411", "--inter=5", "--fam", "IPv6", "-", "--", "-v", "--"])
            .unwrap();
    assert_eq!(nodes, ["a", "b", "-", "-v", "--"]);
    assert_eq!((options.port, options.family), (7411, Family::V6));
    assert_eq!((options.cadence.count, options.cadence.interval), (3, Millis(5000)));
    assert_eq!(options.verbose, 0);
}

#[test]
fn the_stock_tools_abbreviations_stay_unambiguous() {
    let stock = ["ipport", "family", "count", "interval", "verbose", "version", "help"];
    let (mut unambiguous, mut ambiguous) = (0, 0);
    for name in stock {
        for length in 1..=name.len() {
            let short = &name[..length];
            let meant = stock.iter().filter(|name| name.starts_with(short)).count();
            let word = format!("--{short}");
            let line = [word.as_str(), "1"];
            let first = words(&line)[0];
            match first.what {
                What::Option(found) => {
                    assert_eq!((meant, found.text()), (1, name.as_bytes()), "{word}");
                    unambiguous += 1;
                }
                What::Wrong(Wrong::Ambiguous) => {
                    assert!(meant > 1 && first.text == short.as_bytes(), "{word}");
                    ambiguous += 1;
                }
                other => panic!("{word}: {other:?}"),
            }
        }
    }
    assert_eq!((unambiguous, ambiguous), (35, 8));
}

#[test]
fn short_options_stick_together() {
    let (options, nodes) = read(&["-v", "-vp9", "n", "-v2", "-c1"]).unwrap();
    assert_eq!((options.verbose, options.port, &nodes[..]), (2, 7410, &["n"][..]));
    let what = |line: &'static [&'static str]| {
        words(line).iter().map(|word| word.what).collect::<std::vec::Vec<_>>()
    };
    assert_eq!(what(&["-hV"]), [What::Option(Name::Help), What::Option(Name::Version)]);
    assert_eq!(what(&["-Vhx"])[2], What::Wrong(Wrong::Unknown));
    let line = ["-vc1"];
    let [word] = words(&line)[..] else { panic!() };
    assert_eq!((word.what, word.text), (What::Option(Name::Verbose), &b"c1"[..]));
}

#[test]
fn what_is_wrong_is_named() {
    for (line, wrong, text) in [
        (&["-x"][..], Wrong::Unknown, "x"),
        (&["--bogus=1"], Wrong::Unknown, "bogus"),
        (&["--ver"], Wrong::Ambiguous, "ver"),
        (&["--="], Wrong::Ambiguous, ""),
        (&["-c"], Wrong::NoValue, "count"),
        (&["--count"], Wrong::NoValue, "count"),
        (&["--help=1"], Wrong::NeedlessValue, "help"),
    ] {
        assert_eq!(read(line).unwrap_err(), (wrong, text));
    }
    for port in ["0", "65536", "abc", "-1", "", "99999999999999999999", "0x10"] {
        let line = ["-p", port];
        assert_eq!(read(&line).unwrap_err(), (Wrong::BadValue(Name::Port), port));
    }
    for interval in ["0", "-3", "x", "2147483648", "0.5", ""] {
        let line = ["-i", interval];
        assert_eq!(read(&line).unwrap_err(), (Wrong::BadValue(Name::Interval), interval));
    }
    for (option, values) in [
        ("count", &["-1", "2147483648"][..]),
        ("family", &["ipv5", "", "ip"]),
        ("ttl", &["0", "256", "x", "", "-1"]),
        ("device", &["", "a-name-too-long-"]),
        (
            "burst",
            &[
                "",
                ",",
                "1,",
                "x",
                "0.1234",
                "-1",
                "3601",
                "nonee",
                "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
            ],
        ),
    ] {
        for value in values {
            let word = format!("--{option}={value}");
            let line = [word.as_str()];
            let Err((Wrong::BadValue(name), text)) = read(&line) else { panic!("{word}") };
            assert_eq!((name.text(), text), (option.as_bytes(), *value));
        }
    }
}

#[test]
fn numbers_by_their_leading_digits() {
    let mut options = Options::default();
    let mut take = |name, value: &'static str| options.take(name, value.as_bytes()).unwrap();
    assert_eq!(take(Name::Port, "7410x"), Understood::InPart);
    assert_eq!(take(Name::Port, " +12"), Understood::Whole);
    assert_eq!(take(Name::Interval, "5.5"), Understood::InPart);
    assert_eq!(take(Name::Count, "x"), Understood::InPart);
    assert_eq!(take(Name::Count, ""), Understood::InPart);
    assert_eq!(take(Name::Count, "010"), Understood::Whole);
    assert_eq!(take(Name::Verbose, "x"), Understood::InPart);
    assert_eq!(take(Name::Verbose, "2"), Understood::Whole);
    assert_eq!(take(Name::Family, "AUTO"), Understood::Whole);
    assert_eq!((options.port, options.cadence.interval), (12, Millis(5000)));
    assert_eq!((options.cadence.count, options.verbose), (10, 2));
}

#[test]
fn bursts() {
    let ms = |text: &str| {
        let mut list = Burst::new();
        burst(&mut list, text.as_bytes())?;
        Some(list.iter().map(|at| at.0).collect::<std::vec::Vec<_>>())
    };
    assert_eq!(ms("none"), Some(vec![]));
    assert_eq!(ms("0"), Some(vec![0]));
    assert_eq!(ms("0,0.25,1.5,3600"), Some(vec![0, 250, 1500, 3_600_000]));
    assert_eq!(ms("0.001,.01,0.1,1."), Some(vec![1, 10, 100, 1000]));
}

/// A key file means signed messages, unless the command line says otherwise, in any order.
#[test]
fn what_is_sent() {
    for (line, form) in [
        (&[][..], None),
        (&["-k", "/key"], Some(Form::Signed)),
        (&["--key=/key", "--mess=PLAIN"], Some(Form::Plain)),
        (&["-mboth", "--key-file", "/key"], Some(Form::Both)),
        (&["-m", "signed"], Some(Form::Signed)),
        (&["-k/key", "-m", "plain", "--message=both"], Some(Form::Both)),
    ] {
        let (options, _) = read(line).unwrap();
        assert_eq!(options.form, form, "{line:?}");
        let has_key = line.iter().any(|word| word.contains("/key"));
        assert_eq!(options.key_file, if has_key { &b"/key"[..] } else { b"" }, "{line:?}");
    }
    assert_eq!(read(&["--node", "n1"]).unwrap().0.node_name, b"n1");
    for value in ["", "sign", "plain,signed"] {
        let line = ["--message", value];
        assert_eq!(read(&line).unwrap_err(), (Wrong::BadValue(Name::Message), value));
    }
}

proptest! {
    #[test]
    fn any_command_line_is_read(line in proptest::collection::vec("-{0,3}[a-zV=0-9. ,]{0,9}|--|-", 0..8)) {
        let mut options = Options::default();
        let mut seen = 0;
        for word in Words::new(line.iter().map(|word| word.as_bytes())) {
            seen += 1;
            if let What::Option(name) = word.what {
                let _ = options.take(name, word.text);
            }
        }
        let letters: usize = line.iter().map(|word| word.len().max(1)).sum();
        prop_assert!(seen <= letters);
        prop_assert!(options.port > 0 && options.cadence.interval >= Millis(1000));

    }

    #[test]
    fn any_bytes_are_a_value_or_not(value in proptest::collection::vec(any::<u8>(), 0..30)) {
        for row in &OPTIONS {
            let _ = Options::default().take(row.3, &value);
        }
    }

    /// Nodes are found again whatever options stand around them.
    #[test]
    fn nodes_keep_their_order(nodes in proptest::collection::vec("[a-z0-9.:]{1,12}", 0..6), before in 0usize..6) {
        let mut line: std::vec::Vec<&str> = nodes.iter().map(String::as_str).collect();
        line.insert(before.min(line.len()), "-c1");
        line.insert(before / 2 % (line.len() + 1), "--verbose");
        let (_, found) = read(&line).unwrap();
        prop_assert!(found.into_iter().eq(nodes.iter()), "{:?}", nodes);
    }
}
