//! What a listener needs to speak TLS, read from PEM files and checked before it is used.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::{VerifierBuilderError, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};

/// The files of a listener that speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the listener and those that lead to its authority, in this order.
    pub certificate: PathBuf,
    /// The private key of the certificate, readable by its owner alone.
    pub key: PathBuf,
    /// Who signs the certificates of clients; without it no client is asked for one.
    pub client_ca: Option<PathBuf>,
}

/// Why a listener cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The system refused.
    #[error("`{path}` could not be read")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read the private key.
    #[error("`{0}` can be read by others than its owner; run `chmod 600` on it")]
    Shared(PathBuf),
    /// No certificate is in the file.
    #[error("`{0}` holds no PEM certificate; write `-----BEGIN CERTIFICATE-----` blocks to it")]
    NoCertificate(PathBuf),
    /// No private key is in the file, or none that can be read.
    #[error("`{0}` holds no PEM private key; write one unencrypted key (PKCS #8) to it")]
    NoKey(PathBuf),
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

/// Reads `files` for a listener that speaks `protocols` (ALPN), the preferred one first.
///
/// A client may come without a certificate even if `client_ca` is set: it is then nobody, and
/// what it presents besides decides. One that comes with a wrong certificate is turned away.
///
/// # Errors
///
/// Returns [`TlsError`] naming the file when one cannot be read, holds nothing of use, is a key
/// that others may read, or does not fit the others.
pub fn load(files: &TlsFiles, protocols: &[&str]) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = private_key(&files.key)?;
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
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Ok(config)
}

fn roots(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|source| authority(path)(source.into()))?;
    }
    Ok(Arc::new(roots))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = std::fs::read(path).map_err(failed(path))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(TlsError::NoCertificate(path.to_owned())),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let file = std::fs::metadata(path).map_err(failed(path))?;
    if file.permissions().mode() & 0o077 != 0 {
        return Err(TlsError::Shared(path.to_owned()));
    }
    let text = std::fs::read(path).map_err(failed(path))?;
    // The error of the parser is dropped: it may quote the file.
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| TlsError::NoKey(path.to_owned()))
}

fn authority(path: &Path) -> impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Authority { path, source }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> TlsError {
    let path = path.to_owned();
    move |source| TlsError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// A listener's files, all of them good.
    fn files(folder: &Path) -> TlsFiles {
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
        assert!(matches!(refused, TlsError::Shared(_)), "{refused}");
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
