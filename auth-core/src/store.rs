//! What a session store must do: the verbs, their answers and the promises behind them.
//!
//! There is no upsert: a record comes into being by [`SessionStore::create`] alone, changes by
//! compare-and-set on a live record, and a revoked one stays revoked (R15). Every write appends its
//! [`Event`] in the same transaction. [`contract`] is the suite that every store passes.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::{
    clock::Timestamp,
    principal::Principal,
    session::{Identity, JsonObject, SessionId, SessionRecord, Tenant, TokenHash, TokenKind},
};

pub mod contract;
pub mod memory;
pub mod rules;

mod api_key;
mod change;
mod create;
mod event;
mod foreign;
mod listing;
mod sweep;

pub use api_key::{ApiKey, ApiKeyStore};
pub use change::{Change, Death, Ending, Rotation, UpdateError, apply};
pub use create::{BeyondLimit, CreateError, Created, NewSession, SubjectLimit};
pub use event::{Changes, Event, EventKind, Position};
pub use foreign::{ForeignHandle, ForeignSession, ForeignTokenStore};
pub use listing::{Listed, Page, SessionFilter};
pub use sweep::{Expired, Swept};

/// A backend could not answer. The decision is then undetermined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It is out of reach, too slow or shutting down.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It has no room left.
    #[error("the store is out of space")]
    OutOfSpace,
    /// It may not be written.
    #[error("the store is read-only")]
    ReadOnly,
    /// A record in it makes no sense; the record is not used.
    #[error("the store holds a damaged record: {0}")]
    Damaged(String),
}

/// What a token leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Loaded {
    /// A live session.
    Live {
        /// Its record.
        record: Arc<SessionRecord>,
        /// Which of its tokens was presented.
        role: TokenRole,
    },
    /// A session that has ended, or a token that no longer opens it.
    Dead {
        /// Whose token it was.
        id: SessionId,
        /// How it ended.
        death: Death,
    },
    /// Never issued, or forgotten since.
    Unknown,
}

/// Which of a session's tokens was presented (R13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRole {
    /// The newest one, in use.
    Current,
    /// The newest one, not used before: its first use starts the end of its predecessor, which
    /// the caller reports by [`SessionStore::touch`].
    Fresh,
    /// The one before, still good until shortly after its successor's first use.
    Predecessor,
}

/// Keeps sessions.
///
/// Each verb is one transaction. `now` is the caller's clock: a store never asks the time, but it
/// does not follow it back either ([`rules::TimeGuard`]). A write is acknowledged only when it is as
/// durable as the store promises.
///
/// # Errors
///
/// Every verb returns [`StoreError`] (by itself or inside its own error) when the backend cannot
/// answer; nothing was then acknowledged.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// Makes a session. Never changes an existing one, but for a retry of the same `request`
    /// within [`rules::REQUEST_WINDOW`]. A retry whose session has ended since makes no new one: it
    /// is [`CreateError::Exists`].
    async fn create(&self, new: NewSession, now: Timestamp) -> Result<Created, CreateError>;

    /// Finds the session of a token of this kind: live, dead or unknown.
    async fn load(
        &self,
        tenant: &Tenant,
        kind: TokenKind,
        token: &TokenHash,
        now: Timestamp,
    ) -> Result<Loaded, StoreError>;

    /// Finds a session by its id, live or ended; `None` when there is none.
    async fn get(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        now: Timestamp,
    ) -> Result<Option<Listed>, StoreError>;

    /// Changes a live session, if it is still at `expected_version` where one is given. A full
    /// replacement without one is a [`UpdateError::Conflict`] (R11).
    async fn update(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        expected_version: Option<u64>,
        change: Change,
        by: &str,
        now: Timestamp,
    ) -> Result<SessionRecord, UpdateError>;

    /// Notes that a live session was used by `token` at `now`. Never moves `last_seen` backwards,
    /// never extends the lifetime, never revives; the version stays. The first use of a renewed
    /// token lets its predecessor live until `overlap` from now.
    async fn touch(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        token: &TokenHash,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Gives a live session a new token. A renewal by a dead token is [`UpdateError::Gone`]; one by
    /// a predecessor whose successor is in use is [`UpdateError::Conflict`], as its session has been
    /// renewed already.
    #[expect(clippy::too_many_arguments, reason = "each is a fact of the one write")]
    async fn rotate(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        expected_version: Option<u64>,
        token: TokenHash,
        rotation: Rotation,
        by: &str,
        now: Timestamp,
    ) -> Result<SessionRecord, UpdateError>;

    /// Ends a session. Ending one that has ended changes nothing: who and why stay as they were.
    /// Answers whether it was live; `None` when there is no such session.
    async fn revoke(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError>;

    /// Ends all sessions of a subject but `except`, in one write, and answers how many lived.
    async fn revoke_subject(
        &self,
        tenant: &Tenant,
        subject: &Principal,
        except: Option<&SessionId>,
        ending: Ending,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Ends all sessions of a tenant, in one write, and answers how many lived. When `expected` is
    /// given and another number live, nothing happens and `Err(live)` is the inner answer.
    async fn revoke_all(
        &self,
        tenant: &Tenant,
        expected: Option<u64>,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Result<u64, u64>, StoreError>;

    /// Counts the live sessions that the filter selects.
    async fn count(
        &self,
        tenant: &Tenant,
        subject: Option<&Principal>,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Lists sessions by id, those after `after`, at most `limit`.
    async fn list(
        &self,
        tenant: &Tenant,
        filter: &SessionFilter,
        after: Option<&SessionId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Page, StoreError>;

    /// The end of the stream of events at this moment.
    async fn position(&self) -> Result<Position, StoreError>;

    /// Waits for events of a tenant after `after`, and answers with at most `limit` of them. At
    /// least once, in order; a gap is never silent, it is [`Changes::Reset`].
    async fn watch(
        &self,
        tenant: &Tenant,
        after: Position,
        limit: usize,
    ) -> Result<Changes, StoreError>;

    /// When all of a subject's sessions were last revoked: external tokens issued up to then are
    /// refused (R18). The tenant-wide revocation counts as well.
    async fn subject_revoked_at(
        &self,
        tenant: &Tenant,
        subject: &Principal,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Turns at most `limit` expired sessions into tombstones and removes at most `limit` things
    /// whose time is over.
    async fn sweep(&self, limit: usize, now: Timestamp) -> Result<Swept, StoreError>;
}

/// All that a decision point keeps, in one store.
pub trait Store: SessionStore + ApiKeyStore + ForeignTokenStore {}

impl<T: SessionStore + ApiKeyStore + ForeignTokenStore> Store for T {}

/// How many bytes claims and attributes take as JSON, for the limit on records.
#[must_use]
pub fn record_bytes(identity: &Identity, attributes: &JsonObject) -> usize {
    let objects = BTreeMap::from([("claims", &identity.claims), ("attributes", attributes)]);
    serde_json::to_vec(&objects).map_or(usize::MAX, |json| json.len())
}
