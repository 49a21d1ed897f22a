//! Verified sessions, kept for a few seconds (SECURITY 5.5).

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use quick_cache::sync::Cache;

use super::touch_interval;
use crate::{
    clock::Timestamp,
    invalidation::{Invalidation, Moment},
    jwt::Confirmation,
    live::{Origin, Session},
    session::{Tenant, TokenHash, TokenKind},
    store::TokenRole,
};

/// How long a session is believed without asking the store.
pub(super) const CACHE_LIFETIME: Duration = Duration::from_secs(5);
/// How many sessions are kept.
const CAPACITY: usize = 100_000;

/// The policy's generation and the strategy belong to it: what they make of a session is cached too.
pub(super) type Key = (u64, Arc<str>, Tenant, TokenKind, TokenHash);

/// A live session as it was loaded.
#[derive(Debug)]
pub(super) struct Cached {
    pub(super) session: Arc<Session>,
    pub(super) role: TokenRole,
    /// Who may use the token, to be asked at each use.
    pub(super) confirmation: Confirmation,
    since: Moment,
    loaded_at: Timestamp,
    /// When its use was last written, in microseconds.
    touched_at: AtomicI64,
}

impl Cached {
    pub(super) fn new(
        session: Arc<Session>,
        role: TokenRole,
        since: Moment,
        now: Timestamp,
    ) -> Self {
        let touched_at = match &session.origin {
            Origin::Stored(record) => record.last_seen.as_micros(),
            _ => now.as_micros(),
        };
        Self {
            session,
            role,
            confirmation: Confirmation::Bearer,
            since,
            loaded_at: now,
            touched_at: AtomicI64::new(touched_at),
        }
    }

    /// The same, of a token that only this sender may use.
    pub(super) fn confirmed_by(self, confirmation: Confirmation) -> Self {
        Self {
            confirmation,
            ..self
        }
    }

    /// Whether its use is due to be written; answers yes to one asker an interval.
    pub(super) fn claim_touch(&self, now: Timestamp) -> bool {
        let Origin::Stored(record) = &self.session.origin else {
            return false;
        };
        let touched_at = self.touched_at.load(Ordering::Relaxed);
        let due = Timestamp::from_micros(touched_at).plus(touch_interval(record.idle));
        now >= due
            && self
                .touched_at
                .compare_exchange(
                    touched_at,
                    now.as_micros(),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok()
    }

    /// Takes a claim back whose write failed.
    pub(super) fn unclaim_touch(&self) {
        if let Origin::Stored(record) = &self.session.origin {
            self.touched_at
                .store(record.last_seen.as_micros(), Ordering::Relaxed);
        }
    }

    /// Whether a limit of the session has passed, by what was last written of its use.
    fn has_expired(&self, now: Timestamp) -> bool {
        match &self.session.origin {
            Origin::Stored(record) => {
                let seen = Timestamp::from_micros(self.touched_at.load(Ordering::Relaxed));
                now >= record.expires_at || now >= seen.plus(record.idle)
            }
            Origin::External { expires_at, .. } => now >= *expires_at,
            // Its connection lasts as long as it is asked about, and its certificate may not.
            Origin::Peer { expires_at } => expires_at.is_some_and(|end| now >= end),
            Origin::Static | Origin::ApiKey { .. } | Origin::Stated => true,
        }
    }
}

/// The cache.
#[derive(Debug)]
pub(super) struct SessionCache {
    sessions: Cache<Key, Arc<Cached>>,
    invalidation: Arc<Invalidation>,
}

impl SessionCache {
    pub(super) fn new(invalidation: Arc<Invalidation>) -> Self {
        Self {
            sessions: Cache::new(CAPACITY),
            invalidation,
        }
    }

    /// The moment to take before a load.
    pub(super) fn moment(&self) -> Moment {
        self.invalidation.now()
    }

    /// The session of a token, if it was loaded a moment ago and nothing happened to it since.
    pub(super) fn get(&self, key: &Key, now: Timestamp) -> Option<Arc<Cached>> {
        let cached = self.sessions.get(key)?;
        let fresh = now >= cached.loaded_at && now < cached.loaded_at.plus(CACHE_LIFETIME);
        let good = fresh
            && !cached.has_expired(now)
            && self.invalidation.is_good(
                cached.since,
                &key.2,
                cached.session.id(),
                cached.session.identity.subject.as_ref(),
                now,
            );
        if good {
            Some(cached)
        } else {
            self.sessions.remove(key);
            None
        }
    }

    /// Keeps a session that was loaded. One with a token on its way in or out is not kept, since
    /// its next use matters to the store.
    pub(super) fn insert(&self, key: Key, cached: Arc<Cached>) {
        if cached.role == TokenRole::Current {
            self.sessions.insert(key, cached);
        }
    }
}
