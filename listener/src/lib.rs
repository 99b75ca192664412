//! Placeholder.
pub mod address;
pub mod agent;
pub mod clock;
pub mod control;
pub mod dating;
pub mod line;
pub mod lookup;
pub mod nodes;
pub mod options;
pub mod socket;
mod sys;
pub mod voice;
