//! Statuses as Connect renders errors.

use axum::http::StatusCode;
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, StatusExt as _, pb};

/// The HTTP status of a code, as Connect's protocol has it.
pub(super) const fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded | Code::Cancelled => StatusCode::GATEWAY_TIMEOUT,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "canceled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

/// The body of an error: its code, message and details.
pub(super) fn body(status: &Status) -> Vec<u8> {
    let mut error = json!({ "code": name(status.code()), "message": status.message() });
    let details = details(status);
    if let (Some(error), false) = (error.as_object_mut(), details.is_empty()) {
        error.insert("details".to_owned(), Value::Array(details));
    }
    error.to_string().into_bytes()
}

/// The details, each with a `debug` that people can read.
fn details(status: &Status) -> Vec<Value> {
    let packed = pb::Status::decode(status.details()).unwrap_or_default();
    let read = status.get_error_details_vec();
    packed
        .details
        .iter()
        .zip(read)
        .map(|(any, detail)| {
            let kind = any.type_url.rsplit('/').next().unwrap_or_default();
            json!({
                "type": kind,
                "value": STANDARD_NO_PAD.encode(&any.value),
                "debug": debug(&detail),
            })
        })
        .collect()
}

fn debug(detail: &ErrorDetail) -> Value {
    match detail {
        ErrorDetail::ErrorInfo(info) => json!({
            "reason": info.reason,
            "domain": info.domain,
            "metadata": info.metadata,
        }),
        ErrorDetail::BadRequest(request) => {
            let violations = request.field_violations.iter();
            let violations: Vec<Value> = violations
                .map(|v| json!({ "field": v.field, "description": v.description }))
                .collect();
            json!({ "fieldViolations": violations })
        }
        ErrorDetail::RetryInfo(info) => {
            let seconds = info.retry_delay.map(|delay| delay.as_secs_f64());
            json!({ "retryDelay": seconds.map(|seconds| format!("{seconds}s")) })
        }
        _ => Value::Null,
    }
}

/// When to ask again, in whole seconds, where the status says so.
pub(super) fn retry_after(status: &Status) -> Option<u64> {
    let details = status.get_error_details();
    let delay = details.retry_info()?.retry_delay?;
    Some(delay.as_secs().max(1))
}

#[cfg(test)]
mod tests {
    use auth_core::store::StoreError;
    use proto::core::ConvertError;

    use super::*;
    use crate::edge::status::store_error;

    fn read(status: &Status) -> Value {
        serde_json::from_slice(&body(status)).unwrap()
    }

    #[test]
    fn an_error_has_code_message_and_readable_details() {
        let error = read(&ConvertError::new("wire.kind", "is required").into());
        assert_eq!(error["code"], "invalid_argument");
        assert_eq!(error["message"], "`wire.kind`: is required");
        let details = error["details"].as_array().unwrap();
        let find = |kind: &str| details.iter().find(|d| d["type"] == kind).unwrap();
        assert_eq!(
            find("google.rpc.ErrorInfo")["debug"]["reason"],
            "INVALID_FIELD"
        );
        assert_eq!(
            find("google.rpc.BadRequest")["debug"]["fieldViolations"][0]["field"],
            "wire.kind"
        );
    }

    #[test]
    fn the_value_of_a_detail_decodes_as_its_type() {
        let error = read(&ConvertError::new("call", "is odd").into());
        let details = error["details"].as_array().unwrap();
        let info = details
            .iter()
            .find(|d| d["type"] == "google.rpc.ErrorInfo")
            .unwrap();
        let bytes = STANDARD_NO_PAD.decode(info["value"].as_str().unwrap());
        let info = pb::ErrorInfo::decode(&*bytes.unwrap()).unwrap();
        assert_eq!(info.metadata["field"], "call");
    }

    #[test]
    fn a_store_that_is_away_says_when_to_ask_again() {
        let status = store_error(&StoreError::Unavailable(String::new()));
        assert_eq!(retry_after(&status), Some(1));
        assert_eq!(http_status(status.code()).as_u16(), 503);
    }

    #[test]
    fn an_error_without_details_has_none() {
        assert_eq!(
            read(&Status::not_found("gone")),
            json!({ "code": "not_found", "message": "gone" })
        );
    }
}
