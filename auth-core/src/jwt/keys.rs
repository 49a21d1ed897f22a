//! The keys that tokens are verified with: one key, one algorithm (T-02), and no key that is too
//! weak, made for something else, or ambiguous (T-12, T-28).

mod jwk;
mod pem;
mod secret;

use std::{collections::HashMap, fmt};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    VerificationAlgorithm,
};
use jsonwebtoken::{DecodingKey, crypto::aws_lc::DEFAULT_PROVIDER};
use serde_json::{Map, Value};

use super::{Algorithm, JsonFault, Rejection, algorithm::Family, header, json};

/// The shortest RSA modulus that is accepted, in bits.
const MIN_RSA_BITS: usize = 2048;

/// The longest RSA modulus that is accepted, in bits: longer ones only buy the attacker our time.
const MAX_RSA_BITS: usize = 8192;

/// Why a key or a set of keys is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is no strict JSON object.
    #[error("the key is refused")]
    Json(#[source] JsonFault),
    /// No `keys` member that is a list of objects.
    #[error("not a JWK set")]
    NotAKeySet,
    /// The set holds no key that could verify a token.
    #[error("no usable key")]
    NoUsableKey,
    /// Two keys have the same id.
    #[error("two keys have the id `{0}`")]
    DuplicateKeyId(String),
    /// Shared secrets and public keys in one set invite algorithm confusion.
    #[error("shared secrets and public keys are mixed")]
    MixedSymmetry,
    /// A member is absent, of the wrong type or badly encoded.
    #[error("the key's `{0}` is missing or malformed")]
    Member(&'static str),
    /// `kid` is empty, too long or holds control characters.
    #[error("the key's id is malformed")]
    KeyId,
    /// `kty` is unknown.
    #[error("unknown key type `{0}`")]
    KeyType(String),
    /// `crv` is unknown.
    #[error("unknown curve `{0}`")]
    Curve(String),
    /// `alg` is unknown, does not fit the key, or is not on the issuer's list.
    #[error("the algorithm `{0}` is unknown, not allowed or not for such a key")]
    Algorithm(String),
    /// The key names no algorithm and none on the issuer's list fits it.
    #[error("no allowed algorithm fits the key")]
    NoAlgorithmFits,
    /// `use` is not `sig`.
    #[error("the key is for `{0}`, not for signatures")]
    Use(String),
    /// `key_ops` lacks `verify`.
    #[error("the key's operations do not include `verify`")]
    KeyOperations,
    /// The private half is there: whoever could read it can sign.
    #[error("the key contains its private half")]
    PrivateKey,
    /// The RSA modulus is too short or too long.
    #[error("an RSA modulus of {0} bits is not accepted")]
    RsaBits(usize),
    /// The RSA exponent is even, 1, or too large.
    #[error("the RSA exponent is not accepted")]
    RsaExponent,
    /// Not a point of the curve, or not of its size.
    #[error("not a valid public key of its curve")]
    Point,
    /// The secret is shorter than the hash.
    #[error("a secret of {bytes} bytes is too short; {needed} are needed")]
    SecretTooShort {
        /// What there is.
        bytes: usize,
        /// What the algorithm needs.
        needed: usize,
    },
    /// The secret looks like words or a pattern and could be guessed.
    #[error("the secret looks guessable; take random bytes")]
    SecretGuessable,
    /// No single public key in PEM, or not one for the algorithm.
    #[error("not one public key in PEM for this algorithm")]
    Pem,
}

/// A key together with the one algorithm it verifies.
#[derive(Clone)]
pub struct VerificationKey {
    algorithm: Algorithm,
    id: Option<String>,
    key: DecodingKey,
}

impl VerificationKey {
    /// Reads one public key in PEM (`PUBLIC KEY`, or `RSA PUBLIC KEY`).
    ///
    /// # Errors
    ///
    /// When it is not exactly one public key, or one that does not fit the algorithm or is too weak.
    pub fn from_pem(pem: &str, algorithm: Algorithm) -> Result<Self, KeyError> {
        Ok(Self {
            algorithm,
            id: None,
            key: pem::public_key(pem, algorithm)?,
        })
    }

    /// Takes the bytes of a shared secret as they stand in its file; no line end is cut off.
    ///
    /// # Errors
    ///
    /// When the algorithm is no HMAC, or the secret is shorter than its hash or looks guessable (T-12).
    pub fn from_secret(secret: &[u8], algorithm: Algorithm) -> Result<Self, KeyError> {
        if !algorithm.is_symmetric() {
            return Err(KeyError::Algorithm(algorithm.to_string()));
        }
        secret::check_length(secret, algorithm)?;
        secret::check_guessable(secret)?;
        Ok(Self {
            algorithm,
            id: None,
            key: DecodingKey::from_secret(secret),
        })
    }

    /// Reads one JWK (RFC 7517). A key without `alg` gets the first of `allowed` that fits it.
    ///
    /// # Errors
    ///
    /// When it is malformed, weak, private, or not for verifying with an allowed algorithm.
    pub fn from_jwk(json: &[u8], allowed: &[Algorithm]) -> Result<Self, KeyError> {
        jwk::verification_key(&json::object(json).map_err(KeyError::Json)?, allowed)
    }

    /// The same key under the id that tokens name it by.
    ///
    /// # Errors
    ///
    /// When the id is empty, too long or holds control characters.
    pub fn with_id(mut self, id: impl Into<String>) -> Result<Self, KeyError> {
        let id = id.into();
        if !header::is_key_id(&id) {
            return Err(KeyError::KeyId);
        }
        self.id = Some(id);
        Ok(self)
    }

    /// The one algorithm of the key.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The id that tokens name the key by (`kid`).
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether `signature` is this key's signature of `message`.
    ///
    /// The provider's verifier is asked by name, not through the one installed for the process, so
    /// this cannot meet the panic of a process without one.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: Vec<u8>) -> bool {
        (DEFAULT_PROVIDER.verifier_factory)(&self.algorithm.as_jsonwebtoken(), &self.key)
            .is_ok_and(|verifier| verifier.verify(message, &signature).is_ok())
    }
}

