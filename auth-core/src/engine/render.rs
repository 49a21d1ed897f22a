//! What a decision or a changed session means on the wire.

use bytes::Bytes;

use super::{Engine, authenticate::Authenticated};
use crate::{
    call::{CallHandle, CallSession},
    caller::Caller,
    clock::Timestamp,
    decision::{Reason, ReasonCode},
    keys::Keyring,
    live::{Origin, Session},
    observe::Refusal,
    operation::{App, Operation},
    policy::Policy,
    session::{RevocationCause, Tenant, TokenHash, TokenKind},
    store::Death,
    strategy::{CookieStrategy, Strategy},
    wire::{Call, Deliverable},
    wire_update::WireUpdate,
};

impl Engine {
    /// The sealed handle of an allowed call (R26).
    pub(super) fn seal_call(
        &self,
        caller: &Caller,
        call: &Call,
        app: &App,
        operation: &Operation,
        authenticated: &Authenticated,
        now: Timestamp,
    ) -> Option<Bytes> {
        let session = authenticated.session.as_deref();
        let token = authenticated.token.as_ref().map(|token| token.hash);
        let handle = CallHandle {
            issued_at: now,
            since: since(session, call).unwrap_or(now),
            caller: caller.name.clone(),
            tenant: call.tenant.clone(),
            kind: call.kind.clone(),
            app: app.name.clone(),
            operation: operation.name.clone(),
            strategy: session.map_or_else(|| "".into(), |session| session.strategy.clone()),
            connection_id: call.connection_id.clone(),
            deliverable: call.deliverable,
            continues: false,
            session: call_session(session, token, authenticated),
        };
        handle.seal(&self.keys, &*self.random).map(Bytes::from)
    }
}

/// From when on a revocation of the subject ends a session that we do not keep: as for new calls,
/// what does not say when it was issued may be as old as it likes.
fn since(session: Option<&Session>, call: &Call) -> Option<Timestamp> {
    let issued_at = match session?.origin {
        Origin::External { issued_at, .. } => issued_at,
        Origin::Peer { .. } => call.peer.not_before,
        Origin::Stored(_) | Origin::Static | Origin::ApiKey { .. } | Origin::Stated => return None,
    };
    Some(issued_at.unwrap_or(Timestamp::EPOCH))
}

/// Whose session a call has.
fn call_session(
    session: Option<&Session>,
    token: Option<TokenHash>,
    authenticated: &Authenticated,
) -> CallSession {
    let Some(session) = session else {
        return CallSession::Anonymous;
    };
    let identity = || serde_json::to_string(&session.identity).unwrap_or_default();
    let fixed = |of: &str| CallSession::Fixed {
        of: of.to_owned(),
        expires_at: session.expires_at(),
        identity: identity(),
    };
    match (&session.origin, token) {
        (Origin::Stored(record), Some(token)) => CallSession::Stored {
            id: record.id,
            token,
        },
        (
            Origin::External {
                session,
                token_id,
                expires_at,
                ..
            },
            _,
        ) => CallSession::External {
            session: session.clone(),
            token_id: token_id.clone().unwrap_or_default(),
            expires_at: *expires_at,
            proven_until: authenticated.proven_until,
            identity: identity(),
        },
        (Origin::ApiKey { id, .. }, _) => match authenticated.key {
            Some(hash) => CallSession::ApiKey {
                id: *id,
                hash,
                identity: identity(),
            },
            None => fixed("API key"),
        },
        (Origin::Static, _) => fixed("static token"),
        (Origin::Peer { .. }, _) => fixed(super::verbs::PEER),
        (Origin::Stated | Origin::Stored(_), _) => fixed("statement"),
    }
}

/// Whether an edge can deliver a token of this kind.
pub(super) const fn can_deliver(kind: TokenKind, deliverable: Deliverable) -> bool {
    match kind {
        TokenKind::Cookie => deliverable.cookie,
        TokenKind::Bearer => deliverable.token,
    }
}

/// The cookie strategy of this name, else the first.
pub(super) fn cookie_of<'p>(policy: &'p Policy, name: Option<&str>) -> Option<&'p CookieStrategy> {
    let named = name.and_then(|name| policy.strategies.cookies().find(|own| *own.name == *name));
    named.or_else(|| policy.strategies.cookie())
}

