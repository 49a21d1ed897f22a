//! Public keys in PEM.

use jsonwebtoken::{DecodingKey, crypto::aws_lc::DEFAULT_PROVIDER};

use super::{KeyError, point_key, rsa_key};
use crate::jwt::{Algorithm, algorithm::Family};

/// Reads exactly one public key. Private keys and certificates are refused by their label: from the
/// one only its owner may verify, and the dates of the other nobody would check.
pub(super) fn public_key(pem: &str, algorithm: Algorithm) -> Result<DecodingKey, KeyError> {
    let mut labels = pem
        .lines()
        .filter_map(|line| line.trim().strip_prefix("-----BEGIN "));
    let (Some(label), None) = (labels.next(), labels.next()) else {
        return Err(KeyError::Pem);
    };
    match label {
        "PUBLIC KEY-----" | "RSA PUBLIC KEY-----" => {}
        _ if label.ends_with("PRIVATE KEY-----") => return Err(KeyError::PrivateKey),
        _ => return Err(KeyError::Pem),
    }
    match algorithm.family() {
        Family::Hmac => Err(KeyError::Pem),
        Family::Rsa => rsa(pem),
        Family::P256 | Family::P384 => {
            point(DecodingKey::from_ec_pem(pem.as_bytes()), algorithm.family())
        }
        Family::Ed25519 => point(DecodingKey::from_ed_pem(pem.as_bytes()), Family::Ed25519),
    }
}

/// Takes the numbers out again, so that size and exponent are checked as those of a JWK are.
fn rsa(pem: &str) -> Result<DecodingKey, KeyError> {
    let key = DecodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| KeyError::Pem)?;
    let der = key.try_get_as_bytes().map_err(|_| KeyError::Pem)?;
    let (modulus, exponent) = (DEFAULT_PROVIDER
        .key_utils
        .rsa_pub_components_from_public_key)(der)
    .map_err(|_| KeyError::Pem)?;
    rsa_key(&modulus, &exponent)
}

fn point(
    key: jsonwebtoken::errors::Result<DecodingKey>,
    family: Family,
) -> Result<DecodingKey, KeyError> {
    let key = key.map_err(|_| KeyError::Pem)?;
    point_key(key.try_get_as_bytes().map_err(|_| KeyError::Pem)?, family)
}
