//! Tenants cannot touch each other: not by id, subject, token, key, handle, etag, page token or
//! position, and not by what a cache remembers (A-05).

mod attempts;

use proto::{
    admin::v1::WatchDecisionsRequest,
    v1::{self, watch_sessions_response::Item},
};
use serde_json::{Value, json};
use sidecar::edge::json::MAX_BODY_BYTES;
use tonic::transport::Channel;

use crate::{ask::*, harness::*};
use attempts::{Attempt, attempts};

/// The tokens of the callers of the two tenants. Both may do everything.
const ALPHA: &str = "alpha-0123456789abcdef0123456789abcdef";
const BETA: &str = "beta-0123456789abcdef0123456789abcdef0";

/// What only the first tenant knows, and stands in no request of the second.
const PRIVATE: [&str; 4] = ["alpha-person", "alpha-value", "alpha-role", "alpha-key"];

const POLICY: &str = r#"
listen: { grpc: [ "unix:./s.sock", "127.0.0.1:0" ], http: 127.0.0.1:0, admin: "unix:./admin.sock", telemetry: 127.0.0.1:0 }
store: { embedded: { path: ./data } }
callers:
  shop: { token_file: shop.token, may: [ authorize ] }
  alpha: { token_file: alpha.token, uid: 60001, may: [ authorize, session.self, session.manage, admin ], sign_in: [ local ], claims: [ role ], tenant: alpha }
  beta: { token_file: beta.token, uid: 60002, may: [ authorize, session.self, session.manage, admin ], sign_in: [ local ], claims: [ role ], tenant: beta }
strategies:
  - bearer: { opaque: true }
  - api_key: { header: x-api-key }
app: shop
claims: { role: string }
checks: { has_role: has(session.claims.role) }
operations:
  hello: { session: none, http: GET /hello }
  me: { writes: [ sign_in, attributes ], require: has_role, http: POST /me }
"#;

/// What the first tenant has.
#[derive(Default)]
pub(crate) struct Facts {
    pub(crate) session: String,
    pub(crate) etag: String,
    pub(crate) token: String,
    pub(crate) call: String,
    pub(crate) page: String,
    pub(crate) position: String,
    pub(crate) key: String,
    pub(crate) key_text: String,
    pub(crate) key_page: String,
}

struct World {
    sidecar: Running,
    data: Channel,
    admin: Channel,
    facts: Facts,
}

fn text(json: &Value, pointer: &str) -> String {
    let text = json.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no {pointer} in {json}"))
        .to_owned()
}

impl World {
    async fn new() -> Self {
        let folder = files();
        std::fs::remove_dir_all(folder.path().join("apps")).unwrap();
        std::fs::write(folder.path().join("sidegate.yaml"), POLICY).unwrap();
        for (name, token) in [("alpha", ALPHA), ("beta", BETA)] {
            secret(&folder.path().join(format!("{name}.token")), token);
        }
        let sidecar = start_with(builder(&folder), folder).await;
        let mut world = Self {
            data: unix_channel(&sidecar.unix()).await,
            admin: unix_channel(&sidecar.admin()).await,
            sidecar,
            facts: Facts::default(),
        };
        world.facts = world.furnish().await;
        world
    }

    async fn ask(&self, token: &str, name: &str, body: &Value) -> Result<Value, Refused> {
        let is_admin = method(name).parent_service().name() == "AdminService";
        let channel = if is_admin { &self.admin } else { &self.data };
        ask(channel, Some(token), name, body).await
    }

    async fn alpha(&self, name: &str, body: Value) -> Value {
        self.ask(ALPHA, name, &body).await.unwrap()
    }

    /// Two sessions and two keys of the first tenant.
    async fn furnish(&self) -> Facts {
        let subject = json!({ "namespace": "local", "id": "alpha-person" });
        let create = json!({
            "kind": "TOKEN_KIND_BEARER", "requestId": "request-1", "signIn": {
                "subject": subject, "authTime": "2026-01-01T00:00:00Z",
                "claims": { "role": "alpha-role" }, "attributes": { "a": "alpha-value" },
            },
        });
        let made = self.alpha("CreateSession", create.clone()).await;
        let mut second = create;
        second["requestId"] = "request-2".into();
        self.alpha("CreateSession", second).await;
        let key = json!({
            "displayName": "alpha-key", "subject": subject, "claims": { "role": "alpha-role" },
        });
        let key_made = self.alpha("CreateApiKey", key.clone()).await;
        self.alpha("CreateApiKey", key).await;
        let token = text(&made, "/token");
        let decided = self.alpha("Authorize", me(&bearer(&token))).await;
        let page = json!({ "pageSize": 1 });
        Facts {
            session: text(&made, "/session/session/name"),
            etag: text(&made, "/session/session/etag"),
            call: text(&decided, "/call"),
            page: text(
                &self.alpha("ListSessions", page.clone()).await,
                "/nextPageToken",
            ),
            position: text(&self.alpha("WatchSessions", json!({})).await, "/position"),
            key: text(&key_made, "/apiKey/name"),
            key_text: text(&key_made, "/key"),
            key_page: text(&self.alpha("ListApiKeys", page).await, "/nextPageToken"),
            token,
        }
    }

