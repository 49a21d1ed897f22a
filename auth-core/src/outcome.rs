//! The one table that turns decisions into statuses (R20). All edges and the CLI share it.
//!
//! No match here has a wildcard arm: a new reason stops the build until somebody chooses its row.

use crate::decision::{Decision, ReasonCode};

/// A row of the table: what every edge renders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// The call is forwarded.
    Allow,
    /// The client may not.
    Deny,
    /// The client must say who they are, or better.
    Unauthenticated,
    /// The request makes no sense as it is.
    Invalid,
    /// Too many.
    Limited,
    /// Could not decide; closed.
    Undetermined,
}

impl Outcome {
    /// All rows.
    pub const ALL: [Self; 6] = [
        Self::Allow,
        Self::Deny,
        Self::Unauthenticated,
        Self::Invalid,
        Self::Limited,
        Self::Undetermined,
    ];

    /// The name in JSON, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Unauthenticated => "unauthenticated",
            Self::Invalid => "invalid",
            Self::Limited => "limited",
            Self::Undetermined => "undetermined",
        }
    }

    /// The HTTP status (RFC 9110 section 15).
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Allow => 200,
            Self::Deny => 403,
            Self::Unauthenticated => 401,
            Self::Invalid => 400,
            Self::Limited => 429,
            Self::Undetermined => 503,
        }
    }

    /// The gRPC status code, by number.
    #[must_use]
    pub const fn grpc_code(self) -> i32 {
        match self {
            Self::Allow => 0,
            Self::Deny => 7,
            Self::Unauthenticated => 16,
            Self::Invalid => 3,
            Self::Limited => 8,
            Self::Undetermined => 14,
        }
    }

    /// The JSON-RPC error code; `None` for an allow, and where the HTTP status alone speaks.
    #[must_use]
    pub const fn json_rpc_code(self) -> Option<i32> {
        match self {
            Self::Allow | Self::Unauthenticated => None,
            Self::Deny | Self::Limited => Some(-32001),
            Self::Invalid => Some(-32602),
            Self::Undetermined => Some(-32603),
        }
    }

    /// The code that closes a WebSocket (RFC 6455 section 7.4); `None` for an allow.
    #[must_use]
    pub const fn websocket_close(self) -> Option<u16> {
        match self {
            Self::Allow => None,
            Self::Deny | Self::Unauthenticated | Self::Invalid => Some(1008),
            Self::Limited | Self::Undetermined => Some(1013),
        }
    }

    /// The exit code of `sidegate can`.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Allow => 0,
            Self::Deny => 10,
            Self::Unauthenticated => 11,
            Self::Invalid => 12,
            Self::Limited => 13,
            Self::Undetermined => 7,
        }
    }

    /// The decision behind the row: what is not allowed and not undetermined is denied.
    #[must_use]
    pub const fn decision(self) -> Decision {
        match self {
            Self::Allow => Decision::Allow,
            Self::Deny | Self::Unauthenticated | Self::Invalid | Self::Limited => Decision::Deny,
            Self::Undetermined => Decision::Undetermined,
        }
    }
}

impl From<ReasonCode> for Outcome {
    fn from(code: ReasonCode) -> Self {
        match code {
            ReasonCode::Allowed => Self::Allow,
            ReasonCode::UnknownOperation
            | ReasonCode::RequirementFailed
            | ReasonCode::InsufficientScope
            | ReasonCode::ActorRefused
            | ReasonCode::CrossSite
            | ReasonCode::Preflight => Self::Deny,
            ReasonCode::SessionRequired | ReasonCode::CredentialRejected => Self::Unauthenticated,
            ReasonCode::CredentialConflict
            | ReasonCode::TargetInvalid
            | ReasonCode::DataInvalid => Self::Invalid,
            ReasonCode::TooManyRejected => Self::Limited,
            ReasonCode::StoreUnavailable
            | ReasonCode::LookupFailed
            | ReasonCode::IssuerUnavailable
            | ReasonCode::DeadlineExceeded
            | ReasonCode::DataNeeded => Self::Undetermined,
        }
    }
}
