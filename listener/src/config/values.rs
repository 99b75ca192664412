//! Values in the file, as people write them.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use fence_kdump_core::{PORT, Policy};
use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer};

use crate::options::Family;

/// A UDP port.
#[derive(Debug, Clone, Copy)]
pub(super) struct Port(pub(super) u16);

impl Default for Port {
    fn default() -> Self {
        Self(PORT)
    }
}

impl<'de> Deserialize<'de> for Port {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(from)?;
        match u16::try_from(number) {
            Ok(port @ 1..) => Ok(Self(port)),
            _ => Err(D::Error::invalid_value(
                Unexpected::Signed(number),
                &"a port number from 1 to 65535",
            )),
        }
    }
}

/// Which addresses.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FamilyWord {
    #[default]
    Auto,
    Ipv4,
    Ipv6,
}

impl From<FamilyWord> for Family {
    fn from(word: FamilyWord) -> Self {
        match word {
            FamilyWord::Auto => Self::Any,
            FamilyWord::Ipv4 => Self::Ipv4,
            FamilyWord::Ipv6 => Self::Ipv6,
        }
    }
}

/// A string that is something.
fn read<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(
    from: D,
    what: &str,
) -> Result<T, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|error| D::Error::custom(format!("'{text}' is not {what}: {error}")))
}

/// A policy.
#[derive(Debug, Clone, Copy)]
pub(super) struct PolicyWord(pub(super) Policy);

impl<'de> Deserialize<'de> for PolicyWord {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        read(from, "a policy").map(Self)
    }
}

/// A time, such as `90 days`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub(super) Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match humantime::parse_duration(&text) {
            Ok(Duration::ZERO) => {
                Err(D::Error::custom(format!("'{text}' is no time at all; one as '90 days' is")))
            }
            Ok(span) => Ok(Self(span)),
            Err(error) => {
                let what = format!("'{text}' is not a time such as '90 days' or '1h 30m': {error}");
                Err(D::Error::custom(what))
            }
        }
    }
}

/// A size, such as `256 MiB`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size(pub(super) u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let ByteSize(bytes) = read(from, "a size such as '256 MiB' or '1 GB'")?;
        Ok(Self(bytes))
    }
}
