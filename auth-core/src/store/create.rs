//! How a session comes into being, and what may keep it from that.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::{
    clock::Timestamp,
    session::{Identity, JsonObject, SessionId, SessionRecord, Tenant, TokenHash, TokenKind},
};

/// A session to be made.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its public handle.
    pub id: SessionId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The hash of its token.
    pub token: TokenHash,
    /// What carries the token.
    pub kind: TokenKind,
    /// The one strategy that its tokens are credentials of; `None` where whoever makes the session
    /// knows the kind only: then any of that kind.
    pub strategy: Option<Arc<str>>,
    /// Who is signed in, with what.
    pub identity: Identity,
    /// The app's own data.
    pub attributes: JsonObject,
    /// The end of its lifetime.
    pub expires_at: Timestamp,
    /// How long it may stay unused.
    pub idle: Duration,
    /// The session that this one takes the place of: revoked in the same transaction, with the
    /// cause [`RevocationCause::Replaced`](crate::session::RevocationCause::Replaced). It has to
    /// live at that moment, else nothing is made ([`CreateError::Gone`]).
    pub replaces: Option<SessionId>,
    /// The version that it has to be at then ([`CreateError::Conflict`]); `None` for any (R16).
    pub replaces_version: Option<u64>,
    /// How many live sessions the subject may have, and what happens beyond (S-13).
    pub limit: Option<SubjectLimit>,
    /// Makes a retry find the first try's session (AIP-155): the session is then kept and its
    /// token replaced by this one. Hashed by the caller together with who asks.
    pub request: Option<TokenHash>,
    /// Who asks, for the event.
    pub by: String,
}

/// A session that was made, or found by a retry.
#[derive(Clone, Debug, PartialEq)]
pub struct Created {
    /// The session.
    pub record: SessionRecord,
    /// The sessions of its subject that made room for it, oldest first (S-13).
    pub evicted: Vec<SessionId>,
}

impl Created {
    /// A session that nothing had to make room for.
    #[must_use]
    pub const fn alone(record: SessionRecord) -> Self {
        Self {
            record,
            evicted: Vec::new(),
        }
    }
}

/// How many live sessions a subject may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectLimit {
    /// The number, at least 1.
    pub max: u32,
    /// What happens beyond it.
    pub beyond: BeyondLimit,
}

/// What happens when a subject has too many sessions.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum BeyondLimit {
    /// The oldest ends.
    #[default]
    EvictOldest,
    /// The new one is refused.
    Refuse,
}

/// Why no session was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The id or token is taken.
    #[error("a session with this id or token exists already")]
    Exists,
    /// The subject has as many sessions as allowed.
    #[error("the subject has {0} live sessions already, which is the limit")]
    LimitReached(u32),
    /// The session that it would take the place of has ended, or there is none (R15).
    #[error("the session to be replaced has ended")]
    Gone,
    /// That session has changed since it was read (R16).
    #[error("the session has changed since it was read: it is at version {current}")]
    Conflict {
        /// The version it is at.
        current: u64,
    },
    /// Claims and attributes are too large.
    #[error("claims and attributes take {0} bytes as JSON, the limit is 16384")]
    TooLarge(usize),
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}
