//! The one place where a value is looked at, whichever way it came.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use fence_kdump_core::Policy;
use thiserror::Error;

use crate::address::Address;
use crate::store::STATE_DIR;

use super::{ACTIONS, Kind, MAX_NAMES, Opt};

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Wait until the node is known to be in its crash kernel.
    Off,
    /// Check that this host could speak if it crashed.
    Monitor,
    /// The same as [`Action::Monitor`].
    Status,
    /// Print the configured names.
    List,
    /// Check the configuration.
    ValidateAll,
    /// Print the description of this agent.
    Metadata,
}

/// Which addresses of a name count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// All of them.
    Any,
    /// Those of IPv4.
    Ipv4,
    /// Those of IPv6.
    Ipv6,
}

impl Family {
    /// Whether `address` is one that counts.
    #[must_use]
    pub fn counts(self, address: Address) -> bool {
        match (self, address.ip()) {
            (Self::Any, _) | (Self::Ipv4, IpAddr::V4(_)) | (Self::Ipv6, IpAddr::V6(_)) => true,
            (Self::Ipv4, IpAddr::V6(_)) | (Self::Ipv6, IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "IP",
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// What the agent was told, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Names or addresses of the node, none empty, at most [`MAX_NAMES`].
    pub nodename: Vec<String>,
    /// Pacemaker's name of the node to be fenced.
    pub port: Option<String>,
    /// The UDP port, 1 to 65535.
    pub ipport: u16,
    /// Which addresses of the names count.
    pub family: Family,
    /// What to do.
    pub action: Action,
    /// How long the whole run may take: 1 to 2147483647 s.
    pub timeout: Duration,
    /// The file with the cluster keys.
    pub key_file: Option<PathBuf>,
    /// What was said about what messages have to prove; see [`Settings::policy`].
    pub asked_policy: Option<Policy>,
    /// Where it is remembered what was heard.
    pub state_dir: PathBuf,
    /// This host has no crash kernel and needs none.
    pub listen_only: bool,
    /// 0: one line per event; 1: one per datagram, within bounds; 2 and more: without.
    pub verbose: u8,
    /// Values that were passed over, to be told as warnings.
    pub remarks: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            nodename: Vec::new(),
            port: None,
            ipport: fence_kdump_core::PORT,
            family: Family::Any,
            action: Action::Off,
            timeout: Duration::from_secs(60),
            key_file: None,
            asked_policy: None,
            state_dir: PathBuf::from(STATE_DIR),
            listen_only: false,
            verbose: 0,
            remarks: Vec::new(),
        }
    }
}

/// Why a value is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OptionError {
    /// Not a number in range.
    #[error("{key}: '{value}' is not a number of {unit} from {least} to {most}")]
    Number {
        /// Of which option.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is counted.
        unit: &'static str,
        /// The least value that would be right.
        least: u64,
        /// The greatest value that would be right.
        most: u64,
    },
    /// Not one of the words.
    #[error("{key}: '{value}' is none of: {words}")]
    Word {
        /// Of which option.
        key: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        words: String,
    },
    /// An action that power switches have and this agent cannot have.
    #[error(
        "action: '{0}' is not possible: this agent hears that a node has crashed, it cannot switch it; use 'off'"
    )]
    CannotSwitch(String),
    /// The name of a file that is none.
    #[error("{key}: '' is no name of a file or directory")]
    NoPath {
        /// Of which option.
        key: &'static str,
    },
    /// A policy that nothing could satisfy.
    #[error(
        "policy: '{0}' needs key_file, the file with the cluster keys; without it nothing can be verified"
    )]
    KeyFileMissing(Policy),
    /// Too many names in a list.
    #[error("{key}: more than {MAX_NAMES} names")]
    TooManyNames {
        /// Of which option.
        key: &'static str,
    },
}

/// At most 60 characters of what was given, so that an error stays one readable line.
fn quoted(value: &str) -> String {
    let mut short: String = value.chars().take(60).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    short.escape_debug().to_string()
}

/// A yes or no, in the words that fencing agents know.
fn yes_or_no(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" | "on" | "" => Some(true),
        "0" | "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// Digits only: no sign, no white space, no unit.
fn number(value: &str) -> Option<u64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().ok()).flatten()
}

