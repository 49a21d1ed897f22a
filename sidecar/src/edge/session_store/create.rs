//! What a session to be made must be like.

use std::time::Duration;

use auth_core::{
    caller::Caller,
    clock::Timestamp,
    decision_point::{SessionError, SignIn},
    session::{SessionId, Tenant, TokenHash, TokenKind},
    store::NewSession,
};
use proto::{
    core::{ConvertError, managed, session},
    v1,
};
use tonic::Status;

use super::SessionLimits;
use crate::edge::status::session_error;

/// How far the clock of a caller may be ahead of ours.
const SKEW: Duration = Duration::from_secs(60);

/// A session that a caller may have.
pub(super) struct Wanted {
    pub(super) sign_in: SignIn,
    kind: TokenKind,
    request_id: String,
    limits: SessionLimits,
    expires_at: Timestamp,
}

/// Reads a request for a session and holds the caller to what it may sign in and claim.
pub(super) fn wanted(
    caller: &Caller,
    request: v1::CreateSessionRequest,
    limits: SessionLimits,
    now: Timestamp,
) -> Result<Wanted, Status> {
    let message = request
        .sign_in
        .ok_or_else(|| ConvertError::new("sign_in", "is required"))?;
    let sign_in = SignIn::try_from(message).map_err(|error| error.under("sign_in"))?;
    allowed(caller, &sign_in).map_err(session_error)?;
    auth_time(&sign_in, now)?;
    Ok(Wanted {
        kind: managed::token_kind(request.kind)?,
        request_id: session::request_id(request.request_id)?,
        expires_at: now.plus(lifetime(&sign_in, &limits)?),
        limits,
        sign_in,
    })
}

fn allowed(caller: &Caller, sign_in: &SignIn) -> Result<(), SessionError> {
    let principals = [&sign_in.identity.subject, &sign_in.identity.actor];
    for principal in principals.into_iter().flatten() {
        if !caller.may_sign_in(principal.namespace()) {
            return Err(SessionError::NamespaceNotAllowed {
                caller: caller.name.to_string(),
                namespace: principal.namespace().to_owned(),
            });
        }
    }
    let mut claims = sign_in.identity.claims.keys();
    match claims.find(|claim| !caller.may_claim(claim)) {
        None => Ok(()),
        Some(claim) => Err(SessionError::ClaimNotAllowed {
            caller: caller.name.to_string(),
            claim: claim.clone(),
        }),
    }
}

fn auth_time(sign_in: &SignIn, now: Timestamp) -> Result<(), ConvertError> {
    let field = "sign_in.auth_time";
    match sign_in.identity.auth_time {
        None => Err(ConvertError::new(field, "is required")),
        Some(at) if at > now.plus(SKEW) => Err(ConvertError::new(field, "lies in the future")),
        Some(_) => Ok(()),
    }
}

fn lifetime(sign_in: &SignIn, limits: &SessionLimits) -> Result<Duration, ConvertError> {
    match sign_in.ttl {
        Some(ttl) if ttl > limits.lifetime => {
            let problem = format!(
                "is longer than the configured lifetime of {} s",
                limits.lifetime.as_secs()
            );
            Err(ConvertError::new("sign_in.ttl", problem))
        }
        ttl => Ok(ttl.unwrap_or(limits.lifetime)),
    }
}

impl Wanted {
    /// The session, for the store.
    pub(super) fn session(
        self,
        id: SessionId,
        tenant: Tenant,
        token: TokenHash,
        caller: &Caller,
    ) -> NewSession {
        let request = (!self.request_id.is_empty())
            .then(|| format!("create\0{}\0{}", caller.name, self.request_id))
            .map(|request| TokenHash::of(request.as_bytes()));
        NewSession {
            id,
            tenant,
            token,
            kind: self.kind,
            // A request says what carries the token, not which of several cookies.
            strategy: (self.kind == TokenKind::Bearer).then(|| "bearer".into()),
            identity: self.sign_in.identity,
            attributes: self.sign_in.attributes,
            expires_at: self.expires_at,
            idle: self.limits.idle,
            replaces: None,
            replaces_version: None,
            limit: self.limits.per_subject,
            request,
            by: caller.name.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn caller() -> Caller {
        Caller {
            sign_in: ["local".to_owned()].into(),
            claims: Some(["role".to_owned()].into()),
            ..Caller::new("shop")
        }
    }

    fn request() -> v1::CreateSessionRequest {
        v1::CreateSessionRequest {
            kind: v1::TokenKind::Bearer.into(),
            sign_in: Some(v1::SignIn {
                subject: Some(v1::Principal {
                    namespace: "local".into(),
                    id: "u1".into(),
                }),
                claims_json: r#"{"role":"admin"}"#.into(),
                auth_time: Some(proto::core::time::to_message(NOW)),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    fn limits() -> SessionLimits {
        SessionLimits {
            lifetime: Duration::from_secs(3600),
            idle: Duration::from_secs(60),
            per_subject: None,
        }
    }

    fn spoilt(spoil: impl FnOnce(&mut v1::SignIn)) -> String {
        let mut request = request();
        spoil(request.sign_in.as_mut().unwrap());
        let status = wanted(&caller(), request, limits(), NOW).err().unwrap();
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        let field = info.metadata.get("field").cloned().unwrap_or_default();
        format!("{} {field}", info.reason)
    }

    #[test]
    fn a_session_lasts_as_long_as_configured_or_less() {
        for (ttl, seconds) in [(None, 3600), (Some(10), 10), (Some(3600), 3600)] {
            let mut request = request();
            request.sign_in.as_mut().unwrap().ttl =
                ttl.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
            let wanted = wanted(&caller(), request, limits(), NOW).unwrap();
            assert_eq!(wanted.expires_at, NOW.plus(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn what_the_caller_may_not_have_is_refused_by_name() {
        let other = |namespace: &str| {
            Some(v1::Principal {
                namespace: namespace.into(),
                id: "u1".into(),
            })
        };
        for (refused, expected) in [
            (
                spoilt(|s| s.subject = other("idp")),
                "NAMESPACE_NOT_ALLOWED ",
            ),
            (spoilt(|s| s.actor = other("idp")), "NAMESPACE_NOT_ALLOWED "),
            (
                spoilt(|s| s.claims_json = r#"{"tier":1}"#.into()),
                "CLAIM_NOT_ALLOWED ",
            ),
            (
                spoilt(|s| s.auth_time = None),
                "INVALID_FIELD sign_in.auth_time",
            ),
            (
                spoilt(|s| s.auth_time.as_mut().unwrap().seconds += 61),
                "INVALID_FIELD sign_in.auth_time",
            ),
            (
                spoilt(|s| {
                    s.ttl = Some(prost_types::Duration {
                        seconds: 3601,
                        nanos: 0,
                    });
                }),
                "INVALID_FIELD sign_in.ttl",
            ),
        ] {
            assert_eq!(refused, expected);
        }
    }

    #[test]
    fn a_request_id_is_the_callers_own() {
        let hash = |name: &str| {
            let mut request = request();
            request.request_id = "r1".into();
            let caller = Caller {
                name: name.into(),
                ..caller()
            };
            let wanted = wanted(&caller, request, limits(), NOW).unwrap();
            let id = SessionId::from_bytes([0; 16]);
            let token = TokenHash::of(b"t");
            wanted
                .session(id, Tenant::default(), token, &caller)
                .request
        };
        assert_eq!(hash("a"), hash("a"));
        assert_ne!(hash("a"), hash("b"));
    }
}
