//! Verdicts as Envoy understands them. What real ones were seen to do decides each form here: some
//! ways to say the same are ignored, and some drop a header without a word.

use auth_core::{
    decision::{Answer, CredentialState, ReasonCode},
    outcome::Outcome,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use proto::envoy::{
    config::core::v3::{HeaderAppendAction, HeaderValue as Entry, HeaderValueOption},
    service::auth::v3::{
        CheckResponse, DeniedHttpResponse, HttpStatus, OkHttpResponse, Status,
        check_response::HttpResponse as Verdict,
    },
};

use super::{extract::Refusal, metadata};
use crate::edge::http::{identity, problem};

/// The status of gRPC, where Envoy's own translation of the HTTP status is another.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// How a client understands a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// By gRPC status and message.
    Grpc,
    /// By HTTP status and body.
    Other,
}

/// What an allow takes away from the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Remove {
    /// Headers, by name.
    pub(super) headers: Vec<String>,
    /// Parameters of the query, by name as it is written there.
    pub(super) query: Vec<String>,
}

/// An allow; `None` when something of it cannot be written, and the request must not pass.
pub(super) fn allowed(answer: &Answer, remove: Remove) -> Option<CheckResponse> {
    let Ok(written) = identity::headers(answer) else {
        tracing::error!("an identity header cannot be written");
        return None;
    };
    let mut client = HeaderMap::new();
    for update in &answer.updates {
        if !problem::deliver(update, &mut client) {
            tracing::error!(?update, "an update cannot be delivered");
            return None;
        }
    }
    // Where no credential was looked for, the parameter is the app's own.
    let query = match answer.credential {
        CredentialState::Absent => Vec::new(),
        _ => remove.query,
    };
    let mut response_headers_to_add = plain(&client);
    response_headers_to_add.extend(of_policy(answer));
    if !client.is_empty() || !query.is_empty() {
        response_headers_to_add.push(HeaderValueOption {
            append_action: HeaderAppendAction::Overwrite.into(),
            ..option(
                &header::CACHE_CONTROL,
                &HeaderValue::from_static(problem::PRIVATE),
            )
        });
    }
    let allow = OkHttpResponse {
        headers: written.iter().map(|(n, v)| option(n, v)).collect(),
        headers_to_remove: remove.headers,
        response_headers_to_add,
        query_parameters_to_remove: query,
    };
    Some(CheckResponse {
        status: Some(Status { code: 0 }),
        http_response: Some(Verdict::OkResponse(allow)),
        dynamic_metadata: Some(metadata::of(answer)),
    })
}

/// What the policy puts on every answer of the operation, in place of the app's own. An allow cannot
/// take a header of the app's away: one that no origin may read by is left without a value.
fn of_policy(answer: &Answer) -> impl Iterator<Item = HeaderValueOption> {
    let mut headers = HeaderMap::new();
    problem::add_headers(answer, &mut headers);
    let with = |action: HeaderAppendAction, name, value| HeaderValueOption {
        append_action: action.into(),
        ..option(name, value)
    };
    let mut written: Vec<_> = headers
        .iter()
        .map(|(name, value)| match *name == header::VARY {
            true => option(name, value),
            false => with(HeaderAppendAction::Overwrite, name, value),
        })
        .collect();
    if problem::names_origins(answer) {
        let (action, empty) = (
            HeaderAppendAction::OverwriteIfPresent,
            HeaderValue::from_static(""),
        );
        let unsaid = problem::CROSS_ORIGIN.iter();
        let unsaid = unsaid.filter(|name| !headers.contains_key(*name));
        written.extend(unsaid.map(|name| with(action, name, &empty)));
    }
    written.into_iter()
}

/// An answer that is no allow.
pub(super) fn denied(client: Client, answer: &Answer) -> CheckResponse {
    let mut response = match answer.reason.code {
        ReasonCode::Preflight => problem::preflight(answer),
        _ => problem::denied(answer),
    };
    for update in &answer.updates {
        // A refusal stands without its updates.
        let _ = problem::deliver(update, response.headers_mut());
    }
    let outcome = answer.outcome();
    if client == Client::Grpc {
        let (reason, id) = (answer.reason.code.as_str(), &answer.decision_id);
        let message = format!("{}: {reason} (decision {id})", outcome.as_str());
        for_grpc(&mut response, outcome, message);
    }
    CheckResponse {
        dynamic_metadata: Some(metadata::of(answer)),
        ..verdict(outcome, response)
    }
}

/// A request that was not asked about.
pub(super) fn refused(client: Client, refusal: &Refusal) -> CheckResponse {
    let mut response = problem::refused(refusal.status, &refusal.problem);
    let outcome = problem::outcome_of(refusal.status);
    if client == Client::Grpc {
        let message = format!("{}: {}", outcome.as_str(), refusal.problem);
        for_grpc(&mut response, outcome, message);
    }
    verdict(outcome, response)
}

/// The same as an error, which Envoy lets pass where its operator says so.
pub(super) fn undecided(response: CheckResponse) -> CheckResponse {
    let http_response = response.http_response.map(|verdict| match verdict {
        Verdict::DeniedResponse(denied) => Verdict::ErrorResponse(denied),
        other => other,
    });
    CheckResponse {
        http_response,
        ..response
    }
}

/// Envoy makes a gRPC answer of a refusal: the body becomes its message.
fn for_grpc(response: &mut Response<String>, outcome: Outcome, message: String) {
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_TYPE);
    headers.insert(GRPC_STATUS, outcome.grpc_code().into());
    *response.body_mut() = message;
}

fn verdict(outcome: Outcome, response: Response<String>) -> CheckResponse {
    let (parts, body) = response.into_parts();
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus {
            code: parts.status.as_u16().into(),
        }),
        headers: plain(&parts.headers),
        body,
    };
    CheckResponse {
        status: Some(Status {
            code: outcome.grpc_code(),
        }),
        http_response: Some(Verdict::DeniedResponse(denied)),
        dynamic_metadata: None,
    }
}

/// Headers with nothing said of what is there already: those of a request take its place, those of
/// a response stand beside it.
fn plain(headers: &HeaderMap) -> Vec<HeaderValueOption> {
    headers
        .iter()
        .map(|(name, value)| option(name, value))
        .collect()
}

fn option(name: &HeaderName, value: &HeaderValue) -> HeaderValueOption {
    let header = Entry {
        key: name.as_str().to_owned(),
        value: Bytes::copy_from_slice(value.as_bytes()),
        raw_value: Bytes::new(),
    };
    HeaderValueOption {
        header: Some(header),
        ..HeaderValueOption::default()
    }
}

#[cfg(test)]
mod tests;
