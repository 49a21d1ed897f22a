//! Outside, credentials that are unknown, expired, revoked, superseded and malformed look the same,
//! byte for byte; inside, they are told apart (R10, A-09).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::{ask::*, harness::*};

const POLICY: &str = r#"
listen:
  grpc: [ "unix:./s.sock", "127.0.0.1:0" ]
  http: 127.0.0.1:0
  admin: "unix:./admin.sock"
  telemetry: 127.0.0.1:0
  forward_auth: { address: "127.0.0.1:0", trusted_proxies: [ 127.0.0.1 ], caller: shop }
store: { embedded: { path: ./data } }
callers:
  shop: { token_file: shop.token, may: [ authorize, session.self ], sign_in: [ local ] }
  clerk: { token_file: clerk.token, may: [ authorize, session.self ], sign_in: [ local ] }
strategies:
  - bearer: { opaque: true }
  - api_key: { header: x-api-key }
  - cookie: { name: __Host-session }
app: shop
operations:
  hello: { session: optional, writes: attributes, http: GET /hello }
  me: { writes: attributes, http: GET /me }
"#;

struct Scene {
    sidecar: Running,
    tcp: Channel,
    admin: Channel,
}

/// A credential that is no good, by what is wrong with it.
type Dead = BTreeMap<&'static str, String>;

fn text(json: &Value, pointer: &str) -> String {
    let text = json.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no {pointer} in {json}"))
        .to_owned()
}

impl Scene {
    async fn new() -> Self {
        let folder = files();
        std::fs::remove_dir_all(folder.path().join("apps")).unwrap();
        std::fs::write(folder.path().join("sidegate.yaml"), POLICY).unwrap();
        let sidecar = start_with(builder(&folder), folder).await;
        Self {
            tcp: tcp_channel(&sidecar.tcp()).await,
            admin: unix_channel(&sidecar.admin()).await,
            sidecar,
        }
    }

    /// Asks as the operator.
    async fn operator(&self, name: &str, body: Value) -> Value {
        ask(&self.admin, None, name, &body).await.unwrap()
    }

    /// A new session whose token is carried like this: its name and its token.
    async fn session(&self, kind: &str, ttl: &str) -> (String, String) {
        let made = self.operator(
            "CreateSession",
            json!({
                "kind": kind, "signIn": {
                    "subject": { "namespace": "local", "id": "u1" },
                    "authTime": "2026-01-01T00:00:00Z", "ttl": ttl,
                },
            }),
        );
        let made = made.await;
        (text(&made, "/session/session/name"), text(&made, "/token"))
    }

    async fn state(&self, name: &str) -> String {
        let read = self.operator("ReadSession", json!({ "name": name })).await;
        text(&read, "/session/state")
    }

    /// Tokens of sessions, one for each way to be no good.
    async fn dead_tokens(&self, kind: &str, other: &str) -> Dead {
        let (revoked_name, revoked) = self.session(kind, "600s").await;
        let reason = json!({ "name": revoked_name, "reason": "stolen-laptop" });
        self.operator("RevokeSession", reason).await;
        let (expired_name, expired) = self.session(kind, "0.2s").await;
        until("the session expires", || async {
            self.state(&expired_name).await == "SESSION_STATE_LIFETIME_EXPIRED"
        })
        .await;
        assert_eq!(self.state(&revoked_name).await, "SESSION_STATE_REVOKED");
        let (rotated_name, superseded) = self.session(kind, "600s").await;
        self.operator("RotateSession", json!({ "name": rotated_name }))
            .await;
        let (_, of_another_kind) = self.session(other, "600s").await;
        let mut dead = forms("sg1_", &revoked);
        dead.extend([
            ("revoked", revoked),
            ("expired", expired),
            ("superseded", superseded),
            ("of another kind", of_another_kind),
        ]);
        dead
    }

    async fn dead_keys(&self) -> Dead {
        let body = |ttl: &str| {
            let subject = json!({ "namespace": "local", "id": "u1" });
            json!({ "displayName": "nightly", "subject": subject, "ttl": ttl })
        };
        let revoked = self.operator("CreateApiKey", body("600s")).await;
        let name = text(&revoked, "/apiKey/name");
        self.operator("RevokeApiKey", json!({ "name": name })).await;
        let expired = text(&self.operator("CreateApiKey", body("0.2s")).await, "/key");
        until("the key expires", || async {
            let request = call("/me", &header(&expired));
            let answer = ask(&self.tcp, Some(SHOP_TOKEN), "Authorize", &request).await;
            answer.unwrap()["outcome"] != "OUTCOME_ALLOW"
        })
        .await;
        let revoked = text(&revoked, "/key");
        let mut dead = forms("sgk_", &revoked);
        dead.extend([("revoked", revoked), ("expired", expired)]);
        dead
    }

