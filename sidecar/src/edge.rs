//! The edges: each turns what its wire brings into a call, asks the decision point, and renders the
//! answer. None of them decides anything itself.

pub mod access;
pub mod admin;
pub mod deadline;
pub mod envoy;
pub mod forward_auth;
pub mod grpc;
pub mod health;
pub mod http;
pub mod json;
pub mod lasting;
pub mod proxy;
pub mod session;
pub mod session_store;
pub mod status;
