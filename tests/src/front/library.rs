//! In process: the decision point as a Rust service links it.

use std::{collections::BTreeMap, sync::Arc};

use auth_core::{
    decision::Answer,
    decision_point::{DecisionPoint as _, SessionError},
    engine::{Engine, Parts},
    keys::{Keyring, MasterKey},
    live::Session,
    policy::{Natives, Policy, compile::BuiltInSources, source::Disk},
    random::SystemRandom,
    store::{Store, StoreError},
    wire_update::WireUpdate,
};
use bytes::Bytes;
use proto::core::reason;
use serde_json::{Value, json};

use super::{Asked, Front, Handed, Reply, Write, set_request};
use crate::{
    cases::{Case, CaseFile},
    world::World,
};

/// An engine in this process.
#[derive(Debug)]
pub struct Library {
    world: World,
    engine: Engine,
}

impl Library {
    /// An engine on the world of a file.
    pub async fn new(file: &CaseFile) -> Self {
        let world = World::new(file).await;
        let policy = Policy::compile(
            &world.documents,
            &Disk,
            &BuiltInSources,
            &Natives::default(),
        )
        .unwrap_or_else(|err| panic!("{}: {err}", file.name()));
        let key = MasterKey::generate(&SystemRandom).unwrap();
        let parts = Parts::new(
            policy,
            Arc::clone(&world.store),
            Arc::new(Keyring::new(&key, &[])),
            world.clock.clone(),
            Arc::new(SystemRandom),
        );
        let engine = Engine::new(Parts {
            limits: world.settings.sessions,
            ..parts
        });
        world.run_afterwards();
        Self { world, engine }
    }
}

#[async_trait::async_trait]
impl Front for Library {
    fn name(&self) -> &'static str {
        "library"
    }

    fn carries(&self, _: &Case) -> bool {
        true
    }

    fn world(&self) -> &World {
        &self.world
    }

    fn store(&self) -> Arc<dyn Store> {
        self.engine.store()
    }

    async fn decide(&self, asked: Asked<'_>) -> Reply {
        let caller = self.world.caller(asked.caller);
        let mut call = asked.call;
        if call.tenant == auth_core::session::Tenant::default() {
            call.tenant = caller.tenant.clone();
        }
        reply(self.engine.authorize(&caller, call).await)
    }

    async fn write(&self, caller: Option<&str>, handle: Bytes, write: Write) -> Reply {
        let caller = self.world.caller(caller);
        if let Some(request) = set_request(&handle, &write) {
            return match self.engine.set(&caller, request).await {
                Ok(changed) => Reply {
                    handle: Some(changed.call),
                    handed: handed(&changed.updates),
                    etag: changed.session.etag(),
                    observed: [
                        ("error", json!("")),
                        ("updates", kinds(&changed.updates)),
                        ("subject", subject(Some(&changed.session))),
                        ("attributes", json!(changed.session.attributes)),
                    ]
                    .into(),
                },
                Err(err) => failed(&err),
            };
        }
        let Write::Clear(scope) = write else {
            return match self.engine.session(&caller, &handle).await {
                Ok(session) => Reply {
                    etag: session.as_ref().map(|s| s.etag()).unwrap_or_default(),
                    observed: [
                        ("error", json!("")),
                        ("subject", subject(session.as_deref())),
                        (
                            "attributes",
                            json!(session.map(|s| s.attributes.clone()).unwrap_or_default()),
                        ),
                    ]
                    .into(),
                    ..Reply::default()
                },
                Err(err) => failed(&err),
            };
        };
        match self.engine.clear(&caller, &handle, scope).await {
            Ok(cleared) => Reply {
                observed: [
                    ("error", json!("")),
                    ("updates", kinds(&cleared.updates)),
                    ("ended", json!(cleared.ended)),
                ]
                .into(),
                ..Reply::default()
            },
            Err(err) => failed(&err),
        }
    }
}

