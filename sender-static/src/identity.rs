//! Who this node is: the key file, tried until it gives a key, and what is told about it.

use core::mem::MaybeUninit;

use zeroize::Zeroize as _;

use crate::args::Options;
use crate::key_file::{self, Trouble};
use crate::report;
use crate::schedule::Millis;
use crate::signer::Signer;
use crate::sys::{Arguments, File};

/// How long a key file can be, in bytes: some 20 nodes.
const LONGEST: usize = 2048;

/// How soon a key file is tried again that gives no key. It may still be copied.
const AGAIN: Millis = Millis::seconds(1);

/// The node's name and key, as soon as there are any.
// Small fields first: what is near the beginning takes a shorter instruction to reach.
#[repr(C)]
pub struct Identity<'a> {
    options: &'a Options<'a>,
    arguments: Arguments,
    /// Whether any node is to get signed messages.
    pub wanted: bool,
    /// When the file is to be read; [`Millis::NEVER`] once that is done, or if it is not wanted.
    pub due: Millis,
    /// What is to be told.
    trouble: Option<Trouble>,
    /// What was told last.
    told: Option<Trouble>,
    /// The file that the key is of, until everything is known about it.
    file: File,
    /// Who signs the messages.
    pub signer: Signer,
}

impl<'a> Identity<'a> {
    /// Nobody yet.
    pub fn new(options: &'a Options<'a>, arguments: Arguments) -> Self {
        Self {
            options,
            arguments,
            wanted: false,
            due: Millis::NEVER,
            signer: Signer::new(),
            file: File::NONE,
            trouble: None,
            told: None,
        }
    }

    /// The arguments that the key file is among.
    #[cfg(feature = "early")]
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    /// Has the key file of other options, which are among those arguments.
    #[cfg(feature = "early")]
    pub fn take_over(&mut self, options: &'a Options<'a>, arguments: Arguments) {
        (self.options, self.arguments) = (options, arguments);
        if self.wanted {
            self.due = Millis(0);
        }
    }

    /// Signed messages are to be sent, so the key is needed now.
    pub fn want(&mut self) {
        self.wanted = true;
        // Whoever has a key already goes on with it, and with the crash that it speaks of.
        if cfg!(not(feature = "early")) || !self.signer.is_ready() {
            self.due = Millis(0);
        }
    }

    /// Reads the key file.
    #[inline(never)]
    pub fn look(&mut self, boot: u64, now: Millis) {
        self.trouble = self.load(boot).err();
        let again = self.trouble.is_some() && !self.options.key_file.is_empty();
        self.due = if again { now.plus(AGAIN) } else { Millis::NEVER };
    }

    fn load(&mut self, boot: u64) -> Result<(), Trouble> {
        let path = self.arguments.terminated(self.options.key_file).ok_or(Trouble::NONE)?;
        self.file = File::open(path);
        let mut buffer = [MaybeUninit::uninit(); LONGEST + 1];
        let result = self.take(boot, &mut buffer);
        buffer.zeroize();
        result
    }

    fn take(&mut self, boot: u64, buffer: &mut [MaybeUninit<u8>]) -> Result<(), Trouble> {
        let text = self.file.read(buffer)?;
        if text.len() > LONGEST {
            return Err(Trouble::TOO_LONG);
        }
        let name = key_file::read(text, self.options.node_name, &mut self.signer.secret)?;
        self.signer.speak_as(name, &self.arguments.random(), boot);
        Ok(())
    }

    /// Tells what is to be told about the key file: once the messages are out, since a line on a slow
    /// console takes longer than they do.
    #[inline(never)]
    pub fn tell(&mut self) {
        let mut trouble = self.trouble.take();
        if self.file.is_open() {
            if trouble.is_none() && self.file.mode() & 0o077 != 0 {
                trouble = Some(Trouble::OTHERS);
            }
            self.file = File::NONE;
        }
        if let Some(trouble) = trouble
            && self.told.replace(trouble) != Some(trouble)
        {
            report::key_file(self.options.key_file, trouble);
        }
    }
}
