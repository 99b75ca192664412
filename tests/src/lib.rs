//! The harness of the end-to-end tests: built programs, real networks, hard time limits.
//!
//! A test here never links what it tests. It finds a built program ([`programs`]), starts it with
//! [`Run`] inside a network that exists for this test alone ([`Netns`], [`Cluster`]), speaks to it
//! with datagrams written out byte by byte ([`datagram`]), and reads its exit code.
//!
//! ```no_run
//! use fence_kdump_tests::{Cluster, Need, Run, datagram, programs, requires};
//! use std::time::Duration;
//!
//! if !requires(&[Need::Root, Need::Netns]) {
//!     return;
//! }
//! let net = Cluster::new(2);
//! let agent = Run::new(programs::ours("fence_kdump"))
//!     .args(["-n", "10.77.0.2", "-t", "5"])
//!     .inside(net.node(1))
//!     .spawn();
//! agent.wait_bound(datagram::PORT);
//! net.node(2).udp("10.77.0.2:0").send_to(&datagram::LITTLE, "10.77.0.1:7410").unwrap();
//! assert_eq!(agent.wait_for(Duration::from_secs(5)).code, Some(0));
//! ```
//!
//! What a test needs of the machine it names in [`requires`]; `tests/prepare` installs it.

pub mod datagram;
mod fencer;
mod flood;
mod needs;
mod netns;
mod output;
mod process;
pub mod programs;
pub mod python;
mod run;
pub mod signed;
pub mod vm;

pub use fencer::Fencer;
pub use flood::{Flood, flood};
pub use needs::{Need, requires};
pub use netns::{Cluster, Netns};
pub use output::Output;
pub use process::Proc;
pub use run::Run;
