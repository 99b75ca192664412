//! The way of a number from where it is measured to the README, without anybody who types it:
//!
//! 1. A benchmark or a test [`record`]s it, in target/numbers; criterion leaves its own in target/criterion.
//! 2. The program of this package [`collect`]s all of them into `numbers.json`, which is committed.
//! 3. What [`readme`] and [`plot`] make of that file stands between two marks in the README, and beside
//!    `numbers.json`. A test compares.

mod collect;
mod layout;
mod machine;
pub mod plot;
pub mod readme;
mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

pub use collect::collect;
pub use machine::Setting;
pub use record::{begin, read, record};

/// Something that was measured, once or more often.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// The same each time, or measured once.
    One(f64),
    /// The median and the quartiles below and above it.
    Several([f64; 3]),
}

impl Value {
    /// Of all that was measured; nothing if that is nothing.
    #[must_use]
    pub fn of(measured: &[f64]) -> Option<Self> {
        let mut sorted = measured.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |quarter: usize| {
            let place = (sorted.len().checked_sub(1)? * quarter + 2) / 4;
            sorted.get(place).copied()
        };
        match sorted.as_slice() {
            [] => None,
            [only] => Some(Self::One(*only)),
            _ => Some(Self::Several([at(2)?, at(1)?, at(3)?])),
        }
    }

    /// The median.
    #[must_use]
    pub fn median(self) -> f64 {
        match self {
            Self::One(value) | Self::Several([value, ..]) => value,
        }
    }
}

/// What was measured: a row for each of those that were compared, with a value for each question.
pub type Rows = BTreeMap<String, BTreeMap<String, Value>>;

/// What one program or test measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Where and when.
    pub setting: Setting,
    /// The values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: Rows,
    /// A table in text, of those who write it themselves.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// The committed file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Numbers {
    /// By name.
    pub sections: BTreeMap<String, Section>,
}

impl Numbers {
    /// A value, if it was measured.
    #[must_use]
    pub fn get(&self, section: &str, row: &str, column: &str) -> Option<Value> {
        self.sections.get(section)?.rows.get(row)?.get(column).copied()
    }

    /// Reads the committed file.
    ///
    /// # Errors
    /// When it cannot be read, or is not such a file.
    pub fn load(path: &Path) -> io::Result<Self> {
        serde_json::from_str(&fs::read_to_string(path)?).map_err(io::Error::other)
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn store(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other)?;
        fs::write(path, text + "\n")
    }
}

/// The folder of this package, with the committed file and the pictures.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    folder().join("../..")
}

/// Where cargo builds, and benchmarks leave what they have measured.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn the_middle_of_what_was_measured() {
        assert_eq!(Value::of(&[]), None);
        assert_eq!(Value::of(&[3.0]), Some(Value::One(3.0)));
        assert_eq!(Value::of(&[5.0, 1.0, 4.0, 2.0, 3.0]), Some(Value::Several([3.0, 2.0, 4.0])));
    }
}
