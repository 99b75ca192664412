//! The first process of an initrd: starts the sender beside the init that is meant to run there, and
//! becomes that init.
//!
//! The kernel was told `rdinit=` this program, or found it as `/init`. Whoever comes after it finds
//! everything as the kernel had left it: process 1, arguments, environment, open files, mounts, no child
//! that it could wait for, as long as it speaks. The rest is the child's, which sees mounts of its own, so that
//! nobody has to wait for modules, and nothing that fails there is anybody's concern.

mod init;
mod modules;

use core::ffi::CStr;

use crate::plan;
use crate::report::Line;
use crate::sys::{Arguments, File, List, Text, process};
use crate::text::fields;
use crate::vmcore::VMCORE;

/// How many bytes of a plan are read.
const PLAN_MAX: usize = 64 << 10;

/// How many bytes the kernel's command line has at most, on any machine.
const COMMAND_LINE_MAX: usize = 4096;

/// How long a path can be, with its zero byte.
const PATH_MAX: usize = 256;

/// A zero-terminated path.
struct Path([u8; PATH_MAX]);

impl Path {
    /// `None` when it is longer than 255 bytes.
    #[inline(never)]
    fn new(text: &[u8]) -> Option<Self> {
        let mut path = [0; PATH_MAX];
        let (_, room) = path.split_last_mut()?;
        for (to, from) in room.get_mut(..text.len())?.iter_mut().zip(text) {
            *to = *from;
        }
        Some(Self(path))
    }

