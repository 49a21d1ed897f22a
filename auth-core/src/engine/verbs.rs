//! Reading, setting and clearing the session of a call (R11).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::Engine;
use crate::{
    call::{CallHandle, CallSession},
    caller::Caller,
    clock::Timestamp,
    decision_point::{SessionChange, SessionError, SessionWrite, SetSession},
    live::{Origin, Session},
    operation::Operation,
    policy::Policy,
    scope::ScopeMatching,
    session::{Identity, JsonObject, SessionId, SessionRecord, TokenHash},
    store::{
        ApiKey, ApiKeyStore as _, Change, ForeignHandle, ForeignSession, ForeignTokenStore as _,
        SessionStore as _, UpdateError,
    },
    wire_update::WireUpdate,
};

mod clear;
mod sign_in;

use sign_in::{New, request_hash};

/// What a session of a peer is of, in words.
pub(super) const PEER: &str = "peer identity";
/// How far the clocks of apps may be ahead of ours.
const CLOCK_LEEWAY: Duration = Duration::from_secs(60);
/// The longest request id.
const MAX_REQUEST_ID_BYTES: usize = 128;

impl Engine {
    fn open(&self, caller: &Caller, sealed: &[u8]) -> Result<CallHandle, SessionError> {
        CallHandle::open(sealed, &self.keys, caller, self.clock.now())
            .filter(|handle| !handle.continues)
            .ok_or(SessionError::CallInvalid)
    }

    /// Whether the session of a call that lasts still lives (R17): a handle to ask again with.
    pub(super) async fn continue_handle(
        &self,
        caller: &Caller,
        sealed: &[u8],
    ) -> Result<Bytes, SessionError> {
        let handle = CallHandle::open(sealed, &self.keys, caller, self.clock.now())
            .ok_or(SessionError::CallInvalid)?;
        self.refuse_ended(&handle).await?;
        self.reseal(CallHandle {
            continues: true,
            ..handle
        })
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
            CallSession::Fixed {
                of,
                expires_at,
                identity,
            } => {
                let session = fixed(&handle.strategy, of, *expires_at, identity)?;
                Ok(Some(Arc::new(session)))
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
                ..
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
            Some(at) if at >= handle.since => Err(SessionError::Gone),
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
        issued_at: None,
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
fn fixed(
    strategy: &str,
    of: &str,
    expires_at: Option<Timestamp>,
    identity: &str,
) -> Result<Session, SessionError> {
    let origin = match of {
        "static token" => Origin::Static,
        PEER => Origin::Peer { expires_at },
        _ => Origin::Stated,
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

/// What names a foreign token and the login behind it.
fn foreign_handles(session: &ForeignSession, token_id: &str) -> Vec<ForeignHandle> {
    let sid = session.discriminator.strip_prefix("sid:");
    let login = sid.map(|sid| ForeignHandle::Sid(sid.to_owned()));
    let token = (!token_id.is_empty()).then(|| ForeignHandle::Jti(token_id.to_owned()));
    token.into_iter().chain(login).collect()
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
    SessionError::ReadOnly(match of {
        "API key" => "API key",
        PEER => PEER,
        _ => "static token",
    })
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
