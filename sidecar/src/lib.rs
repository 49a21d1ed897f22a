//! Part of Sidegate.

pub mod edge;