fn reply(answer: Answer) -> Reply {
    let reason = &answer.reason;
    let scopes: &[String] = &reason.required_scopes;
    let checks: Vec<_> = reason.checks.iter().map(|check| &**check).collect();
    Reply {
        observed: [
            ("outcome", json!(answer.outcome().as_str())),
            ("reason", json!(reason.code.as_str())),
            (
                "operation",
                json!(answer.operation.as_deref().unwrap_or_default()),
            ),
            (
                "requirement",
                json!(reason.requirement.as_deref().unwrap_or_default()),
            ),
            ("checks", json!(checks)),
            ("required_scopes", json!(scopes)),
            ("detail", json!(reason.detail)),
            ("credential", json!(answer.credential.as_str())),
            ("subject", subject(answer.session.as_deref())),
            ("updates", kinds(&answer.updates)),
            ("challenges", json!(answer.challenges)),
            (
                "response_headers",
                json!(BTreeMap::from_iter(answer.response_headers)),
            ),
            ("call", json!(answer.call.is_some())),
        ]
        .into(),
        handed: handed(&answer.updates),
        etag: answer
            .session
            .as_ref()
            .map(|s| s.etag())
            .unwrap_or_default(),
        handle: answer.call,
    }
}

fn subject(session: Option<&Session>) -> Value {
    let principal = session.and_then(|session| session.identity.subject.as_ref());
    json!(principal.map(ToString::to_string).unwrap_or_default())
}

fn kinds(updates: &[WireUpdate]) -> Value {
    let kind = |update: &WireUpdate| match update {
        WireUpdate::SetCookie { .. } => "set_cookie",
        WireUpdate::ExpireCookie { .. } => "expire_cookie",
        WireUpdate::IssueToken { .. } => "issue_token",
        WireUpdate::BindConnection { .. } => "bind_connection",
    };
    json!(updates.iter().map(kind).collect::<Vec<_>>())
}

fn handed(updates: &[WireUpdate]) -> Vec<Handed> {
    let one = |update: &WireUpdate| match update {
        WireUpdate::SetCookie { header_value, .. } => Some(Handed::Cookie(header_value.clone())),
        WireUpdate::IssueToken { token, .. } => Some(Handed::Token(token.clone())),
        WireUpdate::ExpireCookie { .. } | WireUpdate::BindConnection { .. } => None,
    };
    updates.iter().filter_map(one).collect()
}

/// The names that the contract has for these errors, written down here once more.
fn failed(err: &SessionError) -> Reply {
    use SessionError as E;
    let name = match err {
        E::CallInvalid => reason::CALL_INVALID,
        E::Gone => reason::SESSION_GONE,
        E::WriteNotAllowed { .. } => reason::WRITE_NOT_ALLOWED,
        E::NamespaceNotAllowed { .. } => reason::NAMESPACE_NOT_ALLOWED,
        E::ClaimNotAllowed { .. } => reason::CLAIM_NOT_ALLOWED,
        E::Invalid { .. } => reason::INVALID_FIELD,
        E::EtagMismatch => reason::ETAG_MISMATCH,
        E::NotDeliverable(_) => reason::UPDATE_NOT_DELIVERABLE,
        E::ReadOnly(_) => reason::SESSION_READ_ONLY,
        E::TooManySessions(_) => reason::TOO_MANY_SESSIONS,
        E::Store(StoreError::Unavailable(_)) => reason::STORE_UNAVAILABLE,
        E::Store(StoreError::OutOfSpace) => reason::STORE_OUT_OF_SPACE,
        E::Store(StoreError::ReadOnly) => reason::STORE_READ_ONLY,
        E::Store(StoreError::Damaged(_)) => reason::STORE_DAMAGED,
        E::Random(_) => reason::RANDOM_UNAVAILABLE,
    };
    Reply {
        observed: [("error", json!(name))].into(),
        ..Reply::default()
    }
}
