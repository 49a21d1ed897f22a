//! Statuses of the other Sidegate as the errors that they were made of.

use std::collections::HashMap;

use auth_core::{decision_point::SessionError, random::RandomError, store::StoreError};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::core::reason;

/// Why another Sidegate decides nothing for this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Nobody answers, or not in time.
    #[error("it cannot be reached")]
    Away,
    /// It does not know this process.
    #[error("it knows no caller by the token of this process")]
    Unknown,
    /// It knows this process, which may not ask.
    #[error("the caller that it takes this process for lacks the grant `authorize`")]
    GrantMissing,
    /// It refuses for a reason of its own.
    #[error("it answers with {0:?}")]
    Refuses(Code),
    /// It answers with what cannot be read.
    #[error("it answers with what makes no sense: is it another version?")]
    Garbled,
}

impl From<Status> for Unusable {
    fn from(status: Status) -> Self {
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Self::Away,
            Code::Unauthenticated => Self::Unknown,
            Code::PermissionDenied => Self::GrantMissing,
            code => Self::Refuses(code),
        }
    }
}

/// The error behind a status. One that names no reason of ours, and one that is about this
/// process's own token or grants, leaves the sessions out of reach, which is said with its code.
pub(super) fn session(status: Status) -> SessionError {
    let details = status.get_error_details();
    let Some(info) = details.error_info() else {
        return unavailable(&status);
    };
    let fact = |name: &str| text(&info.metadata, name);
    match &*info.reason {
        reason::CALL_INVALID => SessionError::CallInvalid,
        reason::SESSION_GONE => SessionError::Gone,
        reason::WRITE_NOT_ALLOWED => SessionError::WriteNotAllowed {
            operation: fact("operation"),
            needed: word(&fact("needed"), &["sign_in", "attributes"]),
        },
        reason::NAMESPACE_NOT_ALLOWED => SessionError::NamespaceNotAllowed {
            caller: fact("caller"),
            namespace: fact("namespace"),
        },
        reason::CLAIM_NOT_ALLOWED => SessionError::ClaimNotAllowed {
            caller: fact("caller"),
            claim: fact("claim"),
        },
        reason::INVALID_FIELD => SessionError::Invalid {
            field: "request",
            problem: status.message().to_owned(),
        },
        reason::ETAG_MISMATCH => SessionError::EtagMismatch,
        reason::UPDATE_NOT_DELIVERABLE => {
            SessionError::NotDeliverable(word(&fact("update"), &["cookie", "token", "connection"]))
        }
        reason::SESSION_READ_ONLY => SessionError::ReadOnly(word(
            &fact("origin"),
            &["static token", "API key", "foreign token", "peer identity"],
        )),
        reason::TOO_MANY_SESSIONS => {
            SessionError::TooManySessions(fact("limit").parse().unwrap_or(0))
        }
        reason::STORE_OUT_OF_SPACE => SessionError::Store(StoreError::OutOfSpace),
        reason::STORE_READ_ONLY => SessionError::Store(StoreError::ReadOnly),
        reason::RANDOM_UNAVAILABLE => SessionError::Random(RandomError),
        _ => unavailable(&status),
    }
}

fn text(metadata: &HashMap<String, String>, name: &str) -> String {
    metadata.get(name).cloned().unwrap_or_default()
}

/// The known word that `text` is; one that is not known here is said in general terms.
fn word(text: &str, known: &[&'static str]) -> &'static str {
    known
        .iter()
        .find(|word| **word == text)
        .copied()
        .unwrap_or("another kind")
}

fn unavailable(status: &Status) -> SessionError {
    let why = match status.code() {
        // What this process asks for was not there yet.
        Code::Unimplemented => "the decision point is of an older version: upgrade it".to_owned(),
        code => format!("the decision point answered {code:?}"),
    };
    SessionError::Store(StoreError::Unavailable(why))
}
