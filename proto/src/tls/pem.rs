//! Certificates and keys in PEM files.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// Why a PEM file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
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
}

impl PemError {
    /// The file that is to blame.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::Shared(path)
            | Self::NoCertificate(path)
            | Self::NoKey(path) => path,
        }
    }
}

/// The certificates in a file, at least one.
///
/// # Errors
///
/// Returns [`PemError`] when the file cannot be read or holds none, or one that is damaged.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let text = std::fs::read(path).map_err(failed(path))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(PemError::NoCertificate(path.to_owned())),
    }
}

/// The private key in a file that nobody but its owner may read.
///
/// # Errors
///
/// Returns [`PemError`] when the file cannot be read, may be read by others, or holds no key.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    let file = std::fs::metadata(path).map_err(failed(path))?;
    if file.permissions().mode() & 0o077 != 0 {
        return Err(PemError::Shared(path.to_owned()));
    }
    let text = std::fs::read(path).map_err(failed(path))?;
    // The error of the parser is dropped: it may quote the file.
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| PemError::NoKey(path.to_owned()))
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> PemError {
    let path = path.to_owned();
    move |source| PemError::Io { path, source }
}
