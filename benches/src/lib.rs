//! What the benchmarks of whole programs share: receivers seen from outside, and traffic for them. Run them with
//! `make bench`.

pub mod bare;
pub mod cost;
pub mod files;
pub mod programs;
pub mod receiver;
pub mod sys;
pub mod traffic;

/// The number in the environment variable `variable`, or `default`.
#[must_use]
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
