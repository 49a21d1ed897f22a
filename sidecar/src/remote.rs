//! The Sidegate that decides in place of this one.

use std::time::Duration;

use auth_core::policy::settings::{Address, Remote, RemoteAddress};
use hyper_util::rt::TokioIo;
use proto::{
    remote::{CallerToken, RemoteDecisionPoint},
    tls::{ClientTls, ClientTlsError},
};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::identify;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the other Sidegate cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The token file is of no use.
    #[error("the token file `{path}` of `decide.remote`: {problem}")]
    Token {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The address is none.
    #[error("the address of `decide.remote` cannot be dialled")]
    Address(#[from] tonic::transport::Error),
    /// It cannot be asked over TLS.
    #[error("`decide.remote` cannot be asked over TLS")]
    Tls(#[from] ClientTlsError),
}

/// The other Sidegate as a decision point. It is dialled when somebody asks, and again when it was
/// away, so that the two may start in any order.
///
/// # Errors
///
/// Returns [`RemoteError`] when it cannot be asked whatever happens.
pub fn decision_point(settings: &Remote) -> Result<RemoteDecisionPoint, RemoteError> {
    let token = match &settings.token_file {
        None => String::new(),
        Some(path) => identify::token_text(path).map_err(|problem| RemoteError::Token {
            path: path.display().to_string(),
            problem,
        })?,
    };
    let token = CallerToken::new(&token).map_err(|_| RemoteError::Token {
        path: settings
            .token_file
            .clone()
            .unwrap_or_default()
            .display()
            .to_string(),
        problem: "it holds no token".to_owned(),
    })?;
    let channel = match &settings.address {
        RemoteAddress::Local(address) => channel(address)?,
        RemoteAddress::Tls(tls) => {
            let files = ClientTls {
                ca: tls.ca.clone(),
                identity: tls.identity.clone(),
            };
            files.connect_lazy(&tls.authority, CONNECT_TIMEOUT)?
        }
    };
    Ok(RemoteDecisionPoint::new(channel, token))
}

fn channel(address: &Address) -> Result<Channel, tonic::transport::Error> {
    match address {
        Address::Tcp(tcp) => {
            let endpoint = Endpoint::from_shared(format!("http://{tcp}"))?;
            Ok(endpoint.connect_timeout(CONNECT_TIMEOUT).connect_lazy())
        }
        Address::Unix(path) => {
            let path = path.clone();
            let connector = tower::service_fn(move |_: Uri| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            });
            // The URI names no host: it is only what the `:authority` says.
            let endpoint = Endpoint::from_static("http://localhost");
            let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT);
            Ok(endpoint.connect_with_connector_lazy(connector))
        }
    }
}
