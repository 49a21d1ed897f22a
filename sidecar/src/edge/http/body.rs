//! What a decision reads of a body.

use auth_core::{
    body::{self, BodyError, Declared},
    decision::Answer,
    decision_point::WireProfile,
    wire::Call,
};
use bytes::Bytes;
use http::{HeaderMap, header};

/// What a client is told whose body is longer than
/// [`MAX_DATA_BYTES`](auth_core::wire::MAX_DATA_BYTES), with status 413.
pub const TOO_LARGE: &str = "the body is larger than what a decision can be made on";

/// The media type of a body that can be read; what is packed cannot.
#[must_use]
pub fn readable(headers: &HeaderMap) -> Option<&[u8]> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else {
        return None;
    };
    let is_plain = !headers.contains_key(header::CONTENT_ENCODING);
    (is_plain && body::is_readable(content_type.as_bytes())).then(|| content_type.as_bytes())
}

/// A call that waited for its body, with what the operation that `answer` names declares of it.
#[must_use]
pub fn with_data(
    call: Call,
    answer: &Answer,
    profile: &WireProfile,
    content_type: &[u8],
    whole: &[u8],
) -> Call {
    let call = Call {
        data_pending: false,
        ..call
    };
    let operation = answer.operation.as_deref().unwrap_or_default();
    let declared = profile
        .data
        .iter()
        .filter(|data| *data.operation == *operation);
    let fields: Vec<_> = declared
        .map(|data| Declared {
            field: &data.field,
            path: &data.path,
            text: data.text,
        })
        .collect();
    match body::data_json(whole, content_type, &fields) {
        Ok(data_json) => Call {
            data_json,
            data_complete: true,
            ..call
        },
        Err(BodyError::Unreadable) => call,
        // What makes no sense is for the rules to refuse, in the words that every edge has.
        Err(BodyError::Invalid(_)) => Call {
            data_json: Bytes::from_static(b"!"),
            ..call
        },
    }
}
