//! What a session store must do: the verbs, their answers and the promises behind them.
//!
//! There is no upsert: a record comes into being by [`SessionStore::create`] alone, changes by
//! compare-and-set on a live record, and a revoked one stays revoked (R15). Every write appends its
//! [`Event`] in the same transaction. [`contract`] is the suite that every store passes.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    principal::Principal,
    session::{
        Expiry, Identity, JsonObject, Revocation, SessionId, SessionRecord, Tenant, TokenHash,
        TokenKind,
    },
};

pub mod contract;
pub mod memory;
pub mod rules;

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

/// How a session or token ended. Told apart only inside (R10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum Death {
    /// A limit was reached.
    Expired {
        /// Which.
        limit: Expiry,
    },
    /// Somebody ended it.
    Revoked(Revocation),
    /// The session lives on under a newer token.
    Superseded,
}

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

/// A change of a live session. Nothing here changes whose it is (I9).
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Sets and removes top-level keys of the attributes.
    PatchAttributes {
        /// Keys to set.
        set: JsonObject,
        /// Keys to remove.
        remove: Vec<String>,
    },
    /// Puts these attributes in place of the present ones.
    ReplaceAttributes(JsonObject),
}

/// Why a session was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// There is no such live session.
    #[error("there is no such live session")]
    Gone,
    /// It changed since it was read (R16).
    #[error("the session has changed since it was read: it is at version {current}")]
    Conflict {
        /// The version it is at.
        current: u64,
    },
    /// Claims and attributes would be too large.
    #[error("claims and attributes would take {0} bytes as JSON, the limit is 16384")]
    TooLarge(usize),
    /// The new token is taken.
    #[error("this token exists already")]
    Exists,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a new token takes over from the old one (R13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The presented token stays good until `touch` reports the new one's first use, and its
    /// overlap has passed. An older or undelivered one dies at once.
    Renewal {
        /// The token that was presented.
        presented: TokenHash,
    },
    /// Every token but the new one dies at once.
    Immediate,
}

/// Selects sessions for [`SessionStore::list`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only this subject's.
    pub subject: Option<Principal>,
    /// Also those that have ended and are not swept yet.
    pub include_ended: bool,
}

/// A session and whether it lives.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The record.
    pub record: SessionRecord,
    /// How it ended; `None` while it lives.
    pub death: Option<Death>,
}

/// One page of a list, oldest session first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The sessions.
    pub sessions: Vec<Listed>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<SessionId>,
}

/// A place in the stream of events. Opaque to everyone but the store that made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// One thing that happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where it stands in the stream.
    pub position: Position,
    /// When it happened.
    pub at: Timestamp,
    /// The session or API key; `None` where the event is about all of a subject's or everyone's,
    /// and where it is about a token that another issued.
    pub session: Option<SessionId>,
    /// The subject, where there is one.
    pub subject: Option<Principal>,
    /// What happened.
    pub kind: EventKind,
    /// Who asked; empty when it came about by itself.
    pub by: String,
    /// Words given with it; empty when none were.
    pub reason: String,
}

/// What can happen to a session (names after the OWASP Logging Vocabulary).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It was made.
    SessionCreated,
    /// Its attributes changed.
    SessionUpdated,
    /// It got a new token.
    SessionRotated,
    /// It was ended.
    SessionRevoked(crate::session::RevocationCause),
    /// It was swept after its end.
    SessionExpired,
    /// All of a subject's sessions were ended.
    SubjectRevoked,
    /// Everyone's sessions were ended.
    AllRevoked,
    /// An API key was made.
    KeyCreated,
    /// An API key was revoked.
    KeyRevoked,
}

/// What `watch` yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// The events after the position, at least one, in order.
    Events(Vec<Event>),
    /// Events may have been lost since the position: read everything anew, then go on from here.
    Reset(Position),
}

/// What one step of sweeping did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions that had expired and are tombstones now: no more than the limit of the step.
    pub expired: Vec<Expired>,
    /// Tombstones, tokens and events removed for good.
    pub removed: u64,
}

impl Swept {
    /// Whether there was nothing to do.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.expired.is_empty() && self.removed == 0
    }
}

/// A session whose end a step of sweeping wrote down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Its public handle.
    pub id: SessionId,
    /// Whose it was.
    pub tenant: Tenant,
    /// Who was signed in; `None` for an anonymous session.
    pub subject: Option<Principal>,
    /// Which limit ended it.
    pub limit: Expiry,
}

impl Expired {
    /// What is told of this session, which this limit ended.
    #[must_use]
    pub fn of(record: &SessionRecord, limit: Expiry) -> Self {
        Self {
            id: record.id,
            tenant: record.tenant.clone(),
            subject: record.identity.subject.clone(),
            limit,
        }
    }
}

/// Who ends sessions, and why; the store adds when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The caller or operator.
    pub by: String,
    /// The kind of act.
    pub cause: crate::session::RevocationCause,
    /// Words for the record; empty when there are none.
    pub reason: String,
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

