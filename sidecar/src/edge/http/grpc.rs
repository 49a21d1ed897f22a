//! What says that a message is one of gRPC, and how its call ended.

use http::{HeaderMap, HeaderName, header};

/// The status of a call, in a header or in trailers.
pub const STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// What is said of it.
pub const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a content type is that of gRPC over HTTP/2; that of gRPC-Web is another.
#[must_use]
pub fn is_type(content_type: &[u8]) -> bool {
    let rest = content_type.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether the header is one of gRPC: it has one content type, which says so.
#[must_use]
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(one), None) => is_type(one.as_bytes()),
        _ => false,
    }
}

/// Whether an app that speaks gRPC says that it failed; `None` when it says nothing of that. At the
/// end of its answer that is a failure as well: no client takes it for anything else.
#[must_use]
pub fn failed(fields: &HeaderMap) -> Option<bool> {
    let mut said = fields.get_all(STATUS).iter().peekable();
    said.peek()?;
    Some(said.any(|status| status.as_bytes() != b"0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&'static str]) -> HeaderMap {
        let values = values.iter().map(|value| (name.clone(), *value));
        values
            .map(|(name, value)| (name, http::HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn one_content_type_tells_grpc_from_what_only_begins_like_it() {
        for (types, expected) in [
            (&["application/grpc"][..], true),
            (&["application/grpc+proto"], true),
            (&["application/grpc;x=1"], true),
            (&["application/grpc-web"], false),
            (&["application/grpcx"], false),
            (&["application/json"], false),
            (&["application/grpc", "application/grpc"], false),
            (&[], false),
        ] {
            let headers = headers(header::CONTENT_TYPE, types);
            assert_eq!(is_grpc(&headers), expected, "{types:?}");
        }
    }

    #[test]
    fn every_status_but_zero_is_a_failure_and_none_says_nothing() {
        for (statuses, expected) in [
            (&["0"][..], Some(false)),
            (&["14"], Some(true)),
            (&["00"], Some(true)),
            (&[""], Some(true)),
            (&["0", "14"], Some(true)),
            (&[], None),
        ] {
            let fields = headers(STATUS, statuses);
            assert_eq!(failed(&fields), expected, "{statuses:?}");
        }
    }
}
