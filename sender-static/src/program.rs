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
#[cfg(not(feature = "link"))]
use crate::transport::udp::Udp;
#[cfg(feature = "link")]
use crate::{
    plan,
    sys::{List, Room},
    transport::ways::Ways,
};

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
        let exit = follow(early::begin(&arguments), arguments);
        if !process::is_first() {
            process::be_seen_to_end();
        }
        return exit;
    }
    understand(arguments, Begun::Plainly, false)
}

#[cfg(feature = "early")]
fn follow(next: Next, arguments: Arguments) -> Exit {
    match next {
        Next::Speak(words) => {
            let exit = understand(words, Begun::InHurry, true);
            process::calm_down();
            exit
        }
        Next::Obey => understand(arguments, Begun::Early, false),
        Next::End => Exit::Success,
    }
}

/// How it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begun {
    /// As any program.
    Plainly,
    /// What comes before the sender is over.
    #[cfg(feature = "early")]
    Early,
    /// The same, as the child that speaks first and tells later.
    #[cfg(feature = "early")]
    InHurry,
}

/// `begun`: whether what comes before the sender is over. `planned`: whether the words are those of the plan,
/// as far as they count.
#[cfg_attr(not(feature = "link"), expect(unused_variables, reason = "only link mode has a plan"))]
#[inline(never)]
fn understand(arguments: Arguments, begun: Begun, planned: bool) -> Exit {
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
            What::Option(Name::Early) if begun != Begun::Plainly => continue,
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
    #[cfg(feature = "link")]
    if !options.plan.is_empty()
        && !planned
        && let Some(words) = with_plan(&arguments, options.plan, nodes)
    {
        return understand(words, begun, true);
    }
    #[cfg(feature = "early")]
    {
        options.early = begun != Begun::Plainly;
        options.hurry = begun == Begun::InHurry;
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

/// Serves the nodes of the command line.
#[cfg(not(feature = "link"))]
fn serve(options: &Options<'_>, arguments: Arguments) -> Exit {
    speak(options, arguments)
}

/// The words of a plan's own command line, and then those of the real one, whose `nodes`, if there are
/// any, take the place of the plan's.
#[cfg(feature = "link")]
#[inline(never)]
fn with_plan(arguments: &Arguments, path: &[u8], nodes: bool) -> Option<Arguments> {
    let mut room = Room::NONE;
    let plan = room.read(arguments.terminated(path)?);
    if !plan::check(plan, path) || plan.is_empty() {
        report::node(path, b"not all of it is understood; what is, counts");
    }
    // Each list costs two pages.
    plan::send(plan).next()?;
    let mut own = List::new()?;
    for word in plan::send(plan) {
        own.push(word);
    }
    if !nodes {
        for word in arguments.clone() {
            own.push(word);
        }
        return Some(own.arguments(arguments));
    }
    let mut rest = own.arguments(arguments);
    let mut words = Words::new(rest.clone());
    let mut list = List::new()?;
    while let Some(word) = words.next() {
        // An option may have its value in a word of its own.
        while rest.clone().count() > words.left() {
            let text = rest.next()?;
            if word.what != What::Node {
                list.push(text);
            }
        }
    }
    for word in arguments.clone() {
        list.push(word);
    }
    Some(list.arguments(arguments))
}

/// Serves the nodes of the command line, as the plan says where there is one.
#[cfg(feature = "link")]
#[inline(never)]
fn serve(options: &Options<'_>, arguments: Arguments) -> Exit {
    let mut room = Room::NONE;
    let plan = arguments.terminated(options.plan).filter(|path| !path.is_empty());
    let plan = plan.map_or(&[][..], |path| room.read(path));
    speak(options, arguments, plan)
}

#[inline(never)]
fn speak<'a>(
    options: &'a Options<'a>,
    arguments: Arguments,
    #[cfg(feature = "link")] plan: &'a [u8],
) -> Exit {
    #[cfg(feature = "early")]
    let mut slot = core::mem::MaybeUninit::uninit();
    let mut storage = Storage::new();
    let identity = Identity::new(options, arguments.clone());
    #[cfg(not(feature = "link"))]
    let mut sender = Sender::new(options, Udp::new(options), identity, &mut storage);
    #[cfg(feature = "link")]
    let mut sender = Sender::new(options, Ways::new(options, plan), identity, &mut storage);
    #[cfg(feature = "link")]
    sender.set_plan(plan);
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
