//! Fields as `ext_proc` has them, which is not as `ext_authz` has them: real ones read `raw_value`
//! alone, and append only by the older flag.

use auth_core::wire_update::WireUpdate;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use proto::envoy::{
    config::core::v3::{
        AppendFlag, HeaderMap as Fields, HeaderValue as Entry, HeaderValueOption as Field,
    },
    service::ext_proc::v3::{
        CommonResponse, GrpcStatus, HeaderMutation, HeadersResponse, HttpStatus, ImmediateResponse,
        TrailersResponse, processing_response::Response as Reply,
    },
};

use crate::edge::http::{
    identity, problem,
    write_back::{self, Written},
};
use auth_core::outcome::Outcome;

const STATUS: &str = ":status";

/// The fields of a part, and its status; what is no header is left out, and stays as it is.
pub(super) fn read(fields: Fields) -> (HeaderMap, u16) {
    let (mut headers, mut status) = (HeaderMap::new(), 0);
    for Entry {
        key,
        value,
        raw_value,
    } in fields.headers
    {
        let value = if raw_value.is_empty() {
            value
        } else {
            raw_value
        };
        if key == STATUS {
            let text = std::str::from_utf8(&value).ok();
            status = text.and_then(|text| text.parse().ok()).unwrap_or_default();
            continue;
        }
        let name = HeaderName::try_from(key).ok();
        if let Some((name, value)) = name.zip(HeaderValue::from_maybe_shared(value).ok()) {
            let _ = headers.try_append(name, value);
        }
    }
    (headers, status)
}

/// What is changed about a part: what is ours is taken away, and what was written is handed out.
/// `None` when something cannot be handed out.
pub(super) fn changes(fields: &HeaderMap, written: &Written) -> Option<HeaderMutation> {
    let ours = fields.keys().map(HeaderName::as_str);
    let ours = ours.filter(|name| identity::is_ours(name) && *name != identity::OUTCOME.as_str());
    let mut told = HeaderMap::new();
    for update in &written.updates {
        if !problem::deliver(update, &mut told) {
            let kind: &WireUpdate = update;
            tracing::error!(update = ?kind, "an update cannot be delivered");
            return None;
        }
    }
    if !told.is_empty() {
        let private = HeaderValue::from_static(problem::PRIVATE);
        told.insert(header::CACHE_CONTROL, private);
    }
    if written.logs_out {
        told.insert(write_back::CLEAR_SITE_DATA, write_back::FORGET);
    }
    Some(HeaderMutation {
        remove_headers: ours.map(str::to_owned).collect(),
        set_headers: told
            .iter()
            .map(|(name, value)| field(name, value))
            .collect(),
    })
}

/// A cookie stands beside the app's; anything else takes the place of what is there.
fn field(name: &HeaderName, value: &HeaderValue) -> Field {
    Field {
        header: Some(Entry {
            key: name.as_str().to_owned(),
            value: Bytes::new(),
            raw_value: Bytes::copy_from_slice(value.as_bytes()),
        }),
        append: (*name == header::SET_COOKIE).then_some(AppendFlag { value: true }),
        ..Field::default()
    }
}

pub(super) fn header(changes: HeaderMutation) -> HeadersResponse {
    HeadersResponse {
        response: Some(CommonResponse {
            header_mutation: Some(changes),
        }),
    }
}

pub(super) fn trailers(changes: HeaderMutation) -> TrailersResponse {
    TrailersResponse {
        header_mutation: Some(changes),
    }
}

/// In the place of the app's answer: that what it wrote could not be written.
pub(super) fn withheld(is_grpc: bool) -> Reply {
    let response = problem::failed::<String>();
    let (parts, body) = response.into_parts();
    let fields = parts.headers.iter();
    let status = u32::try_from(Outcome::Undetermined.grpc_code()).unwrap_or_default();
    Reply::ImmediateResponse(ImmediateResponse {
        status: Some(HttpStatus {
            code: parts.status.as_u16().into(),
        }),
        headers: Some(HeaderMutation {
            set_headers: match is_grpc {
                true => Vec::new(),
                false => fields.map(|(name, value)| field(name, value)).collect(),
            },
            remove_headers: Vec::new(),
        }),
        body: match is_grpc {
            true => "undetermined: the session could not be written".to_owned(),
            false => body,
        },
        grpc_status: is_grpc.then_some(GrpcStatus { status }),
    })
}
