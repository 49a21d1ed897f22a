//! The harness of the tests that run Sidegate as its users do.
//!
//! - [`cases`]: the form of the case files in `tests/cases`.
//! - [`daemon`]: a `sidegate serve` in a process of its own.
//! - [`world`]: what a file of cases takes for granted: policy, databases, sessions, clock.
//! - [`front`]: the ways to ask, each of which must answer every case alike (R19).
//! - [`grpc_app`]: a gRPC app that writes the session, and its client.
//! - [`hostile`]: the hostile requests of `sidegate proxy attack`, for the edges of the tests.
//! - [`story`]: running a case against a front.
//! - [`real`]: programs of others that `tests/run` installs, and how they are started.
//! - [`raw`]: a client that sends exactly the bytes it is given.
//! - [`recorder`]: an app that records requests exactly as they came.
//! - [`shop`]: a running `sidegate dev`.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

pub mod cases;
pub mod daemon;
pub mod failing_store;
pub mod front;
pub mod grpc_app;
pub mod hostile;
pub mod real;
pub mod recorder;
pub mod shop;
pub mod story;
pub mod world;

pub use cli::attack::raw;
