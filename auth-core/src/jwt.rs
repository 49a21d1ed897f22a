//! Tokens of other issuers: JSON Web Tokens, verified strictly (SECURITY section 1.2).

mod algorithm;
mod compact;
mod header;
mod json;
mod jws;
mod keys;
mod rejection;

pub use algorithm::Algorithm;
pub use compact::{MAX_HEADER_BYTES, MAX_TOKEN_BYTES};
pub use header::MAX_KEY_ID_BYTES;
pub use json::{JsonFault, MAX_JSON_DEPTH};
pub use jws::{SignedPayload, verify_compact};
pub use keys::{KeyError, KeySet, SkippedKey, VerificationKey};
pub use rejection::{Part, Rejection};

/// Installs the cryptography that `jsonwebtoken` uses, for the whole process.
///
/// `jsonwebtoken` panics at its first signature when none is installed and its features leave the
/// choice open. Our own verification does not depend on it, but other users of that crate in the
/// process may. Calling it again, or after another provider was installed, changes nothing.
pub fn install_crypto_provider() {
    // An error only says that one is installed already.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
