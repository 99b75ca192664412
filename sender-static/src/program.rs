//! From the command line to the exit code.

#[cfg(feature = "early")]
use crate::early::{self, Next};
#[cfg(feature = "early")]
use crate::sys::process;

use crate::args::{Name, Options, Understood, What, Words, Wrong};
use crate::identity::Identity;
use crate::report;
#[cfg(feature = "early")]
use crate::sender::beside;
use crate::sender::{Outcome, Sender, Storage};
use crate::sys::{self, Arguments};
use crate::transport::udp::Udp;

/// What `--help` prints.
pub const HELP: &str = if cfg!(feature = "early") {
    concat!(include_str!("help.txt"), include_str!("help_whole.txt"))
} else {
    include_str!("help.txt")
};

/// What `--version` prints.
pub const VERSION: &str = concat!("fence_kdump_send ", env!("CARGO_PKG_VERSION"), "\n");

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Messages were sent, or what was asked for was printed.
    Success,
    /// The command line is wrong, nothing could be sent at all, or not signed.
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
pub fn run(arguments: Arguments) -> Exit {
    #[cfg(feature = "early")]
    if process::is_first() {
        return follow(early::begin(&arguments), arguments);
    }
    understand(arguments, false)
}

#[cfg(feature = "early")]
fn follow(next: Next, arguments: Arguments) -> Exit {
    match next {
        Next::Speak(words) => understand(words, true),
        Next::Obey => understand(arguments, true),
        Next::End => Exit::Success,
    }
}

/// `early`: whether what comes before the sender is over.
#[cfg_attr(not(feature = "early"), expect(unused_variables, reason = "there nothing comes before"))]
#[inline(never)]
fn understand(arguments: Arguments, early: bool) -> Exit {
    let mut options = Options::default();
    let mut nodes = false;
    for word in Words::new(arguments.clone()) {
        let wrong = match word.what {
            What::Node => {
                nodes = true;
                continue;
            }
            What::Option(Name::Help) => return print(HELP),
            What::Option(Name::Version) => return print(VERSION),
            #[cfg(feature = "early")]
            What::Option(Name::Early) if early => continue,
            #[cfg(feature = "early")]
            What::Option(Name::Early) => {
                return follow(early::begin_beside(&arguments, word.text), arguments);
            }
            What::Option(name) => match options.take(name, word.text) {
                Some(Understood::Whole) => continue,
                Some(Understood::InPart) => {
                    report::in_part(name, word.text);
                    continue;
                }
                None => Wrong::BadValue(name),
            },
            What::Wrong(wrong) => wrong,
        };
        report::wrong(wrong, word.text);
        return Exit::Failure;
    }
    #[cfg(feature = "early")]
    if options.phase > 0 {
        return tell_phase(&options);
    }
    #[cfg(feature = "early")]
    {
        options.early = early;
    }
    if !nodes {
        print(HELP);
        return Exit::Failure;
    }
    serve(&options, arguments)
}

/// Tells the senders of this machine what it is doing.
#[cfg(feature = "early")]
fn tell_phase(options: &Options<'_>) -> Exit {
    if beside::tell_phase(options.port, options.phase) {
        return Exit::Success;
    }
    report::node(b"phase", b"no sender of this port runs here that could be told");
    Exit::Failure
}

#[inline(never)]
fn serve(options: &Options<'_>, arguments: Arguments) -> Exit {
    #[cfg(feature = "early")]
    let mut slot = core::mem::MaybeUninit::uninit();
    let mut storage = Storage::new();
    let identity = Identity::new(options, arguments.clone());
    let mut sender = Sender::new(options, Udp::new(options), identity, &mut storage);
    for word in Words::new(arguments.clone()) {
        if word.what == What::Node {
            sender.add(word.text);
        }
    }
    #[cfg(feature = "early")]
    sender.look_beside(arguments, &mut slot);
    let outcome = sender.run();
    // The kernel takes back what it gave when the process ends, which is now.
    core::mem::forget(sender);
    match outcome {
        Outcome::Sent => Exit::Success,
        Outcome::Unsigned | Outcome::NothingSent => Exit::Failure,
    }
}

fn print(text: &str) -> Exit {
    sys::print(text.as_bytes());
    Exit::Success
}