    /// What the client and the app get to see, over every edge.
    async fn seen(&self, target: &str, credential: &Value, head: &str) -> String {
        let request = call(target, credential);
        let over_grpc = ask(&self.tcp, Some(SHOP_TOKEN), "Authorize", &request).await;
        let over_grpc = over_grpc.unwrap();
        let http = self.sidecar.addresses.http[0].to_string();
        let over_http = post(
            &http,
            SHOP_TOKEN,
            "Authorize",
            request.to_string().as_bytes(),
        )
        .await;
        let by_proxy = self.by_proxy(target, head).await;
        [
            without_ids(&over_grpc.to_string()),
            plain(&over_http),
            plain(&by_proxy),
        ]
        .join("\n---\n")
    }

    async fn by_proxy(&self, target: &str, head: &str) -> Plain {
        let proxy = self.sidecar.addresses.forward_auth.as_ref().unwrap();
        let head = format!(
            "GET /forward-auth HTTP/1.1\r\nhost: localhost\r\nx-forwarded-method: GET\r\n\
             x-forwarded-host: localhost\r\nx-forwarded-uri: {target}\r\n\
             x-forwarded-for: 192.0.2.7\r\n{head}\r\n"
        );
        exchange(&proxy.to_string(), &head, b"").await
    }
}

/// Texts that nobody issued, made from one that somebody did.
fn forms(prefix: &str, issued: &str) -> Dead {
    let mut turned: Vec<char> = issued[prefix.len()..].chars().collect();
    turned.reverse();
    let turned: String = turned.into_iter().collect();
    // Such that nothing but the store can tell that it was not issued.
    let mut unknown = issued.to_owned().into_bytes();
    let middle = unknown.len() / 2;
    unknown[middle] = if unknown[middle] == b'A' { b'B' } else { b'A' };
    [
        ("unknown", String::from_utf8(unknown).unwrap()),
        ("turned", format!("{prefix}{turned}")),
        ("cut", issued[..issued.len() - 1].to_owned()),
        ("longer", format!("{issued}A")),
        ("of no kind", "x".repeat(issued.len())),
        ("a prefix", prefix.to_owned()),
        ("another spelling", issued.to_uppercase()),
        ("no JWT", "eyJhbGciOiJub25lIn0.e30.AAAA".to_owned()),
    ]
    .into()
}

fn call(target: &str, credential: &Value) -> Value {
    json!({
        "wire": {
            "kind": "WIRE_KIND_HTTP", "authority": "localhost", "method": "GET", "target": target,
            "credentials": [credential],
            "acceptedUpdates": ["WIRE_UPDATE_KIND_TOKEN", "WIRE_UPDATE_KIND_COOKIE"],
        },
        "dataComplete": true, "sessionView": "SESSION_VIEW_FULL",
    })
}

fn header(key: &str) -> Value {
    json!({ "source": "CREDENTIAL_SOURCE_HEADER", "name": "x-api-key", "text": key })
}

/// A text without what differs from one answer to the next, whatever was asked: the id of the
/// decision, and the sealed handle, of which the length is left.
fn without_ids(text: &str) -> String {
    let mut text = text.to_owned();
    for (name, end, keeps_length) in [
        ("\"decisionId\":\"", '"', false),
        ("\"decision_id\":\"", '"', false),
        ("\"call\":\"", '"', true),
        ("sidegate-decision-id: ", '\n', false),
        ("sidegate-call: ", '\n', true),
    ] {
        if let Some((before, after)) = text.split_once(name) {
            let (value, rest) = after.split_once(end).unwrap();
            let length = if keeps_length { value.len() } else { 0 };
            text = format!("{before}{name}{length}{end}{rest}");
        }
    }
    text
}

fn plain(plain: &Plain) -> String {
    let differ = ["date:", "content-length:"];
    let mut headers = plain.headers.clone();
    headers.retain(|header| !differ.iter().any(|name| header.starts_with(name)));
    let body = String::from_utf8_lossy(&plain.body);
    without_ids(&format!(
        "{}\n{}\n\n{body}",
        plain.status,
        headers.join("\n")
    ))
}

/// The same answers, without the end of the cookie.
fn without_update(seen: &str) -> String {
    let lines = seen.lines().filter(|line| !line.starts_with("set-cookie:"));
    let lines = lines.map(|line| match line.split_once(",\"updates\":[") {
        Some((before, _)) => format!("{before}}}"),
        None => line.to_owned(),
    });
    let lines: Vec<String> = lines.collect();
    lines.join("\n") + if seen.ends_with('\n') { "\n" } else { "" }
}

/// How a carrier looks to the API and on the wire.
fn carried(carrier: &str, token: &str) -> (Value, String) {
    match carrier {
        "bearer" => (
            json!({ "source": 1, "text": format!("Bearer {token}") }),
            format!("authorization: Bearer {token}"),
        ),
        "cookie" => (
            json!({ "source": 2, "text": format!("__Host-session={token}") }),
            format!("cookie: __Host-session={token}"),
        ),
        _ => (header(token), format!("x-api-key: {token}")),
    }
}

