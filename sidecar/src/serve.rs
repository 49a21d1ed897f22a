//! Accepts connections and serves them within limits, until told to drain.

use std::{convert::Infallible, future::Future, io, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

mod certified;
mod request;

use self::{certified::TENURE, request::PerConnection};
use crate::{
    first_bytes::FirstBytes,
    identify::{Connected, Identify},
    lingering_close::LingeringClose,
    listener::{Connection, Listener},
    runtime::Workers,
    tls::handshake,
};

/// The largest list of header fields accepted, in bytes (H-13).
pub const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// The most header fields accepted (H-13). hyper limits HTTP/1 to as many by itself; told to, it
/// fills room for all of them on every request.
pub const MAX_HEADER_FIELDS: usize = 100;
/// The most requests at once on one HTTP/2 connection.
pub const MAX_STREAMS: u32 = 256;
/// The most connections of one listener; more are closed at once (F-14).
pub const MAX_CONNECTIONS: usize = 10_000;
/// How many streams that a client opened and reset may wait to be noticed (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
/// How many streams we may reset for a client's errors before its connection ends.
const MAX_LOCAL_RESETS: usize = 1024;
/// How often a silent HTTP/2 connection is asked whether it lives.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// How long its answer may take.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client of HTTP/1 may take for its header.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait after the system refused to accept, as when file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Which versions of HTTP a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2 alone, as gRPC needs it.
    Http2,
    /// HTTP/1 and HTTP/2.
    Any,
    /// HTTP/1 and HTTP/2, and whatever a request of HTTP/1.1 changes to.
    Upgradable,
}

/// Ends what is being served.
#[derive(Clone, Debug, Default)]
pub struct Serving {
    /// Stops accepting, and asks open connections to end once their requests have been answered.
    pub drain: CancellationToken,
    /// The connections that are open, and what accepts them.
    pub connections: TaskTracker,
    /// Who serves them.
    pub(crate) workers: Workers,
}

/// Starts to accept connections and to give their requests to `service`, until drained.
pub fn start<S, B, I>(
    listener: Listener,
    protocol: Protocol,
    identify: I,
    service: S,
    serving: &Serving,
) where
    S: tower::Service<Request<tonic::body::Body>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: hyper::body::Body<Data = Bytes> + Default + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: Identify,
{
    let accepting = accept(listener, protocol, identify, service, serving.clone());
    serving.connections.spawn(accepting);
}

async fn accept<S, B, I>(
    listener: Listener,
    protocol: Protocol,
    identify: I,
    service: S,
    serving: Serving,
) where
    S: tower::Service<Request<tonic::body::Body>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
    B: hyper::body::Body<Data = Bytes> + Default + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: Identify,
{
    let builder = Arc::new(builder(protocol));
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = serving.drain.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (connection, peer) =
            match accepted.and_then(|(connection, peer)| Ok((connection.detach()?, peer))) {
                Ok(accepted) => accepted,
                Err(error) => {
                    refused(&error).await;
                    continue;
                }
            };
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            tracing::warn!(
                limit = MAX_CONNECTIONS,
                "too many connections: one was closed"
            );
            continue;
        };
        let service = PerConnection {
            identify: identify.clone(),
            from: Connected::without_certificate(peer),
            service: service.clone(),
            tunnel: None,
        };
        let (builder, drain) = (Arc::clone(&builder), serving.drain.clone());
        let connection = async move {
            let _permit = permit;
            match connection.register() {
                Ok(connection) => serve(&builder, protocol, connection, service, drain).await,
                Err(error) => tracing::warn!(%error, "a connection could not be served"),
            }
        };
        let worker = serving.workers.pick();
        serving.connections.spawn_on(connection, &worker);
    }
}

fn builder(protocol: Protocol) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEADER_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_local_error_reset_streams(MAX_LOCAL_RESETS)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    match protocol {
        Protocol::Http2 => builder.http2_only(),
        Protocol::Any | Protocol::Upgradable => builder,
    }
}

/// An error of one connection passes at once; one of the system is given time to pass.
async fn refused(error: &io::Error) {
    use io::ErrorKind as K;
    if !matches!(
        error.kind(),
        K::ConnectionAborted | K::ConnectionReset | K::ConnectionRefused | K::Interrupted
    ) {
        tracing::warn!(%error, "no connection could be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Serves one connection, after its handshake if it has one.
async fn serve<S, B, I>(
    builder: &auto::Builder<TokioExecutor>,
    protocol: Protocol,
    connection: Connection,
    mut service: PerConnection<S, I>,
    drain: CancellationToken,
) where
    I: Identify,
    PerConnection<S, I>:
        hyper::service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    <PerConnection<S, I> as hyper::service::Service<Request<Incoming>>>::Future: Send + 'static,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (io, tls) = match connection {
        Connection::Unix(io) => {
            return drive(builder, protocol, io, service, drain.cancelled()).await;
        }
        Connection::Tcp(io) => {
            return drive(builder, protocol, io, service, drain.cancelled()).await;
        }
        Connection::Tls(io, tls) => (io, tls),
    };
    let secured = tokio::select! {
        () = drain.cancelled() => return,
        secured = handshake::accept(io, &tls, protocol) => secured,
    };
    let secured = match secured {
        Ok(secured) => secured,
        Err(error) => return handshake::log(&error, service.from.peer),
    };
    service.from.certificate = secured.certificate;
    if !service.identify.admits(&service.from) {
        return;
    }
    if service.from.certificate.is_none() {
        return drive(
            builder,
            protocol,
            secured.stream,
            service,
            drain.cancelled(),
        )
        .await;
    }
    let over = drain.child_token();
    tokio::select! {
        () = drive(builder, protocol, secured.stream, service, over.cancelled()) => {}
        () = TENURE.pass(&secured.superseded, &over) => {
            tracing::debug!("a connection outlived its certificate's handshake and is cut");
        }
    }
}

/// Serves one connection to its end, or until its open requests are answered after it was to `end`.
async fn drive<T, S, B, I>(
    builder: &auto::Builder<TokioExecutor>,
    protocol: Protocol,
    io: T,
    mut service: PerConnection<S, I>,
    end: impl Future<Output = ()>,
) where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    PerConnection<S, I>:
        hyper::service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    <PerConnection<S, I> as hyper::service::Service<Request<Incoming>>>::Future: Send + 'static,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let io = LingeringClose::new(io);
    service.tunnel = (protocol == Protocol::Upgradable).then(|| io.tunnel());
    let io = TokioIo::new(FirstBytes::new(io, HEADER_READ_TIMEOUT));
    // The two are of different types, and what can change its protocol costs a little more.
    let ended = match protocol {
        Protocol::Http2 | Protocol::Any => {
            let mut connection = pin!(builder.serve_connection(io, service));
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = end => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        }
        Protocol::Upgradable => {
            let mut connection = pin!(builder.serve_connection_with_upgrades(io, service));
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = end => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended early");
    }
}

/// Waits until no connection is open, but no longer than `grace`. Answers whether none is.
pub async fn drained(serving: &Serving, grace: Duration) -> bool {
    serving.connections.close();
    wait(serving.connections.wait(), grace).await
}

async fn wait(end: impl Future<Output = ()>, grace: Duration) -> bool {
    tokio::time::timeout(grace, end).await.is_ok()
}
