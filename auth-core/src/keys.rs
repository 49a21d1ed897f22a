//! The keys of a Sidegate: what seals calls, places tokens in shards and signs page tokens.
//!
//! All are derived from one secret of 32 bytes, so that replicas share them by sharing a file.

use std::{fmt, sync::Mutex};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};

use crate::{
    assertion::AssertionKey,
    principal::Principal,
    random::{Random, RandomError},
    session::Tenant,
};

/// Where keys come from: 32 random bytes, kept in a file that only its owner may read.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// A new key.
    ///
    /// # Errors
    ///
    /// Returns [`RandomError`] when no randomness can be had.
    pub fn generate(random: &dyn Random) -> Result<Self, RandomError> {
        let mut bytes = [0; 32];
        random.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The key of these bytes, as a file kept them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes for the file. Secret.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key for one purpose (HMAC-SHA-256 as a KDF, NIST SP 800-108 with one block).
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&key, purpose.as_bytes()).as_ref());
        bytes
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// The keys in use: new things are made with the first, old ones still read with the others.
pub struct Keyring {
    sealing: Vec<LessSafeKey>,
    shard: hmac::Key,
    signing: Vec<hmac::Key>,
    assertion: Vec<AssertionKey>,
    csrf: Vec<hmac::Key>,
    nonces: Mutex<Nonces>,
}

/// Random nonces, drawn many at a time: a draw costs as much as sealing a call.
struct Nonces {
    drawn: [[u8; NONCE_LEN]; Self::DRAW],
    left: usize,
}

impl Nonces {
    /// How many are drawn at a time.
    const DRAW: usize = 64;

    const fn new() -> Self {
        Self {
            drawn: [[0; NONCE_LEN]; Self::DRAW],
            left: 0,
        }
    }

    /// One that was never used.
    fn next(&mut self, random: &dyn Random) -> Option<[u8; NONCE_LEN]> {
        if self.left == 0 {
            random.fill(self.drawn.as_flattened_mut()).ok()?;
            self.left = self.drawn.len();
        }
        self.left -= 1;
        self.drawn.get(self.left).copied()
    }
}

impl Keyring {
    /// The keys derived from `current`, and from those it took over from.
    #[must_use]
    pub fn new(current: &MasterKey, previous: &[MasterKey]) -> Self {
        let all = || std::iter::once(current).chain(previous);
        let sealing = all()
            .filter_map(|key| UnboundKey::new(&AES_256_GCM, &key.derive("sidegate call v1")).ok())
            .map(LessSafeKey::new)
            .collect();
        let macs = |purpose: &str| {
            all()
                .map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key.derive(purpose)))
                .collect()
        };
        let shard = hmac::Key::new(hmac::HMAC_SHA256, &current.derive("sidegate shard v1"));
        Self {
            sealing,
            shard,
            signing: macs("sidegate cursor v1"),
            assertion: all().filter_map(AssertionKey::of).collect(),
            csrf: macs("sidegate csrf v1"),
            nonces: Mutex::new(Nonces::new()),
        }
    }

    /// Seals `plain` so that only holders of the key can read or make it; `None` when no randomness
    /// can be had.
    #[must_use]
    pub fn seal(&self, random: &dyn Random, plain: &[u8]) -> Option<Vec<u8>> {
        let key = self.sealing.first()?;
        let nonce = self.nonces.lock().ok()?.next(random)?;
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::empty(),
                sealed.get_mut(NONCE_LEN..)?,
            )
            .ok()?;
        sealed.extend_from_slice(tag.as_ref());
        Some(sealed)
    }

    /// Opens what [`Keyring::seal`] made; `None` when it is not ours or was changed.
    #[must_use]
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
        self.sealing.iter().find_map(|key| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut body = body.to_vec();
            let plain = key
                .open_in_place(nonce, Aad::empty(), &mut body)
                .ok()?
                .len();
            body.truncate(plain);
            Some(body)
        })
    }

    /// The shard of a subject's tokens: two keyed bytes, the same for all of the subject's sessions.
    #[must_use]
    pub fn shard(&self, tenant: &Tenant, subject: Option<&Principal>) -> [u8; 2] {
        let name = subject.map_or_else(String::new, ToString::to_string);
        let tag = hmac::sign(&self.shard, format!("{tenant}\0{name}").as_bytes());
        match tag.as_ref() {
            [first, second, ..] => [*first, *second],
            _ => [0, 0],
        }
    }

    /// The key that signs assertions for apps.
    #[must_use]
    pub fn assertion_key(&self) -> Option<&AssertionKey> {
        self.assertion.first()
    }

    /// What apps verify assertions with: a JWK set (RFC 7517 section 5).
    #[must_use]
    pub fn assertion_jwks(&self) -> serde_json::Value {
        let keys: Vec<_> = self.assertion.iter().map(AssertionKey::jwk).collect();
        serde_json::json!({ "keys": keys })
    }

    /// The keyed hash that makes a CSRF token of a message.
    pub(crate) fn csrf_tag(&self, message: &[u8]) -> Option<hmac::Tag> {
        Some(hmac::sign(self.csrf.first()?, message))
    }

    /// Whether this is the keyed hash of this message, by a key in use or one that it took over
    /// from; in constant time.
    pub(crate) fn is_csrf_tag(&self, message: &[u8], tag: &[u8]) -> bool {
        let mut keys = self.csrf.iter();
        keys.any(|key| hmac::verify(key, message, tag).is_ok())
    }

    /// Signs a cursor that clients carry around.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 32] {
        let mut bytes = [0; 32];
        if let Some(key) = self.signing.first() {
            bytes.copy_from_slice(hmac::sign(key, message).as_ref());
        }
        bytes
    }

    /// Whether the signature is of this message and ours, in constant time.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.signing
            .iter()
            .any(|key| hmac::verify(key, message, signature).is_ok())
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    fn key(byte: u8) -> MasterKey {
        MasterKey::from_bytes([byte; 32])
    }

    #[test]
    fn what_was_sealed_opens_until_one_bit_changes() {
        let ring = Keyring::new(&key(1), &[]);
        let sealed = ring.seal(&SystemRandom, b"call").unwrap();
        assert_eq!(ring.open(&sealed).as_deref(), Some(&b"call"[..]));
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(ring.open(&forged), None, "byte {at}");
            assert_eq!(ring.open(&sealed[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn the_key_before_still_opens_but_a_foreign_one_does_not() {
        let sealed = Keyring::new(&key(1), &[])
            .seal(&SystemRandom, b"call")
            .unwrap();
        assert!(Keyring::new(&key(2), &[key(1)]).open(&sealed).is_some());
        assert!(Keyring::new(&key(2), &[]).open(&sealed).is_none());
    }
}
