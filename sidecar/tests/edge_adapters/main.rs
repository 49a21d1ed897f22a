//! The edges over a decision point that answers by script: what they read, render and refuse.

mod forward_auth;
mod grpc;
mod json;
mod remote;
mod scripted;
mod session_store;
