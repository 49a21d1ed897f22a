//! Signing in: who may be signed in, and the session that is made.

use std::{sync::Arc, time::Duration};

use super::{CLOCK_LEEWAY, bind, invalid, stored};
use crate::{
    call::{CallHandle, CallSession},
    caller::Caller,
    decision_point::{SessionChange, SessionError, SignIn},
    engine::{Engine, render},
    grammar::TokenText,
    observe::SessionEvent,
    policy::Policy,
    scope::is_scope,
    session::{Identity, JsonObject, SessionId, SessionToken, TokenHash, TokenKind},
    store::{CreateError, NewSession, SessionStore as _},
};

impl Engine {
    /// A sign-in takes the place of the session that was read, or of none (R16). One of the store
    /// is left to the store, which compares as it replaces and knows a retry.
    pub(super) async fn refuse_stale(
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

    pub(super) fn check_sign_in(
        &self,
        caller: &Caller,
        sign_in: &SignIn,
    ) -> Result<(), SessionError> {
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
        if let Some(at) = identity.scopes.iter().position(|scope| !is_scope(scope)) {
            // Which, and not what it is: the app's content is in no log.
            let problem = format!("number {} is no scope (RFC 6749 section 3.3)", at + 1);
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
    pub(super) async fn create(
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
        let mut updates = render::hand_out(
            policy,
            &self.keys,
            (kind, &strategy),
            (&handle.tenant, text.as_str()),
            now,
            record.expires_at,
        );
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
}

/// A session to be made.
pub(super) struct New {
    pub(super) identity: Identity,
    pub(super) attributes: JsonObject,
    pub(super) ttl: Option<Duration>,
    pub(super) request: Option<TokenHash>,
    /// The version of the session that was read, where one was named.
    pub(super) read: Option<u64>,
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
pub(super) fn request_hash(
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
