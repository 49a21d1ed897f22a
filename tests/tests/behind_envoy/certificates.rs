//! Clients with certificates, as Envoy found them in its own handshake (T-25, T-26).

use std::{fs, io, path::Path, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use harness::{raw, recorder::Request};
use jsonwebtoken::{EncodingKey, Header};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::scene::{SECRET, Scene, Setup};

const HOST: &str = "books.example";
const WEB: &str = "spiffe://shop/web";

/// Who signs certificates that Envoy believes.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A client's certificate and key.
struct Pair {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Pair {
    fn sha256(&self) -> Vec<u8> {
        digest(&SHA256, &self.certificate).as_ref().to_vec()
    }
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Else it has the name of those that it signs.
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A new one, with what Envoy needs in this folder.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let authority = Self::new();
        let host = authority.sign(SanType::DnsName(HOST.try_into().unwrap()));
        let pem = pem(&host.certificate);
        fs::write(folder.join("ca.pem"), authority.0.pem()).unwrap();
        fs::write(folder.join("host.pem"), pem).unwrap();
        fs::write(folder.join("host.key"), host.key.serialize_pem()).unwrap();
        authority
    }

    fn sign(&self, name: SanType) -> Pair {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![name];
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair {
            certificate: certificate.der().clone(),
            key,
        }
    }

    fn client(&self, id: &str) -> Pair {
        self.sign(SanType::URI(id.try_into().unwrap()))
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        roots
    }
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let text = STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

/// A token of the issuer that the policy knows, bound to this certificate.
fn bound_to(pair: &Pair) -> String {
    let confirmation = json!({ "x5t#S256": URL_SAFE_NO_PAD.encode(pair.sha256()) });
    let claims = json!({
        "iss": "https://id.example", "aud": "books", "sub": "u1", "exp": 4_000_000_000_u64,
        "cnf": confirmation,
    });
    let header = Header {
        typ: Some("at+jwt".into()),
        ..Header::default()
    };
    auth_core::jwt::install_crypto_provider();
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&header, &claims, &key).unwrap();
    format!("Bearer {token}")
}

/// The head of an answer, over a connection of its own, and what reached the app.
async fn ask(
    scene: &Scene,
    pair: Option<&Pair>,
    headers: &[(&str, &str)],
) -> io::Result<(String, Vec<Request>)> {
    let roots = scene.authority.as_ref().unwrap().roots();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match pair {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let key = PrivateKeyDer::try_from(pair.key.serialize_der()).unwrap();
            let chain = vec![pair.certificate.clone()];
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    };
    let exchange = async {
        let stream = TcpStream::connect(scene.envoy.http()).await?;
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from(HOST).unwrap();
        let mut stream = connector.connect(name, stream).await?;
        let mut fields = vec![("Connection", "close")];
        fields.extend_from_slice(headers);
        stream
            .write_all(&raw::request("GET", "/closed", HOST, &fields, b""))
            .await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok::<_, io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = tokio::time::timeout(raw::DEADLINE, exchange).await??;
    Ok((answer, scene.app.take()))
}

async fn scene(asserts_peers: bool) -> Option<Scene> {
    let setup = Setup {
        tls: true,
        asserts_peers,
        ..Setup::default()
    };
    Scene::start(setup).await
}

/// What Envoy tells of a certificate in a header, to who believes headers.
fn forwarded(pair: &Pair) -> String {
    let hex: Vec<_> = pair.sha256().iter().map(|b| format!("{b:02x}")).collect();
    format!("Hash={};URI={WEB}", hex.concat())
}

#[tokio::test]
async fn t25_a_certificate_opens_what_is_bound_to_it_and_no_header_does() {
    let Some(scene) = scene(true).await else {
        return;
    };
    let authority = scene.authority.as_ref().unwrap();
    let (web, other) = (
        authority.client(WEB),
        authority.client("spiffe://other/web"),
    );
    let token = bound_to(&web);
    let told = forwarded(&web);
    let bound = ("Authorization", &*token);
    let spoofed = ("X-Forwarded-Client-Cert", &*told);
    for (name, pair, headers, subject) in [
        ("its certificate", Some(&web), &[bound][..], Some("idp/u1")),
        ("another", Some(&other), &[bound], None),
        ("none", None, &[bound], None),
        (
            "its certificate again",
            Some(&web),
            &[bound],
            Some("idp/u1"),
        ),
        ("none, and a header", None, &[bound, spoofed], None),
        (
            "another, and a header",
            Some(&other),
            &[bound, spoofed],
            None,
        ),
        ("a peer", Some(&web), &[], Some("peer/spiffe://shop/web")),
        ("a peer not named", Some(&other), &[], None),
        ("a header alone", None, &[spoofed], None),
    ] {
        let (answer, requests) = ask(&scene, pair, headers).await.unwrap();
        let Some(subject) = subject else {
            assert!(answer.starts_with("HTTP/1.1 401 "), "{name}: {answer}");
            assert!(requests.is_empty(), "{name}");
            let is_refused = headers.contains(&bound);
            let challenge = "www-authenticate: Bearer error=\"invalid_token\"";
            assert_eq!(answer.contains(challenge), is_refused, "{name}: {answer}");
            continue;
        };
        assert!(answer.starts_with("HTTP/1.1 200 "), "{name}: {answer}");
        let session = requests[0].header("sidegate-session").unwrap();
        let session = URL_SAFE_NO_PAD.decode(session).unwrap();
        let session: serde_json::Value = serde_json::from_slice(&session).unwrap();
        assert_eq!(session["principal"], subject, "{name}");
        assert_eq!(requests[0].header("x-forwarded-client-cert"), None);
    }
}

#[tokio::test]
async fn t25_a_certificate_of_another_authority_gets_no_connection() {
    let Some(scene) = scene(true).await else {
        return;
    };
    let stranger = Authority::new().client(WEB);
    let asked = ask(&scene, Some(&stranger), &[]).await;
    let answered = asked.is_ok_and(|(answer, _)| answer.starts_with("HTTP/"));
    assert!(!answered && scene.app.take().is_empty());
}

#[tokio::test]
async fn r25_envoy_is_not_believed_where_its_caller_may_not_assert_peers() {
    let Some(scene) = scene(false).await else {
        return;
    };
    let web = scene.authority.as_ref().unwrap().client(WEB);
    let token = bound_to(&web);
    for headers in [&[("Authorization", &*token)][..], &[]] {
        let (answer, requests) = ask(&scene, Some(&web), headers).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert!(requests.is_empty());
    }
}
