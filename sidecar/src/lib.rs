//! Sidegate beside a service: sockets, reload, telemetry and administration around the decision
//! point of `auth-core`, and the stores behind it.
//!
//! How a request flows: a [`listener`] accepts and knows the peer, [`serve`] holds it to limits,
//! [`identify`] finds the caller, an [`edge`] asks the decision point and renders the answer.
//! [`server`] puts these together, [`reload`] swaps the policy under them, [`drain`] ends them.

#![forbid(unsafe_code)]

pub mod builder;
pub mod config;
mod decider;
pub mod drain;
pub mod edge;
mod first_bytes;
pub mod identify;
pub mod issuer_keys;
pub mod jwks_fetch;
pub mod key_files;
mod lingering_close;
pub mod listener;
pub mod measured;
pub mod reload;
pub mod remote;
pub mod runtime;
pub mod serve;
pub mod server;
pub mod store;
pub mod sweep;
pub mod telemetry;
pub mod tls;

pub use builder::{Sidecar, SidecarBuilder, StartError};
pub use server::Bound;