#[tokio::test]
async fn a09_credentials_that_are_no_good_look_the_same_outside() {
    let scene = Scene::new().await;
    let (bearer, cookie) = ("TOKEN_KIND_BEARER", "TOKEN_KIND_COOKIE");
    let mut faults = Vec::new();
    for (carrier, dead) in [
        ("bearer", scene.dead_tokens(bearer, cookie).await),
        ("cookie", scene.dead_tokens(cookie, bearer).await),
        ("key", scene.dead_keys().await),
    ] {
        for target in ["/me", "/hello"] {
            let (unknown, head) = carried(carrier, &dead["unknown"]);
            let expected = scene.seen(target, &unknown, &head).await;
            for (what, token) in &dead {
                let (credential, head) = carried(carrier, token);
                let seen = scene.seen(target, &credential, &head).await;
                // The successor of a superseded cookie may be on its way, so that it stays (R9).
                let expected = match (carrier, *what) {
                    ("cookie", "superseded") => without_update(&expected),
                    _ => expected.clone(),
                };
                if seen != expected {
                    faults.push(format!(
                        "{what} {carrier} {target}:\n{seen}\nnot\n{expected}"
                    ));
                }
                for told in [
                    "revoked",
                    "expired",
                    "stolen-laptop",
                    "superseded",
                    "unknown",
                ] {
                    if seen.contains(told) {
                        faults.push(format!("{what} {carrier} {target} tells `{told}`: {seen}"));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    let (_, metrics) = get(&scene.sidecar.telemetry(), "/metrics", "").await;
    for label in ["malformed", "unknown", "expired", "revoked", "superseded"] {
        assert!(
            metrics.contains(&format!("\"{label}\"")),
            "{label} in {metrics}"
        );
    }
}

#[tokio::test]
async fn a09_a_session_that_ended_since_the_call_looks_the_same_however_it_ended() {
    let scene = Scene::new().await;
    let mut answers = BTreeMap::new();
    let mut sessions = Vec::new();
    for (what, ttl) in [("revoked", "600s"), ("expired", "2s"), ("cleared", "600s")] {
        let (name, token) = scene.session("TOKEN_KIND_BEARER", ttl).await;
        let request = call("/me", &carried("bearer", &token).0);
        let decided = ask(&scene.tcp, Some(SHOP_TOKEN), "Authorize", &request).await;
        sessions.push((what, name, text(&decided.unwrap(), "/call")));
    }
    let revoke = json!({ "name": sessions[0].1, "reason": "stolen-laptop" });
    scene.operator("RevokeSession", revoke).await;
    let clear = json!({ "call": sessions[2].2, "scope": "CLEAR_SCOPE_THIS" });
    let cleared = ask(&scene.tcp, Some(SHOP_TOKEN), "ClearSession", &clear).await;
    assert_eq!(cleared.unwrap()["endedCount"], "1");
    until("the session expires", || async {
        scene.state(&sessions[1].1).await == "SESSION_STATE_LIFETIME_EXPIRED"
    })
    .await;
    let http = scene.sidecar.addresses.http[0].to_string();
    for (what, _, call) in &sessions {
        for (name, body) in [
            ("GetSession", json!({ "call": call })),
            ("ContinueCall", json!({ "call": call })),
            (
                "SetSession",
                json!({ "call": call, "patch": { "set": { "a": 1 } } }),
            ),
        ] {
            let refused = ask(&scene.tcp, Some(SHOP_TOKEN), name, &body).await;
            let over_http = post(&http, SHOP_TOKEN, name, body.to_string().as_bytes()).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.reason, "SESSION_GONE", "{what}");
            let seen = format!("{refused:?}\n{}", plain(&over_http));
            answers
                .entry(seen)
                .or_insert_with(Vec::new)
                .push(format!("{what} {name}"));
        }
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
}

#[tokio::test]
async fn a09_a_caller_that_is_not_known_is_told_nothing_more() {
    let scene = Scene::new().await;
    let http = scene.sidecar.addresses.http[0].to_string();
    let body = call("/hello", &carried("bearer", "x").0).to_string();
    let (session, _) = scene.session("TOKEN_KIND_BEARER", "600s").await;
    let mut answers = BTreeMap::new();
    for token in [
        "short",
        &"x".repeat(64),
        &SHOP_TOKEN[1..],
        &SHOP_TOKEN.to_uppercase(),
        &format!("{SHOP_TOKEN}x"),
        "sg1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        let seen = plain(&post(&http, token, "Authorize", body.as_bytes()).await);
        let json = serde_json::from_str(&body).unwrap();
        let refused = ask(&scene.tcp, Some(token), "Authorize", &json)
            .await
            .unwrap_err();
        assert_eq!(refused.reason, "CALLER_UNKNOWN");
        // Whether what it asks about is there is no matter.
        let read = json!({ "name": session });
        let other = ask(&scene.tcp, Some(token), "ReadSession", &read)
            .await
            .unwrap_err();
        assert_eq!(other, refused);
        answers
            .entry(format!("{refused:?}\n{seen}"))
            .or_insert_with(Vec::new)
            .push(token.len());
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
}
