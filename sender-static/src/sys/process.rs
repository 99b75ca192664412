//! Processes: what process 1 does before it becomes somebody else, and what its child does to be in
//! nobody's way.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use super::file::AT_FDCWD;
use super::machine::early;
use super::{Arguments, Errno, File, answer, call, call3, close, exit, now, number};
use crate::schedule::Millis;

/// For wait4(2): also children that nobody tells of.
const WALL: usize = 0x4000_0000;

/// Whether this is process 1, which the kernel starts first and whose end is the machine's.
pub fn is_first() -> bool {
    // SAFETY: takes nothing.
    unsafe { call3(early::GETPID, 0, 0, 0) == 1 }
}

/// Starts a child that goes on from here with a copy of all memory. Says whether this is the child.
///
/// The parent hears nothing of it: neither a signal nor wait(2) tells of it. So whoever the parent becomes has no
/// child that it did not start, until that one has [`be_seen_to_end`].
///
/// # Errors
/// The kernel's.
pub fn fork() -> Result<bool, Errno> {
    clone().map(|child| child == 0)
}

/// As [`fork`]; gives the child's number, 0 in the child.
fn clone() -> Result<usize, Errno> {
    // SAFETY: neither memory nor anything else is shared; the child goes on with its own copy of this
    // stack. All arguments are 0 in whatever order the machine wants them.
    answer(unsafe { call(early::CLONE, [0; 6]) })
}

/// Runs the program at `path` with these two arguments and no environment, and waits for its end, at most
/// `limit`. Says whether it ended well.
pub fn run(path: &CStr, arguments: [&CStr; 2], limit: Millis) -> bool {
    const WNOHANG: usize = 1;
    let Ok(child) = clone() else {
        return false;
    };
    if child == 0 {
        become_other(path, arguments);
        exit(127);
    }
    let end = now().plus(limit);
    let mut status = u32::MAX;
    while now() < end {
        let status_at = (&raw mut status) as usize;
        // SAFETY: our own child; the kernel writes one number.
        let ended =
            answer(unsafe { call(early::WAIT4, [child, status_at, WNOHANG | WALL, 0, 0, 0]) });
        if ended != Ok(0) {
            return ended.is_ok() && status == 0;
        }
        pause(Millis(5));
    }
    false
}

/// Becomes the program at `path` with these arguments, the second of which is none when it is empty, and no
/// environment. Returns when that is not possible.
fn become_other(path: &CStr, [first, second]: [&CStr; 2]) {
    let second = if second.is_empty() { 0 } else { second.as_ptr() as usize };
    let path = path.as_ptr() as usize;
    let none = 0usize;
    let list = [path, first.as_ptr() as usize, second, none];
    // SAFETY: a zero-terminated string, and two lists of such that end with a null pointer.
    unsafe { call3(early::EXECVE, path, list.as_ptr() as usize, (&raw const none) as usize) };
}

/// What a child of [`fork`] does before it ends, who is to leave nothing behind: whoever ends all processes would wait
/// for it, and nobody could take it away. A program that has just begun is a child as any other, whose end its parent
/// is told of; so it becomes this one once more, to say its version to nobody.
pub fn be_seen_to_end() {
    close(1);
    close(2);
    become_other(c"self/exe", [c"--version", c""]);
}

/// Waits so long.
fn pause(Millis(span): Millis) {
    let time = [span / 1000, (span % 1000).wrapping_mul(1_000_000)];
    // SAFETY: nothing is waited for but the time, a `timespec` that the kernel reads.
    unsafe { call3(number::PPOLL, 0, 0, (&raw const time) as usize) };
}

/// Becomes the program at `path`, with the arguments and the environment that this one was started
/// with; the first argument is `path` itself, as the kernel has it for its init. Returns when that is
/// not possible.
pub fn become_program(path: &CStr, like: &Arguments) {
    let path = path.as_ptr() as usize;
    let alone = [path, 0];
    let (count, arguments, environment) = like.for_kernel();
    let mut list = alone.as_ptr() as usize;
    if count > 0 {
        // SAFETY: the first of at least one pointer, on the stack that the kernel made for this process.
        // Whoever walks over the arguments begins behind it.
        unsafe { arguments.cast::<usize>().write_volatile(path) };
        list = arguments as usize;
    }
    // SAFETY: a zero-terminated string and two lists of such that end with a null pointer. Nothing of
    // this program is left if it succeeds.
    unsafe { call3(early::EXECVE, path, list, environment as usize) };
}

