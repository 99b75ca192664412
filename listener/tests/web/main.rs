//! The web server against clients of all kinds: programs, Prometheus, browsers, and those who mean harm.

mod api;
mod browser;
mod chromium;
mod client;
mod document;
mod fake;
mod guard;
mod metrics;
