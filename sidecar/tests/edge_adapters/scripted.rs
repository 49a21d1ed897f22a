//! A decision point that answers by target and by call handle, and remembers what it was asked.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use auth_core::{
    caller::{Caller, Grant},
    clock::Timestamp,
    decision::{Answer, CredentialState, Reason, ReasonCode},
    decision_point::{
        ClearScope, DecisionPoint, OperationTags, SessionChange, SessionCleared, SessionError,
        SetSession, WireProfile,
    },
    live::{Origin, Session},
    random::RandomError,
    scope::ScopeMatching,
    session::{Identity, JsonObject},
    store::StoreError,
    wire::{Call, CredentialSource, WireKind},
    wire_update::WireUpdate,
};
use bytes::Bytes;

/// Errors by the handle that asks for them.
pub(crate) fn session_errors() -> Vec<(&'static str, SessionError)> {
    use SessionError as E;
    vec![
        ("call", E::CallInvalid),
        ("gone", E::Gone),
        (
            "write",
            E::WriteNotAllowed {
                operation: "logout".into(),
                needed: "sign_in",
            },
        ),
        (
            "namespace",
            E::NamespaceNotAllowed {
                caller: "shop".into(),
                namespace: "idp".into(),
            },
        ),
        (
            "claim",
            E::ClaimNotAllowed {
                caller: "shop".into(),
                claim: "role".into(),
            },
        ),
        ("etag", E::EtagMismatch),
        ("undeliverable", E::NotDeliverable("cookie")),
        ("readonly", E::ReadOnly("static token")),
        ("many", E::TooManySessions(20)),
        ("full", E::Store(StoreError::OutOfSpace)),
        ("frozen", E::Store(StoreError::ReadOnly)),
        ("random", E::Random(RandomError)),
    ]
}

/// Answers `/allow`, `/deny`, `/unauthenticated`, `/anonymous` and `/slow`, and knows no other target.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    pub(crate) asked: Mutex<Vec<Call>>,
}

pub(crate) fn session() -> Arc<Session> {
    let claims = serde_json::json!({ "role": "admin" });
    let identity = Identity {
        subject: Some("u1".parse().unwrap()),
        claims: claims.as_object().unwrap().clone(),
        ..Identity::default()
    };
    Arc::new(Session::new(
        Origin::Static,
        "cookie".into(),
        identity,
        JsonObject::new(),
        ScopeMatching::Hierarchical,
    ))
}

pub(crate) fn update() -> WireUpdate {
    WireUpdate::SetCookie {
        name: "__Host-session".into(),
        header_value: "__Host-session=sg1_secret; Secure".into(),
    }
}

fn answer(target: &str) -> Answer {
    let (code, session) = match target {
        "/allow" => (ReasonCode::Allowed, Some(session())),
        "/anonymous" => (ReasonCode::Allowed, None),
        "/deny" => (ReasonCode::RequirementFailed, Some(session())),
        "/unauthenticated" => (ReasonCode::SessionRequired, None),
        _ => (ReasonCode::UnknownOperation, None),
    };
    Answer {
        reason: Reason::new(code),
        operation: Some("op".into()),
        session,
        workload: None,
        updates: vec![update()],
        call: (code == ReasonCode::Allowed).then(|| "sealed".into()),
        decision_id: "d1".into(),
        policy_version: "p1".into(),
        credential: CredentialState::Valid,
        challenges: Vec::new(),
        response_headers: Vec::new(),
    }
}

fn failure(call: &[u8]) -> Result<(), SessionError> {
    let mut errors = session_errors().into_iter();
    match errors.find(|(handle, _)| handle.as_bytes() == call) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

impl DecisionPoint for Scripted {
    fn authorize(&self, _: &Caller, call: Call) -> impl Future<Output = Answer> + Send {
        let answer = answer(&call.target);
        let is_slow = call.target == "/slow";
        self.asked.lock().unwrap().push(call);
        async move {
            if is_slow {
                std::future::pending::<()>().await;
            }
            answer
        }
    }

    fn session(
        &self,
        _: &Caller,
        call: &[u8],
    ) -> impl Future<Output = Result<Option<Arc<Session>>, SessionError>> + Send {
        let found = failure(call).map(|()| (call == b"sealed").then(session));
        async move { found }
    }

    fn set(
        &self,
        _: &Caller,
        request: SetSession,
    ) -> impl Future<Output = Result<SessionChange, SessionError>> + Send {
        let changed = failure(&request.call).map(|()| SessionChange {
            session: session(),
            updates: vec![update()],
            call: "sealed again".into(),
        });
        async move { changed }
    }

    fn clear(
        &self,
        _: &Caller,
        call: &[u8],
        scope: ClearScope,
    ) -> impl Future<Output = Result<SessionCleared, SessionError>> + Send {
        let cleared = failure(call).map(|()| SessionCleared {
            updates: vec![update()],
            ended: if scope == ClearScope::All { 3 } else { 1 },
        });
        async move { cleared }
    }

    fn continue_call(
        &self,
        _: &Caller,
        call: &[u8],
    ) -> impl Future<Output = Result<Bytes, SessionError>> + Send {
        let continued = failure(call).map(|()| "sealed again".into());
        async move { continued }
    }

    fn profile(&self, kind: &WireKind) -> impl Future<Output = Arc<WireProfile>> + Send {
        let profile = WireProfile {
            credentials: vec![(CredentialSource::Header, "x-api-key".into())],
            query_parameters: vec!["key".to_owned()],
            attributes: vec![kind.as_str().to_owned()],
            tags: vec![OperationTags {
                operation: "op".into(),
                tags: vec!["api".to_owned(), "books".to_owned()],
            }],
            policy_version: "p1".into(),
            ..WireProfile::default()
        };
        async move { Arc::new(profile) }
    }
}

/// A caller that may do everything but speak of queues.
pub(crate) fn caller(grants: &[Grant]) -> Arc<Caller> {
    let mut wires = WireKind::BUILT_IN.to_vec();
    wires.retain(|kind| *kind != WireKind::Queue);
    Arc::new(Caller {
        grants: grants.iter().copied().collect(),
        wires: Some(wires.into_iter().collect()),
        sign_in: ["local".to_owned()].into(),
        claims: None,
        ..Caller::new("shop")
    })
}

/// An instant that tests stand at.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
