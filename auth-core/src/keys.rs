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
    clock::Timestamp,
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
    sealing: Vec<Kept<LessSafeKey>>,
    shard: hmac::Key,
    signing: Vec<hmac::Key>,
    assertion: Vec<Kept<AssertionKey>>,
    csrf: Vec<Kept<hmac::Key>>,
    nonces: Mutex<Nonces>,
}

/// A key, and when it ends: one that another took over from.
struct Kept<K> {
    key: K,
    until: Option<Timestamp>,
}

impl<K> Kept<K> {
    fn is_good(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
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
    /// The keys derived from `current`, and from those it took over from, which stay good.
    #[must_use]
    pub fn new(current: &MasterKey, previous: &[MasterKey]) -> Self {
        Self::of(current, previous.iter().map(|key| (key, None)))
    }

    /// The same, of which each earlier key is good until an instant.
    #[must_use]
    pub fn rotated(current: &MasterKey, previous: &[(MasterKey, Timestamp)]) -> Self {
        let previous = previous.iter().map(|(key, until)| (key, Some(*until)));
        Self::of(current, previous)
    }

    fn of<'a>(
        current: &'a MasterKey,
        previous: impl Iterator<Item = (&'a MasterKey, Option<Timestamp>)> + Clone,
    ) -> Self {
        let all = || std::iter::once((current, None)).chain(previous.clone());
        let sealing = all().filter_map(|(key, until)| {
            let key = UnboundKey::new(&AES_256_GCM, &key.derive("sidegate call v1")).ok()?;
            let key = LessSafeKey::new(key);
            Some(Kept { key, until })
        });
        let assertion = all().filter_map(|(key, until)| {
            let key = AssertionKey::of(key)?;
            Some(Kept { key, until })
        });
        let mac = |key: &MasterKey, purpose: &str| {
            hmac::Key::new(hmac::HMAC_SHA256, &key.derive(purpose))
        };
        let signing = all().map(|(key, _)| mac(key, "sidegate cursor v1"));
        let csrf = all().map(|(key, until)| {
            let key = mac(key, "sidegate csrf v1");
            Kept { key, until }
        });
        let shard = hmac::Key::new(hmac::HMAC_SHA256, &current.derive("sidegate shard v1"));
        Self {
            sealing: sealing.collect(),
            shard,
            signing: signing.collect(),
            assertion: assertion.collect(),
            csrf: csrf.collect(),
            nonces: Mutex::new(Nonces::new()),
        }
    }

    /// Seals `plain` so that only holders of the key can read or make it; `None` when no randomness
    /// can be had.
    #[must_use]
    pub fn seal(&self, random: &dyn Random, plain: &[u8]) -> Option<Vec<u8>> {
        let key = &self.sealing.first()?.key;
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

    /// Opens what [`Keyring::seal`] made; `None` when it is not ours, was changed, or its key has
    /// ended.
    #[must_use]
    pub fn open(&self, sealed: &[u8], now: Timestamp) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN)?;
        let mut keys = self.sealing.iter().filter(|key| key.is_good(now));
        keys.find_map(|Kept { key, .. }| {
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
        self.assertion.first().map(|kept| &kept.key)
    }

    /// What apps verify assertions with at this time: a JWK set (RFC 7517 section 5).
    #[must_use]
    pub fn assertion_jwks(&self, now: Timestamp) -> serde_json::Value {
        let good = self.assertion.iter().filter(|key| key.is_good(now));
        let keys: Vec<_> = good.map(|kept| kept.key.jwk()).collect();
        serde_json::json!({ "keys": keys })
    }

    /// The keyed hash that makes a CSRF token of a message.
    pub(crate) fn csrf_tag(&self, message: &[u8]) -> Option<hmac::Tag> {
        Some(hmac::sign(&self.csrf.first()?.key, message))
    }

    /// Whether this is the keyed hash of this message, by a key that is good now; in constant time.
    pub(crate) fn is_csrf_tag(&self, message: &[u8], tag: &[u8], now: Timestamp) -> bool {
        let mut keys = self.csrf.iter().filter(|kept| kept.is_good(now));
        keys.any(|kept| hmac::verify(&kept.key, message, tag).is_ok())
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

    /// Whether the signature is of this message and ours, in constant time. A cursor lets nobody in,
    /// so that one of an earlier key stays good for as long as that is kept.
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

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn key(byte: u8) -> MasterKey {
        MasterKey::from_bytes([byte; 32])
    }

    #[test]
    fn what_was_sealed_opens_until_one_bit_changes() {
        let ring = Keyring::new(&key(1), &[]);
        let sealed = ring.seal(&SystemRandom, b"call").unwrap();
        assert_eq!(ring.open(&sealed, NOW).as_deref(), Some(&b"call"[..]));
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(ring.open(&forged, NOW), None, "byte {at}");
            assert_eq!(ring.open(&sealed[..at], NOW), None, "cut at {at}");
        }
    }

    #[test]
    fn the_key_before_still_opens_but_a_foreign_one_does_not() {
        let sealed = Keyring::new(&key(1), &[])
            .seal(&SystemRandom, b"call")
            .unwrap();
        for (previous, opens) in [(vec![key(1)], true), (vec![], false)] {
            let ring = Keyring::new(&key(2), &previous);
            assert_eq!(ring.open(&sealed, NOW).is_some(), opens);
        }
    }

    #[test]
    fn a_key_before_ends_when_it_was_said_to() {
        let sealed = Keyring::new(&key(1), &[]).seal(&SystemRandom, b"call");
        let sealed = sealed.unwrap();
        let ring = Keyring::rotated(&key(2), &[(key(1), NOW)]);
        let before = Timestamp::from_micros(NOW.as_micros() - 1);
        for (now, is_good) in [(before, true), (NOW, false)] {
            assert_eq!(ring.open(&sealed, now).is_some(), is_good);
            let published = ring.assertion_jwks(now)["keys"].as_array().map(Vec::len);
            assert_eq!(published, Some(1 + usize::from(is_good)));
        }
    }
}
