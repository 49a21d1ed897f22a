//! Sessions and permissions, the same on every wire.

#![forbid(unsafe_code)]

pub mod clock;
pub mod jwt;
