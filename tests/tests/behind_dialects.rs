//! Behind nginx, Caddy, Traefik and Envoy, each with the configuration that `sidegate proxy print`
//! writes: what the app and the client see. One behaviour, all four; where one of them can only do
//! it in another way, the test says so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

#[path = "behind_dialects/apps.rs"]
mod apps;
#[path = "behind_dialects/attacked.rs"]
mod attacked;
#[path = "behind_dialects/cookies.rs"]
mod cookies;
#[path = "behind_dialects/cors.rs"]
mod cors;
#[path = "behind_dialects/data.rs"]
mod data;
#[path = "behind_dialects/forged.rs"]
mod forged;
#[path = "behind_dialects/grpc.rs"]
mod grpc;
#[path = "behind_dialects/hostile.rs"]
mod hostile;
#[path = "behind_dialects/identity.rs"]
mod identity;
#[path = "behind_dialects/messages.rs"]
mod messages;
#[path = "behind_dialects/order.rs"]
mod order;
#[path = "behind_dialects/refusals.rs"]
mod refusals;
#[path = "behind_dialects/scene.rs"]
mod scene;
#[path = "behind_dialects/scripted.rs"]
mod scripted;
#[path = "behind_dialects/silence.rs"]
mod silence;
