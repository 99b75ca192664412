//! A link that is fed with anybody's frames, for tests and fuzzing: what comes in from a network must
//! neither make it panic nor keep it from sending.

use core::cell::RefCell;
use core::mem::MaybeUninit;

use heapless::{Deque, Vec};

use super::cards::Mac;
use super::stack::Stack;
use super::wire::{Ether, FRAME};
use crate::address::Address;
use crate::plan;
use crate::schedule::Millis;
use crate::sys::{Errno, Source};

/// A frame.
pub type Frame = Vec<u8, FRAME>;

/// Both directions of a cable.
#[derive(Debug, Default)]
pub struct Cable {
    inward: RefCell<Deque<Frame, 4>>,
    outward: RefCell<Deque<Frame, 16>>,
}

impl Cable {
    /// The next frame that has gone out.
    pub fn next_frame(&self) -> Option<Frame> {
        self.outward.borrow_mut().pop_front()
    }
}

impl Ether for Cable {
    fn take<'b>(&self, buffer: &'b mut [MaybeUninit<u8>]) -> Result<&'b [u8], Errno> {
        let frame = self.inward.borrow_mut().pop_front().ok_or(Errno::EAGAIN)?;
        Ok(crate::sys::written(buffer, &frame))
    }

    fn put(&self, frame: &[u8]) -> Result<(), Errno> {
        let mut outward = self.outward.borrow_mut();
        let _ = outward.push_back(Frame::from_slice(frame).unwrap_or_default());
        if outward.is_full() {
            // Nobody looks.
            outward.pop_front();
        }
        Ok(())
    }
}

/// A plan with everything that a link can have.
const PLAN: &[u8] = b"fence_kdump_plan 1\n\
    link eth0 mac 02:00:00:00:00:01 address 10.0.0.1/24 address fd00::1/64 \
    route 0.0.0.0/0 10.0.0.254 route ::/0 fe80::fe dhcp4 slaac";

/// The card of [`Fed`].
pub const MAC: Mac = [2, 0, 0, 0, 0, 1];

/// The port that its messages come from.
pub const PORT: u16 = 50_000;

/// A link with static addresses (10.0.0.1/24 and fd00::1/64), a gateway of each family, DHCP and SLAAC.
pub struct Fed {
    cable: Cable,
    stack: Stack,
    now: Millis,
}

impl Fed {
    /// One that has heard nothing.
    #[expect(clippy::new_without_default, reason = "making a link is no default")]
    pub fn new() -> Self {
        let mut fed = Self { cable: Cable::default(), stack: Stack::new(0, PORT), now: Millis(0) };
        fed.renew();
        fed
    }

    /// Forgets everything that it has heard.
    pub fn renew(&mut self) {
        self.cable = Cable::default();
        self.now = Millis(0);
        if let Some(link) = plan::links(PLAN).next() {
            self.stack.renew(&link, MAC, self.now);
        }
    }

    fn attend(&mut self) {
        if let Some(link) = plan::links(PLAN).next() {
            self.stack.attend(&self.cable, &link, self.now);
        }
    }

    /// Lets so much time pass.
    pub fn pass(&mut self, span: Millis) {
        self.now = self.now.plus(span);
        self.attend();
        let _ = self.stack.due(self.now);
    }

    /// A frame comes in, cut off where it is longer than any.
    pub fn feed(&mut self, frame: &[u8]) {
        let frame = frame.get(..FRAME.min(frame.len())).unwrap_or_default();
        let _ =
            self.cable.inward.borrow_mut().push_back(Frame::from_slice(frame).unwrap_or_default());
        self.attend();
    }

    /// Sends a message.
    ///
    /// # Errors
    /// As [`Stack::send`].
    pub fn send(&mut self, message: &[u8], to: &Address) -> Result<(), Errno> {
        self.stack.send(&self.cable, message, to, fence_kdump_core::PORT, 0, self.now)
    }

    /// The next datagram for the messages' port, copied to `buffer`.
    pub fn next_datagram<'b>(&mut self, buffer: &'b mut [MaybeUninit<u8>]) -> Option<&'b [u8]> {
        let mut source = Source::NONE;
        self.stack.receive(buffer, &mut source, 0)
    }

    /// The next frame that has gone out.
    pub fn next_frame(&mut self) -> Option<Frame> {
        self.cable.next_frame()
    }
}

/// Anything at all comes in, and time passes: `input` is cut into frames, each behind two bytes, its length
/// and how many quarters of a second pass before it. Afterwards a message to all must still leave.
/// The entry for fuzzing.
///
/// # Errors
/// When it does not.
pub fn any_frames(mut input: &[u8]) -> Result<(), Errno> {
    let mut fed = Fed::new();
    let mut buffer = [MaybeUninit::uninit(); 128];
    while let [length, quarters, rest @ ..] = input {
        let length = usize::from(*length).wrapping_mul(2).min(rest.len());
        let (frame, rest) = rest.split_at_checked(length).unwrap_or_default();
        input = rest;
        fed.pass(Millis(u64::from(*quarters).wrapping_mul(250)));
        fed.feed(frame);
        while fed.next_datagram(&mut buffer).is_some() {}
    }
    fed.send(b"message!", &Address::from_v4([255; 4]))
}
