//! Answers as proxies understand them.

use auth_core::{decision::Answer, outcome::Outcome};
use axum::{http::StatusCode, response::Response};

use crate::edge::http::{identity, problem};

/// The answer of the decision point.
pub(super) fn answer(answer: Answer) -> Response {
    let outcome = answer.outcome();
    let mut response = match outcome {
        Outcome::Allow => allowed(&answer),
        Outcome::Deny
        | Outcome::Unauthenticated
        | Outcome::Invalid
        | Outcome::Limited
        | Outcome::Undetermined => problem::denied(&answer),
    };
    let headers = response.headers_mut();
    for update in &answer.updates {
        if !problem::deliver(update, headers) && outcome == Outcome::Allow {
            tracing::error!(?update, "an update cannot be delivered");
            return problem::failed();
        }
    }
    response
}

/// Every header is there, empty where it says nothing (H-05). If one cannot be written, the request
/// does not pass.
fn allowed(answer: &Answer) -> Response {
    let Ok(identity) = identity::headers(answer) else {
        tracing::error!("an identity header cannot be written");
        return problem::failed();
    };
    let mut response = problem::empty(StatusCode::OK, Outcome::Allow);
    response.headers_mut().extend(identity);
    response
}

#[cfg(test)]
mod tests;
