//! The handshake of one connection, within a time limit.

use std::{io, sync::Arc, time::Duration};

use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;

use super::{peer::PeerCertificate, running::RunningTls};
use crate::{lingering_close::LingeringClose, listener::Peer, serve::Protocol};

/// How long a handshake may take.
const TIME_LIMIT: Duration = Duration::from_secs(10);
/// The type of the record that a client of TLS sends first (RFC 8446 section 5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// What a client of HTTP/1 hears who speaks in the clear.
const IN_THE_CLEAR: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\
    Content-Type: text/plain\r\nContent-Length: 36\r\n\r\nthis port speaks TLS: use https://\r\n";

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// It took too long.
    #[error("the client did not finish in time")]
    Late,
    /// The client does not speak TLS.
    #[error("the client speaks in the clear where TLS is served")]
    InTheClear,
    /// The client's certificate is not one that was asked for.
    #[error("the client's certificate is refused: {0}")]
    Certificate(rustls::CertificateError),
    /// Anything else; many clients only look whether somebody listens.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct Secured {
    /// What is spoken over.
    pub stream: TlsStream<TcpStream>,
    /// The client's certificate, which was verified.
    pub certificate: Option<Arc<PeerCertificate>>,
    /// Tells that what the handshake went by was superseded.
    pub superseded: CancellationToken,
}

/// Shakes hands with a client.
///
/// # Errors
///
/// Returns [`HandshakeError`]; the client has then been told as far as it can be.
pub async fn accept(
    stream: TcpStream,
    tls: &RunningTls,
    protocol: Protocol,
) -> Result<Secured, HandshakeError> {
    accept_within(TIME_LIMIT, stream, tls, protocol).await
}

async fn accept_within(
    limit: Duration,
    stream: TcpStream,
    tls: &RunningTls,
    protocol: Protocol,
) -> Result<Secured, HandshakeError> {
    let handshake = tokio::time::timeout(limit, shake_hands(stream, tls, protocol));
    handshake.await.unwrap_or(Err(HandshakeError::Late))
}

async fn shake_hands(
    stream: TcpStream,
    tls: &RunningTls,
    protocol: Protocol,
) -> Result<Secured, HandshakeError> {
    let mut first = [0];
    if stream.peek(&mut first).await? > 0 && first != [HANDSHAKE_RECORD] {
        // The client may still be sending: its answer would be lost to a reset.
        let mut stream = LingeringClose::new(stream);
        stream.write_all(IN_THE_CLEAR).await?;
        stream.shutdown().await?;
        return Err(HandshakeError::InTheClear);
    }
    let (config, superseded) = tls.current(protocol);
    let accepted = TlsAcceptor::from(config).accept(stream).await;
    let stream = accepted.map_err(|error| refused_certificate(&error).unwrap_or(error.into()))?;
    let chain = stream.get_ref().1.peer_certificates();
    let certificate = chain.and_then(<[_]>::first).map(PeerCertificate::of);
    Ok(Secured {
        certificate: certificate.map(Arc::new),
        stream,
        superseded,
    })
}

fn refused_certificate(error: &io::Error) -> Option<HandshakeError> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::InvalidCertificate(why) => Some(HandshakeError::Certificate(why.clone())),
        _ => None,
    }
}

/// Says in the log what a handshake came to.
pub(crate) fn log(error: &HandshakeError, peer: Peer) {
    let Peer::Tcp(peer) = peer else {
        return;
    };
    match error {
        HandshakeError::Certificate(why) => tracing::warn!(
            target: "audit",
            event = "authn_login_fail",
            why = "client_certificate",
            detail = %why,
            %peer,
            "security event"
        ),
        HandshakeError::InTheClear => tracing::info!(%peer, %error, "a connection was refused"),
        HandshakeError::Late | HandshakeError::Io(_) => {
            tracing::debug!(%peer, %error, "a TLS handshake came to nothing");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;
    use crate::tls::{running::LoadedTls, tests::files};

    /// What a handshake comes to with a client that says this and no more.
    async fn handshake(said: &[u8], limit: Duration) -> (HandshakeError, Vec<u8>) {
        handshake_with(said, &[], limit).await
    }

    /// The same with a client that says `more` once it has heard something.
    async fn handshake_with(
        said: &[u8],
        more: &[u8],
        limit: Duration,
    ) -> (HandshakeError, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let tls = RunningTls::new(LoadedTls::read(&files(folder.path())).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let speaking = async {
            client.write_all(said).await.unwrap();
            client.readable().await.unwrap();
            client.write_all(more).await.unwrap();
            let mut heard = Vec::new();
            let _ = client.read_to_end(&mut heard).await;
            drop(client);
            heard
        };
        let (refused, heard) =
            tokio::join!(accept_within(limit, server, &tls, Protocol::Any), speaking);
        (refused.unwrap_err(), heard)
    }

    #[tokio::test]
    async fn a_client_that_falls_silent_is_cut() {
        for said in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
            let (refused, heard) = handshake(said, Duration::from_millis(20)).await;
            assert!(matches!(refused, HandshakeError::Late), "{refused}");
            assert!(heard.is_empty(), "{said:?}");
        }
    }

    #[tokio::test]
    async fn a_client_that_speaks_in_the_clear_is_told_so_whatever_it_still_sends() {
        for size in [0, 1, 100_000, 500_000] {
            let (said, more) = (b"POST / HTTP/1.1\r\n\r\n", vec![b'x'; size]);
            let (refused, heard) = handshake_with(said, &more, TIME_LIMIT).await;
            assert!(matches!(refused, HandshakeError::InTheClear), "{refused}");
            let heard = String::from_utf8(heard).unwrap();
            let (head, body) = heard.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 400 "), "{size}: {heard}");
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
            assert!(body.contains("https://"), "{heard}");
        }
    }

    #[tokio::test]
    async fn what_is_no_tls_after_all_is_refused() {
        let (refused, _) = handshake(&[22; 64], TIME_LIMIT).await;
        assert!(matches!(refused, HandshakeError::Io(_)), "{refused}");
    }
}
