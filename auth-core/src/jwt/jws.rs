//! A JWS in compact form, verified: the step between bytes from anywhere and claims to be read.

use super::{KeySet, Rejection, compact::Compact, header::Header, keys::VerificationKey};

/// The payload of a token whose signature has been checked.
///
/// Claims are read from this type and from nothing else, so none is believed before its signature
/// (T-01): only [`verify_compact`] and the verifier make one.
#[derive(Debug)]
pub struct SignedPayload(Vec<u8>);

impl SignedPayload {
    /// Checks the signature over a token that was taken apart.
    pub(super) fn verify(compact: Compact<'_>, key: &VerificationKey) -> Result<Self, Rejection> {
        if compact.signature.is_empty() || !key.verifies(compact.signing_input, compact.signature) {
            return Err(Rejection::Signature);
        }
        Ok(Self(compact.payload))
    }

    /// The bytes that were signed; they need not be JSON.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Verifies a compact JWS with exactly the keys of `keys`, whatever its payload is.
///
/// All rules about form, header and keys hold; those about claims and `typ` are the
/// [`Verifier`](super::Verifier)'s.
///
/// # Errors
///
/// Returns why the token is refused.
pub fn verify_compact(token: &[u8], keys: &KeySet) -> Result<SignedPayload, Rejection> {
    let compact = Compact::split(token)?;
    let header = Header::read(&compact.header)?;
    if let Some(name) = header.embedded_key {
        return Err(Rejection::EmbeddedKey { name });
    }
    let key = keys.find(header.key_id.as_deref(), header.algorithm)?;
    SignedPayload::verify(compact, key)
}
