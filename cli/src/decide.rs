//! Deciding and checking from a file, with no server: the one place that touches the engine.

use std::path::Path;

use crate::{command::can::Question, exit::Exit, failure::Failure, view::decision::DecisionView};
use auth_core::policy::{Natives, Policy, diagnostic::PolicyError, source::Disk};

/// Loads a policy file and what it includes.
///
/// # Errors
///
/// Returns [`PolicyError`] with everything that is wrong.
pub fn load(path: &Path) -> Result<Policy, PolicyError> {
    Policy::load(path, &Disk, &Natives::default())
}

/// Decides one call.
///
/// # Errors
///
/// Returns [`Failure`] when the file does not load.
pub(crate) fn decide(path: &Path, _question: Question) -> Result<DecisionView, Failure> {
    load(path).map_err(|err| Failure::policy(&err))?;
    Err(Failure::new(
        Exit::Unexpected,
        "this build cannot decide from a file yet",
    ))
}
