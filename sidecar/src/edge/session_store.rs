//! Sessions by id or subject over gRPC: `sidegate.v1.SessionStoreService`.
//!
//! Only for callers with `session.manage`, over a unix socket, and within their own tenant. Page
//! tokens and positions are signed and bound to the request that they belong to.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use auth_core::{
    caller::{Caller, Grant},
    clock::{Clock, Timestamp},
    grammar::TokenText,
    keys::Keyring,
    principal::Principal,
    random::Random,
    session::{RevocationCause, SessionId, SessionToken, Tenant},
    store::{
        Change, Ending, Listed, NewSession, Position, Rotation, SessionFilter, Store, SubjectLimit,
    },
};
use futures_util::Stream;
use proto::{
    core::{ConvertError, managed, name, reason, session},
    v1::{self, session_store_service_server::SessionStoreService},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Extensions, Request, Response, Status};

use super::{
    access,
    status::{create_error, random_error, refusal, store_error, update_error},
};

mod create;
mod cursor;
mod watch;

/// The most sessions on a page.
const MAX_PAGE: usize = 1000;
/// The sessions on a page when none are asked for.
const DEFAULT_PAGE: usize = 50;

/// How long sessions may last, and how many a subject may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// The end of a session counts from its start.
    pub lifetime: Duration,
    /// How long a session may stay unused.
    pub idle: Duration,
    /// How many live sessions a subject may have; `None` is any number.
    pub per_subject: Option<SubjectLimit>,
}

/// What the edge works with.
#[derive(Clone)]
pub struct SessionStoreParts {
    /// The store. Its writes must leave their marks for the session cache.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where tokens come from.
    pub random: Arc<dyn Random>,
    /// What places tokens in shards and signs cursors.
    pub keys: Arc<Keyring>,
    /// The limits in force; asked anew for each session, since a reload may change them.
    pub limits: Arc<dyn Fn() -> SessionLimits + Send + Sync>,
    /// Ends open watches when the sidecar stops.
    pub shutdown: CancellationToken,
}

impl fmt::Debug for SessionStoreParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStoreParts")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// Manages the sessions of a store.
#[derive(Clone, Debug)]
pub struct SessionStoreEdge {
    parts: SessionStoreParts,
}

