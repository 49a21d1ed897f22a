//! Holds services to the deadlines of their callers, and to ours, where they do not do so
//! themselves. A stream is held to it until it begins.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Request, Response};
use tonic::{
    Status,
    body::Body,
    metadata::{MetadataMap, MetadataValue},
};
use tower::Service;

use crate::edge::deadline::Deadline;

const TIMEOUT: &str = "grpc-timeout";

/// A service that answers in time.
#[derive(Clone, Debug)]
pub(super) struct Timed<S> {
    service: S,
    max: Duration,
}

impl<S> Timed<S> {
    /// The service, which answers within `max` or sooner where its caller asks for that.
    pub(super) const fn new(service: S, max: Duration) -> Self {
        Self { service, max }
    }
}

impl<S> Service<Request<Body>> for Timed<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let deadline = Deadline::of(&asked(request.headers()), self.max);
        let answer = self.service.call(request);
        Box::pin(async move {
            match deadline.result(answer).await {
                Ok(answer) => answer,
                Err(status) => Ok(Status::into_http(status)),
            }
        })
    }
}

/// The caller's deadline, without the rest of what it sent.
fn asked(headers: &HeaderMap) -> MetadataMap {
    let mut metadata = MetadataMap::new();
    let timeout = headers.get(TIMEOUT).map(http::HeaderValue::as_bytes);
    if let Some(Ok(timeout)) = timeout.map(MetadataValue::try_from) {
        metadata.insert(TIMEOUT, timeout);
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn status(timeout: Option<&str>, max: Duration, takes: Duration) -> Option<String> {
        let service = tower::service_fn(move |_: Request<Body>| async move {
            tokio::time::sleep(takes).await;
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let mut request = Request::new(Body::empty());
        if let Some(timeout) = timeout {
            let value = timeout.parse().unwrap();
            request.headers_mut().insert(TIMEOUT, value);
        }
        let answer = Timed::new(service, max).call(request).await.unwrap();
        let status = answer.headers().get("grpc-status");
        status.map(|status| status.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn an_answer_comes_in_time_or_not_at_all() {
        let (short, long) = (Duration::from_millis(5), Duration::from_secs(60));
        let exceeded = Some("4".to_owned());
        for (timeout, max, takes, expected) in [
            (None, long, Duration::ZERO, None),
            (Some("5m"), long, long, exceeded.clone()),
            (None, short, long, exceeded.clone()),
            (Some("1H"), short, long, exceeded),
        ] {
            assert_eq!(status(timeout, max, takes).await, expected, "{timeout:?}");
        }
    }
}
