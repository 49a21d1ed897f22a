//! Dialling over TLS, with what PEM files hold at the time of each connection: a certificate that was
//! renewed is used from the next connection on.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{InvalidDnsNameError, ServerName},
    version::{TLS12, TLS13},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Uri};

pub mod pem;

use pem::PemError;

/// The port of an address that has none.
const DEFAULT_PORT: u16 = 443;

/// The files by which a client and a server know each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// The authorities that vouch for the server; no others are believed.
    pub ca: PathBuf,
    /// The client's certificate with those that lead to its authority, and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Why a server cannot be dialled over TLS.
#[derive(Debug, thiserror::Error)]
pub enum ClientTlsError {
    /// A file is of no use.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The authorities, or the certificate and its key, are of no use.
    #[error("`{path}` cannot be used")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The address names no host.
    #[error("the address names no host")]
    Host(#[from] InvalidDnsNameError),
    /// The address is none.
    #[error("the address cannot be dialled")]
    Address(#[from] tonic::transport::Error),
}

impl ClientTls {
    /// Reads the files for a client of gRPC.
    ///
    /// # Errors
    ///
    /// Returns [`ClientTlsError`] naming the file that is of no use.
    pub fn load(&self) -> Result<ClientConfig, ClientTlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in pem::certificates(&self.ca)? {
            roots.add(certificate).map_err(unusable(&self.ca))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(unusable(&self.ca))?
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(pem::certificates(certificate)?, pem::private_key(key)?)
                .map_err(unusable(key))?,
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// What dials `authority`, as `sidegate.internal:7480`, when somebody asks, and again when it was
    /// away. The files are looked at now, to say what is wrong with them, and at each connection.
    ///
    /// # Errors
    ///
    /// Returns [`ClientTlsError`] when it cannot be asked whatever happens.
    pub fn connect_lazy(
        self,
        authority: &str,
        timeout: Duration,
    ) -> Result<Channel, ClientTlsError> {
        let endpoint = self.endpoint(authority, timeout)?;
        let connector = tower::service_fn(move |uri: Uri| dial(uri, self.clone(), timeout));
        Ok(endpoint.connect_with_connector_lazy(connector))
    }

    /// Dials `authority`.
    ///
    /// # Errors
    ///
    /// Returns [`ClientTlsError`] when nobody answers there, or nobody whom the authorities vouch for.
    pub async fn connect(
        self,
        authority: &str,
        timeout: Duration,
    ) -> Result<Channel, ClientTlsError> {
        let endpoint = self.endpoint(authority, timeout)?;
        let connector = tower::service_fn(move |uri: Uri| dial(uri, self.clone(), timeout));
        Ok(endpoint.connect_with_connector(connector).await?)
    }

    /// Where to dial, once the files and the address are found good.
    fn endpoint(&self, authority: &str, timeout: Duration) -> Result<Endpoint, ClientTlsError> {
        self.load()?;
        let endpoint = Endpoint::from_shared(format!("https://{authority}"))?;
        server_name(endpoint.uri())?;
        Ok(endpoint.connect_timeout(timeout))
    }
}

async fn dial(
    uri: Uri,
    tls: ClientTls,
    timeout: Duration,
) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let dialled = tokio::time::timeout(timeout, shake_hands(&uri, &tls)).await;
    let stream = dialled.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(TokioIo::new(stream))
}

async fn shake_hands(uri: &Uri, tls: &ClientTls) -> io::Result<TlsStream<TcpStream>> {
    let name = server_name(uri).map_err(io::Error::other)?;
    let config = tls.load().map_err(io::Error::other)?;
    let address = (&*name.to_str(), uri.port_u16().unwrap_or(DEFAULT_PORT));
    let stream = TcpStream::connect(address).await?;
    // Small questions must not wait for more of them.
    stream.set_nodelay(true)?;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// The host of an address, without the brackets of an IPv6 address.
fn server_name(uri: &Uri) -> Result<ServerName<'static>, InvalidDnsNameError> {
    let host = uri.host().unwrap_or_default();
    let plain = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    ServerName::try_from(plain.unwrap_or(host)).map(|name| name.to_owned())
}

fn unusable(path: &Path) -> impl Fn(rustls::Error) -> ClientTlsError {
    let path = path.to_owned();
    move |source| ClientTlsError::Unusable {
        path: path.clone(),
        source,
    }
}
