//! The benchmarks are in `core.rs`; run them with `make bench`.
