//! Part of Sidegate.

pub mod store;
