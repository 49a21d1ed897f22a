//! Where secrets come from. Randomness is handed in, like time; there is no fallback.

use std::fmt;

/// A source of unpredictable bytes.
pub trait Random: fmt::Debug + Send + Sync + 'static {
    /// Fills `bytes`.
    ///
    /// # Errors
    ///
    /// Returns [`RandomError`] when the source fails. What was to be made is then not made (S-01).
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError>;
}

/// The random source failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no randomness could be had")]
pub struct RandomError;

/// The operating system's generator, by way of aws-lc.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        aws_lc_rs::rand::fill(bytes).map_err(|_| RandomError)
    }
}
