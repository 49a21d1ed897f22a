//! Behind a real Envoy that asks by `ext_authz`: what the app and the client see (PROTOCOLS section
//! 5 has each line as it was measured).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

#[path = "behind_envoy/answers.rs"]
mod answers;
#[path = "behind_envoy/certificates.rs"]
mod certificates;
#[path = "behind_envoy/closed.rs"]
mod closed;
#[path = "behind_envoy/ended.rs"]
mod ended;
#[path = "behind_envoy/forged.rs"]
mod forged;
#[path = "behind_envoy/grpc.rs"]
mod grpc;
#[path = "behind_envoy/hostile.rs"]
mod hostile;
#[path = "behind_envoy/scene.rs"]
mod scene;
#[path = "behind_envoy/writes.rs"]
mod writes;
