//! Which modules a network card's driver needs, and in which order they are loaded.
//!
//! The files that depmod(8) writes tell: `modules.dep`, `modules.softdep`, `modules.builtin` and
//! `modules.alias`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What depmod wrote of one kernel's modules.
#[derive(Debug, Clone, Default)]
pub struct Modules {
    /// Where they are: `/lib/modules/VERSION`.
    folder: PathBuf,
    /// `modules.dep`: file, and the files it needs, the last of which is to be loaded first.
    needs: Vec<(String, Vec<String>)>,
    /// `modules.softdep`: name, and the names that are to be loaded before.
    before: Vec<(String, Vec<String>)>,
    /// `modules.builtin`: names that are in the kernel itself.
    builtin: Vec<String>,
    /// `modules.alias`: pattern and name.
    aliases: Vec<(String, String)>,
}

impl Modules {
    /// Reads what is known of the kernel whose modules are in `folder`. Only `modules.dep` has to be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let dep = fs::read_to_string(folder.join("modules.dep"))?;
        let text = |name| fs::read_to_string(folder.join(name)).unwrap_or_default();
        Ok(Self::parse(
            folder,
            &dep,
            &text("modules.softdep"),
            &text("modules.builtin"),
            &text("modules.alias"),
        ))
    }

    /// From the texts of the four files.
    #[must_use]
    pub fn parse(folder: &Path, dep: &str, softdep: &str, builtin: &str, alias: &str) -> Self {
        let needs = dep.lines().filter_map(|line| line.split_once(':'));
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let before = softdep.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("softdep ")?.split_once(' ')?;
            let pre = rest.split_once("pre:")?.1;
            let pre = pre.split_once("post:").map_or(pre, |(pre, _)| pre);
            Some((plain(name), pre.split_whitespace().map(plain).collect()))
        });
        let aliases = alias.lines().filter_map(|line| {
            let (pattern, name) = line.strip_prefix("alias ")?.rsplit_once(' ')?;
            Some((pattern.to_owned(), plain(name)))
        });
        Self {
            folder: folder.to_owned(),
            needs: needs.map(|(file, rest)| (file.to_owned(), words(rest))).collect(),
            before: before.collect(),
            builtin: builtin.lines().map(name_of).collect(),
            aliases: aliases.collect(),
        }
    }

    /// Whether the kernel has this module, in a file or in itself.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let name = plain(name);
        self.builtin.contains(&name) || self.file(&name).is_some()
    }

    /// Whether it is in a file, and so has to be loaded.
    #[must_use]
    pub fn is_loadable(&self, name: &str) -> bool {
        self.file(&plain(name)).is_some()
    }

    /// The modules that say that they drive a device with this `modalias`.
    #[must_use]
    pub fn drivers(&self, modalias: &str) -> Vec<String> {
        let fitting = self.aliases.iter().filter(|(pattern, _)| is_like(pattern, modalias));
        fitting.map(|(_, name)| name.clone()).collect()
    }

    /// Adds to `order` the files of the module `name` and of all that it needs, each once and after what
    /// it needs itself. Nothing is added for one that is in the kernel, or unknown to it.
    pub fn add(&self, name: &str, order: &mut Vec<PathBuf>) {
        self.add_below(&plain(name), order, &mut Vec::new());
    }

    /// `begun` are the modules that wait for this one: what one of them is to come after may go round in a circle.
    fn add_below(&self, name: &str, order: &mut Vec<PathBuf>, begun: &mut Vec<String>) {
        let Some((file, needs)) = self.file(name) else {
            return;
        };
        // modules.dep names the nearest first.
        for file in needs.iter().rev().chain([file]) {
            let path = self.folder.join(file);
            let name = name_of(file);
            if order.contains(&path) || begun.contains(&name) {
                continue;
            }
            begun.push(name.clone());
            let soft = self.before.iter().filter(|(owner, _)| *owner == name);
            for before in soft.flat_map(|(_, names)| names) {
                self.add_below(before, order, begun);
            }
            order.push(path);
        }
    }

    fn file(&self, name: &str) -> Option<&(String, Vec<String>)> {
        self.needs.iter().find(|(file, _)| name_of(file) == name)
    }
}

/// The name that the kernel gives a module, in which no hyphens are.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}

/// `kernel/drivers/net/virtio_net.ko.xz` is `virtio_net`.
fn name_of(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    plain(name.split(".ko").next().unwrap_or(name))
}

/// Whether `text` fits `pattern`, as fnmatch(3) has it: `*`, `?` and `[...]`.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut done) = (0, 0);
    // Where to go on when it does not fit: after the last star, one more byte of the text eaten by it.
    let mut again: Option<(usize, usize)> = None;
    while done < text.len() || at < pattern.len() {
        match (pattern.get(at), text.get(done)) {
            (Some(b'*'), _) => {
                again = Some((at + 1, done + 1));
                at += 1;
                continue;
            }
            (Some(b'['), Some(&byte)) => {
                let end = pattern.iter().skip(at).position(|&it| it == b']').map(|it| at + it);
                if let Some(end) = end
                    && is_among(pattern.get(at + 1..end).unwrap_or_default(), byte)
                {
                    (at, done) = (end + 1, done + 1);
                    continue;
                }
            }
            (Some(&wanted), Some(&byte)) if wanted == b'?' || wanted == byte => {
                (at, done) = (at + 1, done + 1);
                continue;
            }
            _ => {}
        }
        match again {
            Some((pattern_at, text_at)) if text_at <= text.len() => {
                again = Some((pattern_at, text_at + 1));
                (at, done) = (pattern_at, text_at);
            }
            _ => return false,
        }
    }
    true
}

/// `[ab]` and `[a-c]`.
fn is_among(mut set: &[u8], byte: u8) -> bool {
    loop {
        match set {
            [from, b'-', to, rest @ ..] => {
                if (*from..=*to).contains(&byte) {
                    return true;
                }
                set = rest;
            }
            [one, rest @ ..] => {
                if *one == byte {
                    return true;
                }
                set = rest;
            }
            [] => return false,
        }
    }
}
