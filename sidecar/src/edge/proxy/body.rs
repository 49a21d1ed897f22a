//! What a decision needs of a body: read, bounded, and then sent on as it came.

use auth_core::{
    body::{self, BodyError},
    decision::Answer,
    decision_point::WireProfile,
    wire::{Call, MAX_DATA_BYTES},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use tonic::body::Body;

use super::call::Refusal;

/// Reads the body that a decision waits for: the same call, with what it declares of the body, and
/// the body to send on.
pub(super) async fn read(
    call: Call,
    answer: &Answer,
    profile: &WireProfile,
    headers: &HeaderMap,
    unread: Body,
) -> Result<(Call, Body), Refusal> {
    let call = Call {
        data_pending: false,
        ..call
    };
    let Some(content_type) = readable(headers) else {
        return Ok((call, unread));
    };
    let bytes = collected(unread).await?;
    let operation = answer.operation.as_deref().unwrap_or_default();
    let declared = profile
        .data
        .iter()
        .filter(|(name, _, _)| **name == *operation);
    let fields: Vec<_> = declared
        .map(|(_, field, path)| (field.as_str(), path.as_str()))
        .collect();
    let call = match body::data_json(&bytes, content_type, &fields) {
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
    };
    Ok((
        call,
        Body::new(Full::new(bytes).map_err(|never| match never {})),
    ))
}

/// The media type of a body that can be read; what is packed cannot.
fn readable(headers: &HeaderMap) -> Option<&[u8]> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(content_type), None) = (types.next(), types.next()) else {
        return None;
    };
    let is_plain = !headers.contains_key(header::CONTENT_ENCODING);
    (is_plain && body::is_readable(content_type.as_bytes())).then(|| content_type.as_bytes())
}

async fn collected(unread: Body) -> Result<Bytes, Refusal> {
    match Limited::new(unread, MAX_DATA_BYTES).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            problem: "the body is larger than what a decision can be made on",
        }),
        Err(_) => Err(Refusal {
            status: StatusCode::BAD_REQUEST,
            problem: "the body broke off",
        }),
    }
}