    fn as_c(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

/// What the kernel's command line says to this program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told<'t> {
    off: bool,
    plan: &'t [u8],
    init: &'t [u8],
}

impl<'t> Told<'t> {
    /// Reads a command line. The last of two counts, as with the kernel's own.
    fn read(text: &'t [u8]) -> Self {
        let mut told = Self::default();
        for word in fields(text) {
            let Some(word) = word.strip_prefix(b"fence_kdump.") else {
                continue;
            };
            told.off |= word == b"off";
            if let Some(plan) = word.strip_prefix(b"plan=") {
                told.plan = plan;
            } else if let Some(init) = word.strip_prefix(b"init=") {
                told.init = init;
            }
        }
        told
    }
}

/// What a process is to do next.
#[derive(Clone, Debug)]
pub enum Next {
    /// To speak, as the plan's command line says.
    Speak(Arguments),
    /// What its own command line says: there is no plan, and no init either.
    Obey,
    /// Nothing.
    End,
}

/// As process 1: starts the sender, as the plan says, and becomes the init. So it returns only in the child,
/// or when there is no init at all: as long as the child speaks, the machine must not end.
#[inline(never)]
pub fn begin(arguments: &Arguments) -> Next {
    let line = command_line();
    let told = Told::read(line.bytes());
    let text = read_plan(told.plan);
    let plan = text.bytes();
    let has_words = plan::send(plan).next().is_some();
    let mut speaks = false;
    if has_words && !told.off {
        match process::fork() {
            Ok(true) => return prepare(arguments, plan, told.plan),
            forked => {
                speaks = forked.is_ok();
                process::give_way();
            }
        }
    }
    init::become_one(arguments, told.init, plan);
    if speaks {
        process::outlive_children();
        return Next::End;
    }
    Next::Obey
}

/// As any other process, for a script in an initrd that is not to have another init: starts the sender.
#[inline(never)]
pub fn begin_beside(arguments: &Arguments, path: &[u8]) -> Next {
    let plan = read_plan(path);
    if process::fork() == Ok(true) {
        return prepare(arguments, plan.bytes(), path);
    }
    Next::End
}

fn read_plan(path: &[u8]) -> Text {
    let file = match Path::new(path) {
        Some(path) if !path.as_c().is_empty() => File::open(path.as_c()),
        _ => File::open(plan::PATH),
    };
    Text::read(&file, PLAN_MAX)
}

/// Reads the kernel's command line, where nobody has mounted anything yet.
fn command_line() -> Text {
    let mut file = File::open(c"/proc/cmdline");
    if !file.is_open() {
        let made = process::make_folder(c"/proc");
        if process::mount(c"proc", c"/proc", 0) {
            file = File::open(c"/proc/cmdline");
            process::unmount(c"/proc");
        }
        if made {
            process::remove_folder(c"/proc");
        }
    }
    Text::read(&file, COMMAND_LINE_MAX)
}

/// What the child does before it speaks: it gets out of everybody's way, and loads the modules. Gives the
/// sender's command line.
#[inline(never)]
fn prepare(arguments: &Arguments, plan: &[u8], path: &[u8]) -> Next {
    process::hurry();
    process::be_spared(arguments);
    process::leave_session();
    if process::own_mounts() {
        for (file, kind, place) in [
            (c"/proc/self/comm", c"proc", c"/proc"),
            (c"/sys/kernel", c"sysfs", c"/sys"),
            (c"/dev/kmsg", c"devtmpfs", c"/dev"),
        ] {
            if process::which_file(file).is_none() {
                process::make_folder(place);
                process::mount(kind, place, 0);
            }
        }
    }
    process::speak_to(&File::open_to_write(c"/dev/kmsg"));
    File::open_to_write(c"/proc/self/oom_score_adj").write(b"-1000");
    // Root of process 1 as seen from here, also once the initrd was left and its folders are gone.
    process::enter(c"/proc");
    // The same image may start a kernel that has not crashed: by mistake, or as a firmware-assisted dump does.
    if is_the_machine() && process::which_file(VMCORE).is_none() {
        tell(VMCORE.to_bytes(), b"not there: this is no crash kernel, and nobody is told");
        return Next::End;
    }
    let path = if path.is_empty() { plan::PATH.to_bytes() } else { path };
    plan::check(plan, path);
    modules::load(plan);
    process::tell_later();
    words(arguments, plan, path).map_or(Next::End, Next::Speak)
}

/// Whether this is the machine itself, and no container: its namespace of processes is the first one, which has
/// this number with every kernel.
fn is_the_machine() -> bool {
    const FIRST: u32 = 0xEFFF_FFFC;
    let found = process::which_file(c"/proc/self/ns/pid");
    found.is_none_or(|[a, b, ..]| a | b == FIRST)
}

/// The plan's words for the sender, or as many of them as there is memory for.
fn words(arguments: &Arguments, plan: &[u8], path: &[u8]) -> Option<Arguments> {
    let mut list = List::new()?;
    if cfg!(feature = "link") {
        list.push(b"--plan");
        list.push(path);
    }
    for word in plan::send(plan) {
        list.push(word);
    }
    Some(list.arguments(arguments))
}

/// Says something about a file.
#[inline(never)]
fn tell(path: &[u8], what: &[u8]) {
    Line::new().text(path).text(b": ").text(what).say();
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_kernel_is_told() {
        let told =
            Told::read(b"quiet fence_kdump.plan=/a fence_kdump.init=/b fence_kdump.plan=/c\n");
        assert_eq!(told, Told { off: false, plan: b"/c", init: b"/b" });
        assert!(Told::read(b"fence_kdump.off").off);
        for not in
            ["", "fence_kdump.off=0", "xfence_kdump.off", "fence_kdump.offline init=/x plan=/y"]
        {
            assert_eq!(Told::read(not.as_bytes()), Told::default(), "{not}");
        }
    }

    #[test]
    fn paths() {
        assert_eq!(Path::new(b"/init").unwrap().as_c(), c"/init");
        assert!(Path::new(&[b'x'; 255]).is_some_and(|path| path.as_c().count_bytes() == 255));
        assert!(Path::new(&[b'x'; 256]).is_none());
    }

    proptest! {
        #[test]
        fn any_command_line(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Told::read(&text);
            let _ = Path::new(&text).map(|path| path.as_c().count_bytes());
        }
    }
}
