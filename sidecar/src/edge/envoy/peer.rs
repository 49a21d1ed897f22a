//! The client's end of the connection, as Envoy saw it.

use std::borrow::Cow;

use auth_core::wire::Peer;
use proto::envoy::service::auth::v3::Peer as Source;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

/// The largest certificate that is read, in bytes of URL-encoded PEM.
const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;

/// A client whose certificate cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client's certificate cannot be read")]
pub(super) struct Unreadable;

/// Whether what is said here may be believed is for the caller's grants to say.
///
/// # Errors
///
/// Returns [`Unreadable`] when there is an identity or a certificate that makes no sense.
pub(super) fn peer(source: Option<Source>) -> Result<Peer, Unreadable> {
    let Some(source) = source else {
        return Ok(Peer::default());
    };
    let address = source.address.and_then(|address| address.socket_address);
    let identity = std::str::from_utf8(&source.principal).map_err(|_| Unreadable)?;
    let peer = Peer {
        address: address.map_or_else(String::new, |address| address.address),
        identity: identity.to_owned(),
        ..Peer::default()
    };
    Ok(match certificate(&source.certificate)? {
        None => peer,
        Some(certificate) => peer.with_certificate(&certificate),
    })
}

/// A certificate that is given as URL-encoded PEM.
fn certificate(encoded: &[u8]) -> Result<Option<CertificateDer<'static>>, Unreadable> {
    if encoded.is_empty() {
        return Ok(None);
    }
    if encoded.len() > MAX_CERTIFICATE_BYTES {
        return Err(Unreadable);
    }
    let pem: Cow<'_, [u8]> = percent_encoding::percent_decode(encoded).into();
    CertificateDer::from_pem_slice(&pem)
        .map(Some)
        .map_err(|_| Unreadable)
}

#[cfg(test)]
mod tests;
