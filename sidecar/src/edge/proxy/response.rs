//! What the client receives of the app's answer.

use std::sync::Arc;

use auth_core::{decision::Answer, decision_point::DecisionPoint, wire_update::WireUpdate};
use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{Proxy, headers};
use crate::edge::{
    http::{
        identity, problem,
        write_back::{self, Answered, CLEAR_SITE_DATA, FORGET, WriteError, Written},
    },
    lasting::{Lasted, Lasting},
};

/// A bearer token that the client shall present from now on.
const TOKEN: HeaderName = HeaderName::from_static("sidegate-token");

impl<D: DecisionPoint> Proxy<D> {
    /// The answer for the client, after what it changes in the session has been written.
    pub(super) async fn respond(
        &self,
        answer: &Answer,
        response: Response<Incoming>,
    ) -> Response<Body> {
        let (parts, body) = response.into_parts();
        let written = match self.write_back(answer, parts.status, &parts.headers).await {
            Ok(written) => written,
            Err(closed) => return *closed,
        };
        let mut headers = headers::backward(&parts.headers);
        if let Some(announced) = headers::announced(&parts.headers) {
            headers.insert(header::TRAILER, announced);
        }
        if !deliver(answer, &written, &mut headers) {
            tracing::error!("an update cannot be delivered");
            return problem::failed();
        }
        let body = body.map_frame(|mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                strip(trailers);
            }
            frame
        });
        let lasted = self.lasted(answer, &written);
        let start = lasted.map(|lasted| move || lasted.watch());
        let mut response = Response::new(Body::new(Lasting::new(body, start)));
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
        written.map_err(|error| self.not_written(answer, &error))
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

    fn not_written(&self, answer: &Answer, error: &WriteError) -> Box<Response<Body>> {
        tracing::warn!(
            decision_id = answer.decision_id,
            operation = answer.operation.as_deref(),
            %error,
            "the app's change of the session was refused, and its answer withheld"
        );
        Box::new(problem::failed())
    }
}

/// Writes updates into the header: those of the decision, unless what was written since takes
/// their place, and those of what was written.
pub(super) fn deliver(answer: &Answer, written: &Written, headers: &mut HeaderMap) -> bool {
    let replaced = |update: &&WireUpdate| written.updates.is_empty() || cookie(update).is_none();
    let updates = answer.updates.iter().filter(replaced);
    let mut hands_out = false;
    for update in updates.chain(&written.updates) {
        hands_out = true;
        let delivered = match update {
            WireUpdate::IssueToken { token, .. } => {
                HeaderValue::try_from(token).is_ok_and(|mut token| {
                    token.set_sensitive(true);
                    headers.insert(TOKEN, token);
                    true
                })
            }
            other => problem::deliver(other, headers),
        };
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

fn cookie(update: &WireUpdate) -> Option<&str> {
    match update {
        WireUpdate::SetCookie { name, .. } | WireUpdate::ExpireCookie { name, .. } => Some(name),
        WireUpdate::IssueToken { .. } | WireUpdate::BindConnection { .. } => None,
    }
}

/// Removes what is ours from trailers.
fn strip(trailers: &mut HeaderMap) {
    let ours: Vec<_> = trailers
        .keys()
        .filter(|name| identity::is_ours(name.as_str()))
        .cloned()
        .collect();
    for name in ours {
        trailers.remove(name);
    }
}