impl SessionStoreEdge {
    /// The edge of this store.
    #[must_use]
    pub const fn new(parts: SessionStoreParts) -> Self {
        Self { parts }
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// The session of this id, live or ended.
    async fn find(&self, tenant: &Tenant, id: &SessionId) -> Result<Listed, Status> {
        let found = self.parts.store.get(tenant, id, self.now()).await;
        found
            .map_err(|error| store_error(&error))?
            .ok_or_else(not_found)
    }

    /// A new token for the subject, and what the client gets to see of it.
    fn mint(
        &self,
        tenant: &Tenant,
        subject: Option<&Principal>,
    ) -> Result<(SessionToken, String), Status> {
        let shard = self.parts.keys.shard(tenant, subject);
        let token = SessionToken::generate(&*self.parts.random, shard).map_err(|error| {
            tracing::error!(%error, "no token was made");
            random_error()
        })?;
        let text = TokenText::new(token.as_bytes()).as_str().to_owned();
        Ok((token, text))
    }
}

/// The caller, if it may manage sessions.
fn manager(extensions: &Extensions) -> Result<Arc<Caller>, Status> {
    access::caller(extensions, Grant::SessionManage)
}

/// The session that a field names, if it is of the caller's tenant.
fn named(caller: &Caller, field: &str, name: &str) -> Result<SessionId, Status> {
    let (tenant, id) = name::parse_session(field, name)?;
    access::tenant(caller, &tenant)?;
    Ok(id)
}

/// The tenant that `parent` names, if it is the caller's.
fn parent(caller: &Caller, parent: &str) -> Result<Tenant, Status> {
    let tenant = name::parse_parent("parent", parent, &caller.tenant)?;
    access::tenant(caller, &tenant)?;
    Ok(tenant)
}

/// The subject that a request must name.
fn subject(message: Option<&v1::Principal>) -> Result<Principal, Status> {
    let message = message.ok_or_else(|| ConvertError::new("subject", "is required"))?;
    Ok(Principal::try_from(message).map_err(|error| error.under("subject"))?)
}

/// The version that an etag asks for; none when it is empty.
fn expected_version(etag: &str) -> Result<Option<u64>, Status> {
    if etag.is_empty() {
        return Ok(None);
    }
    Ok(Some(session::version(etag)?))
}

fn ending(caller: &Caller, cause: RevocationCause, words: String) -> Result<Ending, Status> {
    Ok(Ending {
        by: caller.name.to_string(),
        cause,
        reason: managed::reason(words)?,
    })
}

fn not_found() -> Status {
    let message = "there is no such session";
    refusal(Code::NotFound, reason::SESSION_NOT_FOUND, message, &[])
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[tonic::async_trait]
impl SessionStoreService for SessionStoreEdge {
    type WatchSessionsStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchSessionsResponse, Status>> + Send>>;

    async fn create_session(
        &self,
        request: Request<v1::CreateSessionRequest>,
    ) -> Result<Response<v1::CreateSessionResponse>, Status> {
        let caller = manager(request.extensions())?;
        let request = request.into_inner();
        let tenant = parent(&caller, &request.parent)?;
        let now = self.now();
        let wanted = create::wanted(&caller, request, (self.parts.limits)(), now)?;
        let subject = wanted.sign_in.identity.subject.as_ref();
        let (token, text) = self.mint(&tenant, subject)?;
        let id = SessionId::generate(&*self.parts.random, now).map_err(|_| random_error())?;
        let new: NewSession = wanted.session(id, tenant, token.hash(), &caller);
        let created = self.parts.store.create(new, now).await;
        Ok(Response::new(v1::CreateSessionResponse {
            session: Some(created.map_err(create_error)?.record.into()),
            token: text,
        }))
    }

    async fn read_session(
        &self,
        request: Request<v1::ReadSessionRequest>,
    ) -> Result<Response<v1::ReadSessionResponse>, Status> {
        let caller = manager(request.extensions())?;
        let id = named(&caller, "name", &request.get_ref().name)?;
        let found = self.find(&caller.tenant, &id).await?;
        Ok(Response::new(v1::ReadSessionResponse {
            session: Some((&found).into()),
        }))
    }

    async fn update_session(
        &self,
        request: Request<v1::UpdateSessionRequest>,
    ) -> Result<Response<v1::UpdateSessionResponse>, Status> {
        let caller = manager(request.extensions())?;
        let request = request.into_inner();
        let id = named(&caller, "name", &request.name)?;
        let version = expected_version(&request.etag)?;
        let patch = request
            .patch
            .ok_or_else(|| ConvertError::new("patch", "is required"))?;
        let (set, remove) =
            session::patch_from_message(patch).map_err(|error| error.under("patch"))?;
        let change = Change::PatchAttributes { set, remove };
        let (tenant, by, now) = (&caller.tenant, &caller.name, self.now());
        let store = &self.parts.store;
        let record = store.update(tenant, &id, version, change, by, now).await;
        Ok(Response::new(v1::UpdateSessionResponse {
            session: Some(record.map_err(update_error)?.into()),
        }))
    }

    async fn rotate_session(
        &self,
        request: Request<v1::RotateSessionRequest>,
    ) -> Result<Response<v1::RotateSessionResponse>, Status> {
        let caller = manager(request.extensions())?;
        let request = request.into_inner();
        let id = named(&caller, "name", &request.name)?;
        let version = expected_version(&request.etag)?;
        let (tenant, by) = (&caller.tenant, &caller.name);
        let found = self.find(tenant, &id).await?;
        let (token, text) = self.mint(tenant, found.record.identity.subject.as_ref())?;
        let (hash, now) = (token.hash(), self.now());
        let store = &self.parts.store;
        let record = store
            .rotate(tenant, &id, version, hash, Rotation::Immediate, by, now)
            .await;
        Ok(Response::new(v1::RotateSessionResponse {
            session: Some(record.map_err(update_error)?.into()),
            token: text,
        }))
    }

    async fn revoke_session(
        &self,
        request: Request<v1::RevokeSessionRequest>,
    ) -> Result<Response<v1::RevokeSessionResponse>, Status> {
        let caller = manager(request.extensions())?;
        let request = request.into_inner();
        let id = named(&caller, "name", &request.name)?;
        let ending = ending(&caller, RevocationCause::Revoked, request.reason)?;
        let store = &self.parts.store;
        let revoked = store.revoke(&caller.tenant, &id, ending, self.now()).await;
        let was_live = revoked
            .map_err(|error| store_error(&error))?
            .ok_or_else(not_found)?;
        Ok(Response::new(v1::RevokeSessionResponse { was_live }))
    }

    async fn revoke_subject(
        &self,
        request: Request<v1::RevokeSubjectRequest>,
    ) -> Result<Response<v1::RevokeSubjectResponse>, Status> {
        let caller = manager(request.extensions())?;
        let request = request.into_inner();
        let tenant = parent(&caller, &request.parent)?;
        let subject = subject(request.subject.as_ref())?;
        let except = match &*request.except {
            "" => None,
            name => Some(named(&caller, "except", name)?),
        };
        let ending = ending(&caller, RevocationCause::SubjectRevoked, request.reason)?;
        let (store, now) = (&self.parts.store, self.now());
        let ended = if request.dry_run {
            self.count_subject(&tenant, &subject, except).await?
        } else {
            store
                .revoke_subject(&tenant, &subject, except.as_ref(), ending, now)
                .await
                .map_err(|error| store_error(&error))?
        };
        Ok(Response::new(v1::RevokeSubjectResponse {
            revoked_count: count(ended),
        }))
    }

    async fn revoke_all_sessions(
        &self,
        request: Request<v1::RevokeAllSessionsRequest>,
    ) -> Result<Response<v1::RevokeAllSessionsResponse>, Status> {
        let caller = manager(request.extensions())?;
        let request = request.into_inner();
        let tenant = parent(&caller, &request.parent)?;
        let ending = ending(&caller, RevocationCause::AllRevoked, request.reason)?;
        let (store, now) = (&self.parts.store, self.now());
        let ended = if request.dry_run {
            let live = store.count(&tenant, None, now).await;
            live.map_err(|error| store_error(&error))?
        } else {
            let expected = expected_count(request.expected_count)?;
            let revoked = store.revoke_all(&tenant, Some(expected), ending, now).await;
            revoked
                .map_err(|error| store_error(&error))?
                .map_err(|live| count_mismatch(expected, live))?
        };
        Ok(Response::new(v1::RevokeAllSessionsResponse {
            revoked_count: count(ended),
        }))
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let caller = manager(request.extensions())?;
        let request = request.into_inner();
        let tenant = parent(&caller, &request.parent)?;
        let filter = SessionFilter {
            subject: match &request.subject {
                None => None,
                message => Some(subject(message.as_ref())?),
            },
            include_ended: request.include_ended,
        };
        let limit = page_size(request.page_size)?;
        let scope = cursor::list_scope(&tenant, &filter, limit);
        let after = match &*request.page_token {
            "" => None,
            token => Some(cursor::read_page(&self.parts.keys, &scope, token)?),
        };
        let (store, now) = (&self.parts.store, self.now());
        let page = store
            .list(&tenant, &filter, after.as_ref(), limit, now)
            .await;
        let page = page.map_err(|error| store_error(&error))?;
        Ok(Response::new(v1::ListSessionsResponse {
            sessions: page.sessions.iter().map(Into::into).collect(),
            next_page_token: page
                .next
                .map(|id| cursor::write_page(&self.parts.keys, &scope, &id))
                .unwrap_or_default(),
        }))
    }

    async fn watch_sessions(
        &self,
        request: Request<v1::WatchSessionsRequest>,
    ) -> Result<Response<Self::WatchSessionsStream>, Status> {
        let caller = manager(request.extensions())?;
        let request = request.into_inner();
        let tenant = parent(&caller, &request.parent)?;
        let from: Position = match &*request.position {
            "" => {
                let end = self.parts.store.position().await;
                end.map_err(|error| store_error(&error))?
            }
            position => cursor::read_position(&self.parts.keys, &tenant, position)?,
        };
        Ok(Response::new(watch::stream(&self.parts, tenant, from)))
    }
}

impl SessionStoreEdge {
    /// How many live sessions of the subject there are beside `except`.
    async fn count_subject(
        &self,
        tenant: &Tenant,
        subject: &Principal,
        except: Option<SessionId>,
    ) -> Result<u64, Status> {
        let (store, now) = (&self.parts.store, self.now());
        let live = store.count(tenant, Some(subject), now).await;
        let live = live.map_err(|error| store_error(&error))?;
        let spared = match except {
            None => None,
            Some(id) => {
                let found = store.get(tenant, &id, now).await;
                found.map_err(|error| store_error(&error))?
            }
        };
        let is_spared = spared.is_some_and(|found| {
            found.death.is_none() && found.record.identity.subject.as_ref() == Some(subject)
        });
        Ok(live.saturating_sub(u64::from(is_spared)))
    }
}

fn page_size(asked: i32) -> Result<usize, Status> {
    match usize::try_from(asked) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(size) if size <= MAX_PAGE => Ok(size),
        Ok(_) | Err(_) => {
            Err(ConvertError::new("page_size", format!("must be 0 to {MAX_PAGE}")).into())
        }
    }
}

fn expected_count(asked: Option<i64>) -> Result<u64, Status> {
    let field = "expected_count";
    let asked = asked.ok_or_else(|| ConvertError::new(field, "is required unless `dry_run`"))?;
    Ok(u64::try_from(asked).map_err(|_| ConvertError::new(field, "is less than zero"))?)
}

fn count_mismatch(expected: u64, live: u64) -> Status {
    let message = format!("{live} sessions live and not {expected}, so none was ended");
    let live = live.to_string();
    let facts = [("live", &*live)];
    refusal(
        Code::FailedPrecondition,
        reason::COUNT_MISMATCH,
        message,
        &facts,
    )
}
