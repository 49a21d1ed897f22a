//! Finding and dialling a running Sidegate.
//!
//! `--addr`, else `SIDEGATE_ADDR`, else the admin socket in the data directory.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use clap::Args;
use hyper_util::rt::TokioIo;
use proto::{
    admin::v1::admin_service_client::AdminServiceClient,
    tls::{ClientTls, ClientTlsError},
    v1::session_store_service_client::SessionStoreServiceClient,
};
use tokio::net::UnixStream;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint, Uri},
};

use crate::{exit::Exit, failure::Failure, input};

/// The data directory where nothing says otherwise.
pub const DEFAULT_DATA_DIR: &str = ".sidegate";

/// The admin socket's name in the data directory.
pub const ADMIN_SOCKET: &str = "admin.sock";

/// How a running Sidegate is found.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Which Sidegate")]
pub struct ServerArgs {
    /// Its address: `unix:PATH`, `http://127.0.0.1:PORT` or `https://HOST:PORT`.
    #[arg(long, env = "SIDEGATE_ADDR", value_name = "ADDRESS")]
    pub addr: Option<Address>,
    /// Its data directory, which holds `admin.sock`.
    #[arg(
        long,
        env = "SIDEGATE_DATA_DIR",
        value_name = "DIR",
        default_value = DEFAULT_DATA_DIR
    )]
    pub data_dir: PathBuf,
    /// The file with the caller's token, for TCP.
    #[arg(long, env = "SIDEGATE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The PEM file of the authority that vouches for it, for `https://`.
    #[arg(long, env = "SIDEGATE_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The PEM file of the caller's certificate, for `https://`.
    #[arg(
        long,
        env = "SIDEGATE_CERT_FILE",
        value_name = "FILE",
        requires = "key_file"
    )]
    pub cert_file: Option<PathBuf>,
    /// The PEM file of that certificate's private key, readable by its owner only.
    #[arg(
        long,
        env = "SIDEGATE_KEY_FILE",
        value_name = "FILE",
        requires = "cert_file"
    )]
    pub key_file: Option<PathBuf>,
    /// How long to wait for an answer, as `5s`.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = span)]
    pub timeout: Duration,
}

/// Where a Sidegate listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A unix socket.
    Unix(PathBuf),
    /// TCP, as `http://127.0.0.1:7480`.
    Http(String),
    /// TLS over TCP: host and port of `https://sidegate.internal:7480`.
    Https(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Http(uri) => f.write_str(uri),
            Self::Https(authority) => write!(f, "https://{authority}"),
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err("a path belongs behind `unix:`".to_owned())
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        let uri = text.parse().unwrap_or_else(|_| Uri::default());
        match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(_)) => Ok(Self::Http(text.to_owned())),
            (Some("https"), Some(authority)) => Ok(Self::Https(authority.to_string())),
            _ => {
                Err("write `unix:PATH`, `http://127.0.0.1:PORT` or `https://HOST:PORT`".to_owned())
            }
        }
    }
}

/// Reads a span of time as policy files write it.
///
/// # Errors
///
/// Returns what is wrong, in words.
pub fn span(text: &str) -> Result<Duration, String> {
    auth_core::policy::scalar::Span::parse(text)
        .map(|span| span.0)
        .ok_or_else(|| "write a number and a unit, as `90s`, `15m`, `1h30m` or `7d`".to_owned())
}

/// Puts the caller's token on each request.
#[derive(Clone)]
pub struct CallerToken(Option<MetadataValue<Ascii>>);

impl Interceptor for CallerToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// A running Sidegate.
pub struct Server {
    channel: Channel,
    token: CallerToken,
    timeout: Duration,
}

impl ServerArgs {
    /// Where the Sidegate should be.
    #[must_use]
    pub fn address(&self) -> Address {
        self.addr
            .clone()
            .unwrap_or_else(|| Address::Unix(self.data_dir.join(ADMIN_SOCKET)))
    }

    /// Dials it.
    ///
    /// # Errors
    ///
    /// Returns [`Failure`] when none answers.
    pub async fn connect(&self) -> Result<Server, Failure> {
        let address = self.address();
        let token = self.token(&address)?;
        let channel = match &address {
            Address::Unix(path) => dial_unix(path.clone(), self.timeout).await,
            Address::Http(uri) => dial_http(uri, self.timeout).await,
            Address::Https(authority) => self.dial_tls(&address, authority).await?,
        };
        let channel = channel.map_err(|err| no_answer(&address, &err))?;
        Ok(Server {
            channel,
            token,
            timeout: self.timeout,
        })
    }

