//! The one table from failures to gRPC statuses. The JSON edge renders the same statuses.
//!
//! No match here has a wildcard arm: a new failure stops the build until somebody chooses its
//! status. What a store or a random source said stays inside (SECURITY A-09) and is logged.

use std::time::Duration;

use auth_core::{
    decision_point::SessionError,
    store::{CreateError, StoreError, UpdateError},
};
use proto::core::reason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// When a caller should ask again after the store did not answer.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A status with its reason, and the facts that belong to it.
#[must_use]
pub fn refusal(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    facts: &[(&str, &str)],
) -> Status {
    Status::with_error_details(code, message, details(reason, facts))
}

fn details(reason: &str, facts: &[(&str, &str)]) -> ErrorDetails {
    let facts = facts
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    ErrorDetails::with_error_info(
        reason,
        reason::DOMAIN,
        facts.collect::<std::collections::HashMap<_, _>>(),
    )
}

/// A status about one field of the request.
fn invalid(field: &str, problem: &str, reason: &str) -> Status {
    let mut details = details(reason, &[("field", field)]);
    details.set_bad_request(vec![FieldViolation::new(field, problem)]);
    let message = format!("`{field}`: {problem}");
    Status::with_error_details(Code::InvalidArgument, message, details)
}

/// Why a session was not read or changed.
#[must_use]
pub fn session_error(error: SessionError) -> Status {
    use SessionError as E;
    let message = error.to_string();
    let (code, reason, facts) = match &error {
        E::CallInvalid => (Code::Unauthenticated, reason::CALL_INVALID, vec![]),
        E::Gone => (Code::NotFound, reason::SESSION_GONE, vec![]),
        E::WriteNotAllowed { operation, needed } => (
            Code::PermissionDenied,
            reason::WRITE_NOT_ALLOWED,
            vec![("operation", &**operation), ("needed", *needed)],
        ),
        E::NamespaceNotAllowed { caller, namespace } => (
            Code::PermissionDenied,
            reason::NAMESPACE_NOT_ALLOWED,
            vec![("caller", &**caller), ("namespace", &**namespace)],
        ),
        E::ClaimNotAllowed { caller, claim } => (
            Code::PermissionDenied,
            reason::CLAIM_NOT_ALLOWED,
            vec![("caller", &**caller), ("claim", &**claim)],
        ),
        E::Invalid { field, problem } => return invalid(field, problem, reason::INVALID_FIELD),
        E::EtagMismatch => (Code::Aborted, reason::ETAG_MISMATCH, vec![]),
        E::NotDeliverable(update) => (
            Code::FailedPrecondition,
            reason::UPDATE_NOT_DELIVERABLE,
            vec![("update", *update)],
        ),
        E::ReadOnly(origin) => (
            Code::FailedPrecondition,
            reason::SESSION_READ_ONLY,
            vec![("origin", *origin)],
        ),
        E::TooManySessions(limit) => return too_many(*limit, message),
        E::Store(error) => return store_error(error),
        E::Random(_) => return random_error(),
    };
    refusal(code, reason, message, &facts)
}

/// The store could not answer.
#[must_use]
pub fn store_error(error: &StoreError) -> Status {
    tracing::warn!(%error, "the store did not answer");
    let (code, reason, message) = match error {
        StoreError::Unavailable(_) => {
            let mut details = details(reason::STORE_UNAVAILABLE, &[]);
            details.set_retry_info(Some(RETRY_AFTER));
            let message = "the session store is unavailable";
            return Status::with_error_details(Code::Unavailable, message, details);
        }
        StoreError::OutOfSpace => (
            Code::Unavailable,
            reason::STORE_OUT_OF_SPACE,
            "the session store is out of space",
        ),
        StoreError::ReadOnly => (
            Code::Unavailable,
            reason::STORE_READ_ONLY,
            "the session store is read-only",
        ),
        StoreError::Damaged(_) => (
            Code::DataLoss,
            reason::STORE_DAMAGED,
            "the session store holds a damaged record",
        ),
    };
    refusal(code, reason, message, &[])
}

/// No session was made.
#[must_use]
pub fn create_error(error: CreateError) -> Status {
    let message = error.to_string();
    match error {
        CreateError::Exists => exists(message),
        CreateError::LimitReached(limit) => too_many(limit, message),
        CreateError::Gone => refusal(Code::NotFound, reason::SESSION_GONE, message, &[]),
        CreateError::Conflict { current } => stale(current, message),
        CreateError::TooLarge(_) => invalid("sign_in", &message, reason::RECORD_TOO_LARGE),
        CreateError::Store(error) => store_error(&error),
    }
}

fn stale(current: u64, message: String) -> Status {
    let current = format!("\"{current}\"");
    let facts = [("etag", &*current)];
    refusal(Code::Aborted, reason::ETAG_MISMATCH, message, &facts)
}

/// A session was not changed.
#[must_use]
pub fn update_error(error: UpdateError) -> Status {
    let message = error.to_string();
    match error {
        UpdateError::Gone => refusal(Code::NotFound, reason::SESSION_GONE, message, &[]),
        UpdateError::Conflict { current } => stale(current, message),
        UpdateError::TooLarge(_) => invalid("patch", &message, reason::RECORD_TOO_LARGE),
        UpdateError::Exists => exists(message),
        UpdateError::Store(error) => store_error(&error),
    }
}