/// An API key as a store keeps it (T-19).
#[derive(Clone, Debug, PartialEq)]
pub struct ApiKey {
    /// Its public handle.
    pub id: SessionId,
    /// Whose it is.
    pub tenant: Tenant,
    /// The hash of the key.
    pub hash: TokenHash,
    /// What people call it.
    pub name: String,
    /// For whom it acts.
    pub subject: Principal,
    /// Facts about the holder, as a sign-in would give.
    pub claims: JsonObject,
    /// The scopes granted.
    pub scopes: Vec<String>,
    /// Whether every scope counts as granted.
    pub all_scopes: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it ends; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// Who revoked it, when and why.
    pub revoked: Option<Revocation>,
}

impl ApiKey {
    /// Why the key may no longer be used at `now`; `None` while it may.
    #[must_use]
    pub fn death(&self, now: Timestamp) -> Option<Death> {
        match (&self.revoked, self.expires_at) {
            (Some(revocation), _) => Some(Death::Revoked(revocation.clone())),
            (None, Some(end)) if now >= end => Some(Death::Expired {
                limit: Expiry::Lifetime,
            }),
            _ => None,
        }
    }
}

/// Keeps API keys.
///
/// # Errors
///
/// As [`SessionStore`].
#[async_trait]
pub trait ApiKeyStore: fmt::Debug + Send + Sync + 'static {
    /// Adds a key. Never changes an existing one.
    async fn create_key(&self, key: ApiKey) -> Result<(), CreateError>;

    /// Finds a key by its hash, dead or alive.
    async fn load_key(
        &self,
        tenant: &Tenant,
        hash: &TokenHash,
    ) -> Result<Option<Arc<ApiKey>>, StoreError>;

    /// Lists keys by id, those after `after`, at most `limit`.
    async fn list_keys(
        &self,
        tenant: &Tenant,
        after: Option<&SessionId>,
        limit: usize,
    ) -> Result<Vec<ApiKey>, StoreError>;

    /// Revokes a key. Answers whether it was live; `None` when there is no such key.
    async fn revoke_key(
        &self,
        tenant: &Tenant,
        id: &SessionId,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError>;
}

/// What names a foreign token for revocation: never a hash of its text (T-13).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForeignHandle {
    /// One token (RFC 7519 section 4.1.7).
    Jti(String),
    /// All tokens of one session at the issuer.
    Sid(String),
}

/// The session of an external token, across its renewals (R18).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForeignSession {
    /// The issuer (`iss`).
    pub issuer: String,
    /// The subject at the issuer (`sub`).
    pub subject: String,
    /// The session at the issuer (`sid`), else the client (`client_id`), else empty.
    pub discriminator: String,
}

/// Keeps what we know about tokens that others issue: revocations, and attributes set on them.
///
/// # Errors
///
/// As [`SessionStore`].
#[async_trait]
pub trait ForeignTokenStore: fmt::Debug + Send + Sync + 'static {
    /// Refuses the tokens of `handle` until `until`, by when they have expired by themselves.
    async fn revoke_foreign(
        &self,
        tenant: &Tenant,
        issuer: &str,
        handle: ForeignHandle,
        until: Timestamp,
        ending: Ending,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// The first revocation that one of these handles is under.
    async fn foreign_revocation(
        &self,
        tenant: &Tenant,
        issuer: &str,
        handles: &[ForeignHandle],
        now: Timestamp,
    ) -> Result<Option<Revocation>, StoreError>;

    /// The attributes set on a foreign session, with their version; version 0 when none are.
    async fn foreign_attributes(
        &self,
        tenant: &Tenant,
        session: &ForeignSession,
        now: Timestamp,
    ) -> Result<(JsonObject, u64), StoreError>;

    /// Changes the attributes of a foreign session and keeps them until `until` at least.
    async fn update_foreign(
        &self,
        tenant: &Tenant,
        session: &ForeignSession,
        expected_version: Option<u64>,
        change: Change,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(JsonObject, u64), UpdateError>;
}

/// All that a decision point keeps, in one store.
pub trait Store: SessionStore + ApiKeyStore + ForeignTokenStore {}

impl<T: SessionStore + ApiKeyStore + ForeignTokenStore> Store for T {}

/// Applies a change to attributes, for stores to share.
#[must_use]
pub fn apply(change: Change, attributes: JsonObject) -> JsonObject {
    match change {
        Change::ReplaceAttributes(all) => all,
        Change::PatchAttributes { set, remove } => {
            let mut attributes = attributes;
            for key in &remove {
                attributes.remove(key);
            }
            attributes.extend(set);
            attributes
        }
    }
}

/// How many bytes claims and attributes take as JSON, for the limit on records.
#[must_use]
pub fn record_bytes(identity: &Identity, attributes: &JsonObject) -> usize {
    let objects = BTreeMap::from([("claims", &identity.claims), ("attributes", attributes)]);
    serde_json::to_vec(&objects).map_or(usize::MAX, |json| json.len())
}
