//! What a listener needs to speak TLS, read from PEM files and checked before it is used.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use auth_core::policy::settings::Tls as TlsFiles;
use proto::tls::pem::{self, PemError};
use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};

pub mod handshake;
pub mod peer;
pub mod running;

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds nothing of use.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The key is not the one of the certificate, or of a kind that is not supported.
    #[error("`{key}` is no usable key of `{certificate}`; name the two that were issued together")]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The certificates cannot vouch for clients.
    #[error("`{path}` holds a certificate that cannot vouch for clients")]
    Authority {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl TlsError {
    /// The file that is to blame.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Pem(error) => error.path(),
            Self::Pair { key: path, .. } | Self::Authority { path, .. } => path,
        }
    }
}

/// Reads `files` for a listener that speaks `protocols` (ALPN), the preferred one first.
///
/// A client may come without a certificate even if `client_ca` is set: it is then nobody, and
/// what it presents besides decides. One that comes with a wrong certificate is turned away. Where
/// certificates name clients, each connection has its own verified: none resumes an earlier one,
/// whose certificate may have expired since.
///
/// # Errors
///
/// Returns [`TlsError`] naming the file when one cannot be read, holds nothing of use, is a key
/// that others may read, or does not fit the others.
pub fn load(files: &TlsFiles, protocols: &[&str]) -> Result<ServerConfig, TlsError> {
    let chain = pem::certificates(&files.certificate)?;
    let key = pem::private_key(&files.key)?;
    let pair = |source| TlsError::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(pair)?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(path)?, provider)
                .allow_unauthenticated()
                .build()
                .map_err(|source: VerifierBuilderError| authority(path)(source.into()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(pair)?;
    if files.client_ca.is_some() {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Ok(config)
}

fn roots(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in pem::certificates(path)? {
        roots
            .add(certificate)
            .map_err(|source| authority(path)(source.into()))?;
    }
    Ok(Arc::new(roots))
}

fn authority(path: &Path) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Authority { path, source }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// A listener's files, all of them good.
    pub(crate) fn files(folder: &Path) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let files = TlsFiles {
            certificate: folder.join("tls.crt"),
            key: folder.join("tls.key"),
            client_ca: Some(folder.join("ca.crt")),
        };
        std::fs::write(&files.certificate, &certificate).unwrap();
        std::fs::write(folder.join("ca.crt"), &certificate).unwrap();
        put_key(&files.key, &key.serialize_pem(), 0o600);
        files
    }

    fn put_key(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn good_files_make_a_listener_of_the_protocols_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let config = load(&files(folder.path()), &["h2", "http/1.1"]).unwrap();
        assert_eq!(config.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let text = std::fs::read_to_string(&files.key).unwrap();
        put_key(&files.key, &text, 0o640);
        let refused = load(&files, &["h2"]).unwrap_err();
        assert!(
            matches!(refused, TlsError::Pem(PemError::Shared(_))),
            "{refused}"
        );
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let other = KeyPair::generate().unwrap().serialize_pem();
        put_key(&files.key, &other, 0o600);
        let refused = load(&files, &["h2"]).unwrap_err();
        assert!(matches!(refused, TlsError::Pair { .. }), "{refused}");
    }

    #[test]
    fn a_file_without_what_it_is_for_is_named() {
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            let folder = tempfile::tempdir().unwrap();
            let files = files(folder.path());
            for text in [Some("nothing"), None] {
                let path = folder.path().join(name);
                match text {
                    Some(text) => std::fs::write(&path, text).unwrap(),
                    None => std::fs::remove_file(&path).unwrap(),
                }
                let refused = load(&files, &["h2"]).unwrap_err().to_string();
                assert!(refused.contains(name), "{refused}");
            }
        }
    }
}
