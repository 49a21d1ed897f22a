//! Deciding and checking from a file, with no server: the one place that touches the engine.

use std::path::Path;

use auth_core::policy::{
    diagnostic::PolicyError,
    source::{Disk, Document},
};

/// Reads a policy file and what it includes.
///
/// # Errors
///
/// Returns [`PolicyError`] with everything that is wrong.
pub fn check(path: &Path) -> Result<Vec<Document>, PolicyError> {
    Document::load(path, &Disk)
}
