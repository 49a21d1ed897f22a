//! What end-to-end tests stand on: real servers start, pass requests on to an app that records
//! them as they came, and end with the test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "in a test a panic is the report"
)]

#[path = "real_servers/apps.rs"]
mod apps;
#[path = "real_servers/attacking.rs"]
mod attacking;
#[path = "real_servers/browsing.rs"]
mod browsing;
#[path = "real_servers/proxies.rs"]
mod proxies;
#[path = "real_servers/proxy_attack.rs"]
mod proxy_attack;
#[path = "real_servers/recording.rs"]
mod recording;
#[path = "real_servers/starting.rs"]
mod starting;