    /// All that the first tenant has, but for when it was last used.
    async fn of_alpha(&self) -> Vec<Value> {
        let all = json!({ "pageSize": 1000, "includeEnded": true });
        let mut sessions = self.alpha("ListSessions", all).await;
        for session in sessions["sessions"].as_array_mut().unwrap() {
            session.as_object_mut().unwrap().remove("lastSeenTime");
            session["session"]
                .as_object_mut()
                .unwrap()
                .remove("idleExpireTime");
        }
        let keys = self.alpha("ListApiKeys", json!({ "pageSize": 1000 })).await;
        let mut outcomes = Vec::new();
        for credential in [bearer(&self.facts.token), api_key(&self.facts.key_text)] {
            outcomes.push(self.alpha("Authorize", me(&credential)).await["outcome"].clone());
        }
        assert_eq!(outcomes, ["OUTCOME_ALLOW"; 2]);
        vec![sessions, keys]
    }
}

pub(crate) fn bearer(token: &str) -> Value {
    json!({ "source": "CREDENTIAL_SOURCE_AUTHORIZATION", "text": format!("Bearer {token}") })
}

pub(crate) fn api_key(key: &str) -> Value {
    json!({ "source": "CREDENTIAL_SOURCE_HEADER", "name": "x-api-key", "text": key })
}

/// A call with this credential, which needs a session.
pub(crate) fn me(credential: &Value) -> Value {
    json!({
        "wire": {
            "kind": "WIRE_KIND_HTTP", "authority": "localhost", "method": "POST", "target": "/me",
            "credentials": [credential], "acceptedUpdates": ["WIRE_UPDATE_KIND_TOKEN"],
        },
        "dataComplete": true, "sessionView": "SESSION_VIEW_FULL",
    })
}

/// What is wrong with an answer to an attempt; nothing when it is as it must be.
fn fault(attempt: &Attempt, answer: &Result<Value, Refused>) -> Option<String> {
    let words = match answer {
        Ok(answer) => answer.to_string(),
        Err(refused) => format!("{refused:?}"),
    };
    let told = PRIVATE.into_iter().find(|private| words.contains(private));
    if let Some(private) = told {
        return Some(format!("tells `{private}`: {words}"));
    }
    let is_right = match answer {
        Ok(answer) => attempt.answers.is_some_and(|(pointer, value)| {
            let found = answer.pointer(pointer).unwrap_or(&Value::Null);
            found
                .as_str()
                .map_or_else(|| found.to_string(), str::to_owned)
                .starts_with(value)
        }),
        Err(refused) => attempt.answers.is_none() && refused.reason == attempt.reason,
    };
    (!is_right).then_some(words)
}

#[tokio::test]
async fn a05_no_method_touches_another_tenant() {
    let world = World::new().await;
    let before = world.of_alpha().await;
    let http = world.sidecar.addresses.http[0].to_string();
    let mut faults = Vec::new();
    for method in methods() {
        let name = method.name();
        // It has no first answer: see `a05_a_watch_shows_its_own_tenant`.
        if name == "WatchDecisions" {
            continue;
        }
        let attempts = attempts(name, &world.facts);
        assert!(!attempts.is_empty(), "no row for {name}");
        for attempt in attempts {
            // What the cache holds of the first tenant is fresh.
            assert_eq!(world.of_alpha().await, before);
            let mut answers = vec![world.ask(BETA, name, &attempt.body).await];
            if is_json_too(&method) {
                let body = attempt.body.to_string();
                assert!(body.len() < MAX_BODY_BYTES);
                answers.push(post(&http, BETA, name, body.as_bytes()).await.result());
            }
            let found = answers.iter().filter_map(|answer| fault(&attempt, answer));
            faults.extend(found.map(|fault| format!("{name} {}: {fault}", attempt.what)));
            if world.of_alpha().await != before {
                panic!(
                    "{name} {} changed the other tenant; {faults:#?}",
                    attempt.what
                );
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn a05_a_watch_shows_its_own_tenant() {
    let world = World::new().await;
    let request = |message| with_token(message, Some(BETA));
    let mut admin = world.sidecar.admin_client().await;
    let asked = admin
        .watch_decisions(request(WatchDecisionsRequest {}))
        .await;
    let mut decisions = asked.unwrap().into_inner();
    let mut store = store_client(world.data.clone());
    let asked = store
        .watch_sessions(with_token(v1::WatchSessionsRequest::default(), Some(BETA)))
        .await;
    let mut sessions = asked.unwrap().into_inner();
    let started = sessions.message().await.unwrap().unwrap();
    assert!(
        matches!(started.item, Some(Item::Started(_))),
        "{started:?}"
    );

    let revoke = json!({ "name": world.facts.session });
    world.of_alpha().await;
    world.alpha("RevokeSession", revoke).await;
    let create = json!({ "kind": 2, "signIn": {
        "subject": { "namespace": "local", "id": "beta-person" },
        "authTime": "2026-01-01T00:00:00Z",
    } });
    world.ask(BETA, "CreateSession", &create).await.unwrap();
    let mut hello = me(&bearer("x"));
    hello["wire"]["target"] = "/beta".into();
    world.ask(BETA, "Authorize", &hello).await.unwrap();

    let seen = sessions.message().await.unwrap().unwrap();
    let Some(Item::Event(event)) = seen.item else {
        panic!("{seen:?}");
    };
    assert!(event.session.starts_with("tenants/beta/"), "{event:?}");
    let seen = decisions.message().await.unwrap().unwrap();
    assert_eq!(seen.target, "POST /beta");
}
