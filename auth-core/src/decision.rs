//! The answer to a call: a decision, always with its reason.

use std::{fmt, sync::Arc};

use bytes::Bytes;

use crate::{live::Session, outcome::Outcome, principal::Principal, wire_update::WireUpdate};

/// Whether a call may proceed. Only `Allow` lets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It may.
    Allow,
    /// It may not.
    Deny,
    /// A dependency of ours failed; it may not (R4).
    Undetermined,
}

/// Why a decision came out as it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReasonCode {
    /// Every requirement held.
    Allowed,
    /// No app or operation answers to this host, method and target.
    UnknownOperation,
    /// A requirement did not hold.
    RequirementFailed,
    /// The session lacks a scope.
    InsufficientScope,
    /// Somebody acts on the subject's behalf, which the operation does not admit (R23).
    ActorRefused,
    /// The operation needs a session with a subject, or a requirement reads the session, and
    /// there is none (R7).
    SessionRequired,
    /// A credential was presented and is not valid.
    CredentialRejected,
    /// Two credentials, or two values of one, were presented (R8).
    CredentialConflict,
    /// The target, host or method is malformed or ambiguous (SECURITY H-01).
    TargetInvalid,
    /// Declared data is malformed, given twice or in conflict (R24).
    DataInvalid,
    /// The peer presented too many invalid credentials (SECURITY S-21).
    TooManyRejected,
    /// The session store could not answer.
    StoreUnavailable,
    /// A look-up failed that the decision needed.
    LookupFailed,
    /// The keys of the token's issuer could not be had.
    IssuerUnavailable,
    /// The deadline passed before the decision.
    DeadlineExceeded,
    /// The decision depends on a body that the edge holds and has not read: it is none yet, and the
    /// edge asks again with what it read.
    DataNeeded,
    /// A page of another site may have had a browser make the call (SECURITY C-06).
    CrossSite,
    /// A browser asks what a page of another origin may send; no operation is called. HTTP edges
    /// answer it with the headers of the answer, and all others refuse.
    Preflight,
}

impl ReasonCode {
    /// All codes.
    pub const ALL: [Self; 18] = [
        Self::Allowed,
        Self::UnknownOperation,
        Self::RequirementFailed,
        Self::InsufficientScope,
        Self::ActorRefused,
        Self::SessionRequired,
        Self::CredentialRejected,
        Self::CredentialConflict,
        Self::TargetInvalid,
        Self::DataInvalid,
        Self::TooManyRejected,
        Self::StoreUnavailable,
        Self::LookupFailed,
        Self::IssuerUnavailable,
        Self::DeadlineExceeded,
        Self::DataNeeded,
        Self::CrossSite,
        Self::Preflight,
    ];

    /// The name in JSON, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::UnknownOperation => "unknown_operation",
            Self::RequirementFailed => "requirement_failed",
            Self::InsufficientScope => "insufficient_scope",
            Self::ActorRefused => "actor_refused",
            Self::SessionRequired => "session_required",
            Self::CredentialRejected => "credential_rejected",
            Self::CredentialConflict => "credential_conflict",
            Self::TargetInvalid => "target_invalid",
            Self::DataInvalid => "data_invalid",
            Self::TooManyRejected => "too_many_rejected",
            Self::StoreUnavailable => "store_unavailable",
            Self::LookupFailed => "lookup_failed",
            Self::IssuerUnavailable => "issuer_unavailable",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::DataNeeded => "data_needed",
            Self::CrossSite => "cross_site",
            Self::Preflight => "preflight",
        }
    }

    /// The code of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

/// Why a decision came out as it did, with the names that belong to it. Holds no value of a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The reason.
    pub code: ReasonCode,
    /// The first requirement that refused.
    pub requirement: Option<Arc<str>>,
    /// Its checks that did not hold.
    pub checks: Vec<Arc<str>>,
    /// All scopes that the operation needs, when one is missing.
    pub required_scopes: Arc<[String]>,
    /// What was wrong with target, credential or data, in words; empty when the code says it all.
    pub detail: String,
}

impl Reason {
    /// The reason `code`, with nothing to add.
    #[must_use]
    pub fn new(code: ReasonCode) -> Self {
        Self {
            code,
            requirement: None,
            checks: Vec::new(),
            required_scopes: Arc::default(),
            detail: String::new(),
        }
    }

    /// The reason `code`, with words.
    #[must_use]
    pub fn with_detail(code: ReasonCode, detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..Self::new(code)
        }
    }
}

/// What became of the presented credential, as far as outsiders may know (R10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialState {
    /// None was presented, or none was looked for.
    Absent,
    /// It is not valid.
    Rejected,
    /// It is valid.
    Valid,
    /// It could not be judged.
    Undetermined,
}

impl CredentialState {
    /// The name in JSON and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Rejected => "rejected",
            Self::Valid => "valid",
            Self::Undetermined => "undetermined",
        }
    }
}

/// The answer to a call. Its `Debug` prints no secret.
#[derive(Clone)]
pub struct Answer {
    /// Why.
    pub reason: Reason,
    /// The operation that the call reaches.
    pub operation: Option<Arc<str>>,
    /// The session that the decision used.
    pub session: Option<Arc<Session>>,
    /// The verified identity of the peer.
    pub workload: Option<Principal>,
    /// What must happen on the wire, on a refusal too.
    pub updates: Vec<WireUpdate>,
    /// The sealed handle of the call (R26); only with an allow.
    pub call: Option<Bytes>,
    /// Names the decision in logs.
    pub decision_id: String,
    /// The policy that decided.
    pub policy_version: Arc<str>,
    /// What became of the presented credential.
    pub credential: CredentialState,
    /// The values of `WWW-Authenticate`.
    pub challenges: Vec<String>,
    /// Headers for the response to the client, names in lower case, whatever the decision. They
    /// take the place of the app's own, but for `vary`, which is added to.
    pub response_headers: Vec<(String, String)>,
}

impl Answer {
    /// The row of the table that edges render.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.reason.code.into()
    }

    /// Whether the call may proceed.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.outcome().decision()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("reason", &self.reason)
            .field("operation", &self.operation)
            .field("credential", &self.credential)
            .field("decision_id", &self.decision_id)
            .field("policy_version", &self.policy_version)
            .finish_non_exhaustive()
    }
}
