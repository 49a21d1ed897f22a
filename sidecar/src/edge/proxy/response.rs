//! What the client receives of the app's answer.

use std::sync::Arc;

use auth_core::{decision::Answer, decision_point::DecisionPoint, wire_update::WireUpdate};
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{
    Proxy, headers,
    trailing::{Trailing, Writing},
};
use crate::{
    edge::{
        http::{
            grpc, identity, problem,
            write_back::{self, Answered, CLEAR_SITE_DATA, FORGET, WriteError, Written},
        },
        lasting::{Lasted, Lasting},
    },
    telemetry::decision::Clean,
};

/// A bearer token that the client shall present from now on.
const TOKEN: HeaderName = HeaderName::from_static("sidegate-token");

impl<D: DecisionPoint> Proxy<D> {
    /// The answer for the client, after what it changes in the session has been written.
    pub(super) async fn respond(
        &self,
        answer: &Answer,
        response: Response<Incoming>,
        is_grpc: bool,
    ) -> Response<Body> {
        let (parts, body) = response.into_parts();
        let written = match is_grpc {
            true => self.write_back_of_grpc(answer, &parts.headers).await,
            false => self.write_back(answer, parts.status, &parts.headers).await,
        };
        let written = match written {
            Ok(written) => written,
            Err(closed) => return *closed,
        };
        let mut headers = headers::backward(&parts.headers);
        if let Some(announced) = headers::announced(&parts.headers) {
            headers.insert(header::TRAILER, announced);
        }
        if !deliver(answer, &written, &mut headers) {
            tracing::error!("an update cannot be delivered");
            return match is_grpc {
                true => unavailable(),
                false => problem::failed(),
            };
        }
        let lasted = self.lasted(answer, &written);
        let start = lasted.map(|lasted| move || lasted.watch());
        let body = Lasting::new(body, start);
        let ends = grpc::failed(&parts.headers).is_some();
        let body = match is_grpc && !ends {
            true => Body::new(Trailing::new(body, self.writing(answer))),
            false => Body::new(body.map_frame(without_ours)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = parts.status;
        *response.headers_mut() = headers;
        response
    }

    /// Writes what the app's answer changes in the session; one that failed changes nothing but
    /// may log out (R11). If something cannot be written, the client gets nothing of the answer.
    pub(super) async fn write_back(
        &self,
        answer: &Answer,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Written, Box<Response<Body>>> {
        let answered = Answered {
            headers,
            issued: answer.call.as_ref(),
            failed: status.is_server_error(),
            request_id: &answer.decision_id,
        };
        let (point, caller) = (&*self.point, &self.settings.caller);
        let written = write_back::perform(point, caller, &answered, self.clock.now()).await;
        written.map_err(|error| self.not_written(answer, error))
    }

    /// The same of a gRPC app, which writes where it says whether it failed: in its trailers, and in
    /// its header only if there is nothing else.
    async fn write_back_of_grpc(
        &self,
        answer: &Answer,
        headers: &HeaderMap,
    ) -> Result<Written, Box<Response<Body>>> {
        let ends = grpc::failed(headers);
        if !write_back::asks(headers) {
            return Ok(Written::default());
        }
        let status = match ends {
            Some(true) => StatusCode::INTERNAL_SERVER_ERROR,
            Some(false) => StatusCode::OK,
            None => {
                Refused::Early.log(&answer.decision_id, answer.operation.as_deref());
                return Err(Box::new(unavailable()));
            }
        };
        let written = self.write_back(answer, status, headers).await;
        written.map_err(|_| Box::new(unavailable()))
    }

    /// What the trailers of an answer are written on behalf of.
    fn writing(&self, answer: &Answer) -> Writing<D> {
        Writing {
            point: Arc::clone(&self.point),
            caller: Arc::clone(&self.settings.caller),
            clock: Arc::clone(&self.clock),
            call: answer.call.clone(),
            decision_id: answer.decision_id.clone(),
            operation: answer.operation.clone(),
        }
    }

    /// What must end with the session of an allowed call, as it is now; `None` where there is none.
    pub(super) fn lasted(&self, answer: &Answer, written: &Written) -> Option<Lasted<D>> {
        let of_decision = answer.session.as_ref().and(answer.call.as_ref());
        Some(Lasted {
            call: written.call.as_ref().or(of_decision)?.clone(),
            point: Arc::clone(&self.point),
            caller: Arc::clone(&self.settings.caller),
            rhythm: self.rhythm,
            decision_id: answer.decision_id.clone(),
        })
    }

    fn not_written(&self, answer: &Answer, error: WriteError) -> Box<Response<Body>> {
        Refused::Error(error).log(&answer.decision_id, answer.operation.as_deref());
        Box::new(problem::failed())
    }
}

/// Why the client gets nothing of an app's answer, or not its status.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error(transparent)]
    Error(#[from] WriteError),
    #[error("a gRPC app writes in its trailers, and not in its header")]
    Early,
    #[error("it took too long")]
    Late,
    #[error("an update cannot be delivered")]
    Undelivered,
}

impl Refused {
    pub(super) fn log(&self, decision_id: &str, operation: Option<&str>) {
        tracing::warn!(
            decision_id,
            operation,
            error = %Clean(self),
            "the app's change of the session was refused, and its answer withheld"
        );
    }
}

/// In the place of an answer of gRPC.
fn unavailable() -> Response<Body> {
    let problem = "undetermined: the session could not be written";
    problem::gateway(StatusCode::SERVICE_UNAVAILABLE, problem, true)
}

/// Writes updates into the header: those of the decision, unless what was written since takes
/// their place, and those of what was written.
pub(super) fn deliver(answer: &Answer, written: &Written, headers: &mut HeaderMap) -> bool {
    let replaced = |update: &&WireUpdate| written.updates.is_empty() || cookie(update).is_none();
    let updates = answer.updates.iter().filter(replaced);
    let mut hands_out = false;
    for update in updates.chain(&written.updates) {
        hands_out = true;
        let delivered = deliver_one(update, headers);
        if !delivered {
            return false;
        }
    }
    if hands_out {
        let private = HeaderValue::from_static("private, no-store");
        headers.insert(header::CACHE_CONTROL, private);
    }
    problem::add_headers(answer, headers);
    if written.logs_out {
        headers.insert(CLEAR_SITE_DATA, FORGET);
    }
    true
}

/// Writes one update; whether it could be.
pub(super) fn deliver_one(update: &WireUpdate, headers: &mut HeaderMap) -> bool {
    match update {
        WireUpdate::IssueToken { token, .. } => {
            HeaderValue::try_from(token).is_ok_and(|mut token| {
                token.set_sensitive(true);
                headers.insert(TOKEN, token);
                true
            })
        }
        other => problem::deliver(other, headers),
    }
}

fn cookie(update: &WireUpdate) -> Option<&str> {
    match update {
        WireUpdate::SetCookie { name, .. } | WireUpdate::ExpireCookie { name, .. } => Some(name),
        WireUpdate::IssueToken { .. } | WireUpdate::BindConnection { .. } => None,
    }
}

/// A frame without what is no trailer for the client.
fn without_ours<T>(mut frame: Frame<T>) -> Frame<T> {
    if let Some(trailers) = frame.trailers_mut() {
        strip(trailers);
    }
    frame
}

/// Removes what is ours from trailers, and what speaks of one connection: HTTP/2 has no such field,
/// so that an answer would break off at its end (H-14).
pub(super) fn strip(trailers: &mut HeaderMap) {
    let is_dropped =
        |name: &HeaderName| headers::is_hop_by_hop(name) || identity::is_ours(name.as_str());
    let dropped = trailers.keys().filter(|name| is_dropped(name)).cloned();
    let dropped: Vec<_> = dropped.collect();
    for name in dropped {
        trailers.remove(name);
    }
}
