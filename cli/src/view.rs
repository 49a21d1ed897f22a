//! What is printed: the API's messages with its field names, JSON as JSON and names as words.

use serde_json::Value;

pub mod decision;
pub mod key;
pub mod session;
pub mod status;

/// A protobuf instant as RFC 3339 has it.
#[must_use]
pub fn time(at: Option<prost_types::Timestamp>) -> Option<String> {
    at.map(|at| at.to_string())
}

/// The instant for people: to the second.
#[must_use]
pub fn short_time(at: Option<&String>) -> String {
    let Some(at) = at else {
        return String::new();
    };
    match at.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => at.clone(),
    }
}

/// A principal as `namespace/id`, and as `id` alone in the default namespace.
#[must_use]
pub fn principal(principal: Option<proto::v1::Principal>) -> Option<String> {
    principal.map(|p| match p.namespace.as_str() {
        "" | auth_core::principal::LOCAL_NAMESPACE => p.id,
        namespace => format!("{namespace}/{}", p.id),
    })
}

/// The principal that `text` names, as a message.
#[must_use]
pub fn principal_message(principal: &auth_core::principal::Principal) -> proto::v1::Principal {
    proto::v1::Principal {
        namespace: principal.namespace().to_owned(),
        id: principal.id().to_owned(),
    }
}

/// The JSON in a message; null where there is none.
#[must_use]
pub fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or(Value::Null)
}

/// The last part of a resource name.
#[must_use]
pub fn short_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The text, or nothing where it is empty.
#[must_use]
pub fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// The object as messages carry it.
#[must_use]
pub fn json_bytes(object: &auth_core::session::JsonObject) -> bytes::Bytes {
    serde_json::to_vec(object).unwrap_or_default().into()
}

/// A span as messages carry it.
#[must_use]
pub fn span_message(span: std::time::Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
    }
}
