//! Behind our own reverse proxy: what the app and the client see.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

#[path = "behind_proxy/assertion.rs"]
mod assertion;
#[path = "behind_proxy/attack.rs"]
mod attack;
#[path = "behind_proxy/browser.rs"]
mod browser;
#[path = "behind_proxy/ended.rs"]
mod ended;
#[path = "behind_proxy/frames.rs"]
mod frames;
#[path = "behind_proxy/grpc.rs"]
mod grpc;
#[path = "behind_proxy/handles.rs"]
mod handles;
#[path = "behind_proxy/hostile.rs"]
mod hostile;
#[path = "behind_proxy/http2.rs"]
mod http2;
#[path = "behind_proxy/keys.rs"]
mod keys;
#[path = "behind_proxy/malformed.rs"]
mod malformed;
#[path = "behind_proxy/malformed_answers.rs"]
mod malformed_answers;
#[path = "behind_proxy/messages.rs"]
mod messages;
#[path = "behind_proxy/refusals.rs"]
mod refusals;
#[path = "behind_proxy/robust.rs"]
mod robust;
#[path = "behind_proxy/scene.rs"]
mod scene;
#[path = "behind_proxy/streams.rs"]
mod streams;
#[path = "behind_proxy/writes.rs"]
mod writes;
