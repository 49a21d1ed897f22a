//! Reading, setting and clearing the session of a call (R11).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Engine, render};
use crate::{
    call::{CallHandle, CallSession},
    caller::Caller,
    clock::Timestamp,
    decision_point::{
        ClearScope, SessionChange, SessionCleared, SessionError, SessionWrite, SetSession, SignIn,
    },
    grammar::TokenText,
    live::{Origin, Session},
    observe::SessionEvent,
    operation::Operation,
    policy::Policy,
    scope::{ScopeMatching, is_scope},
    session::{
        Identity, JsonObject, RevocationCause, SessionId, SessionRecord, SessionToken, TokenHash,
        TokenKind,
    },
    store::{
        ApiKey, ApiKeyStore as _, Change, CreateError, Ending, ForeignHandle, ForeignSession,
        ForeignTokenStore as _, NewSession, SessionStore as _, UpdateError,
    },
    wire_update::WireUpdate,
};

/// How far the clocks of apps may be ahead of ours.
const CLOCK_LEEWAY: Duration = Duration::from_secs(60);
/// The longest request id.
const MAX_REQUEST_ID_BYTES: usize = 128;

impl Engine {
    fn open(&self, caller: &Caller, sealed: &[u8]) -> Result<CallHandle, SessionError> {
        CallHandle::open(sealed, &self.keys, caller, self.clock.now())
            .ok_or(SessionError::CallInvalid)
    }

    /// The session of a call as it is now.
    pub(super) async fn read_session(
        &self,
        caller: &Caller,
        sealed: &[u8],
    ) -> Result<Option<Arc<Session>>, SessionError> {
        let handle = self.open(caller, sealed)?;
        self.refuse_ended(&handle).await?;
        match &handle.session {
            CallSession::Anonymous => Ok(None),
            CallSession::Stored { id, .. } => {
                let listed = self.store.get(&handle.tenant, id, self.clock.now()).await?;
                let listed = listed.filter(|listed| listed.death.is_none());
                let record = listed.ok_or(SessionError::Gone)?.record;
                Ok(Some(Arc::new(stored(record, &handle.strategy))))
            }
            CallSession::External {
                session,
                expires_at,
                identity,
                ..
            } => {
                let now = self.clock.now();
                let (attributes, version) = self
                    .store
                    .foreign_attributes(&handle.tenant, session, now)
                    .await?;
                let session =
                    external(session.clone(), identity, attributes, version, *expires_at)?;
                Ok(Some(Arc::new(session)))
            }
            CallSession::ApiKey { hash, identity, .. } => {
                let key = self.live_key(&handle, hash).await?;
                let origin = Origin::ApiKey {
                    id: key.id,
                    expires_at: key.expires_at,
                };
                let session = unchangeable(origin, &handle.strategy, identity)?;
                Ok(Some(Arc::new(session)))
            }
            CallSession::Fixed { of, identity } => {
                Ok(Some(Arc::new(fixed(&handle.strategy, of, identity)?)))
            }
        }
    }

    /// Signs in, or changes attributes.
    pub(super) async fn set_session(
        &self,
        caller: &Caller,
        request: SetSession,
    ) -> Result<SessionChange, SessionError> {
        let handle = self.open(caller, &request.call)?;
        let signs_in = matches!(request.change, SessionWrite::SignIn(_));
        // The store refuses to replace a session that has ended, in the write itself. Asked before,
        // a retry would be refused, whose first try has replaced it.
        if !signs_in || !matches!(handle.session, CallSession::Stored { .. }) {
            self.refuse_ended(&handle).await?;
        }
        let policy = self.policy.load_full();
        let operation = operation_of(&policy, &handle)?;
        let version = expected_version(&request.etag)?;
        if request.request_id.len() > MAX_REQUEST_ID_BYTES {
            return Err(invalid("request_id", "is longer than 128 bytes"));
        }
        let retry = request_hash(caller, &handle, &request.call, &request.request_id);
        match request.change {
            SessionWrite::SignIn(sign_in) => {
                if !operation.signs_in {
                    return Err(not_allowed(operation, "sign_in"));
                }
                self.check_sign_in(caller, &sign_in)?;
                self.refuse_stale(caller, &request.call, &handle, &request.etag)
                    .await?;
                let new = New {
                    identity: sign_in.identity,
                    attributes: sign_in.attributes,
                    ttl: sign_in.ttl,
                    request: retry,
                    read: version,
                };
                self.create(&policy, caller, handle, new).await
            }
            SessionWrite::Patch { set, remove } => {
                if !operation.writes_attributes {
                    return Err(not_allowed(operation, "attributes"));
                }
                self.patch(&policy, caller, handle, set, remove, version, retry)
                    .await
            }
        }
    }