/// Has the first letter of this process's name become `@`. Whoever ends all processes at once, before
/// the root file system changes or the machine reboots, spares such a one (systemd, killall5).
pub fn be_spared(like: &Arguments) {
    let (count, arguments, _) = like.for_kernel();
    if count > 0 {
        // SAFETY: the first of at least one string, each of which has room for its zero byte, on our own
        // stack. No reference to it is ever made.
        unsafe {
            let name = (*arguments.cast::<*mut u8>()).cast::<u8>();
            if *name != 0 {
                name.write_volatile(b'@');
            }
        }
    }
}

/// Leads a session of its own, so that no terminal's end is this process's.
pub fn leave_session() {
    // SAFETY: takes nothing.
    unsafe { call3(early::SETSID, 0, 0, 0) };
}

/// Sees from now on its own mounts, which begin as a copy of what there is. Says whether it does.
pub fn own_mounts() -> bool {
    const CLONE_NEWNS: usize = 0x2_0000;
    const MS_REC_PRIVATE: usize = 0x4000 | 1 << 18;
    // SAFETY: takes a number and nothing else.
    let own = unsafe { call3(early::UNSHARE, CLONE_NEWNS, 0, 0) == 0 };
    own && mount(c"none", c"/", MS_REC_PRIVATE)
}

/// Puts a file system of the type `kind` at `place`, or changes how mounts there spread. Says whether
/// that was possible.
pub fn mount(kind: &CStr, place: &CStr, flags: usize) -> bool {
    let (kind, place) = (kind.as_ptr() as usize, place.as_ptr() as usize);
    // SAFETY: three zero-terminated strings, a number, and no data.
    unsafe { call(early::MOUNT, [kind, place, kind, flags, 0, 0]) == 0 }
}

/// Takes away what is mounted at `place`; who uses it keeps it until he is done.
pub fn unmount(place: &CStr) {
    const MNT_DETACH: usize = 2;
    // SAFETY: a zero-terminated string and a number.
    unsafe { call3(early::UMOUNT2, place.as_ptr() as usize, MNT_DETACH, 0) };
}

/// Makes a folder. Says whether it was not there before.
pub fn make_folder(path: &CStr) -> bool {
    // SAFETY: a zero-terminated string and numbers.
    unsafe { call3(early::MKDIRAT, AT_FDCWD, path.as_ptr() as usize, 0o755) == 0 }
}

/// Removes a folder that is empty.
pub fn remove_folder(path: &CStr) {
    const AT_REMOVEDIR: usize = 0x200;
    // SAFETY: a zero-terminated string and numbers.
    unsafe { call3(early::UNLINKAT, AT_FDCWD, path.as_ptr() as usize, AT_REMOVEDIR) };
}

/// Goes to a folder: names that do not begin with `/` are looked for there.
pub fn enter(folder: &CStr) {
    // SAFETY: a zero-terminated string.
    unsafe { call3(early::CHDIR, folder.as_ptr() as usize, 0, 0) };
}

/// Loads the kernel module in `file`, which the kernel decompresses itself if need be.
///
/// # Errors
/// The kernel's: `EEXIST` when it is there already, `EOPNOTSUPP` when the kernel cannot decompress.
pub fn load_module(file: &File, parameters: &CStr, compressed: bool) -> Result<(), Errno> {
    const MODULE_INIT_COMPRESSED_FILE: usize = 4;
    let flags = if compressed { MODULE_INIT_COMPRESSED_FILE } else { 0 };
    let descriptor = file.descriptor()?;
    // SAFETY: a descriptor, a zero-terminated string and a number.
    answer(unsafe { call3(early::FINIT_MODULE, descriptor, parameters.as_ptr() as usize, flags) })?;
    Ok(())
}

/// Has `file` be standard input, output and error.
pub fn speak_to(file: &File) {
    if let Ok(descriptor) = file.descriptor() {
        for standard in 0..3 {
            be(standard, descriptor);
        }
    }
}

/// Has one descriptor mean what another one does.
fn be(descriptor: usize, other: usize) {
    // SAFETY: descriptors of our own.
    unsafe { call3(early::DUP3, other, descriptor, 0) };
}

/// Goes before all others: whoever waits for a processor until a message is out has waited for little.
pub fn hurry() {
    set_niceness(-20);
}

fn set_niceness(niceness: isize) {
    // SAFETY: numbers: a process, this one, and how it is to be treated.
    unsafe { call3(early::SETPRIORITY, 0, 0, niceness as usize) };
}

/// Lets others go first, once.
pub fn give_way() {
    // SAFETY: takes nothing.
    unsafe { call3(early::SCHED_YIELD, 0, 0, 0) };
}

