//! The stores that a sidecar can keep its sessions in.

pub mod sqlite;
