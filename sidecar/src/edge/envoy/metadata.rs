//! What Envoy's logs and other filters may read of a decision: its dynamic metadata, in the
//! namespace of the `ext_authz` filter.

use auth_core::decision::Answer;
use prost_types::{Struct, Value, value::Kind};
use proto::envoy::service::ext_proc::v3::Metadata;

use super::process::Issued;
use crate::edge::http::identity;

/// The handle of the call, for `ext_proc`; with an allow only.
const CALL: &str = "call";
/// Who is signed in.
const PRINCIPAL: &str = "principal";
/// Names the session in logs.
const SESSION_ID: &str = "session_id";
/// Names the decision in logs.
const DECISION_ID: &str = "decision_id";
/// The filter whose metadata this is.
const FILTER: &str = "envoy.filters.http.ext_authz";

/// The facts of a decision; what is not known is left out.
pub(super) fn of(answer: &Answer) -> Struct {
    let session = answer.session.as_deref();
    let principal = session.and_then(|session| session.identity.subject.as_ref());
    let facts = [
        ("outcome", Some(answer.outcome().as_str().to_owned())),
        ("reason", Some(answer.reason.code.as_str().to_owned())),
        (DECISION_ID, Some(answer.decision_id.clone())),
        ("operation", answer.operation.as_deref().map(str::to_owned)),
        (PRINCIPAL, principal.map(ToString::to_string)),
        (
            SESSION_ID,
            session
                .and_then(auth_core::live::Session::id)
                .map(|id| id.to_string()),
        ),
        (CALL, answer.call.as_deref().map(identity::encoded_call)),
    ];
    let facts = facts
        .into_iter()
        .filter_map(|(name, fact)| Some((name.to_owned(), text(fact?))));
    Struct {
        fields: facts.collect(),
    }
}

fn text(text: String) -> Value {
    Value {
        kind: Some(Kind::StringValue(text)),
    }
}

/// What was issued for a request, as Envoy hands it on. It is Envoy's word, and no client's.
pub(super) fn issued(metadata: Option<&Metadata>) -> Issued {
    let facts = metadata.and_then(|metadata| metadata.filter_metadata.get(FILTER));
    let fact = |name| match &facts?.fields.get(name)?.kind {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    };
    Issued {
        has_session: fact(PRINCIPAL).or(fact(SESSION_ID)).is_some(),
        call: fact(CALL).and_then(|call| identity::decoded_call(call.as_bytes())),
        decision_id: fact(DECISION_ID).cloned().unwrap_or_default(),
    }
}
