//! Sessions and permissions, the same on every wire.

#![forbid(unsafe_code)]

pub mod authority;
pub mod clock;
pub mod grammar;
pub mod route;
pub mod target;
