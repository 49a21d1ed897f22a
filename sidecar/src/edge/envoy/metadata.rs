//! What Envoy's logs and other filters may read of a decision: its dynamic metadata, in the
//! namespace of the `ext_authz` filter.

use auth_core::decision::Answer;
use prost_types::{Struct, Value, value::Kind};

use crate::edge::http::identity;

/// The handle of the call, for `ext_proc`; with an allow only.
const CALL: &str = "call";

/// The facts of a decision; what is not known is left out.
pub(super) fn of(answer: &Answer) -> Struct {
    let session = answer.session.as_deref();
    let principal = session.and_then(|session| session.identity.subject.as_ref());
    let facts = [
        ("outcome", Some(answer.outcome().as_str().to_owned())),
        ("reason", Some(answer.reason.code.as_str().to_owned())),
        ("decision_id", Some(answer.decision_id.clone())),
        ("operation", answer.operation.as_deref().map(str::to_owned)),
        ("principal", principal.map(ToString::to_string)),
        (
            "session_id",
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
