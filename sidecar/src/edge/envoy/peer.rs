//! The client's end of the connection, as Envoy saw it.

use std::borrow::Cow;

use auth_core::wire::Peer;
use proto::envoy::service::auth::v3::Peer as Source;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};

use crate::tls::peer::PeerCertificate;

/// The largest certificate that is read, in bytes of URL-encoded PEM.
const MAX_CERTIFICATE_BYTES: usize = 64 * 1024;

/// A client whose certificate cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client's certificate cannot be read")]
pub(super) struct Unreadable;

/// Whether what is said here may be believed is for the caller's grants to say.
///
/// The certificate says whom it names, as in a handshake of ours. Envoy's `principal` is not looked
/// at: it can be the common name, or one of several names that we take for nobody's.
///
/// # Errors
///
/// Returns [`Unreadable`] when there is a certificate that makes no sense.
pub(super) fn peer(source: Option<Source>) -> Result<Peer, Unreadable> {
    let Some(source) = source else {
        return Ok(Peer::default());
    };
    let address = source.address.and_then(|address| address.socket_address);
    let peer = Peer {
        address: address.map_or_else(String::new, |address| address.address),
        ..Peer::default()
    };
    let certificate = certificate(&source.certificate)?;
    Ok(match certificate.as_ref().map(PeerCertificate::of) {
        None => peer,
        Some(read) => Peer {
            identity: String::from(&*read.identity),
            certificate_sha256: read.sha256,
            not_before: read.not_before,
            not_after: read.not_after,
            ..peer
        },
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
