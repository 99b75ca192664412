//! Options as `key=value` lines on standard input, as Pacemaker's fencer gives them.

use std::io::Read;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use thiserror::Error;

use super::{OptionError, Settings, TABLE};

/// The greatest input that is read; more is refused, never cut.
pub const MAX_INPUT: usize = 1024 * 1024;

/// Why standard input is refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StdinError {
    /// More than [`MAX_INPUT`] bytes.
    #[error("standard input: more than {MAX_INPUT} bytes of options")]
    TooLong,
    /// Nobody closed it.
    #[error("standard input: not closed within {0:?}; options end with the end of input")]
    Slow(Duration),
    /// It could not be read.
    #[error("standard input: {0}")]
    Read(#[from] std::io::Error),
    /// A value is wrong.
    #[error("standard input, line {line}: {error}")]
    Value {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        error: OptionError,
    },
}

/// Reads all options from `input` within `patience`.
///
/// # Errors
/// When the input is too long, is not closed in time, cannot be read, or has a wrong value.
pub fn read(input: impl Read + Send + 'static, patience: Duration) -> Result<Settings, StdinError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    // Reading blocks for as long as the writer likes; the thread is left behind when it does.
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let limit = u64::try_from(MAX_INPUT).unwrap_or(u64::MAX).saturating_add(1);
        let read = input.take(limit).read_to_end(&mut bytes).map(|_| bytes);
        drop(sender.send(read));
    });
    let bytes = receiver.recv_timeout(patience).map_err(|_| StdinError::Slow(patience))??;
    parse(&bytes)
}

/// Understands `key=value` lines: keys in any case, white space around keys and values dropped,
/// `#` starts a comment line, unknown keys and lines without `=` are passed over, the last of several
/// lines with one key wins. Every value is checked, also one that does not win.
///
/// # Errors
/// When there are more than [`MAX_INPUT`] bytes or a value is none that its option can have.
pub fn parse(bytes: &[u8]) -> Result<Settings, StdinError> {
    if bytes.len() > MAX_INPUT {
        return Err(StdinError::TooLong);
    }
    let mut settings = Settings::default();
    for (line, text) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
        let text = String::from_utf8_lossy(text);
        let text = text.trim();
        let Some((key, value)) = text.split_once('=').filter(|_| !text.starts_with('#')) else {
            continue;
        };
        let key = key.trim();
        if let Some(opt) = TABLE.iter().find(|opt| opt.key.eq_ignore_ascii_case(key)) {
            settings.set(opt, value.trim()).map_err(|error| StdinError::Value { line, error })?;
        }
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Action, Family};
    use fence_kdump_core::Policy;
    use proptest::prelude::*;
    use std::path::Path;

    #[test]
    fn what_the_fencer_sends() {
        let settings = parse(
            b"# comment\nNodeName=a,b\n\n ACTION = Off \r\nport=a\ntimeout=3\nipport=7000\n\
              pcmk_x=1\ngarbage\nfamily=IPV4\ntimeout=9\nlisten_only=yes\nversion=1\nusage=1\n\
              key_file = /etc/k \npolicy=Live\nstate_dir=/s",
        )
        .unwrap();
        assert_eq!(settings.nodename, ["a", "b"]);
        assert_eq!(settings.action, Action::Off);
        assert_eq!(settings.port.as_deref(), Some("a"));
        assert_eq!(settings.timeout, Duration::from_secs(9));
        assert_eq!((settings.ipport, settings.family), (7000, Family::Ipv4));
        assert!(settings.listen_only);
        assert_eq!(settings.policy(), Ok(Policy::Live));
        assert_eq!(settings.key_file, Some("/etc/k".into()));
        assert_eq!(settings.state_dir, Path::new("/s"));
    }

    #[test]
    fn a_wrong_value_is_told_with_its_line() {
        let error = parse(b"action=off\ntimeout=1x\ntimeout=1").unwrap_err();
        assert_eq!(
            error.to_string(),
            "standard input, line 2: timeout: '1x' is not a number of seconds from 1 to 2147483647"
        );
    }

    #[test]
    fn input_up_to_the_bound_is_read_whole_and_beyond_it_refused() {
        let mut text = b"nodename=n1\n#".to_vec();
        text.resize(MAX_INPUT - 12, b'x');
        text.extend(b"\nnodename=n2");
        assert_eq!(text.len(), MAX_INPUT);
        assert_eq!(parse(&text).unwrap().nodename, ["n2"]);
        text.push(b'2');
        assert!(matches!(parse(&text), Err(StdinError::TooLong)));
        let patience = Duration::from_secs(20);
        let read = read(std::io::repeat(b'\n'), patience);
        assert!(matches!(read, Err(StdinError::TooLong)));
    }

    #[test]
    fn an_input_that_nobody_closes_does_not_hang() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let read = read(reader, Duration::from_millis(50));
        assert!(matches!(read, Err(StdinError::Slow(_))));
    }

    proptest! {
        #[test]
        fn every_input_has_an_answer(bytes: Vec<u8>) {
            drop(parse(&bytes));
        }

        #[test]
        fn names_come_through_whole(names in prop::collection::vec("[a-z0-9.:%-]{1,300}", 1..50)) {
            let text = format!("nodename={}\n", names.join(","));
            prop_assert_eq!(parse(text.as_bytes()).unwrap().nodename, names);
        }
    }
}
