//! What all HTTP edges share: what a client presents, what an app is told, how a refusal reads.

pub mod body;
pub mod extract;
pub mod forwarded;
pub mod grpc;
pub mod identity;
pub mod overrides;
pub mod problem;
pub(crate) mod query;
pub mod refuse;
pub mod write_back;
