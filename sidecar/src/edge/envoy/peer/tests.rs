use auth_core::clock::Timestamp;
use bytes::Bytes;
use proto::envoy::config::core::v3::{Address, SocketAddress};
use rcgen::{CertificateParams, DnType, KeyPair, SanType};

use super::*;

const PEM: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBdTCCARugAwIBAgIUUY6k68X1ydiFp4wAvrGhXOAT4HMwCgYIKoZIzj0EAwIw\n\
DzENMAsGA1UEAwwEc2hvcDAgFw0yNjExMjMxNjM4MjVaGA8yMTI2MTAzMDE2Mzgy\n\
NVowDzENMAsGA1UEAwwEc2hvcDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAsv\n\
5jH08CKj3Hnt0b0niTrC1k/yQm9EOwXPNyVLiKThMwAE615ixYkhzV3/W80tCrM2\n\
jymp42lp37/G1GISvoCjUzBRMB0GA1UdDgQWBBSMDy8pnbEeRtPPLvh+cesk/+wF\n\
kjAfBgNVHSMEGDAWgBSMDy8pnbEeRtPPLvh+cesk/+wFkjAPBgNVHRMBAf8EBTAD\n\
AQH/MAoGCCqGSM49BAMCA0gAMEUCIEOWCMT+jWHW4T6fAUoBihI0ZM25CjWck4wr\n\
THk+2u3qAiEA+j6R08MnfzPYp4lBnujnBY9od5UviY9bUbTB00Fe00k=\n\
-----END CERTIFICATE-----\n\
";
const SHA256_HEX: &str = "346633e5a547e420532c995e8f51c229d1db874e76d7217f1c44d1bdfa626d71";

/// As Envoy encodes it.
fn url_encoded(text: &str) -> Bytes {
    let encode = percent_encoding::NON_ALPHANUMERIC;
    let encoded = percent_encoding::utf8_percent_encode(text, encode);
    encoded.to_string().into()
}

fn source(principal: &'static [u8], certificate: Bytes) -> Option<Source> {
    Some(Source {
        address: Some(Address {
            socket_address: Some(SocketAddress {
                address: "192.0.2.7".into(),
            }),
        }),
        principal: Bytes::from_static(principal),
        certificate,
    })
}

#[test]
fn t25_a_certificate_is_known_by_its_sha256() {
    let read = peer(source(b"spiffe://shop/web", url_encoded(PEM))).unwrap();
    assert_eq!(
        read.not_before,
        Some(Timestamp::from_seconds(1_795_451_905))
    );
    assert_eq!(read.not_after, Some(Timestamp::from_seconds(4_949_051_905)));
    let hex: String = read
        .certificate_sha256
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(hex, SHA256_HEX);
    assert_eq!(read.address, "192.0.2.7");
}

/// The identity of a client whose certificate has these names.
fn identity(principal: &'static [u8], uris: &[&str], hosts: &[&str]) -> String {
    let mut params = CertificateParams::default();
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
    let read = peer(source(principal, url_encoded(&made.pem()))).unwrap();
    read.identity
}

#[test]
fn t25_a_client_of_envoy_is_whom_its_certificate_names_as_in_our_own_handshake() {
    for (principal, uris, hosts, expected) in [
        (
            &b"spiffe://shop/web"[..],
            &["spiffe://shop/web"][..],
            &["a.example"][..],
            "spiffe://shop/web",
        ),
        (b"spiffe://a/b", &["spiffe://a/b", "spiffe://a/c"], &[], ""),
        (b"https://x", &["https://x"], &["A.Example"], "a.example"),
        (b"CN=common.example", &[], &[], ""),
        (b"spiffe://shop/web", &[], &["a.example"], "a.example"),
        (b"\xff", &[], &["a.example"], "a.example"),
    ] {
        let got = identity(principal, uris, hosts);
        assert_eq!(got, expected, "{uris:?} {hosts:?}");
    }
}

#[test]
fn a_client_without_a_certificate_has_no_identity() {
    for principal in [&b""[..], b"spiffe://shop/web", b"\xff"] {
        let read = peer(source(principal, Bytes::new())).unwrap();
        assert!(read.identity.is_empty() && read.certificate_sha256.is_empty());
    }
    assert_eq!(peer(None), Ok(Peer::default()));
}

#[test]
fn what_cannot_be_read_is_no_missing_certificate() {
    for certificate in [
        "nonsense".to_owned(),
        url_encoded("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
            .escape_ascii()
            .to_string(),
        "%".repeat(MAX_CERTIFICATE_BYTES + 1),
    ] {
        let read = peer(source(b"x", certificate.clone().into()));
        assert_eq!(read, Err(Unreadable), "{certificate:.40}");
    }
}
