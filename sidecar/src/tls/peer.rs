//! What a verified certificate says of a client.

use std::sync::Arc;

use auth_core::{clock::Timestamp, wire::Peer};
use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

/// The scheme of SPIFFE ids.
const SPIFFE: &str = "spiffe://";

/// The certificate of a client, whom the handshake has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Whom it names: its SPIFFE id if it has one, else its first DNS name in lower case. The common
    /// name is no name (RFC 9525 section 2). Empty when it names nobody.
    pub identity: Arc<str>,
    /// SHA-256 of the certificate, as RFC 8705 section 3.1 has it.
    pub sha256: Bytes,
    /// From when on it is valid, where that can be read.
    pub not_before: Option<Timestamp>,
    /// When it ends, where that can be read.
    pub not_after: Option<Timestamp>,
}

impl PeerCertificate {
    /// Reads a verified certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let read = Peer::default().with_certificate(certificate);
        Self {
            identity: identity(certificate).unwrap_or_default().into(),
            sha256: read.certificate_sha256,
            not_before: read.not_before,
            not_after: read.not_after,
        }
    }
}

fn identity(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let mut ids = certificate
        .valid_uri_names()
        .filter(|uri| starts_with(uri, SPIFFE));
    match (ids.next(), ids.next()) {
        // A certificate of SPIFFE has one id (X.509-SVID section 2).
        (Some(_), Some(_)) => None,
        (Some(id), None) => Some(id.to_owned()),
        (None, _) => {
            let mut names = certificate.valid_dns_names();
            let name = names.find(|name| !name.starts_with('*'))?;
            Some(name.to_ascii_lowercase())
        }
    }
}

fn starts_with(text: &str, scheme: &str) -> bool {
    let start = text.get(..scheme.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(uris: &[&str], hosts: &[&str]) -> PeerCertificate {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "common.example");
        let hosts = hosts
            .iter()
            .map(|host| SanType::DnsName((*host).try_into().unwrap()));
        let uris = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().unwrap()));
        params.subject_alt_names = hosts.chain(uris).collect();
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        PeerCertificate::of(made.der())
    }

    #[test]
    fn a_certificate_names_one_spiffe_id_else_its_first_host() {
        for (uris, hosts, identity) in [
            (&["spiffe://a/b"][..], &["a.example"][..], "spiffe://a/b"),
            (&["https://x", "spiffe://a/B"], &[], "spiffe://a/B"),
            (&["spiffe://a/b", "spiffe://a/c"], &["a.example"], ""),
            (&["SPIFFE://a/b", "spiffe://a/c"], &["a.example"], ""),
            (&["https://x"], &["A.Example", "b.example"], "a.example"),
            (&[], &["*.example", "b.example"], "b.example"),
            (&[], &[], ""),
        ] {
            let got = certificate(uris, hosts);
            assert_eq!(&*got.identity, identity, "{uris:?} {hosts:?}");
        }
    }
}
