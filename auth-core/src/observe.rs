//! What the engine tells those who log and count. Nothing here holds a secret.

use std::{fmt, time::Duration};

use crate::{
    decision::Answer,
    jwt::Rejection,
    principal::Principal,
    session::{RevocationCause, SessionId},
    store::Death,
    wire::Call,
};

/// Why a presented credential was refused. Told apart only inside (R10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not of the form that its kind has.
    Malformed,
    /// Never issued by us, or forgotten since.
    Unknown,
    /// Its session or key has ended, or it was superseded.
    Dead(Death),
    /// A token of an issuer, refused for this reason.
    Foreign(String),
    /// A token of an issuer whose sender has not shown to be who may use it, in a word.
    Unconfirmed(&'static str),
    /// Presented by a peer whose certificate has ended since its connection was opened.
    CertificateExpired,
    /// Issued before all that its subject had was revoked.
    SubjectRevoked,
    /// Presented by a peer with too many refusals.
    Throttled,
}

impl Refusal {
    /// Why a token of an issuer is refused.
    #[must_use]
    pub fn of(rejection: &Rejection) -> Self {
        match rejection {
            Rejection::CertificateExpired => Self::CertificateExpired,
            Rejection::SenderConstrained
            | Rejection::CertificateMissing
            | Rejection::CertificateMismatch
            | Rejection::CertificateUnbound => Self::Unconfirmed(rejection.code()),
            _ => Self::Foreign(rejection.code().to_owned()),
        }
    }

    /// The name in metrics and logs; bounded in number.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Dead(Death::Expired { .. }) => "expired",
            Self::Dead(Death::Revoked(_)) => "revoked",
            Self::Dead(Death::Superseded) => "superseded",
            Self::Foreign(_) => "foreign_token",
            Self::Unconfirmed(why) => why,
            Self::CertificateExpired => "certificate_expired",
            Self::SubjectRevoked => "subject_revoked",
            Self::Throttled => "throttled",
        }
    }
}

/// Words for logs: more than the label where there is more to say, and no secret.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(why) => write!(f, "foreign_token: {why}"),
            Self::Dead(Death::Revoked(revocation)) => {
                write!(f, "revoked: {}", revocation.cause.as_str())
            }
            _ => f.write_str(self.label()),
        }
    }
}

/// A decision that was made, for one line of a log.
#[derive(Debug)]
pub struct DecisionEvent<'a> {
    /// The name of the caller that asked.
    pub caller: &'a str,
    /// The call.
    pub call: &'a Call,
    /// The canonical path or name that was matched, without a query; empty when there is none.
    pub target: &'a str,
    /// The answer.
    pub answer: &'a Answer,
    /// Whose token was presented, where that is known though it was refused.
    pub presented: Option<SessionId>,
    /// Why the credential was refused.
    pub refusal: Option<&'a Refusal>,
    /// What failed, when the decision is undetermined; for logs only.
    pub failure: Option<&'a str>,
    /// How long the decision took.
    pub duration: Duration,
}

/// Something that happened to a session through the engine, for the audit log (names after the
/// OWASP Logging Vocabulary).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// One was made.
    Created {
        /// Which.
        session: SessionId,
        /// For whom.
        subject: Option<Principal>,
    },
    /// Its token was renewed.
    Renewed {
        /// Which.
        session: SessionId,
    },
    /// Some ended.
    Ended {
        /// How.
        cause: RevocationCause,
        /// How many.
        count: u64,
    },
}

/// Hears what the engine does. Called on the request path: it must not block.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// A decision was made.
    fn decided(&self, event: &DecisionEvent<'_>);
    /// A session changed.
    fn session_changed(&self, caller: &str, event: &SessionEvent);
    /// A session was found in the cache, or not.
    fn cache_looked_up(&self, hit: bool);
}

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deaf;

impl Observer for Deaf {
    fn decided(&self, _: &DecisionEvent<'_>) {}
    fn session_changed(&self, _: &str, _: &SessionEvent) {}
    fn cache_looked_up(&self, _: bool) {}
}
