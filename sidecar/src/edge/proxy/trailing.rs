//! What a gRPC app writes of the session: in its trailers, where it also says whether it failed
//! (R11). A change that cannot be made turns into the status of the call.
//!
//! The messages have passed by then, so that only the status can be withheld. A token reaches the
//! client as trailing metadata, `sidegate-token`; so does a cookie, as `set-cookie`, of a client
//! that came with one. No trailer may set a cookie in a browser (RFC 9110 section 6.5.1), but what
//! speaks gRPC is none.

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use auth_core::{
    caller::Caller, clock::Clock, decision_point::DecisionPoint, outcome::Outcome,
    wire_update::WireUpdate,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use tonic::metadata::MetadataMap;

use super::response::{self, Refused};
use crate::edge::{
    deadline::{DEFAULT_MAX, Deadline},
    http::{
        grpc,
        write_back::{self, Answered},
    },
};

/// What trailers are written on behalf of.
pub(super) struct Writing<D> {
    pub(super) point: Arc<D>,
    pub(super) caller: Arc<Caller>,
    pub(super) clock: Arc<dyn Clock>,
    /// The handle that was issued for the request.
    pub(super) call: Option<Bytes>,
    pub(super) decision_id: String,
    pub(super) operation: Option<Arc<str>>,
}

impl<D: DecisionPoint> Writing<D> {
    /// The trailers for the client, after what they change in the session has been written.
    async fn finish(self, mut trailers: HeaderMap) -> HeaderMap {
        if !write_back::asks(&trailers) {
            response::strip(&mut trailers);
            return trailers;
        }
        let answered = Answered {
            headers: &trailers,
            issued: self.call.as_ref(),
            request_id: &self.decision_id,
            failed: grpc::failed(&trailers).unwrap_or(true),
        };
        let (point, caller, now) = (&*self.point, &self.caller, self.clock.now());
        let written = write_back::perform(point, caller, &answered, now);
        let deadline = Deadline::of(&MetadataMap::new(), DEFAULT_MAX);
        let refused = match deadline.result(written).await {
            Ok(Ok(written)) => {
                response::strip(&mut trailers);
                match hand_out(&written.updates, &mut trailers) {
                    true => return trailers,
                    false => Refused::Undelivered,
                }
            }
            Ok(Err(error)) => Refused::Error(error),
            Err(_) => Refused::Late,
        };
        refused.log(&self.decision_id, self.operation.as_deref());
        unavailable()
    }
}

/// Writes updates into trailers; whether all could be.
fn hand_out(updates: &[WireUpdate], trailers: &mut HeaderMap) -> bool {
    updates
        .iter()
        .all(|update| response::deliver_one(update, trailers))
}

/// In the place of the app's trailers.
fn unavailable() -> HeaderMap {
    let message = HeaderValue::from_static("undetermined: the session could not be written");
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert(grpc::STATUS, Outcome::Undetermined.grpc_code().into());
    trailers.insert(grpc::MESSAGE, message);
    trailers
}

/// The body of an answer whose trailers may write.
pub(super) struct Trailing<B, D> {
    body: B,
    state: State<D>,
}

enum State<D> {
    /// The trailers have not come.
    Passing(Writing<D>),
    /// What they ask for is being written.
    Writing(BoxFuture<'static, HeaderMap>),
    Done,
}

impl<B, D> Trailing<B, D> {
    pub(super) const fn new(body: B, writing: Writing<D>) -> Self {
        Self {
            body,
            state: State::Passing(writing),
        }
    }
}

impl<B, D> fmt::Debug for Trailing<B, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trailing").finish_non_exhaustive()
    }
}

impl<B: Body + Unpin, D: DecisionPoint> Body for Trailing<B, D> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.get_mut();
        loop {
            if let State::Writing(writing) = &mut this.state {
                let trailers = ready!(writing.as_mut().poll(cx));
                this.state = State::Done;
                return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
            }
            let frame = match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                other => return Poll::Ready(other),
            };
            let trailers = match frame.into_trailers() {
                Ok(trailers) => trailers,
                Err(data) => return Poll::Ready(Some(Ok(data))),
            };
            this.state = match mem::replace(&mut this.state, State::Done) {
                State::Passing(writing) => State::Writing(Box::pin(writing.finish(trailers))),
                other => other,
            };
        }
    }

    fn is_end_stream(&self) -> bool {
        !matches!(self.state, State::Writing(_)) && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
