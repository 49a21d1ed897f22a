//! The policy file: its schema, and the compiled form that decides.
//!
//! - [`compile`]: from documents to a [`Policy`].
//! - [`mod@file`]: what a file may say, as plain data with positions.
//! - [`diagnostic`]: what is wrong with a file, with line, column and help.
//! - [`settings`]: the platform's part, validated.
//! - [`source`]: reading a file and its includes into documents.

pub mod compile;
pub mod diagnostic;
pub mod file;
mod platform;
pub mod scalar;
pub mod settings;
pub mod source;

pub use compile::{Natives, Policy};
