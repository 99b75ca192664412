//! What is wrong with a configuration.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is wrong with a configuration file, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file: the configuration, or the list of nodes that it names.
    pub path: PathBuf,
    /// Line and column, from 1; a column is a character. `None` when it is about the file as a whole.
    pub place: Option<(usize, usize)>,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl ConfigError {
    /// About the file as a whole.
    pub(super) fn whole(path: &Path, what: String) -> Self {
        Self { path: path.to_owned(), place: None, what }
    }

    /// About the bytes `span` of `text`.
    pub(super) fn at(path: &Path, text: &str, span: Option<Range<usize>>, what: String) -> Self {
        let before = span.and_then(|span| text.get(..span.start));
        let place = before.map(|before| {
            let line = before.matches('\n').count().saturating_add(1);
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
            (line, column.saturating_add(1))
        });
        Self { path: path.to_owned(), place, what }
    }
}

/// What the parser says, with what would be right where it only says what is wrong.
pub(super) fn helpful(said: &str) -> String {
    let more = match said {
        "invalid type: map, expected a sequence" => {
            ": there may be several, so each has double brackets, such as [[node]]"
        }
        _ if said.ends_with("expected a sequence") => {
            ": a list has brackets, such as [\"a\", \"b\"]"
        }
        _ if said.ends_with("expected i64") => ": a number stands without quotes, such as 7410",
        _ => "",
    };
    format!("{said}{more}")
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {}", self.what)
    }
}

impl std::error::Error for ConfigError {}
