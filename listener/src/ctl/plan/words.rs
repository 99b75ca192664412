//! The sender's command line, as it stands in the plan.

use super::super::command::Sender;

/// A node without what it is sent: `both:NODE` is `NODE`.
#[must_use]
pub fn node(word: &str) -> &str {
    let forms = ["plain:", "signed:", "both:"];
    forms.iter().find_map(|form| word.strip_prefix(form)).unwrap_or(word)
}

impl Sender {
    /// The words of its options, nodes not among them.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let options = [
            ("-p", &self.ipport),
            ("-f", &self.family),
            ("-c", &self.count),
            ("-i", &self.interval),
            ("-b", &self.burst),
            ("-t", &self.ttl),
            ("-d", &self.device),
            ("-n", &self.node_name),
            ("-m", &self.message),
        ];
        for (option, value) in options {
            if let Some(value) = value {
                words.extend([option.to_owned(), value.clone()]);
            }
        }
        if let Some(path) = &self.key_file {
            words.extend(["-k".to_owned(), path.display().to_string()]);
        }
        match self.verbose.as_deref() {
            None => {}
            Some("") => words.push("-v".to_owned()),
            Some(level) => words.push(format!("--verbose={level}")),
        }
        words
    }

    /// `Some(true)` when only IPv6 counts, `Some(false)` when only IPv4 does.
    #[must_use]
    pub fn family(&self) -> Option<bool> {
        match self.family.as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("ipv4") => Some(false),
            Some("ipv6") => Some(true),
            _ => None,
        }
    }
}
