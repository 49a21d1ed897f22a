//! `sidegated` as its users meet it: a process with files, sockets, logs and an exit code.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in tests a panic is the failure report"
)]

mod canary;
mod client;
mod daemon;
mod data_directory;
#[path = "../server/harness.rs"]
#[expect(dead_code, reason = "the other test target uses the rest")]
mod harness;
mod metrics;
mod seen;
mod shop;