impl Settings {
    /// What messages have to prove: what was asked for, else *signed* when there are keys.
    ///
    /// # Errors
    /// When more is asked for than can be verified.
    pub fn policy(&self) -> Result<Policy, OptionError> {
        match (self.asked_policy, &self.key_file) {
            (None | Some(Policy::Plain), None) => Ok(Policy::Plain),
            (Some(policy @ (Policy::Signed | Policy::Live)), None) => {
                Err(OptionError::KeyFileMissing(policy))
            }
            (Some(policy), Some(_)) => Ok(policy),
            (None, Some(_)) => Ok(Policy::Signed),
        }
    }

    /// Sets the option `opt` to `value`; a later value takes the place of an earlier one.
    ///
    /// # Errors
    /// When the value is none that the option can have.
    pub fn set(&mut self, opt: &'static Opt, value: &str) -> Result<(), OptionError> {
        let key = opt.key;
        match (key, opt.kind) {
            ("nodename", _) => self.nodename = names(key, value)?,
            ("port", _) => self.port = Some(value.to_owned()).filter(|name| !name.is_empty()),
            ("action", _) => self.action = action(key, value)?,
            ("family", Kind::Word(words)) => self.family = family(key, value, words)?,
            // A value that got lost on the way must not make plain messages count.
            (_, Kind::Path) if value.is_empty() => return Err(OptionError::NoPath { key }),
            ("key_file", _) => self.key_file = Some(PathBuf::from(value)),
            ("state_dir", _) => self.state_dir = PathBuf::from(value),
            ("policy", Kind::Word(words)) => {
                let policy = value.parse().map_err(|_| OptionError::Word {
                    key,
                    value: quoted(value),
                    words: words.join(", "),
                })?;
                self.asked_policy = Some(policy);
            }
            ("listen_only", _) => {
                self.listen_only = yes_or_no(value).ok_or_else(|| OptionError::Word {
                    key,
                    value: quoted(value),
                    words: "1, yes, true, on, 0, no, false, off".into(),
                })?;
            }
            (_, Kind::Number { unit, least, most }) => {
                let refused =
                    || OptionError::Number { key, value: quoted(value), unit, least, most };
                let number = number(value)
                    .filter(|number| (least..=most).contains(number))
                    .ok_or_else(refused)?;
                if key == "ipport" {
                    self.ipport = u16::try_from(number).map_err(|_| refused())?;
                } else {
                    self.timeout = Duration::from_secs(number);
                }
            }
            // How much is said must never decide whether a node counts as fenced.
            (_, Kind::Degree) => match (number(value), yes_or_no(value)) {
                (Some(degree), _) => self.verbose = u8::try_from(degree).unwrap_or(u8::MAX),
                (None, Some(yes)) => self.verbose = u8::from(yes),
                (None, None) => {
                    self.verbose = 1;
                    self.remarks
                        .push(format!("{key}: '{}' is not a number; taken as 1", quoted(value)));
                }
            },
            // Means nothing on standard input, as with the stock agent.
            (_, Kind::Tell | Kind::Switch | Kind::Text | Kind::Path | Kind::Word(_)) => {}
        }
        Ok(())
    }
}

fn names(key: &'static str, value: &str) -> Result<Vec<String>, OptionError> {
    let names = value.split(',').map(str::trim).filter(|n| !n.is_empty());
    if names.clone().count() > MAX_NAMES {
        return Err(OptionError::TooManyNames { key });
    }
    Ok(names.map(str::to_owned).collect())
}

fn action(key: &'static str, value: &str) -> Result<Action, OptionError> {
    match value.to_ascii_lowercase().as_str() {
        "off" => Ok(Action::Off),
        "monitor" => Ok(Action::Monitor),
        "status" => Ok(Action::Status),
        "list" => Ok(Action::List),
        "validate-all" => Ok(Action::ValidateAll),
        "metadata" => Ok(Action::Metadata),
        "on" | "reboot" => Err(OptionError::CannotSwitch(value.to_ascii_lowercase())),
        _ => Err(OptionError::Word { key, value: quoted(value), words: ACTIONS.join(", ") }),
    }
}

