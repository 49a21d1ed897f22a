//! Hostile requests through a deployed proxy: what may never reach the app behind it.
//!
//! - [`app`]: the app behind the proxy, which remembers what reached it.
//! - [`corpus`]: the requests, as data, and what is right for each.
//! - [`edge`]: where they are sent, over TCP or inside TLS.
//! - [`judge`]: sends them and says which got further than they may.
//! - [`product`]: which proxies they passed.
//! - [`raw`]: a client that sends exactly the bytes it is given; [`wire`] below it.

pub mod app;
pub mod corpus;
pub mod edge;
pub mod judge;
pub mod product;
pub mod raw;
pub mod wire;