/// Shows the id and the algorithm, never the key.
impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationKey")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// A key of a remote set that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its id, if it has one.
    pub id: Option<String>,
    /// What is wrong with it.
    pub error: KeyError,
}

/// The keys of one issuer.
#[derive(Clone, Debug)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
    by_id: HashMap<String, usize>,
    skipped: Vec<SkippedKey>,
}

impl KeySet {
    /// Puts keys together.
    ///
    /// # Errors
    ///
    /// When there is none, two have one id, or secrets and public keys are mixed.
    pub fn new(keys: Vec<VerificationKey>) -> Result<Self, KeyError> {
        Self::with_skipped(keys, Vec::new())
    }

    /// Reads a JWK set from the configuration: one bad key refuses the set.
    ///
    /// # Errors
    ///
    /// As [`Self::new`] and [`VerificationKey::from_jwk`].
    pub fn from_jwks(json: &[u8], allowed: &[Algorithm]) -> Result<Self, KeyError> {
        let keys = members(json)?;
        let keys = keys.iter().map(|key| jwk::verification_key(key, allowed));
        Self::new(keys.collect::<Result<_, _>>()?)
    }

    /// Reads a JWK set that an issuer publishes: keys that are not for us (encryption, unknown
    /// kinds, other algorithms) or too weak are skipped and noted. A set that mixes secrets and
    /// public keys, repeats an id or has no usable key is still refused as a whole.
    ///
    /// # Errors
    ///
    /// See above.
    pub fn from_published_jwks(json: &[u8], allowed: &[Algorithm]) -> Result<Self, KeyError> {
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for key in members(json)? {
            match jwk::verification_key(&key, allowed) {
                Ok(key) => keys.push(key),
                Err(error) => {
                    let id = key.get("kid").and_then(Value::as_str).map(str::to_owned);
                    skipped.push(SkippedKey { id, error });
                }
            }
        }
        Self::with_skipped(keys, skipped)
    }

