//! The headers of a request, in either form that Envoy may be told to send them in.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::CONTENT_TYPE};
use proto::envoy::service::auth::v3::HttpRequest;

use super::extract::Refusal;
use crate::{
    edge::http::{grpc, identity, overrides::is_override},
    serve,
};

/// What names that are no header begin with: Envoy lists `:path` and its like among them.
const PSEUDO: char = ':';

/// Names and values, in the form that is there.
pub(super) fn entries(http: &HttpRequest) -> impl Iterator<Item = (&str, &Bytes)> {
    let raw = http.header_map.iter().flat_map(|map| &map.headers);
    let raw = raw.map(|header| {
        let value = match header.raw_value.is_empty() {
            true => &header.value,
            false => &header.raw_value,
        };
        (&*header.key, value)
    });
    let joined = http.headers.iter();
    raw.chain(joined.map(|(name, value)| (&**name, value)))
        .filter(|(name, _)| !name.starts_with(PSEUDO))
}

/// Whether the client and the app speak gRPC, as Envoy itself tells.
pub(super) fn is_grpc(http: &HttpRequest) -> bool {
    let mut types =
        entries(http).filter(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
    let (Some((_, kind)), None) = (types.next(), types.next()) else {
        return false;
    };
    grpc::is_type(kind)
}

/// All headers, within limits (H-13).
///
/// # Errors
///
/// Returns a [`Refusal`] when there are too many, or one is none.
pub(super) fn read(http: &HttpRequest) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    let mut bytes = 0;
    for (name, value) in entries(http) {
        bytes += name.len() + value.len();
        if bytes > serve::MAX_HEADER_BYTES as usize || headers.len() >= serve::MAX_HEADER_FIELDS {
            return Err(Refusal::too_large("the header is too large"));
        }
        let header = HeaderName::try_from(name)
            .ok()
            .zip(HeaderValue::from_maybe_shared(value.clone()).ok());
        let Some((name, value)) = header else {
            let problem = "a header is malformed";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, problem));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// What the app must not receive of the client's own headers: those of names of ours that an allow
/// does not write over, which are aliases (H-06) and what only apps send; and those by which an app
/// would take another method or path than the one decided (H-10).
pub(super) fn to_remove(headers: &HeaderMap) -> Vec<String> {
    headers
        .keys()
        .filter(|name| is_override(name) || is_unwritten(name.as_str()))
        .map(HeaderName::as_str)
        .map(str::to_owned)
        .collect()
}

/// Whether a name is one of ours that an allow does not write over.
fn is_unwritten(name: &str) -> bool {
    identity::is_ours(name) && !identity::WRITTEN.iter().any(|written| written == name)
}
