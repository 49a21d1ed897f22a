//! Answers as proxies understand them.

use auth_core::{
    decision::{Answer, CredentialState, Reason, ReasonCode},
    live::Session,
    outcome::Outcome,
    wire_update::WireUpdate,
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// The largest `Sidegate-Session`, in bytes.
const MAX_SESSION_BYTES: usize = 4096;
/// How long a client that was refused for asking too much should wait, in seconds.
const RETRY_AFTER: u64 = 10;

const SUBJECT: HeaderName = HeaderName::from_static("sidegate-subject");
const SESSION: HeaderName = HeaderName::from_static("sidegate-session");
const OPERATION: HeaderName = HeaderName::from_static("sidegate-operation");
const DECISION_ID: HeaderName = HeaderName::from_static("sidegate-decision-id");
const CALL: HeaderName = HeaderName::from_static("sidegate-call");
const OUTCOME: HeaderName = HeaderName::from_static("sidegate-outcome");

/// The answer of the decision point.
pub(super) fn answer(answer: Answer) -> Response {
    let outcome = answer.outcome();
    let mut response = match outcome {
        Outcome::Allow => allowed(&answer),
        Outcome::Deny
        | Outcome::Unauthenticated
        | Outcome::Invalid
        | Outcome::Limited
        | Outcome::Undetermined => denied(&answer, outcome),
    };
    let headers = response.headers_mut();
    for update in &answer.updates {
        if !deliver(update, headers) && outcome == Outcome::Allow {
            tracing::error!(?update, "an update cannot be delivered");
            return failed();
        }
    }
    response
}

/// A request that was not asked about.
pub(super) fn refused(status: StatusCode, problem: &str) -> Response {
    tracing::info!(status = status.as_u16(), problem, "forward-auth refused");
    let outcome = if status == StatusCode::FORBIDDEN {
        Outcome::Deny
    } else {
        Outcome::Invalid
    };
    problem_json(status, outcome, &json!({ "detail": problem }))
}

/// Something went wrong here: closed.
pub(super) fn failed() -> Response {
    denied(
        &Answer {
            reason: Reason::new(ReasonCode::DeadlineExceeded),
            operation: None,
            session: None,
            workload: None,
            updates: Vec::new(),
            call: None,
            decision_id: String::new(),
            policy_version: std::sync::Arc::from(""),
            credential: CredentialState::Undetermined,
            challenges: Vec::new(),
        },
        Outcome::Undetermined,
    )
}

/// Every header is there, empty where it says nothing (H-05). If one cannot be written, the request
/// does not pass.
fn allowed(answer: &Answer) -> Response {
    let session = answer.session.as_deref();
    let call = answer
        .call
        .as_deref()
        .map(|call| URL_SAFE_NO_PAD.encode(call));
    let values = [
        (SUBJECT, session.map(subject).unwrap_or_default()),
        (SESSION, session.map(session_header).unwrap_or_default()),
        (
            OPERATION,
            escaped(answer.operation.as_deref().unwrap_or_default()),
        ),
        (DECISION_ID, escaped(&answer.decision_id)),
        (CALL, call.unwrap_or_default()),
    ];
    let mut response = empty(StatusCode::OK, Outcome::Allow);
    for (name, value) in values {
        let Ok(value) = HeaderValue::try_from(value) else {
            tracing::error!(%name, "an identity header cannot be written");
            return failed();
        };
        response.headers_mut().insert(name, value);
    }
    response
}

fn denied(answer: &Answer, outcome: Outcome) -> Response {
    let status =
        StatusCode::from_u16(outcome.http_status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let more = json!({
        "reason": answer.reason.code.as_str(),
        "decision_id": answer.decision_id,
    });
    let mut response = problem_json(status, outcome, &more);
    let headers = response.headers_mut();
    for challenge in &answer.challenges {
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            headers.append(header::WWW_AUTHENTICATE, challenge);
        }
    }
    if outcome == Outcome::Limited {
        headers.insert(header::RETRY_AFTER, RETRY_AFTER.into());
    }
    response
}

/// A body of RFC 9457. It says what the client may know: outcome and reason, and nothing of which
/// rule or check refused.
fn problem_json(status: StatusCode, outcome: Outcome, more: &Value) -> Response {
    let mut problem = json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "outcome": outcome.as_str(),
    });
    if let (Some(problem), Some(more)) = (problem.as_object_mut(), more.as_object()) {
        problem.extend(more.clone());
    }
    let mut response = empty(status, outcome);
    let content_type = HeaderValue::from_static("application/problem+json");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    *response.body_mut() = Body::from(problem.to_string());
    response
}

fn empty(status: StatusCode, outcome: Outcome) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(OUTCOME, HeaderValue::from_static(outcome.as_str()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Writes what a response can carry; a token and a connection it cannot.
fn deliver(update: &WireUpdate, headers: &mut HeaderMap) -> bool {
    match update {
        WireUpdate::SetCookie { header_value, .. }
        | WireUpdate::ExpireCookie { header_value, .. } => HeaderValue::try_from(header_value)
            .is_ok_and(|mut value| {
                value.set_sensitive(true);
                headers.append(header::SET_COOKIE, value);
                true
            }),
        WireUpdate::IssueToken { .. } | WireUpdate::BindConnection { .. } => false,
    }
}

/// The subject's id, for principals of the default namespace only (R23): a header that held the id
/// alone could not tell two namespaces apart. `Sidegate-Session` names every principal in full.
fn subject(session: &Session) -> String {
    let subject = session.identity.subject.as_ref();
    subject
        .filter(|subject| subject.is_local())
        .map_or_else(String::new, |subject| escaped(subject.id()))
}

/// Percent-encodes what a header would change or a proxy could take for something else: blanks
/// (trimmed), commas (lists) and everything outside visible ASCII.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | b',' | 0..=0x20 | 0x7f.. => {
                out.push('%');
                out.push_str(&format!("{byte:02X}"));
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}

/// The session as base64url of JSON. What makes it too large is left out, attributes before claims,
/// and `truncated` says so.
fn session_header(session: &Session) -> String {
    let identity = &session.identity;
    let name = |principal: &auth_core::principal::Principal| principal.to_string();
    let mut fields = json!({
        "subject": identity.subject.as_ref().filter(|s| s.is_local()).map(|s| s.id()),
        "principal": identity.subject.as_ref().map(name),
        "actor": identity.actor.as_ref().map(name),
        "strategy": &*session.strategy,
        "etag": session.etag(),
        "claims": identity.claims,
        "attributes": session.attributes,
        "scopes": identity.scopes,
        "all_scopes": identity.all_scopes,
    });
    for left_out in ["attributes", "claims", "scopes"] {
        let encoded = URL_SAFE_NO_PAD.encode(fields.to_string());
        if encoded.len() <= MAX_SESSION_BYTES {
            return encoded;
        }
        if let Some(fields) = fields.as_object_mut() {
            fields.remove(left_out);
            fields.insert("truncated".to_owned(), Value::Bool(true));
        }
    }
    URL_SAFE_NO_PAD.encode(fields.to_string())
}

#[cfg(test)]
mod tests;
