//! What every store decides the same way: who is dead and why, which token stands where, and
//! what time it is. Stores differ in how they keep records, not in these.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use crate::{
    clock::Timestamp,
    principal::Principal,
    session::{JsonObject, MAX_RECORD_BYTES, Revocation, SessionRecord, TokenHash},
    store::{Change, Death, NewSession, Rotation, TokenRole, UpdateError, apply, record_bytes},
};

/// How long a session that has ended can still be asked about, after the end of its lifetime.
pub const TOMBSTONE_RETENTION: Duration = Duration::from_hours(7 * 24);

/// How long a retry of the same request finds the session of the first try.
pub const REQUEST_WINDOW: Duration = Duration::from_mins(10);

/// The highest time seen, below which a store never decides: a clock that is set back revives
/// nothing (SECURITY 5.4, F-10).
///
/// There is no leeway. With one, a session that had expired within it would live again, and a
/// subject could have more sessions than allowed. A clock that was far ahead by mistake therefore
/// ends sessions, and time stands still in the store until the clock has caught up.
#[derive(Debug)]
pub struct TimeGuard(AtomicI64);

impl TimeGuard {
    /// A guard that has seen `highest`.
    #[must_use]
    pub const fn new(highest: Timestamp) -> Self {
        Self(AtomicI64::new(highest.as_micros()))
    }

    /// Notes the caller's time and gives the time to decide by.
    pub fn see(&self, now: Timestamp) -> Timestamp {
        let before = self.0.fetch_max(now.as_micros(), Ordering::SeqCst);
        now.max(Timestamp::from_micros(before))
    }

    /// The highest time seen.
    #[must_use]
    pub fn highest(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl Default for TimeGuard {
    fn default() -> Self {
        Self::new(Timestamp::from_micros(i64::MIN))
    }
}

/// Where a token stands among those of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The newest, in use.
    Current,
    /// The newest, not used yet.
    Fresh,
    /// The one before.
    Predecessor {
        /// When it dies; `None` until its successor's first use.
        until: Option<Timestamp>,
    },
    /// Dead, though its session may live.
    Superseded,
}

impl Standing {
    /// What the token may do at `now`; `None` when it opens nothing any more.
    #[must_use]
    pub fn role(self, now: Timestamp) -> Option<TokenRole> {
        match self {
            Self::Current => Some(TokenRole::Current),
            Self::Fresh => Some(TokenRole::Fresh),
            Self::Predecessor { until } => until
                .is_none_or(|until| now < until)
                .then_some(TokenRole::Predecessor),
            Self::Superseded => None,
        }
    }
}

/// How a session ended, as of `now`; `None` while it lives.
///
/// `ended` is what was written on the session itself and comes first. `epoch` is the first
/// revocation of its subject or tenant after its creation: it counts unless the session had expired
/// by then, so that who and why never change afterwards.
#[must_use]
pub fn death(
    record: &SessionRecord,
    ended: Option<&Death>,
    epoch: Option<&Revocation>,
    now: Timestamp,
) -> Option<Death> {
    if let Some(ended) = ended {
        return Some(ended.clone());
    }
    let instant = epoch.map_or(now, |revocation| revocation.at);
    match (record.expiry(instant), epoch) {
        (Some(limit), _) => Some(Death::Expired { limit }),
        (None, Some(revocation)) => Some(Death::Revoked(revocation.clone())),
        (None, None) => None,
    }
}

/// Which token outlives a rotation as the predecessor; all others but the new one die.
///
/// # Errors
///
/// Returns [`UpdateError::Gone`] when the presented token opens nothing any more, and
/// [`UpdateError::Conflict`] when it has been renewed and the successor is in use: then there would
/// be two winners.
pub fn survivor(
    rotation: Rotation,
    presented: Option<Standing>,
    version: u64,
    now: Timestamp,
) -> Result<Option<TokenHash>, UpdateError> {
    let Rotation::Renewal { presented: token } = rotation else {
        return Ok(None);
    };
    match presented {
        Some(Standing::Predecessor { until: Some(_) }) => {
            Err(UpdateError::Conflict { current: version })
        }
        Some(standing) if standing.role(now).is_some() => Ok(Some(token)),
        _ => Err(UpdateError::Gone),
    }
}

/// Checks the version that a change expects. A full replacement has to expect one (R11, R16).
///
/// # Errors
///
/// Returns [`UpdateError::Conflict`].
pub fn check_version(
    expected: Option<u64>,
    current: u64,
    change: Option<&Change>,
) -> Result<(), UpdateError> {
    let holds = match expected {
        Some(expected) => expected == current,
        None => !matches!(change, Some(Change::ReplaceAttributes(_))),
    };
    holds.then_some(()).ok_or(UpdateError::Conflict { current })
}

/// The attributes after a change.
///
/// # Errors
///
/// Returns [`UpdateError::TooLarge`] when they and the claims would exceed [`MAX_RECORD_BYTES`].
pub fn changed(
    identity: &crate::session::Identity,
    attributes: &JsonObject,
    change: Change,
) -> Result<JsonObject, UpdateError> {
    let attributes = apply(change, attributes.clone());
    match record_bytes(identity, &attributes) {
        bytes if bytes > MAX_RECORD_BYTES => Err(UpdateError::TooLarge(bytes)),
        _ => Ok(attributes),
    }
}

/// The record that a sign-in makes.
#[must_use]
pub fn record(new: &NewSession, now: Timestamp) -> SessionRecord {
    SessionRecord {
        id: new.id,
        tenant: new.tenant.clone(),
        identity: new.identity.clone(),
        attributes: new.attributes.clone(),
        kind: new.kind,
        strategy: new.strategy.clone(),
        created_at: now,
        expires_at: new.expires_at,
        idle: new.idle,
        last_seen: now,
        token_issued_at: now,
        version: 1,
    }
}

/// Whether a retry asks for the session that its first try made: same subject, kind and strategy.
#[must_use]
pub fn is_retry_of(new: &NewSession, record: &SessionRecord) -> bool {
    let subject: Option<&Principal> = record.identity.subject.as_ref();
    (new.kind, &new.strategy) == (record.kind, &record.strategy)
        && new.identity.subject.as_ref() == subject
}