    fn with_skipped(
        keys: Vec<VerificationKey>,
        skipped: Vec<SkippedKey>,
    ) -> Result<Self, KeyError> {
        let symmetric = keys
            .iter()
            .filter(|key| key.algorithm.is_symmetric())
            .count();
        if keys.is_empty() {
            return Err(KeyError::NoUsableKey);
        }
        if symmetric != 0 && symmetric != keys.len() {
            return Err(KeyError::MixedSymmetry);
        }
        let mut by_id = HashMap::new();
        for (position, key) in keys.iter().enumerate() {
            if let Some(id) = &key.id
                && by_id.insert(id.clone(), position).is_some()
            {
                return Err(KeyError::DuplicateKeyId(id.clone()));
            }
        }
        Ok(Self {
            keys,
            by_id,
            skipped,
        })
    }

    /// The keys.
    #[must_use]
    pub fn keys(&self) -> &[VerificationKey] {
        &self.keys
    }

    /// The keys that [`Self::from_published_jwks`] left out.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// The key for a token: the one it names, else the only one for its algorithm that has no
    /// other name (a PEM file has none); never one of another algorithm, and nothing is tried out.
    pub(super) fn find(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<&VerificationKey, Rejection> {
        if let Some(key) = id
            .and_then(|id| self.by_id.get(id))
            .and_then(|at| self.keys.get(*at))
        {
            return if key.algorithm == algorithm {
                Ok(key)
            } else {
                Err(Rejection::KeyAlgorithm)
            };
        }
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.algorithm == algorithm && (id.is_none() || key.id.is_none()));
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            (Some(_), Some(_)) => Err(Rejection::AmbiguousKey),
            (None, _) => Err(Rejection::UnknownKey),
        }
    }
}

/// The objects of a JWK set. Mixed sets are refused here, also when the odd key is one to skip.
fn members(json: &[u8]) -> Result<Vec<Map<String, Value>>, KeyError> {
    let Some(Value::Array(list)) = json::object(json).map_err(KeyError::Json)?.remove("keys")
    else {
        return Err(KeyError::NotAKeySet);
    };
    let mut keys = Vec::with_capacity(list.len());
    for value in list {
        let Value::Object(key) = value else {
            return Err(KeyError::NotAKeySet);
        };
        keys.push(key);
    }
    let secrets = keys
        .iter()
        .filter(|key| key.get("kty").is_some_and(|kty| kty == "oct"))
        .count();
    if secrets != 0 && secrets != keys.len() {
        return Err(KeyError::MixedSymmetry);
    }
    Ok(keys)
}

/// An RSA public key of an acceptable size and exponent; both numbers big-endian, without leading zeros.
fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Result<DecodingKey, KeyError> {
    let bits = match modulus.first() {
        None | Some(0) => return Err(KeyError::Member("n")),
        Some(first) => modulus.len() * 8 - first.leading_zeros() as usize,
    };
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(KeyError::RsaBits(bits));
    }
    if modulus.last().is_none_or(|last| last % 2 == 0) {
        return Err(KeyError::Member("n"));
    }
    match exponent {
        [] | [0, ..] => return Err(KeyError::Member("e")),
        [1] => return Err(KeyError::RsaExponent),
        [.., last] if exponent.len() > 4 || last % 2 == 0 => return Err(KeyError::RsaExponent),
        _ => {}
    }
    Ok(DecodingKey::from_rsa_raw_components(modulus, exponent))
}

/// A public key on a curve, checked to be a point of it.
fn point_key(point: &[u8], family: Family) -> Result<DecodingKey, KeyError> {
    let (curve, size): (&'static dyn VerificationAlgorithm, usize) = match family {
        Family::P256 => (&ECDSA_P256_SHA256_FIXED, 65),
        Family::P384 => (&ECDSA_P384_SHA384_FIXED, 97),
        Family::Ed25519 => (&ED25519, 32),
        Family::Rsa | Family::Hmac => return Err(KeyError::Point),
    };
    if point.len() != size || ParsedPublicKey::new(curve, point).is_err() {
        return Err(KeyError::Point);
    }
    Ok(match family {
        Family::Ed25519 => DecodingKey::from_ed_der(point),
        _ => DecodingKey::from_ec_der(point),
    })
}
