//! The sidecar: edges around the decision point, and the stores behind it.

#![forbid(unsafe_code)]

pub mod edge;
pub mod store;
