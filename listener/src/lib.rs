//! Placeholder.
pub mod options;
