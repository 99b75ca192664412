//! From the command line to the exit code.

use crate::args::{Name, Options, Understood, Word, Words, Wrong};
use crate::report::{self, Line};
use crate::sender::{Outcome, Sender, Storage};
use crate::sys::{self, Argument};
use crate::transport::udp::Udp;

/// What `--help` prints.
pub const HELP: &str = include_str!("help.txt");

/// What `--version` prints.
pub const VERSION: &str = concat!("fence_kdump_send ", env!("CARGO_PKG_VERSION"), "\n");

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Messages were sent, or what was asked for was printed.
    Success,
    /// The command line is wrong, or nothing could be sent at all.
    Failure,
}

impl Exit {
    /// The exit code, as the stock tool's.
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
        }
    }
}

/// Does what the command line says. Options are taken in their order, as the stock tool does: the
/// first wrong one, `--help` or `--version` ends it.
pub fn run(arguments: impl Iterator<Item = Argument> + Clone) -> Exit {
    let mut options = Options::default();
    let mut nodes = false;
    for word in Words::new(arguments.clone()) {
        let result = match word {
            Ok(Word::Node(_)) => {
                nodes = true;
                Ok(())
            }
            Ok(Word::Option(Name::Help, _)) => return print(HELP),
            Ok(Word::Option(Name::Version, _)) => return print(VERSION),
            Ok(Word::Option(name, value)) => take(&mut options, name, value),
            Err(wrong) => Err(wrong),
        };
        if let Err(wrong) = result {
            report::wrong(wrong);
            return Exit::Failure;
        }
    }
    if !nodes {
        print(HELP);
        return Exit::Failure;
    }
    let mut storage = Storage::new();
    let mut sender = Sender::new(&options, Udp::new(&options), &mut storage);
    let now = sys::now();
    for word in Words::new(arguments) {
        if let Ok(Word::Node(name)) = word {
            sender.add(name, now);
        }
    }
    match sender.run(now) {
        Outcome::Sent => Exit::Success,
        Outcome::NothingSent => Exit::Failure,
    }
}

fn take<'a>(
    options: &mut Options<'a>,
    name: Name,
    value: Option<&'a [u8]>,
) -> Result<(), Wrong<'a>> {
    if options.take(name, value)? == Understood::InPart {
        Line::new()
            .text(name.text().as_bytes())
            .text(b": '")
            .text(value.unwrap_or_default())
            .text(b"' is not ")
            .text(report::right(name).as_bytes())
            .text(b"; what can be read of it is used")
            .say();
    }
    Ok(())
}

fn print(text: &str) -> Exit {
    sys::print(text.as_bytes());
    Exit::Success
}
