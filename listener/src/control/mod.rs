//! Whoever holds the port serves the others.
//!
//! Several agents for several nodes run at once, and all want the datagrams of one UDP port. An
//! abstract Unix socket (`unix(7)`) is the seat of the one that reads them: abstract names live in
//! a network namespace just as UDP ports do, binding one is atomic, and a name is free again the
//! moment its owner is gone, however it went.
//!
//! - The one that binds the name is the [`holder`]: it opens the UDP port and reads.
//! - Every other one is a [`waiter`]: it connects, says which addresses and which node names it asks
//!   about, and is told of messages from the ones and with the others, with the time of their arrival.
//!   It is given the UDP socket as well, and reads nothing from it, but sends its challenges from there.
//! - When the holder is gone, the waiters' connections end and they race for the name. The winner
//!   goes on reading the socket it was given: nothing that is queued is lost. The others connect
//!   to it.
//! - When the holder hangs, it stops answering pings. One of the waiters then reads in its place, under
//!   a second name, until the holder answers again.
//!
//! Both sides believe the other only when it runs as root or as the same user. What a waiter is
//! told is no verdict: it decides by itself, from the datagram and its time, and verifies with its own
//! keys; the holder may have none.

pub mod clients;
pub mod holder;
pub mod packet;
pub mod query;
pub mod recent;
mod schedule;
pub mod seat;
pub mod status;
pub mod waiter;

/// The name of the socket that the holder of `port` listens on, without the leading zero byte.
#[must_use]
pub fn name(port: u16) -> String {
    format!("fence_kdump/{port}")
}

/// The name under which a waiter reads in place of a holder that hangs.
#[must_use]
pub fn stand_in_name(port: u16) -> String {
    format!("fence_kdump/{port}/stand-in")
}
