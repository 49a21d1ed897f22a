//! Envoy's external processing (`ext_proc` v3): keeps what the app's answer changes in the session
//! (R11, R26).
//!
//! The handle that was issued for a request comes with its response, in the metadata that
//! [`EnvoyEdge`](super::EnvoyEdge) gave Envoy and that no client can write. Apps that speak gRPC
//! write in their trailers, where they also say whether they failed; others in their header. What
//! cannot be written withholds the app's answer. One that lasts, as a WebSocket or a stream, is cut
//! when its session ends (R17).

use std::{sync::Arc, time::Duration};

use auth_core::{
    caller::{Caller, Grant},
    clock::Clock,
    decision_point::DecisionPoint,
};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::HeaderMap;
use proto::envoy::service::ext_proc::v3::{
    BodyResponse, HeadersResponse, ProcessingRequest, ProcessingResponse, TrailersResponse,
    external_processor_server::ExternalProcessor, processing_request::Request as Part,
    processing_response::Response as Reply,
};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap};

use super::{EnvoyError, metadata};
use crate::{
    edge::{
        deadline::{DEFAULT_MAX, Deadline},
        http::{
            grpc,
            write_back::{self, WriteError, Written},
        },
        lasting::{Lasted, Rhythm, Watch},
    },
    telemetry::decision::Clean,
};

mod message;

/// Writes sessions behind Envoy, through `D`.
#[derive(Debug)]
pub struct ProcessEdge<D> {
    shared: Arc<Shared<D>>,
}

struct Shared<D> {
    point: Arc<D>,
    clock: Arc<dyn Clock>,
    caller: Arc<Caller>,
    max: Duration,
    rhythm: Rhythm,
}

impl<D> std::fmt::Debug for Shared<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("caller", &self.caller.name)
            .finish_non_exhaustive()
    }
}

