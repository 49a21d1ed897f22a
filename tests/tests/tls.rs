//! TLS on our listeners: who is known by a certificate, and what changes under a running sidecar.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

#[path = "tls/authority.rs"]
mod authority;
#[path = "tls/browser.rs"]
mod browser;
#[path = "tls/callers.rs"]
mod callers;
#[path = "tls/client.rs"]
mod client;
#[path = "tls/command_line.rs"]
mod command_line;
#[path = "tls/daemon.rs"]
mod daemon;
#[path = "tls/edges.rs"]
mod edges;
#[path = "tls/handshakes.rs"]
mod handshakes;
#[path = "tls/printed.rs"]
mod printed;
#[path = "tls/proxy.rs"]
mod proxy;
#[path = "tls/reload.rs"]
mod reload;
#[path = "tls/scene.rs"]
mod scene;