/// Keeps what is said on standard error to itself until [`calm_down`]: a serial console takes its time for
/// each line, and the kernel does nothing else meanwhile.
pub fn tell_later() {
    const O_DIRECT: usize = if cfg!(target_arch = "powerpc64") {
        0o40_0000
    } else if cfg!(target_arch = "aarch64") {
        0o20_0000
    } else {
        0o4_0000
    };
    const O_NONBLOCK: usize = 0o4000;
    let mut ends = [-1i32; 2];
    // A pipe that keeps lines apart.
    let flags = O_DIRECT | O_NONBLOCK;
    // SAFETY: the kernel writes two descriptors.
    let made = unsafe { call3(early::PIPE2, (&raw mut ends) as usize, flags, 0) };
    let [from, to] = ends;
    if made == 0 {
        for (standard, end) in [(0, from), (2, to)] {
            be(standard, end as usize);
            close(end);
        }
    }
}

/// Is as any other process again. What was kept since [`tell_later`] goes to standard output, and what follows
/// does at once.
pub fn calm_down() {
    let mut line = [MaybeUninit::uninit(); 512];
    while let Ok(text @ [_, ..]) = super::file::read_from(0, &mut line) {
        super::print(text);
    }
    be(2, 1);
    be(0, 1);
    set_niceness(0);
}

/// From now on, who asks this process to end (SIGTERM) is told by the file that this gives, see [`who_ends`].
pub fn hear_of_end() -> File {
    const SIG_BLOCK: usize = 0;
    const NONBLOCK_CLOEXEC: usize = 0o4000 | 0o200_0000;
    /// Of SIGTERM, 15.
    const SIGNALS: u64 = 1 << 14;
    let signals = SIGNALS;
    let (place, size) = ((&raw const signals) as usize, size_of_val(&signals));
    // SAFETY: a set of signals, which the kernel reads, and numbers.
    let file = unsafe { call(early::SIGNALFD4, [usize::MAX, place, size, NONBLOCK_CLOEXEC, 0, 0]) };
    if file >= 0 {
        // SAFETY: as above; the old set is not asked for.
        unsafe { call(early::RT_SIGPROCMASK, [SIG_BLOCK, place, 0, size, 0, 0]) };
    }
    File::given(file)
}

/// The process that has asked this one to end, if any has; 0 for one that cannot be seen from here.
pub fn who_ends(file: &File) -> Option<u32> {
    // `struct signalfd_siginfo`: the sender is its fourth number.
    let mut told = [MaybeUninit::uninit(); 128];
    let told = file.read(&mut told).ok()?;
    told.get(12..)?.first_chunk().map(|number| u32::from_ne_bytes(*number))
}

/// What is known about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which one it is: number and device.
    pub identity: [u32; 4],
    /// How many bytes it has.
    pub size: u64,
}

/// Looks at a file, without asking any server that it may be on. `None` when there is none.
pub fn status(path: &CStr) -> Option<Status> {
    /// `struct statx`, of which some members are asked for.
    #[repr(C)]
    struct Raw {
        before: [u32; 8],
        number: [u32; 2],
        size: u64,
        between: [u32; 22],
        device: [u32; 2],
        rest: [u32; 28],
    }
    const STATX_INO_SIZE: usize = 0x100 | 0x200;
    const AT_STATX_DONT_SYNC: usize = 0x4000;
    let mut raw = MaybeUninit::<Raw>::zeroed();
    let (path, raw_at) = (path.as_ptr() as usize, raw.as_mut_ptr() as usize);
    let arguments = [AT_FDCWD, path, AT_STATX_DONT_SYNC, STATX_INO_SIZE, raw_at, 0];
    // SAFETY: a zero-terminated string; the kernel writes one `struct statx` of 256 bytes.
    let result = unsafe { call(number::STATX, arguments) };
    // SAFETY: numbers, which are zeros where the kernel wrote nothing.
    let Raw { number: [a, b], device: [c, d], size, .. } = unsafe { raw.assume_init() };
    answer(result).ok().map(|_| Status { identity: [a, b, c, d], size })
}

/// Which file it is. `None` when there is none.
pub fn which_file(path: &CStr) -> Option<[u32; 4]> {
    status(path).map(|status| status.identity)
}

/// Waits until every child has ended, also those that nobody tells of.
pub fn outlive_children() {
    loop {
        // SAFETY: any child, nothing to be told about it, nowhere to write.
        let ended = answer(unsafe { call(early::WAIT4, [usize::MAX, 0, WALL, 0, 0, 0]) });
        if ended.is_err() && ended != Err(Errno::EINTR) {
            break;
        }
    }
}
