//! Where hostile bytes are sent: over TCP, or inside TLS, which carries them as they are.

use std::{io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use proto::tls::pem::{self, PemError};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;

use super::raw::{Answer, Connection, NoAnswer, Stream};

/// An edge that takes HTTP/1.1.
#[derive(Clone, Debug)]
pub struct Edge {
    address: SocketAddr,
    /// How TLS is spoken there, where it is.
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl From<SocketAddr> for Edge {
    fn from(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }
}

/// Why TLS cannot be spoken with anybody.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of the authorities is of no use.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The authorities are of no use.
    #[error("the authorities to believe cannot be used: {0}")]
    Roots(#[from] rustls::Error),
    /// No certificate can name this host.
    #[error("`{0}` is no name that a certificate can have")]
    Name(String),
}

impl Edge {
    /// An edge that speaks TLS, and shows a certificate for `host` from one of these authorities:
    /// those of the file, or those that the system believes.
    ///
    /// # Errors
    ///
    /// Returns [`TlsError`] when the authorities or the host are of no use.
    pub fn secured(address: SocketAddr, host: &str, ca: Option<&Path>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = match ca {
            None => builder.with_platform_verifier()?,
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in pem::certificates(file)? {
                    roots.add(certificate)?;
                }
                builder.with_root_certificates(roots)
            }
        };
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(name).map_err(|_| TlsError::Name(host.to_owned()))?;
        Ok(Self {
            address,
            tls: Some((Arc::new(config), name.to_owned())),
        })
    }

    /// Whether TLS is spoken there.
    #[must_use]
    pub const fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// Connects; every later step must end within the deadline.
    ///
    /// # Errors
    ///
    /// [`NoAnswer::Refused`], also where TLS is not agreed upon, or [`NoAnswer::TimedOut`].
    pub async fn connect(&self, deadline: Duration) -> Result<Connection, NoAnswer> {
        let connecting = timeout(deadline, self.stream());
        let stream = connecting.await.map_err(|_| NoAnswer::TimedOut)?;
        Ok(Connection::on(stream.map_err(NoAnswer::Refused)?, deadline))
    }

    async fn stream(&self) -> io::Result<Stream> {
        let stream = TcpStream::connect(self.address).await?;
        let _ = stream.set_nodelay(true);
        let Some((config, name)) = &self.tls else {
            return Ok(Either::Left(stream));
        };
        let connector = TlsConnector::from(Arc::clone(config));
        let secured = connector.connect(name.clone(), stream).await?;
        Ok(Either::Right(Box::new(secured)))
    }

    /// Sends one request and reads its answer on a connection of its own.
    ///
    /// # Errors
    ///
    /// Every [`NoAnswer`].
    pub async fn exchange(&self, request: &[u8], deadline: Duration) -> Result<Answer, NoAnswer> {
        self.connect(deadline).await?.exchange(request).await
    }
}