    /// A sign-in takes the place of the session that was read, or of none (R16). One of the store
    /// is left to the store, which compares as it replaces and knows a retry.
    async fn refuse_stale(
        &self,
        caller: &Caller,
        sealed: &[u8],
        handle: &CallHandle,
        etag: &str,
    ) -> Result<(), SessionError> {
        if etag.is_empty() || matches!(handle.session, CallSession::Stored { .. }) {
            return Ok(());
        }
        match self.read_session(caller, sealed).await {
            Ok(Some(session)) if session.etag() == etag => Ok(()),
            Ok(_) => Err(SessionError::EtagMismatch),
            Err(SessionError::Gone) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn check_sign_in(&self, caller: &Caller, sign_in: &SignIn) -> Result<(), SessionError> {
        let identity = &sign_in.identity;
        let subject = identity
            .subject
            .as_ref()
            .ok_or_else(|| invalid("sign_in.subject", "is required"))?;
        for principal in [Some(subject), identity.actor.as_ref()]
            .into_iter()
            .flatten()
        {
            if !caller.may_sign_in(principal.namespace()) {
                return Err(SessionError::NamespaceNotAllowed {
                    caller: caller.name.to_string(),
                    namespace: principal.namespace().to_owned(),
                });
            }
        }
        if let Some(claim) = identity
            .claims
            .keys()
            .find(|claim| !caller.may_claim(claim))
        {
            return Err(SessionError::ClaimNotAllowed {
                caller: caller.name.to_string(),
                claim: claim.clone(),
            });
        }
        if let Some(scope) = identity.scopes.iter().find(|scope| !is_scope(scope)) {
            let problem = format!(
                "`{}` is no scope (RFC 6749 section 3.3)",
                scope.escape_debug()
            );
            return Err(SessionError::Invalid {
                field: "sign_in.scopes",
                problem,
            });
        }
        match identity.auth_time {
            None => Err(invalid("sign_in.auth_time", "is required")),
            Some(time) if time > self.clock.now().plus(CLOCK_LEEWAY) => {
                Err(invalid("sign_in.auth_time", "lies in the future"))
            }
            Some(_) if sign_in.ttl.is_some_and(|ttl| ttl.is_zero()) => {
                Err(invalid("sign_in.ttl", "must be longer than zero"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Makes a session in place of the call's, and says how its token reaches the client.
    async fn create(
        &self,
        policy: &Policy,
        caller: &Caller,
        handle: CallHandle,
        new: New,
    ) -> Result<SessionChange, SessionError> {
        let now = self.clock.now();
        let kind = token_kind(policy, &handle)?;
        let strategy = (kind == TokenKind::Cookie)
            .then(|| render::cookie_of(policy, Some(&handle.strategy)))
            .flatten()
            .map_or_else(|| Arc::from("bearer"), |cookie| cookie.name.clone());
        let subject = new.identity.subject.clone();
        let shard = self.keys.shard(&handle.tenant, subject.as_ref());
        let token = SessionToken::generate(&*self.random, shard)?;
        let lifetime = new
            .ttl
            .map_or(self.limits.lifetime, |ttl| ttl.min(self.limits.lifetime));
        let replaces = match &handle.session {
            CallSession::Stored { id, .. } => Some(*id),
            _ => None,
        };
        let record = self
            .store
            .create(
                NewSession {
                    id: SessionId::generate(&*self.random, now)?,
                    tenant: handle.tenant.clone(),
                    token: token.hash(),
                    kind,
                    strategy: Some(strategy.clone()),
                    identity: new.identity,
                    attributes: new.attributes,
                    expires_at: now.plus(lifetime),
                    idle: self.limits.idle.min(lifetime),
                    replaces,
                    replaces_version: new.read.filter(|_| replaces.is_some()),
                    limit: subject
                        .is_some()
                        .then_some(self.limits.per_subject)
                        .flatten(),
                    request: new.request,
                    by: caller.name.to_string(),
                },
                now,
            )
            .await
            .map_err(create_error)?
            .record;
        self.observer.session_changed(
            &caller.name,
            &SessionEvent::Created {
                session: record.id,
                subject: record.identity.subject.clone(),
            },
        );
        let text = TokenText::new(token.as_bytes());
        let update = render::hand_out(
            policy,
            kind,
            Some(&strategy),
            text.as_str(),
            now,
            record.expires_at,
        );
        let mut updates: Vec<WireUpdate> = update.into_iter().collect();
        updates.extend(bind(&handle, Some(record.id)));
        let session = CallSession::Stored {
            id: record.id,
            token: token.hash(),
        };
        let call = self.reseal(CallHandle {
            strategy: strategy.clone(),
            session,
            ..handle
        })?;
        Ok(SessionChange {
            session: Arc::new(stored(record, &strategy)),
            updates,
            call,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    async fn patch(
        &self,
        policy: &Policy,
        caller: &Caller,
        handle: CallHandle,
        set: JsonObject,
        remove: Vec<String>,
        version: Option<u64>,
        request: Option<TokenHash>,
    ) -> Result<SessionChange, SessionError> {
        let now = self.clock.now();
        let change = Change::PatchAttributes { set, remove };
        let (session, call) = match &handle.session {
            CallSession::Stored { id, .. } => {
                let updated = self
                    .store
                    .update(&handle.tenant, id, version, change, &caller.name, now)
                    .await
                    .map_err(update_error)?;
                (stored(updated, &handle.strategy), self.reseal(handle)?)
            }
            CallSession::Anonymous => {
                let new = New {
                    identity: Identity::default(),
                    attributes: crate::store::apply(change, JsonObject::new()),
                    ttl: None,
                    request,
                    read: None,
                };
                return self.create(policy, caller, handle, new).await;
            }
            CallSession::External {
                session,
                expires_at,
                identity,
                ..
            } => {
                let (attributes, version) = self
                    .store
                    .update_foreign(&handle.tenant, session, version, change, *expires_at, now)
                    .await
                    .map_err(update_error)?;
                let session =
                    external(session.clone(), identity, attributes, version, *expires_at)?;
                (session, self.reseal(handle)?)
            }
            CallSession::ApiKey { .. } => return Err(read_only("API key")),
            CallSession::Fixed { of, .. } => return Err(read_only(of)),
        };
        Ok(SessionChange {
            session: Arc::new(session),
            updates: Vec::new(),
            call,
        })
    }

    /// Refuses a handle whose session has ended since it was made: a revocation is not undone by
    /// what was handed out before (R15).
    async fn refuse_ended(&self, handle: &CallHandle) -> Result<(), SessionError> {
        let now = self.clock.now();
        let identity = match &handle.session {
            CallSession::Anonymous => return Ok(()),
            CallSession::Stored { id, .. } => {
                let listed = self.store.get(&handle.tenant, id, now).await?;
                let live = listed.is_some_and(|listed| listed.death.is_none());
                return if live {
                    Ok(())
                } else {
                    Err(SessionError::Gone)
                };
            }
            CallSession::External {
                session,
                token_id,
                expires_at,
                identity,
            } => {
                let named: Vec<_> = foreign_handles(session, token_id);
                let (tenant, issuer) = (&handle.tenant, &session.issuer);
                let revoked = self
                    .store
                    .foreign_revocation(tenant, issuer, &named, now)
                    .await?;
                if now >= *expires_at || revoked.is_some() {
                    return Err(SessionError::Gone);
                }
                identity
            }
            CallSession::ApiKey { hash, .. } => {
                return self.live_key(handle, hash).await.map(drop);
            }
            CallSession::Fixed { identity, .. } => identity,
        };
        let Some(subject) = identity_of(identity)?.subject else {
            return Ok(());
        };
        match self
            .store
            .subject_revoked_at(&handle.tenant, &subject)
            .await?
        {
            Some(at) if at >= handle.issued_at => Err(SessionError::Gone),
            _ => Ok(()),
        }
    }

    /// The API key of a call, if it is as good as when the call was allowed by it.
    async fn live_key(
        &self,
        handle: &CallHandle,
        hash: &TokenHash,
    ) -> Result<Arc<ApiKey>, SessionError> {
        let found = self.store.load_key(&handle.tenant, hash).await?;
        let live = found.filter(|key| key.death(self.clock.now()).is_none());
        let key = live.ok_or(SessionError::Gone)?;
        let revoked = self
            .store
            .subject_revoked_at(&handle.tenant, &key.subject)
            .await?;
        match revoked {
            Some(at) if at >= key.created_at => Err(SessionError::Gone),
            _ => Ok(key),
        }
    }

    fn reseal(&self, handle: CallHandle) -> Result<Bytes, SessionError> {
        let handle = CallHandle {
            issued_at: self.clock.now(),
            ..handle
        };
        let sealed = handle.seal(&self.keys, &*self.random);
        sealed
            .map(Bytes::from)
            .ok_or(SessionError::Random(crate::random::RandomError))
    }

    /// Logs out.
    pub(super) async fn clear_session(
        &self,
        caller: &Caller,
        sealed: &[u8],
        scope: ClearScope,
    ) -> Result<SessionCleared, SessionError> {
        let handle = self.open(caller, sealed)?;
        let now = self.clock.now();
        let cause = match scope {
            ClearScope::This => RevocationCause::Logout,
            ClearScope::Others | ClearScope::All => RevocationCause::LogoutElsewhere,
        };
        let ending = Ending {
            by: caller.name.to_string(),
            cause,
            reason: String::new(),
        };
        let ended = match &handle.session {
            CallSession::Anonymous => 0,
            CallSession::Stored { id, .. } => {
                self.clear_stored(&handle, id, scope, ending, now).await?
            }
            CallSession::External { .. } => self.clear_foreign(&handle, scope, ending, now).await?,
            CallSession::ApiKey { .. } => return Err(read_only("API key")),
            CallSession::Fixed { of, .. } => return Err(read_only(of)),
        };
        if ended > 0 {
            let event = SessionEvent::Ended {
                cause,
                count: ended,
            };
            self.observer.session_changed(&caller.name, &event);
        }
        Ok(SessionCleared {
            updates: self.cleared(&handle, scope),
            ended,
        })
    }

    async fn clear_stored(
        &self,
        handle: &CallHandle,
        id: &SessionId,
        scope: ClearScope,
        ending: Ending,
        now: Timestamp,
    ) -> Result<u64, SessionError> {
        if scope == ClearScope::This {
            let live = self.store.revoke(&handle.tenant, id, ending, now).await?;
            return Ok(u64::from(live == Some(true)));
        }
        let listed = self.store.get(&handle.tenant, id, now).await?;
        let record = listed
            .filter(|listed| listed.death.is_none())
            .ok_or(SessionError::Gone)?
            .record;
        let Some(subject) = &record.identity.subject else {
            let live = self.store.revoke(&handle.tenant, id, ending, now).await?;
            return Ok(u64::from(live == Some(true) && scope == ClearScope::All));
        };
        let except = (scope == ClearScope::Others).then_some(id);
        Ok(self
            .store
            .revoke_subject(&handle.tenant, subject, except, ending, now)
            .await?)
    }

    /// Ends the use of a foreign token with us: of this one, or of all that its subject has (R18).
    async fn clear_foreign(
        &self,
        handle: &CallHandle,
        scope: ClearScope,
        ending: Ending,
        now: Timestamp,
    ) -> Result<u64, SessionError> {
        let CallSession::External {
            session,
            token_id,
            expires_at,
            identity,
        } = &handle.session
        else {
            return Ok(0);
        };
        match (scope, identity_of(identity)?.subject) {
            (ClearScope::This, _) => {
                let named = foreign_handle(session, token_id);
                let named = named.ok_or(SessionError::ReadOnly("foreign token"))?;
                let until = expires_at.plus(CLOCK_LEEWAY);
                let (tenant, issuer) = (&handle.tenant, &session.issuer);
                self.store
                    .revoke_foreign(tenant, issuer, named, until, ending, now)
                    .await?;
                Ok(1)
            }
            (ClearScope::All, Some(subject)) => {
                let (tenant, subject) = (&handle.tenant, &subject);
                Ok(self
                    .store
                    .revoke_subject(tenant, subject, None, ending, now)
                    .await?
                    .max(1))
            }
            // Which of the issuer's other sessions live only the issuer knows.
            (ClearScope::Others, _) | (ClearScope::All, None) => {
                Err(SessionError::ReadOnly("foreign token"))
            }
        }
    }

    /// What must happen on the wire after a log-out.
    fn cleared(&self, handle: &CallHandle, scope: ClearScope) -> Vec<WireUpdate> {
        if scope == ClearScope::Others {
            return Vec::new();
        }
        let policy = self.policy.load();
        let cookie = policy
            .strategies
            .cookies()
            .find(|own| *own.name == *handle.strategy);
        let mut updates: Vec<_> = cookie
            .filter(|_| handle.deliverable.cookie)
            .map(render::expire)
            .into_iter()
            .collect();
        updates.extend(bind(handle, None));
        updates
    }
}

/// A session to be made.
struct New {
    identity: Identity,
    attributes: JsonObject,
    ttl: Option<Duration>,
    request: Option<TokenHash>,
    /// The version of the session that was read, where one was named.
    read: Option<u64>,
}

fn stored(record: SessionRecord, strategy: &str) -> Session {
    Session::stored(Arc::new(record), strategy.into())
}

fn external(
    session: ForeignSession,
    identity: &str,
    attributes: JsonObject,
    version: u64,
    expires_at: Timestamp,
) -> Result<Session, SessionError> {
    let origin = Origin::External {
        session,
        token_id: None,
        expires_at,
        version,
    };
    let matching = ScopeMatching::Exact;
    Ok(Session::new(
        origin,
        "bearer".into(),
        identity_of(identity)?,
        attributes,
        matching,
    ))
}

/// The session of a credential that holds all there is to know of it.
fn fixed(strategy: &str, of: &str, identity: &str) -> Result<Session, SessionError> {
    let origin = if of == "static token" {
        Origin::Static
    } else {
        Origin::Stated
    };
    unchangeable(origin, strategy, identity)
}

fn unchangeable(origin: Origin, strategy: &str, identity: &str) -> Result<Session, SessionError> {
    let (identity, matching) = (identity_of(identity)?, ScopeMatching::Hierarchical);
    Ok(Session::new(
        origin,
        strategy.into(),
        identity,
        JsonObject::new(),
        matching,
    ))
}

fn identity_of(json: &str) -> Result<Identity, SessionError> {
    serde_json::from_str(json).map_err(|_| SessionError::CallInvalid)
}

/// The connection of a call is bound to its new session, where the edge can do that.
fn bind(handle: &CallHandle, session: Option<SessionId>) -> Option<WireUpdate> {
    let connection_id = handle.connection_id.clone();
    (handle.deliverable.connection && !connection_id.is_empty()).then_some(
        WireUpdate::BindConnection {
            connection_id,
            session,
        },
    )
}

fn operation_of<'p>(
    policy: &'p Policy,
    handle: &CallHandle,
) -> Result<&'p Operation, SessionError> {
    let app = policy.apps.all.iter().find(|app| *app.name == *handle.app);
    app.and_then(|app| app.operation(&handle.operation))
        .ok_or(SessionError::CallInvalid)
}

/// What will carry the token: what carried the last one, else a cookie, else a token by itself.
fn token_kind(policy: &Policy, handle: &CallHandle) -> Result<TokenKind, SessionError> {
    let cookie = handle.deliverable.cookie && policy.strategies.cookie().is_some();
    let bearer = handle.deliverable.token && policy.strategies.opaque_bearer().is_some();
    match (cookie, bearer) {
        (_, true) if *handle.strategy == *"bearer" => Ok(TokenKind::Bearer),
        (true, _) => Ok(TokenKind::Cookie),
        (false, true) => Ok(TokenKind::Bearer),
        (false, false) => Err(SessionError::NotDeliverable(
            if policy.strategies.cookie().is_some() {
                "cookie"
            } else {
                "token"
            },
        )),
    }
}

/// Names a request for its retries. A retry comes with the same sealed call, so that nobody else's
/// request of the same name is taken for one.
fn request_hash(
    caller: &Caller,
    handle: &CallHandle,
    sealed: &[u8],
    request_id: &str,
) -> Option<TokenHash> {
    if request_id.is_empty() {
        return None;
    }
    // Lengths in front, so that no two requests look alike.
    let parts: [&[u8]; 5] = [
        caller.name.as_bytes(),
        handle.tenant.as_str().as_bytes(),
        handle.operation.as_bytes(),
        sealed,
        request_id.as_bytes(),
    ];
    let mut all = Vec::new();
    for part in parts {
        all.extend_from_slice(&part.len().to_be_bytes());
        all.extend_from_slice(part);
    }
    Some(TokenHash::of(&all))
}

/// What names a foreign token and the login behind it.
fn foreign_handles(session: &ForeignSession, token_id: &str) -> Vec<ForeignHandle> {
    let sid = session.discriminator.strip_prefix("sid:");
    let login = sid.map(|sid| ForeignHandle::Sid(sid.to_owned()));
    let token = (!token_id.is_empty()).then(|| ForeignHandle::Jti(token_id.to_owned()));
    token.into_iter().chain(login).collect()
}

fn foreign_handle(session: &ForeignSession, token_id: &str) -> Option<ForeignHandle> {
    if token_id.is_empty() {
        let sid = session.discriminator.strip_prefix("sid:")?;
        return Some(ForeignHandle::Sid(sid.to_owned()));
    }
    Some(ForeignHandle::Jti(token_id.to_owned()))
}

fn expected_version(etag: &str) -> Result<Option<u64>, SessionError> {
    if etag.is_empty() {
        return Ok(None);
    }
    let version = etag
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    // An etag that is none of ours cannot be the present one.
    let version = version.and_then(|version| version.parse().ok());
    version.map(Some).ok_or(SessionError::EtagMismatch)
}

fn invalid(field: &'static str, problem: &str) -> SessionError {
    SessionError::Invalid {
        field,
        problem: problem.to_owned(),
    }
}

fn not_allowed(operation: &Operation, needed: &'static str) -> SessionError {
    SessionError::WriteNotAllowed {
        operation: operation.name.to_string(),
        needed,
    }
}

/// Sessions of credentials that are issued once and for all take no changes.
fn read_only(of: &str) -> SessionError {
    SessionError::ReadOnly(if of == "API key" {
        "API key"
    } else {
        "static token"
    })
}

fn create_error(err: CreateError) -> SessionError {
    match err {
        CreateError::LimitReached(max) => SessionError::TooManySessions(max),
        CreateError::Gone => SessionError::Gone,
        CreateError::Conflict { .. } => SessionError::EtagMismatch,
        CreateError::TooLarge(_) => invalid("sign_in", "claims and attributes exceed 16 KiB"),
        CreateError::Exists => SessionError::Random(crate::random::RandomError),
        CreateError::Store(err) => SessionError::Store(err),
    }
}

fn update_error(err: UpdateError) -> SessionError {
    match err {
        UpdateError::Gone => SessionError::Gone,
        UpdateError::Conflict { .. } => SessionError::EtagMismatch,
        UpdateError::TooLarge(_) => invalid("patch", "claims and attributes would exceed 16 KiB"),
        UpdateError::Exists => SessionError::Random(crate::random::RandomError),
        UpdateError::Store(err) => SessionError::Store(err),
    }
}
