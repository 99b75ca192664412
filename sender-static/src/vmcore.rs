//! Who has the memory of the crashed kernel open, how far he is, and whether he ends badly. Looking costs him
//! nothing: the kernel is asked for its own tables, never for a file, which may be on a server that does not answer.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use heapless::Vec;

use crate::phase::{DUMPING, Doing, Dump, FAILED, LEAVING, Sight};
use crate::schedule::Millis;
use crate::sys::{self, File, Socket, process};
use crate::text::{fields, pieces};

/// Where the kernel shows the memory of the crashed one.
pub(crate) const VMCORE: &CStr = c"/proc/vmcore";

/// How often somebody is looked for, and looked at.
const EVERY: Millis = Millis::seconds(1);

/// How often it is looked whether the machine is about to reboot: that takes a fraction of a second.
const OFTEN: Millis = Millis(100);

/// How many processes, and how many files of each, are looked at at a time.
const PROCESSES: usize = 4096;
const FILES: usize = 256;

/// Looks for who reads the memory of the crashed kernel.
// Small fields first: what is near the beginning takes a shorter instruction to reach.
#[repr(C)]
#[derive(Debug)]
pub struct Watch {
    /// When to look next.
    pub due: Millis,
    /// When to look for a reader next.
    next: Millis,
    /// `/proc`.
    processes: File,
    /// Process and descriptor of who reads, or was the last to; 0 for nobody.
    reader: [u32; 2],
    path: &'static CStr,
    dump: Dump,
    /// Whether somebody reads.
    reads: bool,
    /// Whether somebody has begun to read since this was asked last.
    fresh: bool,
    /// Whether process 1 ends everything.
    ending: bool,
    /// Who asks this process to end.
    end: File,
    /// Told when the reader ends badly.
    bad_end: Socket,
}

/// A path in `/proc`.
struct InProc(Vec<u8, 32>);

impl InProc {
    /// The process, what is asked of it, and about which of its files.
    #[inline(never)]
    fn new(process: u32, what: &[u8], file: Option<u32>) -> Self {
        let mut path = Self(Vec::new());
        path.number(process);
        let _ = path.0.extend_from_slice(what);
        if let Some(file) = file {
            path.number(file);
        }
        let _ = path.0.push(0);
        path
    }

    fn number(&mut self, number: u32) {
        let mut place = 1_000_000_000;
        while place > 0 {
            if number >= place || place == 1 {
                let _ = self.0.push(b'0'.wrapping_add((number / place % 10) as u8));
            }
            place /= 10;
        }
    }

    fn as_c(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

impl Watch {
    /// Looks for nobody.
    pub const NOBODY: Self = Self {
        due: Millis::NEVER,
        next: Millis(0),
        processes: File::NONE,
        reader: [0; 2],
        path: VMCORE,
        dump: Dump::NONE,
        reads: false,
        fresh: false,
        ending: false,
        end: File::NONE,
        bad_end: Socket::NONE,
    };

    /// Looks from now on, if this is a crash kernel; or for who reads another file, which stands in for
    /// the memory of the crashed one.
    pub fn begin(&mut self, instead: Option<&'static CStr>) {
        self.path = instead.unwrap_or(VMCORE);
        if process::status(self.path).is_some() {
            self.processes = File::folder(c"/proc");
            self.due = Millis(0);
        }
    }

    /// Takes it from now on for the end of everything when process 1 asks this one to end, as busybox's init does
    /// before it reboots. Only for the early sender: others are services, which may be stopped.
    pub fn hear_of_end(&mut self) {
        if self.due < Millis::NEVER && !self.end.is_open() {
            self.end = process::hear_of_end();
        }
    }

    /// Looks, when it is time to. What is known then.
    #[inline(never)]
    pub fn look(&mut self, now: Millis) -> Doing {
        self.due = now.plus(OFTEN);
        // It is told after the files are closed: the reader may be gone by then.
        if self.bad_end.is_open() && self.bad_end.receive(&mut [MaybeUninit::uninit()]).is_ok() {
            self.dump.break_off(now);
        }
        if self.next <= now {
            self.next = now.plus(EVERY);
            self.look_at_reader(now);
        }
        let was_ending = self.ending;
        if !self.is_ending() {
            return self.dump.doing;
        }
        if !was_ending && self.dump.has_failed() {
            // Nobody will try again. Said once, and then the last word at once.
            self.due = now;
            return Doing { phase: FAILED, ..Doing::BOOTED };
        }
        Doing { phase: LEAVING, ..self.dump.doing }
    }

    /// Whether another process has begun to read since the last time.
    pub fn has_begun(&mut self) -> bool {
        core::mem::take(&mut self.fresh)
    }

    fn look_at_reader(&mut self, now: Millis) {
        if !self.reads || !self.is_reader(self.reader) {
            self.find();
        }
        if self.reads {
            let sight = self.sight();
            self.dump.go_on(&sight);
        } else {
            self.dump.pause(now);
        }
    }

    /// Asks to be told how that process ends.
    ///
    /// That is told in the first namespaces alone, with the numbers that processes have there. So it is only asked
    /// where they are seen by these numbers, and where there is somebody to ask: or the kernel would look for a
    /// module, and wait for it.
    #[inline(never)]
    fn listen(&mut self, process: u32) {
        let mut buffer = [MaybeUninit::uninit(); 32];
        let numbers = self.processes.link_in(c"self/ns/pid", &mut buffer);
        let here = numbers == b"pid:[4026531836]"
            && self.processes.file_in(c"self/net/connector", false).is_open();
        self.bad_end = if here { Socket::for_bad_end_of(process) } else { Socket::NONE };
    }

    /// Whether process 1 has become the one that ends everything, or says so. It becomes others after that, and
    /// what was said stays true.
    fn is_ending(&mut self) -> bool {
        // As a shell has it for who is ended by SIGTERM.
        const TERMINATED: u8 = 128 + 15;
        match process::who_ends(&self.end) {
            Some(1) => self.ending = true,
            Some(_) => {
                process::be_seen_to_end();
                sys::exit(TERMINATED)
            }
            None => {}
        }
        if self.ending {
            return true;
        }
        let mut buffer = [MaybeUninit::uninit(); 32];
        let name = self.processes.file_in(c"1/comm", false);
        self.ending = name.read(&mut buffer).is_ok_and(|name| name == b"systemd-shutdow\n");
        self.ending
    }

    fn is_reader(&self, [process, file]: [u32; 2]) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 256];
        let path = InProc::new(process, b"/fd/", Some(file));
        self.processes.link_in(path.as_c(), &mut buffer) == self.path.to_bytes()
    }

