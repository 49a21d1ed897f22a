//! What a decision needs of a body: read, bounded, and then sent on as it came.

use auth_core::{
    decision::Answer,
    decision_point::WireProfile,
    wire::{Call, MAX_DATA_BYTES},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use tonic::body::Body;

use super::call::Refusal;
use crate::edge::http::body;

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
    let Some(content_type) = body::readable(headers) else {
        return Ok((call, unread));
    };
    let bytes = collected(unread).await?;
    let call = body::with_data(call, answer, profile, content_type, &bytes);
    Ok((
        call,
        Body::new(Full::new(bytes).map_err(|never| match never {})),
    ))
}

async fn collected(unread: Body) -> Result<Bytes, Refusal> {
    match Limited::new(unread, MAX_DATA_BYTES).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            problem: body::TOO_LARGE,
        }),
        Err(_) => Err(Refusal {
            status: StatusCode::BAD_REQUEST,
            problem: "the body broke off",
        }),
    }
}
