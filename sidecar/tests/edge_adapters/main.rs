//! The edges over a decision point that answers by script: what they read, render and refuse.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the failure report")]

mod envoy;
mod forward_auth;
mod grpc;
mod json;
mod lasting;
mod remote;
mod scripted;
mod session_store;
