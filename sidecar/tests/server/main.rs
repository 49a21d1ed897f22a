//! A whole sidecar over its sockets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in tests a panic is the failure report"
)]

mod admin;
mod answers;
mod ask;
mod audit;
mod bad_input;
mod callers;
mod daemon;
mod guessing;
mod harness;
mod lifecycle;
mod limits;
mod peers;
mod probes;
mod reload;
mod revocation;
mod session_rules;
mod tenants;
mod visitors;
