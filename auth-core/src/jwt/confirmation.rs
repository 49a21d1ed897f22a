//! Who may use a token: anybody who has it, or the holder of one certificate (RFC 8705 section 3).

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::Rejection;
use crate::{clock::Timestamp, wire::Peer};

/// The one way of confirmation that is understood.
const CERTIFICATE: &str = "x5t#S256";

/// Who may use a token (`cnf`, RFC 7800). It must be asked at each use, also of a token that was
/// verified before: the next one may come over another connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confirmation {
    /// Whoever has it.
    #[default]
    Bearer,
    /// Whoever holds the certificate of this SHA-256.
    Certificate([u8; 32]),
}

impl Confirmation {
    /// Reads the claim. One way more than we understand is a way that nobody would check.
    pub(super) fn read(claim: Option<&Value>) -> Result<Self, Rejection> {
        let Some(claim) = claim else {
            return Ok(Self::Bearer);
        };
        let members = claim.as_object().filter(|members| members.len() == 1);
        let text = members.and_then(|members| members.get(CERTIFICATE)?.as_str());
        let bytes = text.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let hash = bytes.and_then(|bytes| bytes.try_into().ok());
        hash.map(Self::Certificate)
            .ok_or(Rejection::SenderConstrained)
    }

    /// Holds the token to who sent it, by the certificate that the connection has proven.
    ///
    /// # Errors
    ///
    /// [`Rejection::CertificateMissing`], [`Rejection::CertificateMismatch`] or
    /// [`Rejection::CertificateExpired`].
    pub fn check(&self, sender: Sender<'_>, now: Timestamp) -> Result<(), Rejection> {
        let Self::Certificate(bound) = self else {
            return Ok(());
        };
        if sender.certificate.is_empty() {
            return Err(Rejection::CertificateMissing);
        }
        verify_slices_are_equal(bound, sender.certificate)
            .map_err(|_| Rejection::CertificateMismatch)?;
        match sender.not_after {
            Some(end) if now >= end => Err(Rejection::CertificateExpired),
            _ => Ok(()),
        }
    }
}

/// The certificate of who sent a token, as far as its connection has proven one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sender<'a> {
    /// SHA-256 of it; empty for none.
    pub certificate: &'a [u8],
    /// When it ends, where that is known.
    pub not_after: Option<Timestamp>,
}

impl<'a> From<&'a Peer> for Sender<'a> {
    fn from(peer: &'a Peer) -> Self {
        Self {
            certificate: &peer.certificate_sha256,
            not_after: peer.not_after,
        }
    }
}

/// A token as it came.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    /// The token.
    pub token: &'a [u8],
    /// Who sent it.
    pub sender: Sender<'a>,
}

/// A token alone, which opens nothing that is bound to a certificate (T-26).
impl<'a, T: AsRef<[u8]> + ?Sized> From<&'a T> for Sent<'a> {
    fn from(token: &'a T) -> Self {
        Self {
            token: token.as_ref(),
            sender: Sender::default(),
        }
    }
}

impl fmt::Debug for Sent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sent(..)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_certificate_is_understood_and_nothing_beside_it() {
        let good = URL_SAFE_NO_PAD.encode([7; 32]);
        let read = |claim: &Value| Confirmation::read(Some(claim));
        assert_eq!(
            read(&json!({ CERTIFICATE: good })),
            Ok(Confirmation::Certificate([7; 32]))
        );
        assert_eq!(Confirmation::read(None), Ok(Confirmation::Bearer));
        for claim in [
            json!({}),
            json!(null),
            json!([good]),
            json!(good),
            json!({ "jkt": good }),
            json!({ "x5t": good }),
            json!({ "X5T#S256": good }),
            json!({ CERTIFICATE: good, "jkt": good }),
            json!({ CERTIFICATE: good, "other": null }),
            json!({ CERTIFICATE: [good] }),
            json!({ CERTIFICATE: "" }),
            json!({ CERTIFICATE: format!("{good}=") }),
            json!({ CERTIFICATE: format!("{good} ") }),
            json!({ CERTIFICATE: URL_SAFE_NO_PAD.encode([7; 31]) }),
            json!({ CERTIFICATE: URL_SAFE_NO_PAD.encode([7; 33]) }),
        ] {
            assert_eq!(read(&claim), Err(Rejection::SenderConstrained), "{claim}");
        }
    }

    #[test]
    fn a_bound_token_is_held_to_its_certificate() {
        const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
        let later = NOW.plus(std::time::Duration::from_micros(1));
        let bound = Confirmation::Certificate([7; 32]);
        for (certificate, not_after, expected) in [
            (&[7; 32][..], None, Ok(())),
            (&[7; 32], Some(later), Ok(())),
            (&[7; 32], Some(NOW), Err(Rejection::CertificateExpired)),
            (&[], None, Err(Rejection::CertificateMissing)),
            (&[8; 32], Some(NOW), Err(Rejection::CertificateMismatch)),
            (&[7; 31], None, Err(Rejection::CertificateMismatch)),
            (&[7; 33], None, Err(Rejection::CertificateMismatch)),
        ] {
            let sender = Sender {
                certificate,
                not_after,
            };
            assert_eq!(bound.check(sender, NOW), expected, "{sender:?}");
            assert_eq!(Confirmation::Bearer.check(sender, NOW), Ok(()));
        }
    }
}
