//! Tokens of other issuers: JSON Web Tokens, verified strictly (SECURITY section 1.2).
//!
//! A [`Verifier`] holds [`Issuer`]s. It takes a token apart, chooses the issuer by the claimed `iss`,
//! finds the one key of that issuer the header names, checks the signature, and only then reads
//! the claims into a [`VerifiedToken`]. What it refuses it refuses with a [`Rejection`] that is for
//! logs; callers see one answer for all of them (R10). Not having an issuer's keys is another
//! matter: [`VerifyError::KeysUnavailable`] means that nothing could be decided.
//!
//! The cryptography is `jsonwebtoken`'s, over `aws-lc-rs`. All other rules are here, because that
//! crate reads no `crit`, checks no `typ`, `cnf` or sizes, and asks the system for the time.
//!
//! Revocation is not: a [`VerifiedToken`] says what to look up, its issuer with `jti` and `sid`,
//! never its text, which an attacker can vary without breaking the signature (T-13).

mod algorithm;
mod cache;
mod claims;
mod compact;
mod confirmation;
mod header;
mod issuer;
mod json;
mod jwks;
mod jws;
mod keys;
mod rejection;
mod verifier;

pub use algorithm::Algorithm;
pub use claims::{Actor, MAX_ID_CHARS, VerifiedToken};
pub use compact::{MAX_HEADER_BYTES, MAX_TOKEN_BYTES};
pub use confirmation::{Confirmation, Sender, Sent};
pub use header::MAX_KEY_ID_BYTES;
pub use issuer::{DEFAULT_LEEWAY, Issuer, IssuerBuilder, IssuerError, KeySource, MAX_LEEWAY};
pub use json::{JsonFault, MAX_JSON_DEPTH};
pub use jwks::{
    FetchError, FetchReason, JwksFetcher, JwksLocation, JwksSettings, KeysStatus,
    MAX_DOCUMENT_BYTES, RefreshError, RemoteUrlError,
};
pub use jws::{SignedPayload, verify_compact};
pub use keys::{KeyError, KeySet, SkippedKey, VerificationKey};
pub use rejection::{Part, Rejection};
pub use verifier::{DEFAULT_CACHE_CAPACITY, KeysWanted, Step, Verification, Verifier, VerifyError};

/// Installs the cryptography that `jsonwebtoken` uses, for the whole process.
///
/// `jsonwebtoken` panics at its first signature when none is installed and its features leave the
/// choice open. Our own verification names its provider and cannot meet that, but other users of
/// the crate in the process may. Calling it again, or after another provider was installed,
/// changes nothing; building a [`Verifier`] calls it.
pub fn install_crypto_provider() {
    // An error only says that one is installed already.
    let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
}