/// No randomness could be had, so nothing was made.
#[must_use]
pub fn random_error() -> Status {
    let message = "no randomness could be had, so nothing was made";
    refusal(Code::Unavailable, reason::RANDOM_UNAVAILABLE, message, &[])
}

/// The caller's own deadline passed.
#[must_use]
pub fn deadline_exceeded() -> Status {
    let message = "the deadline passed before there was an answer";
    refusal(
        Code::DeadlineExceeded,
        reason::DEADLINE_EXCEEDED,
        message,
        &[],
    )
}

fn too_many(limit: u32, message: String) -> Status {
    let limit = limit.to_string();
    let facts = [("limit", &*limit)];
    refusal(
        Code::FailedPrecondition,
        reason::TOO_MANY_SESSIONS,
        message,
        &facts,
    )
}

fn exists(message: String) -> Status {
    refusal(Code::AlreadyExists, reason::ALREADY_EXISTS, message, &[])
}

#[cfg(test)]
mod tests {
    use auth_core::random::RandomError;

    use super::*;

    fn session_errors() -> Vec<(SessionError, Code, &'static str)> {
        use SessionError as E;
        let text = || "x".to_owned();
        vec![
            (E::CallInvalid, Code::Unauthenticated, "CALL_INVALID"),
            (E::Gone, Code::NotFound, "SESSION_GONE"),
            (
                E::WriteNotAllowed {
                    operation: text(),
                    needed: "sign_in",
                },
                Code::PermissionDenied,
                "WRITE_NOT_ALLOWED",
            ),
            (
                E::NamespaceNotAllowed {
                    caller: text(),
                    namespace: text(),
                },
                Code::PermissionDenied,
                "NAMESPACE_NOT_ALLOWED",
            ),
            (
                E::ClaimNotAllowed {
                    caller: text(),
                    claim: text(),
                },
                Code::PermissionDenied,
                "CLAIM_NOT_ALLOWED",
            ),
            (
                E::Invalid {
                    field: "sign_in.ttl",
                    problem: text(),
                },
                Code::InvalidArgument,
                "INVALID_FIELD",
            ),
            (E::EtagMismatch, Code::Aborted, "ETAG_MISMATCH"),
            (
                E::NotDeliverable("cookie"),
                Code::FailedPrecondition,
                "UPDATE_NOT_DELIVERABLE",
            ),
            (
                E::ReadOnly("static token"),
                Code::FailedPrecondition,
                "SESSION_READ_ONLY",
            ),
            (
                E::TooManySessions(20),
                Code::FailedPrecondition,
                "TOO_MANY_SESSIONS",
            ),
            (
                E::Store(StoreError::Unavailable(text())),
                Code::Unavailable,
                "STORE_UNAVAILABLE",
            ),
            (
                E::Random(RandomError),
                Code::Unavailable,
                "RANDOM_UNAVAILABLE",
            ),
        ]
    }

    #[test]
    fn each_session_error_has_the_reason_that_the_contract_names() {
        for (error, code, reason) in session_errors() {
            let status = session_error(error);
            let details = status.get_error_details();
            let info = details.error_info().unwrap();
            assert_eq!((status.code(), &*info.reason), (code, reason));
            assert_eq!(info.domain, "sidegate");
        }
    }

    #[test]
    fn a_store_that_is_away_says_when_to_ask_again_and_not_why() {
        let status = store_error(&StoreError::Unavailable("/data/sessions.db: locked".into()));
        let details = status.get_error_details();
        let retry = details.retry_info().unwrap();
        assert_eq!(retry.retry_delay, Some(RETRY_AFTER));
        assert!(!status.message().contains("/data"));
    }

    #[test]
    fn an_invalid_field_is_named_in_the_details() {
        let error = SessionError::Invalid {
            field: "sign_in.auth_time",
            problem: "lies in the future".into(),
        };
        let details = session_error(error).get_error_details();
        let violation = &details.bad_request().unwrap().field_violations[0];
        assert_eq!(violation.field, "sign_in.auth_time");
    }

    #[test]
    fn a_stale_write_names_the_present_etag() {
        let status = update_error(UpdateError::Conflict { current: 4 });
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(status.code(), Code::Aborted);
        assert_eq!(info.metadata["etag"], "\"4\"");
    }

    #[test]
    fn what_a_store_refuses_to_make_is_told_apart() {
        for (error, code) in [
            (CreateError::Exists, Code::AlreadyExists),
            (CreateError::LimitReached(20), Code::FailedPrecondition),
            (CreateError::Gone, Code::NotFound),
            (CreateError::Conflict { current: 2 }, Code::Aborted),
            (CreateError::TooLarge(20_000), Code::InvalidArgument),
            (StoreError::OutOfSpace.into(), Code::Unavailable),
            (StoreError::ReadOnly.into(), Code::Unavailable),
            (StoreError::Damaged(String::new()).into(), Code::DataLoss),
        ] {
            assert_eq!(create_error(error).code(), code);
        }
    }
}