impl<D: DecisionPoint> ProcessEdge<D> {
    /// Writes on behalf of `caller`, and asks in this rhythm whether the session of an answer that
    /// lasts still lives.
    ///
    /// # Errors
    ///
    /// Returns [`EnvoyError`] when the caller may not write.
    pub fn new(
        point: Arc<D>,
        clock: Arc<dyn Clock>,
        caller: Arc<Caller>,
        rhythm: Rhythm,
    ) -> Result<Self, EnvoyError> {
        if !caller.may(Grant::SessionSelf) {
            let caller = caller.name.to_string();
            return Err(EnvoyError::MayNotWrite { caller });
        }
        let shared = Shared {
            point,
            clock,
            caller,
            max: DEFAULT_MAX,
            rhythm,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

impl<D: DecisionPoint> Shared<D> {
    /// The answer to one message, and the call that the app's answer lasts on behalf of, where it
    /// goes on; `None` when the message says nothing that is known here.
    async fn answer(&self, message: ProcessingRequest) -> Option<(Reply, Option<Lasted<D>>)> {
        let issued = metadata::issued(message.metadata_context.as_ref());
        let reply = match message.request? {
            Part::RequestHeaders(_) => Reply::RequestHeaders(HeadersResponse::default()),
            Part::ResponseHeaders(part) => {
                let (headers, status) = message::read(part.headers.unwrap_or_default());
                let (reply, call) = self.header(&headers, status, &issued).await;
                let goes_on = !part.end_of_stream;
                return Some((
                    reply,
                    call.filter(|_| goes_on)
                        .map(|call| self.lasted(call, issued)),
                ));
            }
            Part::ResponseTrailers(part) => {
                let (trailers, _) = message::read(part.trailers.unwrap_or_default());
                self.trailers(&trailers, &issued).await
            }
            Part::RequestBody(_) => Reply::RequestBody(BodyResponse::default()),
            Part::ResponseBody(_) => Reply::ResponseBody(BodyResponse::default()),
            Part::RequestTrailers(_) => Reply::RequestTrailers(TrailersResponse::default()),
        };
        Some((reply, None))
    }

    fn lasted(&self, call: Bytes, issued: Issued) -> Lasted<D> {
        Lasted {
            point: Arc::clone(&self.point),
            caller: Arc::clone(&self.caller),
            call,
            rhythm: self.rhythm,
            decision_id: issued.decision_id,
        }
    }

    /// The header of an answer. One of gRPC with a status is all of it; without one it is not known
    /// yet whether the app failed, so that nothing may be written there. With it comes the call with
    /// the session that there is from then on, if any.
    async fn header(
        &self,
        headers: &HeaderMap,
        status: u16,
        issued: &Issued,
    ) -> (Reply, Option<Bytes>) {
        let is_grpc = grpc::is_grpc(headers);
        let failed = match (is_grpc, grpc::failed(headers)) {
            (true, Some(failed)) => failed,
            (true, None) => {
                if write_back::asks(headers) {
                    tracing::warn!("a gRPC app writes in its trailers: its header was refused");
                    return (message::withheld(true), None);
                }
                false
            }
            (false, _) => status >= 500,
        };
        let written = self.write(headers, failed, issued).await;
        let changed = written.and_then(|written| {
            let changes = message::changes(headers, &written)?;
            let present = issued.call.as_ref().filter(|_| issued.has_session);
            Some((changes, written.call.or_else(|| present.cloned())))
        });
        match changed {
            Some((changes, call)) => (Reply::ResponseHeaders(message::header(changes)), call),
            None => (message::withheld(is_grpc), None),
        }
    }

    /// Trailers: those of gRPC may write. Without its status they are of a call that failed.
    async fn trailers(&self, trailers: &HeaderMap, issued: &Issued) -> Reply {
        let failed = grpc::failed(trailers).unwrap_or(true);
        let written = self.write(trailers, failed, issued).await;
        let changes = written.and_then(|written| message::changes(trailers, &written));
        match changes {
            Some(changes) => Reply::ResponseTrailers(message::trailers(changes)),
            None => message::withheld(true),
        }
    }

    /// Writes what is asked for; `None` when it cannot be written.
    async fn write(&self, asked: &HeaderMap, failed: bool, issued: &Issued) -> Option<Written> {
        let deadline = Deadline::of(&MetadataMap::new(), self.max);
        let (point, caller, now) = (&*self.point, &self.caller, self.clock.now());
        let request = write_back::Answered {
            headers: asked,
            issued: issued.call.as_ref(),
            request_id: &issued.decision_id,
            failed,
        };
        let written = write_back::perform(point, caller, &request, now);
        match deadline.result(written).await {
            Ok(Ok(written)) => Some(written),
            Ok(Err(error)) => {
                not_written(issued, &error);
                None
            }
            Err(_) => None,
        }
    }
}

fn not_written(issued: &Issued, error: &WriteError) {
    tracing::warn!(
        decision_id = issued.decision_id,
        error = %Clean(error),
        "the app's change of the session was refused, and its answer withheld"
    );
}

/// What was issued for the request that is answered.
#[derive(Default)]
pub(super) struct Issued {
    /// Whether it came with a session.
    pub(super) has_session: bool,
    pub(super) call: Option<Bytes>,
    pub(super) decision_id: String,
}

#[tonic::async_trait]
impl<D: DecisionPoint> ExternalProcessor for ProcessEdge<D> {
    type ProcessStream = BoxStream<'static, Result<ProcessingResponse, Status>>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        let conversation = Conversation {
            edge: Arc::clone(&self.shared),
            messages: request.into_inner(),
            watch: None,
        };
        let replies = stream::unfold(Some(conversation), |conversation| async move {
            let mut conversation = conversation?;
            let (reply, goes_on) = conversation.reply().await?;
            let reply = reply.map(|reply| ProcessingResponse {
                response: Some(reply),
            });
            Some((reply, goes_on.then_some(conversation)))
        });
        Ok(Response::new(replies.boxed()))
    }
}

/// What is said about one request.
struct Conversation<D> {
    edge: Arc<Shared<D>>,
    messages: Streaming<ProcessingRequest>,
    /// While the app's answer lasts.
    watch: Option<Watch>,
}

impl<D: DecisionPoint> Conversation<D> {
    /// The next reply, and whether there are more after it; `None` at the end. An answer whose
    /// session has ended is cut, which Envoy does when it is told to answer by itself (R17).
    async fn reply(&mut self) -> Option<(Result<Reply, Status>, bool)> {
        let message = match &mut self.watch {
            None => self.messages.message().await,
            Some(watch) => tokio::select! {
                message = self.messages.message() => message,
                _ = watch => return Some((Ok(message::withheld(false)), false)),
            },
        };
        match message {
            Ok(Some(message)) => match self.edge.answer(message).await {
                Some((reply, lasted)) => {
                    self.watch = lasted.map(Lasted::watch).or_else(|| self.watch.take());
                    Some((Ok(reply), true))
                }
                None => Some((Err(Status::invalid_argument("no part is named")), false)),
            },
            Ok(None) => None,
            Err(status) => Some((Err(status), false)),
        }
    }
}