/// What hands out a token of this kind, to the strategy of this name.
pub(super) fn hand_out(
    policy: &Policy,
    keys: &Keyring,
    (kind, strategy): (TokenKind, &str),
    (tenant, token): (&Tenant, &str),
    now: Timestamp,
    expires_at: Timestamp,
) -> Vec<WireUpdate> {
    match kind {
        TokenKind::Bearer => vec![WireUpdate::IssueToken {
            token: token.to_owned(),
            expires_at,
        }],
        TokenKind::Cookie => {
            let Some(strategy) = cookie_of(policy, Some(strategy)) else {
                return Vec::new();
            };
            let cookie = &strategy.cookie;
            let session = WireUpdate::SetCookie {
                name: cookie.name.clone(),
                header_value: cookie.set(token, now, expires_at),
            };
            let csrf = strategy.csrf_update(keys, tenant, token, now, expires_at);
            std::iter::once(session).chain(csrf).collect()
        }
    }
}

/// What removes the cookies of a strategy.
pub(super) fn expire(strategy: &CookieStrategy) -> impl Iterator<Item = WireUpdate> {
    let csrf = strategy.csrf.as_ref().map(|csrf| &csrf.cookie);
    let cookies = std::iter::once(&strategy.cookie).chain(csrf);
    cookies.map(|cookie| WireUpdate::ExpireCookie {
        name: cookie.name.clone(),
        header_value: cookie.expire(),
    })
}

/// Removes a dead cookie from the client (R9): not one that was merely superseded, since its
/// successor may have the same name, and not when the store did not answer.
pub(super) fn dead_cookie(
    policy: &Policy,
    call: &Call,
    authenticated: &Authenticated,
) -> Vec<WireUpdate> {
    let dead = match &authenticated.refusal {
        Some(Refusal::Malformed | Refusal::Unknown) => true,
        Some(Refusal::Dead(Death::Expired { .. })) => true,
        Some(Refusal::Dead(Death::Revoked(revocation))) => {
            revocation.cause != RevocationCause::Replaced
        }
        Some(Refusal::Dead(Death::Superseded) | Refusal::Foreign(_))
        | Some(Refusal::Unconfirmed(_) | Refusal::CertificateExpired)
        | Some(Refusal::SubjectRevoked | Refusal::Throttled)
        | None => false,
    };
    // One that was not looked at, since another credential came before it, may be live.
    let refused = authenticated.cookie.as_deref();
    let refused = refused.filter(|_| dead && call.deliverable.cookie);
    let mut cookies = policy.strategies.cookies();
    let presented = refused.and_then(|name| cookies.find(|own| *own.name == *name));
    presented.into_iter().flat_map(expire).collect()
}

/// The values of `WWW-Authenticate` (RFC 9110 section 11.6.1; RFC 6750 section 3): no error code
/// when nothing was sent.
pub(super) fn challenges(
    policy: &Policy,
    reason: &Reason,
    authenticated: &Authenticated,
) -> Vec<String> {
    let by_bearer = |strategy: &Strategy| matches!(strategy, Strategy::Bearer(_));
    let has_bearer = policy.strategies.all.iter().any(by_bearer);
    let error = match reason.code {
        ReasonCode::SessionRequired => "",
        ReasonCode::CredentialRejected => "error=\"invalid_token\"",
        ReasonCode::CredentialConflict => "error=\"invalid_request\"",
        ReasonCode::InsufficientScope => "error=\"insufficient_scope\"",
        _ => return Vec::new(),
    };
    if !has_bearer {
        let cookie = policy.strategies.cookie();
        return cookie
            .filter(|_| reason.code != ReasonCode::InsufficientScope)
            .map(|cookie| format!("Cookie cookie-name=\"{}\"", cookie.cookie.name))
            .into_iter()
            .collect();
    }
    let mut challenge = String::from("Bearer");
    if !error.is_empty() {
        challenge.push(' ');
        challenge.push_str(error);
    }
    if !reason.required_scopes.is_empty() && authenticated.session.is_some() {
        let scopes = reason.required_scopes.join(" ");
        challenge.push_str(&format!(", scope=\"{scopes}\""));
    }
    vec![challenge]
}