fn family(key: &'static str, value: &str, words: &[&str]) -> Result<Family, OptionError> {
    match value.to_ascii_lowercase().as_str() {
        "auto" => Ok(Family::Any),
        "ipv4" => Ok(Family::Ipv4),
        "ipv6" => Ok(Family::Ipv6),
        _ => Err(OptionError::Word { key, value: quoted(value), words: words.join(", ") }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::TABLE;

    fn opt(key: &str) -> &'static Opt {
        TABLE.iter().find(|opt| opt.key == key).unwrap()
    }

    #[test]
    fn numbers_are_strict() {
        let mut settings = Settings::default();
        for bad in ["", "0", "-1", "+1", " 1", "1 ", "1s", "x", "1e3", "0x10", "65536", "٣"] {
            let error = settings.set(opt("ipport"), bad).unwrap_err();
            assert!(error.to_string().contains("from 1 to 65535"), "{error}");
        }
        for (key, value) in [("timeout", "2147483648"), ("timeout", "99999999999999999999")] {
            assert!(settings.set(opt(key), value).is_err(), "{value}");
        }
        settings.set(opt("timeout"), "007").unwrap();
        assert_eq!(settings.timeout, Duration::from_secs(7));
    }

    #[test]
    fn lists_are_never_cut() {
        let mut settings = Settings::default();
        let many = |count: usize| vec!["n"; count].join(",");
        settings.set(opt("nodename"), &many(MAX_NAMES)).unwrap();
        assert_eq!(settings.nodename.len(), MAX_NAMES);
        let error = settings.set(opt("nodename"), &many(MAX_NAMES + 1));
        assert_eq!(error, Err(OptionError::TooManyNames { key: "nodename" }));
        settings.set(opt("nodename"), " a, ,b,").unwrap();
        assert_eq!(settings.nodename, ["a", "b"]);
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_the_reason() {
        let error = Settings::default().set(opt("action"), "Reboot").unwrap_err();
        assert!(error.to_string().contains("use 'off'"), "{error}");
        let error = Settings::default().set(opt("action"), "").unwrap_err();
        assert!(error.to_string().contains("validate-all"), "{error}");
    }

    #[test]
    fn keys_raise_what_is_asked_and_nothing_lowers_it_by_accident() {
        let policy = |values: &[(&str, &str)]| {
            let mut settings = Settings::default();
            values.iter().try_for_each(|(key, value)| settings.set(opt(key), value))?;
            settings.policy()
        };
        let file = ("key_file", "/etc/fence_kdump/cluster.key");
        assert_eq!(policy(&[]), Ok(Policy::Plain));
        assert_eq!(policy(&[("policy", "Plain")]), Ok(Policy::Plain));
        assert_eq!(policy(&[file]), Ok(Policy::Signed));
        assert_eq!(policy(&[file, ("policy", "LIVE")]), Ok(Policy::Live));
        assert_eq!(policy(&[file, ("policy", "plain")]), Ok(Policy::Plain));
        for (values, said) in [
            (&[("policy", "signed")][..], "policy: 'signed' needs key_file"),
            (&[("policy", "live")], "policy: 'live' needs key_file"),
            (&[("policy", "sign")], "policy: 'sign' is none of: plain, signed, live"),
            (&[("policy", "")], "policy: '' is none of"),
            (&[("key_file", "")], "key_file: '' is no name of a file"),
            (&[file, ("state_dir", "")], "state_dir: '' is no name"),
        ] {
            let error = policy(values).unwrap_err().to_string();
            assert!(error.contains(said), "{values:?}: {error}");
        }
    }

    #[test]
    fn verbosity_never_stops_anything() {
        let mut settings = Settings::default();
        for (value, degree) in [("", 1), ("2", 2), ("no", 0), ("300", 255), ("loud", 1)] {
            settings.set(opt("verbose"), value).unwrap();
            assert_eq!(settings.verbose, degree, "{value}");
        }
        assert_eq!(settings.remarks.len(), 1);
    }
}
