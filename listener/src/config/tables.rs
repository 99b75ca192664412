//! The form of the file. What is not said has the value of an empty file.

use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::MOST_CANDIDATES;
use super::values::{FamilyWord, PolicyWord, Port, Size, Span};
use crate::history::Limits;
use crate::sink::config::SinkConfig;
use crate::store::STATE_DIR;
use crate::web::WebConfig;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) port: Port,
    pub(super) family: FamilyWord,
    pub(super) state_dir: Spanned<PathBuf>,
    pub(super) key_file: Option<Spanned<PathBuf>>,
    pub(super) policy: Option<Spanned<PolicyWord>>,
    pub(super) nodes_file: Option<Spanned<PathBuf>>,
    pub(super) node: Vec<NodeTable>,
    pub(super) discovery: Discovery,
    pub(super) history: History,
    pub(super) web: Option<Spanned<WebConfig>>,
    pub(super) sink: Spanned<SinkConfig>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            port: Port::default(),
            family: FamilyWord::default(),
            state_dir: Spanned::new(0..0, STATE_DIR.into()),
            key_file: None,
            policy: None,
            nodes_file: None,
            node: Vec::new(),
            discovery: Discovery::default(),
            history: History::default(),
            web: None,
            sink: Spanned::new(0..0, SinkConfig::default()),
        }
    }
}

/// `[[node]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeTable {
    pub(super) name: Spanned<String>,
    pub(super) addresses: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) policy: Option<Spanned<PolicyWord>>,
    pub(super) key_name: Option<Spanned<String>>,
}

/// `[discovery]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Discovery {
    enabled: bool,
    #[serde(deserialize_with = "candidates")]
    most: u32,
}

impl Default for Discovery {
    fn default() -> Self {
        Self { enabled: false, most: 1_000 }
    }
}

impl Discovery {
    pub(super) fn most(&self) -> Option<u32> {
        self.enabled.then_some(self.most)
    }
}

fn candidates<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let number = i64::deserialize(from)?;
    let most = u32::try_from(number).ok().filter(|most| (1..=MOST_CANDIDATES).contains(most));
    most.ok_or_else(|| {
        let what = format!("{number} is not a number of candidates from 1 to {MOST_CANDIDATES}");
        D::Error::custom(what)
    })
}

/// `[history]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct History {
    enabled: bool,
    keep: Span,
    #[serde(deserialize_with = "enough")]
    most: Size,
}

impl Default for History {
    fn default() -> Self {
        let Limits { keep, most } = Limits::default();
        Self { enabled: true, keep: Span(keep), most: Size(most) }
    }
}

impl History {
    pub(super) fn limits(&self) -> Option<Limits> {
        let limits = Limits { keep: self.keep.0, most: self.most.0 };
        self.enabled.then_some(limits)
    }
}

fn enough<'de, D: Deserializer<'de>>(from: D) -> Result<Size, D::Error> {
    let size = Size::deserialize(from)?;
    let least = Limits::LEAST;
    if size.0 < least {
        let least = bytesize::ByteSize(least);
        return Err(D::Error::custom(format!("a history takes {least} at least")));
    }
    Ok(size)
}
