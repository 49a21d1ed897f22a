//! The hostile requests that `sidegate proxy attack` sends, through the edges of the tests.

pub use cli::attack::corpus::{HeaderSet, OnOpen, Target};

pub mod attack;

/// The host that every one of them names.
pub const HOST: &str = "books.example";

/// Every target.
///
/// # Panics
///
/// Panics when the corpus cannot be read.
#[must_use]
pub fn targets() -> Vec<Target> {
    cli::attack::corpus::targets().unwrap()
}

/// Every set of headers.
///
/// # Panics
///
/// Panics when the corpus cannot be read.
#[must_use]
pub fn header_sets() -> Vec<HeaderSet> {
    cli::attack::corpus::header_sets().unwrap()
}
