//! What a client presents: the headers of the wire profile and no others, since what is not read
//! cannot be forged.

use auth_core::{
    decision_point::WireProfile,
    wire::{self, Attribute, Credential, CredentialSource},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

/// More than a call may have; in words, for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TooLarge(pub &'static str);

/// One entry for each occurrence, unparsed: that two are one too many is for the rules to say.
///
/// # Errors
///
/// Returns [`TooLarge`] when one is too long or there are too many.
pub fn credentials(
    headers: &HeaderMap,
    profile: &WireProfile,
) -> Result<Vec<Credential>, TooLarge> {
    let mut found = Vec::new();
    for (source, name) in [
        (CredentialSource::Authorization, header::AUTHORIZATION),
        (CredentialSource::Cookie, header::COOKIE),
    ] {
        for value in headers.get_all(name) {
            found.push(credential(source, "", value)?);
        }
    }
    for (source, name) in &profile.credentials {
        if *source != CredentialSource::Header {
            continue;
        }
        for value in headers.get_all(name.as_str()) {
            found.push(credential(*source, name, value)?);
        }
    }
    if found.len() > wire::MAX_CREDENTIALS {
        return Err(TooLarge("there are too many credentials"));
    }
    Ok(found)
}

fn credential(
    source: CredentialSource,
    name: &str,
    value: &HeaderValue,
) -> Result<Credential, TooLarge> {
    if value.len() > wire::MAX_CREDENTIAL_BYTES {
        return Err(TooLarge("a credential is too long"));
    }
    Ok(Credential {
        source,
        name: name.to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    })
}

/// The further facts that something reads.
///
/// # Errors
///
/// Returns [`TooLarge`] when there are too many.
pub fn attributes(headers: &HeaderMap, profile: &WireProfile) -> Result<Vec<Attribute>, TooLarge> {
    let mut found = Vec::new();
    for name in &profile.attributes {
        for value in headers.get_all(name.as_str()) {
            found.push(Attribute {
                name: name.clone(),
                value: Bytes::copy_from_slice(value.as_bytes()),
            });
        }
    }
    if found.len() > wire::MAX_ATTRIBUTES {
        return Err(TooLarge("there are too many attributes"));
    }
    Ok(found)
}
