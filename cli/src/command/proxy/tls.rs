//! How a proxy asks Sidegate where that speaks TLS.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use auth_core::authority::Authority;
use clap::Args;

use crate::{failure::Failure, output};

/// Arguments for a Sidegate that speaks TLS (`listen.tls`).
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Where Sidegate speaks TLS")]
pub(super) struct TlsArgs {
    /// The PEM file of the authority that vouches for Sidegate, as the proxy finds it.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The host name in Sidegate's certificate, which Traefik also asks at. Default: `localhost`
    /// where Sidegate listens on the loopback; elsewhere it is needed.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// The PEM file of the certificate that the proxy presents.
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// The PEM file of that certificate's private key.
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
}

/// What a configuration says of TLS. The names of files are as they can be written into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AskedTls {
    /// The host name in Sidegate's certificate.
    pub(super) name: String,
    /// The file of the authority.
    pub(super) ca: String,
    /// The files of the proxy's own certificate and key.
    pub(super) identity: Option<(String, String)>,
}

impl TlsArgs {
    /// What was asked for, where the listener `key` speaks TLS at `address`.
    ///
    /// # Errors
    ///
    /// Returns [`Failure`] when what is needed is not there, or is no name.
    pub(super) fn asked(
        &self,
        key: &str,
        address: SocketAddr,
        needs_certificate: bool,
    ) -> Result<AskedTls, Failure> {
        let Some(ca) = &self.ca_file else {
            let message = format!("`{key}` speaks TLS, by `listen.tls`");
            let next = "`--ca-file FILE` names the authority that signed its certificate";
            return Err(Failure::usage(message).next(next));
        };
        let identity = match self.cert_file.as_deref().zip(self.key_file.as_deref()) {
            Some((certificate, key)) => Some((file(certificate)?, file(key)?)),
            None if needs_certificate => {
                let message = format!("`{key}` serves nobody but its caller");
                let next = "`--cert-file FILE` and `--key-file FILE` name the certificate of its \
                            caller's `identity`";
                return Err(Failure::usage(message).next(next));
            }
            None => None,
        };
        Ok(AskedTls {
            name: self.name(key, address)?,
            ca: file(ca)?,
            identity,
        })
    }

    /// The host name in the certificate. On another machine `localhost` would be somebody else.
    fn name(&self, key: &str, address: SocketAddr) -> Result<String, Failure> {
        let Some(name) = &self.server_name else {
            if address.ip().to_canonical().is_loopback() {
                return Ok("localhost".to_owned());
            }
            let message = format!("`{key}` listens on {address}, which is not this machine alone");
            let next = "`--server-name NAME` is the host name in its certificate";
            return Err(Failure::usage(message).next(next));
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
        if Authority::parse(name.as_bytes()).is_err() || !name.bytes().all(is_plain) {
            let name = output::printable(name);
            let message = format!("`--server-name {name}` is no host name");
            return Err(Failure::usage(message));
        }
        Ok(name.clone())
    }

    /// Whether anything was said of TLS.
    pub(super) fn is_given(&self) -> bool {
        self.ca_file.is_some() || self.cert_file.is_some() || self.server_name.is_some()
    }
}

/// A file's name as every configuration can have it, without signs of its own.
fn file(path: &Path) -> Result<String, Failure> {
    let is_plain = |sign: char| sign.is_alphanumeric() || "/._-+@~".contains(sign);
    match path.to_str() {
        Some(text) if text.chars().all(is_plain) => Ok(text.to_owned()),
        _ => {
            let shown = path.display().to_string();
            let message = format!(
                "`{}` cannot stand in a configuration",
                output::printable(&shown)
            );
            Err(Failure::usage(message).next("use letters, digits and `/._-+@~` only"))
        }
    }
}
