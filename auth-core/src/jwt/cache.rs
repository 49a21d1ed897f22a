//! Tokens that were verified already (P-10): a signature is checked once, everything that can change
//! is checked again.

use std::{fmt, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};

use super::VerifiedToken;

/// SHA-256 of a whole token: no two texts share an entry, and the cache holds no token.
pub(super) type TokenDigest = [u8; 32];

/// A verified token and the generation of the keys that verified it.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) token: Arc<VerifiedToken>,
    pub(super) generation: u64,
}

/// A bounded map of verified tokens. Refused tokens are not remembered, so that a flood of them
/// pushes nothing out.
pub(super) struct TokenCache(quick_cache::sync::Cache<TokenDigest, Entry>);

impl TokenCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self(quick_cache::sync::Cache::new(capacity))
    }

    pub(super) fn digest(token: &[u8]) -> TokenDigest {
        let mut digest_bytes = [0; 32];
        digest_bytes.copy_from_slice(digest(&SHA256, token).as_ref());
        digest_bytes
    }

    pub(super) fn get(&self, digest: &TokenDigest) -> Option<Entry> {
        self.0.get(digest)
    }

    pub(super) fn insert(&self, digest: TokenDigest, entry: Entry) {
        self.0.insert(digest, entry);
    }

    pub(super) fn remove(&self, digest: &TokenDigest) {
        self.0.remove(digest);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
