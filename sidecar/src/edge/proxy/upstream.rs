//! The app behind the proxy.

use std::{
    cell::RefCell,
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use auth_core::policy::settings;
use bytes::Bytes;
use http::{Request, Response, Uri, uri};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, Error as ClientError, ResponseFuture, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::Instant;
use tonic::{Status, body::Body};

use super::headers;
use crate::edge::lasting::{Ended, Watch};

/// How long a connection to the app may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is kept for another request. Shorter than apps commonly keep theirs, so
/// that few requests meet a closing one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// The next number of an upstream.
static NEXT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Each worker has connections of its own, so that no request waits for another thread.
    static CLIENTS: RefCell<HashMap<u64, Clients>> = RefCell::default();
}

/// A body on its way to the app, whose progress is seen.
type Sent = Watched<Body>;

struct Clients {
    http1: Client<HttpConnector, Sent>,
    http2: Client<HttpConnector, Sent>,
}

impl Clients {
    fn new() -> Self {
        let connector = || {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
            connector
        };
        let builder = || {
            let mut builder = Client::builder(TokioExecutor::new());
            builder
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(IDLE_TIMEOUT)
                .timer(TokioTimer::new());
            builder
        };
        Self {
            http1: builder().build(connector()),
            http2: builder().http2_only(true).build(connector()),
        }
    }
}

/// Where the app is, how long it may be silent, and how much it may be sent.
#[derive(Debug)]
pub(super) struct Upstream {
    number: u64,
    authority: uri::Authority,
    timeout: Duration,
    max_body_bytes: u64,
}

/// Why the app did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum UpstreamError {
    /// It could not be reached, or broke off.
    #[error("the app could not be asked")]
    Failed(#[source] ClientError),
    /// It was silent for too long.
    #[error("the app did not answer in time")]
    Silent,
    /// The client was, in the middle of its body.
    #[error("the client did not send its body in time")]
    ClientSilent,
    /// The session did, while the client was in the middle of its body.
    #[error("the request was broken off: {0}")]
    Ended(Ended),
    /// The client's body is longer than any may be.
    #[error("the body is too large")]
    TooLarge,
    /// What was to be sent makes no request.
    #[error("the request cannot be sent on")]
    Request(#[from] http::Error),
}

impl Upstream {
    pub(super) fn new(settings: &settings::Proxy) -> Result<Self, uri::InvalidUri> {
        Ok(Self {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            authority: settings.upstream.parse()?,
            timeout: settings.timeout,
            max_body_bytes: settings.max_body_bytes.unwrap_or(u64::MAX),
        })
    }

    fn request(&self, request: Request<Sent>, is_grpc: bool) -> ResponseFuture {
        CLIENTS.with_borrow_mut(|clients| {
            let clients = clients.entry(self.number).or_insert_with(Clients::new);
            match is_grpc {
                true => clients.http2.request(request),
                false => clients.http1.request(request),
            }
        })
    }

    /// The URI of a target of the app.
    pub(super) fn uri(&self, target: &str) -> Result<Uri, http::Error> {
        Uri::builder()
            .scheme(uri::Scheme::HTTP)
            .authority(self.authority.clone())
            .path_and_query(target)
            .build()
    }

    /// Sends a request and waits for the head of the answer, as long as something moves. A body that
    /// has not come to its end after `patience` ends with the watch that `start` makes, if any (R17).
    pub(super) async fn send(
        &self,
        request: Request<Body>,
        is_grpc: bool,
        patience: Duration,
        start: impl FnOnce() -> Option<Watch>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        // What says beforehand that it is too long is not begun.
        if request.body().size_hint().lower() > self.max_body_bytes {
            return Err(UpstreamError::TooLarge);
        }
        let progress = Arc::new(Progress::new(request.body().is_end_stream()));
        let request = request.map(|body| Watched {
            body,
            left: self.max_body_bytes,
            progress: Arc::clone(&progress),
        });
        let failed = |error| match progress.is_too_large.load(Ordering::Relaxed) {
            true => UpstreamError::TooLarge,
            false => UpstreamError::Failed(error),
        };
        let mut answer = std::pin::pin!(self.request(request, is_grpc));
        let quick = tokio::time::timeout(patience.min(self.timeout), answer.as_mut());
        if let Ok(answer) = quick.await {
            return answer.map_err(failed);
        }
        let mut watch = start().unwrap_or_else(|| Box::pin(std::future::pending()));
        loop {
            let limit = progress.last() + self.timeout;
            tokio::select! {
                answer = answer.as_mut() => return answer.map_err(failed),
                // What has come whole is no stream: it gets its answer.
                why = watch.as_mut(), if !progress.is_done() => {
                    return Err(UpstreamError::Ended(why));
                }
                () = tokio::time::sleep_until(limit) => {
                    if progress.last() + self.timeout > limit {
                        continue;
                    }
                    return Err(match progress.is_done() {
                        true => UpstreamError::Silent,
                        false => UpstreamError::ClientSilent,
                    });
                }
            }
        }
    }
}

/// How far a body has come.
struct Progress {
    start: Instant,
    /// Milliseconds after the start.
    last: AtomicU64,
    done: AtomicBool,
    is_too_large: AtomicBool,
}

impl Progress {
    fn new(done: bool) -> Self {
        Self {
            start: Instant::now(),
            last: AtomicU64::new(0),
            done: done.into(),
            is_too_large: false.into(),
        }
    }

    fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    fn moved(&self) {
        let passed = self.start.elapsed().as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        self.last.store(passed, Ordering::Relaxed);
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }
}

/// A body that notes its progress, has its end, and whose trailers say nothing that is not the
/// client's to say.
struct Watched<B> {
    body: B,
    /// How much of it may still come, in bytes.
    left: u64,
    progress: Arc<Progress>,
}

/// Nobody wants more of it, as where its stated length has come.
impl<B> Drop for Watched<B> {
    fn drop(&mut self) {
        self.progress.done.store(true, Ordering::Relaxed);
    }
}

impl<B: HttpBody<Data = Bytes, Error = Status> + Unpin> HttpBody for Watched<B> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(frame) = &mut frame {
            self.progress.moved();
            if let Some(Ok(frame)) = frame {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                let Some(left) = self.left.checked_sub(length) else {
                    self.progress.is_too_large.store(true, Ordering::Relaxed);
                    let error = Status::resource_exhausted("the body is too large");
                    return Poll::Ready(Some(Err(error)));
                };
                self.left = left;
                if let Some(trailers) = frame.trailers_mut() {
                    headers::strip_forward(trailers);
                }
            }
            let is_last = frame.is_none() || self.body.is_end_stream();
            self.progress.done.fetch_or(is_last, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