    /// Dials over TLS, where nobody is believed whom the given authority does not vouch for.
    async fn dial_tls(
        &self,
        address: &Address,
        authority: &str,
    ) -> Result<Result<Channel, tonic::transport::Error>, Failure> {
        let Some(ca) = self.ca_file.clone() else {
            let message = format!("nothing tells the sidegate at {address} from somebody else");
            return Err(Failure::usage(message).next(
                "`--ca-file FILE`, or `SIDEGATE_CA_FILE`, names the authority that signed its \
                 certificate",
            ));
        };
        let tls = ClientTls {
            ca,
            identity: self.cert_file.clone().zip(self.key_file.clone()),
        };
        match tls.connect(authority, self.timeout).await {
            Ok(channel) => Ok(Ok(channel)),
            Err(ClientTlsError::Address(error)) => Ok(Err(error)),
            Err(error) => {
                let cause = std::error::Error::source(&error);
                let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
                Err(Failure::new(Exit::BadFile, format!("{error}{cause}")))
            }
        }
    }

    /// A unix socket knows who calls; TCP needs the token, or the certificate.
    fn token(&self, address: &Address) -> Result<CallerToken, Failure> {
        let (Address::Http(_) | Address::Https(_), Some(path)) = (address, &self.token_file) else {
            return Ok(CallerToken(None));
        };
        let token = input::token_file(path)?;
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(|_| {
            let message = format!("`{}` holds no token", path.display());
            Failure::new(Exit::NotPermitted, message)
        })?;
        value.set_sensitive(true);
        Ok(CallerToken(Some(value)))
    }
}

impl Server {
    /// Sessions by id or subject.
    #[must_use]
    pub fn sessions(&self) -> SessionStoreServiceClient<InterceptedService<Channel, CallerToken>> {
        SessionStoreServiceClient::with_interceptor(self.channel.clone(), self.token.clone())
    }

    /// Administration.
    #[must_use]
    pub fn admin(&self) -> AdminServiceClient<InterceptedService<Channel, CallerToken>> {
        AdminServiceClient::with_interceptor(self.channel.clone(), self.token.clone())
    }

    /// The bare channel, for health.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// A request with the deadline that the arguments ask for.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        request
    }
}

async fn dial_unix(path: PathBuf, timeout: Duration) -> Result<Channel, tonic::transport::Error> {
    let connector = tower::service_fn(move |_: Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    // The URI names no host: it is only what the `:authority` says.
    Endpoint::from_static("http://localhost")
        .connect_timeout(timeout)
        .connect_with_connector(connector)
        .await
}

async fn dial_http(uri: &str, timeout: Duration) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(uri.to_owned())?
        .connect_timeout(timeout)
        .connect()
        .await
}

fn no_answer(address: &Address, err: &tonic::transport::Error) -> Failure {
    let message = match (address, root(err)) {
        // What is wrong with a certificate, and with which.
        (Address::Https(_), Some(cause)) => {
            format!("no sidegate answers at {address} as it should: {cause}")
        }
        _ => format!("no sidegate answers at {address}"),
    };
    let denied = root_cause(err) == Some(std::io::ErrorKind::PermissionDenied);
    if denied {
        return Failure::new(Exit::NotPermitted, format!("{address} may not be opened")).next(
            "the admin socket belongs to the user that runs Sidegate; run this as that user",
        );
    }
    let next = match address {
        Address::Unix(path) if !is_default(path) => {
            format!(
                "start one with `sidegate dev` or `sidegate serve`, or see whether `{}` is its socket",
                path.display()
            )
        }
        Address::Unix(_) => "start one with `sidegate dev`, or say where it is: `--data-dir DIR` \
            or `SIDEGATE_ADDR=unix:PATH`"
            .to_owned(),
        Address::Https(_) => "see whether the port is that of its gRPC listener and speaks TLS \
            (`listen.tls`), and `--ca-file` its authority"
            .to_owned(),
        Address::Http(_) => {
            "start one with `sidegate dev`, or give the port of its gRPC listener".to_owned()
        }
    };
    Failure::new(Exit::Unavailable, message).next(next)
}

fn is_default(path: &Path) -> bool {
    path == Path::new(DEFAULT_DATA_DIR).join(ADMIN_SOCKET)
}

/// What is at the bottom of an error.
fn root(err: &tonic::transport::Error) -> Option<String> {
    let mut cause = std::error::Error::source(err)?;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Some(cause.to_string())
}

fn root_cause(err: &tonic::transport::Error) -> Option<std::io::ErrorKind> {
    let mut cause: Option<&dyn std::error::Error> = Some(err);
    while let Some(err) = cause {
        if let Some(io) = err.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        cause = err.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_unix_socket_or_one_of_tcp() {
        for (text, address) in [
            ("unix:./a.sock", Some("unix:./a.sock")),
            ("unix:///run/a.sock", Some("unix:/run/a.sock")),
            ("http://127.0.0.1:7480", Some("http://127.0.0.1:7480")),
            ("unix:", None),
            ("127.0.0.1:7480", None),
            ("https://x:7480", Some("https://x:7480")),
            ("ftp://x", None),
        ] {
            let parsed = text.parse::<Address>().ok().map(|a| a.to_string());
            assert_eq!(parsed.as_deref(), address, "{text}");
        }
    }
}