    fn find(&mut self) {
        let mut reader = [0; 2];
        // Opened anew, or it would be at its end.
        self.processes.file_in(c".", true).numbers(PROCESSES, |process| {
            let path = InProc::new(process, b"/fd", None);
            self.processes.file_in(path.as_c(), true).numbers(FILES, |file| {
                if self.is_reader([process, file]) {
                    reader = [process, file];
                }
                reader != [0; 2]
            });
            reader != [0; 2]
        });
        self.reads = reader != [0; 2];
        if !self.reads {
            return;
        }
        let [before, _] = core::mem::replace(&mut self.reader, reader);
        let [process, _] = reader;
        // One may open the file again. After a pause, another one may have its number.
        let is_other = process != before || self.dump.doing.phase != DUMPING;
        self.dump.begin(is_other);
        self.fresh = true;
        if is_other {
            self.listen(process);
        }
    }

    fn sight(&self) -> Sight {
        let [process, file] = self.reader;
        let mut buffer = [MaybeUninit::uninit(); 512];
        let path = InProc::new(process, b"/fdinfo/", Some(file));
        let text = self.processes.file_in(path.as_c(), false).read(&mut buffer);
        let position = value(text.unwrap_or_default(), b"pos:").unwrap_or(0);
        let path = InProc::new(process, b"/io", None);
        let text = self.processes.file_in(path.as_c(), false).read(&mut buffer);
        let text = text.unwrap_or_default();
        let moved = value(text, b"rchar:").zip(value(text, b"wchar:"));
        let size = process::status(self.path).map_or(0, |status| status.size);
        Sight { position, size, moved: moved.map(|(read, written)| [read, written]) }
    }
}

/// The number behind `name`.
fn value(text: &[u8], name: &[u8]) -> Option<u64> {
    for line in pieces(text, b'\n') {
        let mut words = fields(line);
        if words.next() == Some(name) {
            let mut value = 0u64;
            for digit in words.next()? {
                value = value.checked_mul(10)?.checked_add(digit.wrapping_sub(b'0').into())?;
            }
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn paths() {
        let text = |path: InProc| path.as_c().to_str().unwrap().to_owned();
        assert_eq!(text(InProc::new(1, b"/fd/", Some(0))), "1/fd/0");
        assert_eq!(
            text(InProc::new(u32::MAX, b"/fdinfo/", Some(u32::MAX))),
            "4294967295/fdinfo/4294967295"
        );
        assert_eq!(text(InProc::new(10, b"/io", None)), "10/io");
    }

    #[test]
    fn values() {
        let text = b"rchar: 12\nwchar:\t18446744073709551615\nx: 18446744073709551616";
        assert_eq!(value(text, b"rchar:"), Some(12));
        assert_eq!(value(text, b"wchar:"), Some(u64::MAX));
        assert_eq!((value(text, b"x:"), value(text, b"char:")), (None, None));
    }

    /// This very process reads a file, and opens it again.
    #[test]
    fn somebody_reads() {
        let path = std::env::temp_dir().join(format!("fence-kdump-vmcore-{}", std::process::id()));
        let path = path.canonicalize().unwrap_or(path);
        let name: &'static CStr =
            Box::leak(std::ffi::CString::new(path.to_str().unwrap()).unwrap().into_boxed_c_str());
        let mut watch = Watch::NOBODY;
        watch.begin(Some(name));
        assert_eq!(watch.due, Millis::NEVER, "no such file: this is no crash kernel");
        std::fs::write(&path, vec![0; 1000]).unwrap();
        watch.begin(Some(name));
        assert_eq!((watch.due, watch.look(Millis(0))), (Millis(0), Doing::BOOTED));
        assert_eq!(watch.due, Millis(100));
        let mut file = std::fs::File::open(&path).unwrap();
        file.read_exact(&mut [0; 600]).unwrap();
        let found = watch.look(Millis(1000));
        assert_eq!((found.phase, watch.reader[0]), (DUMPING, std::process::id()));
        let again = std::fs::File::open(&path).unwrap();
        drop(file);
        assert_eq!(watch.look(Millis(1500)).phase, DUMPING);
        assert_eq!((watch.look(Millis(2000)).phase, watch.reads), (DUMPING, true));
        drop(again);
        assert_eq!((watch.look(Millis(2900)).phase, watch.reads), (DUMPING, true));
        assert_eq!((watch.look(Millis(3000)).phase, watch.reads), (DUMPING, false));
        assert_eq!(watch.look(Millis(13_000)), Doing::BOOTED);
        std::fs::remove_file(&path).unwrap();
    }
}
