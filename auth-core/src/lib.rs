//! Sessions and permissions, the same on every wire.

#![forbid(unsafe_code)]

pub mod clock;
pub mod principal;
pub mod random;
pub mod session;
pub mod store;
