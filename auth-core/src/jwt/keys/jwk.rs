//! One JWK (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use super::{KeyError, VerificationKey, header, point_key, rsa_key, secret};
use crate::jwt::{Algorithm, algorithm::Family};

type Jwk = Map<String, Value>;

/// Members that only a private RSA, EC or OKP key has.
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];

pub(super) fn verification_key(
    jwk: &Jwk,
    allowed: &[Algorithm],
) -> Result<VerificationKey, KeyError> {
    let id = text(jwk, "kid")?;
    if id.is_some_and(|id| !header::is_key_id(id)) {
        return Err(KeyError::KeyId);
    }
    check_purpose(jwk)?;
    let family = family(jwk)?;
    let algorithm = algorithm(jwk, family, allowed)?;
    let key = match family {
        Family::Hmac => secret_key(jwk, algorithm)?,
        Family::Rsa => rsa_key(&bytes(jwk, "n")?, &bytes(jwk, "e")?)?,
        Family::P256 => point_key(&sec1_point(jwk, 32)?, family)?,
        Family::P384 => point_key(&sec1_point(jwk, 48)?, family)?,
        Family::Ed25519 => point_key(&bytes(jwk, "x")?, family)?,
    };
    Ok(VerificationKey {
        algorithm,
        id: id.map(str::to_owned),
        key,
    })
}

/// `use` and `key_ops` must both leave room for verifying, and only the public half may be there.
fn check_purpose(jwk: &Jwk) -> Result<(), KeyError> {
    match text(jwk, "use")? {
        None | Some("sig") => {}
        Some(other) => return Err(KeyError::Use(other.to_owned())),
    }
    match jwk.get("key_ops") {
        None => {}
        Some(Value::Array(operations)) if !operations.iter().all(Value::is_string) => {
            return Err(KeyError::Member("key_ops"));
        }
        Some(Value::Array(operations)) if operations.iter().any(|it| it == "verify") => {}
        Some(Value::Array(_)) => return Err(KeyError::KeyOperations),
        Some(_) => return Err(KeyError::Member("key_ops")),
    }
    if PRIVATE_MEMBERS
        .into_iter()
        .any(|name| jwk.contains_key(name))
    {
        return Err(KeyError::PrivateKey);
    }
    Ok(())
}

fn family(jwk: &Jwk) -> Result<Family, KeyError> {
    let kind = text(jwk, "kty")?.ok_or(KeyError::Member("kty"))?;
    let curve = || text(jwk, "crv")?.ok_or(KeyError::Member("crv"));
    match kind {
        "oct" => Ok(Family::Hmac),
        "RSA" => Ok(Family::Rsa),
        "EC" => match curve()? {
            "P-256" => Ok(Family::P256),
            "P-384" => Ok(Family::P384),
            other => Err(KeyError::Curve(other.to_owned())),
        },
        "OKP" => match curve()? {
            "Ed25519" => Ok(Family::Ed25519),
            other => Err(KeyError::Curve(other.to_owned())),
        },
        other => Err(KeyError::KeyType(other.to_owned())),
    }
}

/// The algorithm the key names, else the first allowed one that fits: one key, one algorithm.
fn algorithm(jwk: &Jwk, family: Family, allowed: &[Algorithm]) -> Result<Algorithm, KeyError> {
    let fits = |algorithm: &Algorithm| algorithm.family() == family;
    let Some(name) = text(jwk, "alg")? else {
        return allowed
            .iter()
            .copied()
            .find(fits)
            .ok_or(KeyError::NoAlgorithmFits);
    };
    Algorithm::from_name(name)
        .filter(|algorithm| fits(algorithm) && allowed.contains(algorithm))
        .ok_or_else(|| KeyError::Algorithm(name.to_owned()))
}

/// Only words are looked for here, not patterns: who writes a JWK had a program make its bytes.
fn secret_key(jwk: &Jwk, algorithm: Algorithm) -> Result<DecodingKey, KeyError> {
    let bytes = bytes(jwk, "k")?;
    secret::check_length(&bytes, algorithm)?;
    secret::check_words(&bytes)?;
    Ok(DecodingKey::from_secret(&bytes))
}

/// The uncompressed point of SEC 1; coordinates have their full size (RFC 7518 section 6.2.1.2).
fn sec1_point(jwk: &Jwk, size: usize) -> Result<Vec<u8>, KeyError> {
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    if x.len() != size || y.len() != size {
        return Err(KeyError::Point);
    }
    Ok([&[4], x.as_slice(), y.as_slice()].concat())
}

fn text<'a>(jwk: &'a Jwk, name: &'static str) -> Result<Option<&'a str>, KeyError> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeyError::Member(name)),
    }
}

fn bytes(jwk: &Jwk, name: &'static str) -> Result<Vec<u8>, KeyError> {
    let text = text(jwk, name)?.ok_or(KeyError::Member(name))?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| KeyError::Member(name))
}
