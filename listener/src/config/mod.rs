//! The daemon's configuration: one TOML file (`fence_kdumpd.toml(5)`).
//!
//! | module | its one truth |
//! |---|---|
//! | [`check`] | what may stand in the file |
//! | `tables` | its form; `values`: durations, sizes and words in it |
//! | `fleet` | its nodes; `list`: the same for large fleets, one node a line |
//! | [`ConfigError`] | what is wrong, with line and column, and what would be right |
//!
//! A file is either right as a whole or refused as a whole, so that a new one that is wrong changes nothing.

mod error;
mod fleet;
mod list;
mod secrets;
mod tables;
mod values;

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use fence_kdump_core::Policy;

pub use error::ConfigError;

use crate::fleet::registry::Registry;
use crate::history::Limits;
use crate::options::Family;
use crate::service;
use crate::sink::config::SinkConfig;
use crate::web::WebConfig;
use tables::File;

/// Where the file is unless told otherwise.
pub const PATH: &str = "/etc/fence_kdump/fence_kdumpd.toml";

/// No configuration file is larger, in bytes: what is read has to fit in memory many times. Lists of
/// nodes may be larger.
pub const LARGEST: u64 = 16 * 1024 * 1024;

/// The most candidates that can be asked for.
pub const MOST_CANDIDATES: u32 = 100_000;

/// What the daemon is told to do, checked.
#[derive(Debug)]
pub struct Config {
    /// The UDP port, 1 to 65535.
    pub port: u16,
    /// Which addresses of a name count.
    pub family: Family,
    /// Where the daemon keeps what must not be forgotten.
    pub state_dir: PathBuf,
    /// The file with the cluster keys; like all files with secrets, where the service manager has put it, if it
    /// has: see [`service::credential`].
    pub key_file: Option<PathBuf>,
    /// What the messages of a node have to prove unless said otherwise for that node.
    pub policy: Policy,
    /// The nodes.
    pub nodes: Registry,
    /// How many sources that are no node's are kept as candidates; `None`: none at all.
    pub discovery: Option<u32>,
    /// How much of the past is kept; `None`: nothing.
    pub history: Option<Limits>,
    /// The web server; `None`: none.
    pub web: Option<WebConfig>,
    /// Where events go.
    pub sink: SinkConfig,
    /// Where in the file it says so: `key_file`, and the first of the sinks.
    pub(crate) places: [Option<Place>; 2],
}

/// Line and column, from 1.
pub(crate) type Place = (usize, usize);

impl Default for Config {
    /// What an empty file says.
    fn default() -> Self {
        let File { port, family, state_dir, discovery, history, sink, .. } = File::default();
        Self {
            port: port.0,
            family: family.into(),
            state_dir: state_dir.into_inner(),
            key_file: None,
            policy: Policy::Plain,
            nodes: Registry::new(),
            discovery: discovery.most(),
            history: history.limits(),
            web: None,
            sink: sink.into_inner(),
            places: [None; 2],
        }
    }
}

impl Config {
    /// What is wrong with the key file that the file `path` names.
    #[must_use]
    pub fn wrong_key_file(&self, path: &Path, what: String) -> ConfigError {
        let [place, _] = self.places;
        ConfigError { path: path.to_owned(), place, what }
    }

    /// What is wrong with a sink in the file `path`.
    #[must_use]
    pub fn wrong_sink(&self, path: &Path, what: String) -> ConfigError {
        let [_, place] = self.places;
        ConfigError { path: path.to_owned(), place, what }
    }
}

/// Reads and checks the file `path`, and the list of nodes that it names. Looks no name up, and opens no
/// key file; what `[web]` names is looked at.
///
/// # Errors
/// When anything in it is not as it should be.
pub fn check(path: &Path) -> Result<Config, ConfigError> {
    let text = read(path)?;
    parse(path, &text)
}

/// Reads and checks the text of a file that would be `path`.
///
/// # Errors
/// When anything in it is not as it should be.
pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let at = |span: Option<Range<usize>>, what: String| ConfigError::at(path, text, span, what);
    let file: File =
        toml::from_str(text).map_err(|error| at(error.span(), error::helpful(error.message())))?;
    let File { port, family, state_dir, key_file, policy, nodes_file, node, .. } = file;
    let File { discovery, history, web, sink, .. } = file;
    let has_keys = key_file.is_some();
    let default = match &policy {
        Some(policy) => {
            let asked = policy.get_ref().0;
            if asked != Policy::Plain && !has_keys {
                return Err(at(Some(policy.span()), fleet::needs_keys(asked)));
            }
            asked
        }
        None if has_keys => Policy::Signed,
        None => Policy::Plain,
    };
    let absolute = [Some(&state_dir), key_file.as_ref(), nodes_file.as_ref()];
    for path in absolute.into_iter().flatten() {
        if !path.get_ref().is_absolute() {
            let what = format!("'{}' has to begin with a slash", path.get_ref().display());
            return Err(at(Some(path.span()), what));
        }
    }
    let standard = fleet::Standard { policy: default, has_keys };
    let mut nodes = Registry::new();
    for table in node {
        fleet::add(&mut nodes, table, standard).map_err(|(span, what)| at(Some(span), what))?;
    }
    if let Some(path) = nodes_file {
        list::read(path.get_ref(), standard, &mut nodes).map_err(|error| match error {
            list::Error::Open(error) => {
                let what = format!("{} cannot be read: {error}", path.get_ref().display());
                at(Some(path.span()), what)
            }
            list::Error::Line(error) => error,
        })?;
    }
    nodes.shrink();
    let web = match web {
        None => None,
        Some(table) => {
            let span = table.span();
            let mut web = table.into_inner();
            secrets::of_web(&mut web);
            web.check().map_err(|error| at(Some(span), error.to_string()))?;
            Some(web)
        }
    };
    let spans = [key_file.as_ref().map(toml::Spanned::span), Some(sink.span())];
    let places = spans.map(|span| at(span, String::new()).place);
    Ok(Config {
        port: port.0,
        family: family.into(),
        state_dir: state_dir.into_inner(),
        key_file: key_file.map(|path| service::credential(path.get_ref())),
        policy: default,
        nodes,
        discovery: discovery.most(),
        history: history.limits(),
        web,
        sink: secrets::of_sink(sink.into_inner()),
        places,
    })
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let whole = |what: String| ConfigError::whole(path, what);
    let cannot = |error: io::Error| whole(format!("cannot be read: {error}"));
    let found = fs::metadata(path).map_err(cannot)?;
    if !found.is_file() {
        return Err(whole("it is no regular file".to_owned()));
    }
    if found.len() > LARGEST {
        let most = bytesize::ByteSize(LARGEST);
        return Err(whole(format!(
            "it is larger than {most}; nodes_file is the form for so many nodes"
        )));
    }
    let bytes = fs::read(path).map_err(cannot)?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let text = String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default());
        ConfigError::at(path, &text, Some(good..good), "this is not UTF-8".to_owned())
    })
}

#[cfg(test)]
mod tests;
