//! What makes no sense is refused, with the field and what is wrong with it, and changes nothing.

use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::{ask::*, harness::*};

/// The operations of the tests: one that signs in, one that needs nothing, one that needs data.
const APP: &str = "
checks: { is_seven: data.n == 7 }
operations:
  hello: { session: none, http: GET /hello }
  login: { session: optional, writes: [ sign_in, attributes ], http: POST /login }
  count: { session: none, require: is_seven, data: { n: { type: int } }, http: POST /count }
";

/// A sidecar, what there is on it, and ways to ask it.
struct Scene {
    sidecar: Running,
    tcp: Channel,
    unix: Channel,
    admin: Channel,
    /// The name of a session that lives.
    session: String,
    /// The name of a key.
    key: String,
    /// A handle with which one may sign in.
    call: String,
}

impl Scene {
    async fn new() -> Self {
        let folder = files();
        let policy = policy()
            .replace("{ memory: {} }", "{ embedded: { path: ./data } }")
            .replace(
                "session.self] }",
                "session.self], sign_in: [local], claims: [role] }",
            )
            + "strategies:\n  - bearer: { opaque: true }\n";
        std::fs::write(folder.path().join("sidegate.yaml"), policy).unwrap();
        std::fs::write(folder.path().join("apps/shop.yaml"), APP).unwrap();
        let sidecar = start_with(builder(&folder), folder).await;
        let mut scene = Self {
            tcp: tcp_channel(&sidecar.tcp()).await,
            unix: unix_channel(&sidecar.unix()).await,
            admin: unix_channel(&sidecar.admin()).await,
            sidecar,
            session: String::new(),
            key: String::new(),
            call: String::new(),
        };
        let made = scene
            .ask("CreateSession", &scene.good("CreateSession"))
            .await;
        scene.session = text(&made.unwrap(), "/session/session/name");
        let made = scene.ask("CreateApiKey", &scene.good("CreateApiKey")).await;
        scene.key = text(&made.unwrap(), "/apiKey/name");
        scene.call = scene.handle().await;
        scene
    }

    /// The handle of a call that may sign in.
    async fn handle(&self) -> String {
        let mut login = self.good("Authorize");
        login["wire"]["method"] = "POST".into();
        login["wire"]["target"] = "/login".into();
        text(&self.ask("Authorize", &login).await.unwrap(), "/call")
    }

    /// Whom to ask, and as whom.
    fn door(&self, name: &str) -> (&Channel, Option<&'static str>) {
        match method(name).parent_service().name() {
            "AdminService" => (&self.admin, None),
            "SessionStoreService" => (&self.unix, None),
            _ => (&self.tcp, Some(SHOP_TOKEN)),
        }
    }

    async fn ask(&self, name: &str, body: &Value) -> Result<Value, Refused> {
        let (channel, token) = self.door(name);
        ask(channel, token, name, body).await
    }

    async fn post(&self, name: &str, body: &[u8]) -> Plain {
        post(&self.http(), SHOP_TOKEN, name, body).await
    }

    fn http(&self) -> String {
        self.sidecar.addresses.http[0].to_string()
    }

    /// A body that is right.
    fn good(&self, name: &str) -> Value {
        let wire = json!({
            "kind": "WIRE_KIND_HTTP", "authority": "localhost", "method": "GET",
            "target": "/hello", "acceptedUpdates": ["WIRE_UPDATE_KIND_TOKEN"],
            "credentials": [], "peer": { "address": "192.0.2.1" },
        });
        let subject = json!({ "namespace": "local", "id": "u1" });
        let sign_in = json!({ "subject": subject, "authTime": "2026-01-01T00:00:00Z" });
        let mut client = wire.clone();
        for own in ["method", "target"] {
            client.as_object_mut().unwrap().remove(own);
        }
        let parent = "tenants/default";
        let (session, key, call) = (&self.session, &self.key, &self.call);
        match name {
            "Authorize" => json!({ "wire": wire, "dataComplete": true }),
            "BatchAuthorize" => json!({
                "caller": client,
                "items": [{ "method": "GET", "target": "/hello", "dataComplete": true }],
            }),
            "GetWireProfile" => json!({ "kind": "WIRE_KIND_HTTP" }),
            "GetSession" => json!({ "call": call }),
            "SetSession" => json!({ "call": call, "signIn": sign_in }),
            "ClearSession" => json!({ "call": call, "scope": "CLEAR_SCOPE_THIS" }),
            "CreateSession" => json!({
                "parent": parent, "signIn": sign_in, "kind": "TOKEN_KIND_BEARER",
            }),
            "ReadSession" | "RotateSession" | "RevokeSession" => json!({ "name": session }),
            "UpdateSession" => json!({ "name": session, "patch": { "set": { "a": 1 } } }),
            "RevokeSubject" => json!({ "parent": parent, "subject": subject }),
            "RevokeAllSessions" => json!({ "parent": parent, "expectedCount": "77" }),
            "ListSessions" | "WatchSessions" | "ListApiKeys" => json!({ "parent": parent }),
            "CreateApiKey" => json!({
                "parent": parent, "displayName": "nightly", "subject": subject,
            }),
            "RevokeApiKey" => json!({ "name": key }),
            "ExplainDecision" => json!({ "wire": wire, "dataComplete": true, "anonymous": true }),
            _ => json!({}),
        }
    }

    /// How many sessions and keys there are, and what the one session is like.
    async fn held(&self) -> (usize, usize, Value) {
        let all = json!({ "pageSize": 1000, "includeEnded": true });
        let sessions = self.ask("ListSessions", &all).await.unwrap();
        let all = json!({ "pageSize": 1000 });
        let keys = self.ask("ListApiKeys", &all).await.unwrap();
        let count = |list: &Value| list.as_array().map_or(0, Vec::len);
        let read = self.ask("ReadSession", &self.good("ReadSession")).await;
        let mut session = read.unwrap()["session"].clone();
        // When it was last used is nobody's change.
        session.as_object_mut().unwrap().remove("lastSeenTime");
        (
            count(&sessions["sessions"]),
            count(&keys["apiKeys"]),
            session,
        )
    }

    /// Asks over gRPC and, where that is possible, over HTTP, and both say the same. Answers what
    /// they say, or what is wrong with it.
    async fn refused(&self, name: &str, body: &Value) -> Result<Refused, String> {
        let over_grpc = match self.ask(name, body).await {
            Err(refused) => refused,
            Ok(answer) => return Err(format!("answered: {}", shortened(&answer))),
        };
        if is_json_too(&method(name)) {
            let over_http = self.post(name, body.to_string().as_bytes()).await.result();
            if over_http.as_ref() != Err(&over_grpc) {
                return Err(format!("{over_grpc:?} over gRPC, {over_http:?} over HTTP"));
            }
        }
        Ok(over_grpc)
    }
}

fn text(json: &Value, pointer: &str) -> String {
    let text = json.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no {pointer} in {json}"))
        .to_owned()
}

fn shortened(body: &Value) -> String {
    body.to_string().chars().take(300).collect()
}

/// The body with another value at one place; the way there is made. Null takes the place away.
fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let mut place = &mut body;
    for key in pointer.split('/').skip(1) {
        place = match key.parse::<usize>() {
            Ok(index) => {
                let list = if place.is_array() {
                    place
                } else {
                    *place = json!([]);
                    place
                };
                let list = list.as_array_mut().unwrap();
                list.resize(list.len().max(index + 1), json!({}));
                &mut list[index]
            }
            Err(_) => &mut place[key],
        };
    }
    *place = value;
    body
}

fn long(length: usize) -> Value {
    "x".repeat(length).into()
}

/// A name of a session that nobody has.
const NOBODYS: &str = "tenants/default/sessions/01890a5d-ac96-774b-bcce-b302099a8057";

/// What is wrong with one field, and what is said about it: `field: problem`.
fn fields() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let many = |count: usize| Value::Array(vec!["x".into(); count]);
    let credential = |source: i32, name: &str| json!({ "source": source, "name": name });
    vec![
        ("Authorize", "/wire", Value::Null, "`wire`: is required"),
        (
            "Authorize",
            "/wire/kind",
            0.into(),
            "`wire.kind`: is required",
        ),
        (
            "Authorize",
            "/wire/kind",
            99.into(),
            "`wire.kind`: `99` is no value",
        ),
        (
            "Authorize",
            "/wire/kind",
            9.into(),
            "`wire.custom_kind`: is no name",
        ),
        (
            "Authorize",
            "/wire/customKind",
            "x".into(),
            "`wire.custom_kind`: must be empty",
        ),
        (
            "Authorize",
            "/wire/authority",
            long(256),
            "`wire.authority`: takes 256 bytes",
        ),
        (
            "Authorize",
            "/wire/method",
            long(256),
            "`wire.method`: takes 256 bytes",
        ),
        (
            "Authorize",
            "/wire/target",
            long(8193),
            "`wire.target`: takes 8193 bytes",
        ),
        (
            "Authorize",
            "/wire/credentials/0",
            credential(0, ""),
            "`wire.credentials[0].source`: is required",
        ),
        (
            "Authorize",
            "/wire/credentials/0",
            credential(9, ""),
            "`wire.credentials[0].source`: `9` is no value",
        ),
        (
            "Authorize",
            "/wire/credentials/0",
            credential(1, "x"),
            "`wire.credentials[0].name`: must be empty",
        ),
        (
            "Authorize",
            "/wire/credentials/0",
            credential(3, ""),
            "`wire.credentials[0].name`: is required",
        ),
        (
            "Authorize",
            "/wire/credentials/0",
            credential(3, "X-Key"),
            "`wire.credentials[0].name`: must be lower case",
        ),
        (
            "Authorize",
            "/wire/credentials/16",
            credential(1, ""),
            "`wire.credentials`: has 17 entries",
        ),
        (
            "Authorize",
            "/wire/attributes/32",
            json!({ "name": "a" }),
            "`wire.attributes`: has 33 entries",
        ),
        (
            "Authorize",
            "/wire/attributes/0",
            json!({ "name": "A" }),
            "`wire.attributes[0].name`: must be lower case",
        ),
        (
            "Authorize",
            "/wire/peer/certificateSha256",
            "AAAA".into(),
            "`wire.peer.certificate_sha256`: is no SHA-256",
        ),
        (
            "Authorize",
            "/wire/connectionId",
            long(256),
            "`wire.connection_id`: takes 256 bytes",
        ),
        (
            "Authorize",
            "/sessionView",
            9.into(),
            "`session_view`: `9` is no value",
        ),
        (
            "Authorize",
            "/tenant",
            "No Name".into(),
            "`tenant`: is no name of a tenant",
        ),
        (
            "Authorize",
            "/data",
            json!({ "n": "x".repeat(65_536) }),
            "`data_json`: takes 65544 bytes",
        ),
        (
            "BatchAuthorize",
            "/caller",
            Value::Null,
            "`caller`: is required",
        ),
        (
            "BatchAuthorize",
            "/items/1000",
            json!({}),
            "`items`: has 1001 entries",
        ),
        (
            "BatchAuthorize",
            "/items/0/target",
            long(8193),
            "`items[0].target`: takes 8193 bytes",
        ),
        ("GetWireProfile", "/kind", 0.into(), "`kind`: is required"),
        (
            "GetWireProfile",
            "/customKind",
            "x".into(),
            "`custom_kind`: must be empty",
        ),
        (
            "SetSession",
            "/signIn",
            Value::Null,
            "`change`: one of `sign_in` and `patch` is required",
        ),
        (
            "SetSession",
            "/signIn/subject",
            Value::Null,
            "`sign_in.subject`: is required",
        ),
        (
            "SetSession",
            "/signIn/subject/id",
            "".into(),
            "`sign_in.subject`: ",
        ),
        (
            "SetSession",
            "/signIn/subject/id",
            long(256),
            "`sign_in.subject`: ",
        ),
        (
            "SetSession",
            "/signIn/subject/namespace",
            "Local".into(),
            "`sign_in.subject`: ",
        ),
        (
            "SetSession",
            "/signIn/authTime",
            Value::Null,
            "`sign_in.auth_time`: is required",
        ),
        (
            "SetSession",
            "/signIn/authTime",
            "9999-01-01T00:00:00Z".into(),
            "`sign_in.auth_time`: lies in the future",
        ),
        (
            "SetSession",
            "/signIn/ttl",
            "0s".into(),
            "`sign_in.ttl`: must be longer than zero",
        ),
        (
            "SetSession",
            "/signIn/ttl",
            "-1s".into(),
            "`sign_in.ttl`: must be longer than zero",
        ),
        (
            "SetSession",
            "/signIn/scopes",
            many(257),
            "`sign_in.scopes`: has 257 entries",
        ),
        (
            "SetSession",
            "/signIn/scopes",
            json!(["ok", "a b"]),
            "`sign_in.scopes[1]`: ",
        ),
        (
            "SetSession",
            "/signIn/amr",
            json!([""]),
            "`sign_in.amr[0]`: is empty",
        ),
        (
            "SetSession",
            "/signIn/claims",
            json!({ "role": "x".repeat(16_385) }),
            "`sign_in.claims_json`: takes",
        ),
        (
            "SetSession",
            "/requestId",
            long(129),
            "`request_id`: takes 129 bytes",
        ),
        ("ClearSession", "/scope", 0.into(), "`scope`: is required"),
        (
            "ClearSession",
            "/scope",
            4.into(),
            "`scope`: `4` is no value",
        ),
        (
            "CreateSession",
            "/parent",
            "default".into(),
            "`parent`: is not `tenants/{tenant}`",
        ),
        ("CreateSession", "/kind", 0.into(), "`kind`: is required"),
        (
            "CreateSession",
            "/signIn",
            Value::Null,
            "`sign_in`: is required",
        ),
        (
            "CreateSession",
            "/signIn/subject/id",
            "".into(),
            "`sign_in.subject`: ",
        ),
        (
            "CreateSession",
            "/signIn/authTime",
            Value::Null,
            "`sign_in.auth_time`: is required",
        ),
        (
            "CreateSession",
            "/signIn/ttl",
            "9999999s".into(),
            "`sign_in.ttl`: is longer than",
        ),
        (
            "CreateSession",
            "/requestId",
            long(129),
            "`request_id`: takes 129 bytes",
        ),
        (
            "ReadSession",
            "/name",
            "".into(),
            "`name`: is not `tenants/{tenant}/sessions/{id}`",
        ),
        (
            "ReadSession",
            "/name",
            NOBODYS.to_uppercase().into(),
            "`name`: is not",
        ),
        (
            "UpdateSession",
            "/name",
            "tenants/default/sessions/1".into(),
            "`name`: names a malformed session id",
        ),
        (
            "UpdateSession",
            "/patch",
            Value::Null,
            "`patch`: is required",
        ),
        (
            "UpdateSession",
            "/patch/remove",
            json!(["a"]),
            "`patch.remove[0]`: is a key of `set_json`",
        ),
        (
            "UpdateSession",
            "/patch/remove",
            many(257),
            "`patch.remove`: has 257 entries",
        ),
        (
            "UpdateSession",
            "/patch/set",
            json!({ "a": "x".repeat(16_385) }),
            "`patch.set_json`: takes",
        ),
        (
            "UpdateSession",
            "/etag",
            "*".into(),
            "`etag`: is not an etag",
        ),
        (
            "RotateSession",
            "/etag",
            "\"-1\"".into(),
            "`etag`: is not an etag",
        ),
        ("RotateSession", "/name", "x".into(), "`name`: is not"),
        ("RevokeSession", "/name", "x".into(), "`name`: is not"),
        (
            "RevokeSession",
            "/reason",
            long(201),
            "`reason`: has 201 characters",
        ),
        (
            "RevokeSubject",
            "/subject",
            Value::Null,
            "`subject`: is required",
        ),
        ("RevokeSubject", "/except", "x".into(), "`except`: is not"),
        (
            "RevokeSubject",
            "/parent",
            "tenants/".into(),
            "`parent`: is not",
        ),
        (
            "RevokeAllSessions",
            "/expectedCount",
            Value::Null,
            "`expected_count`: is required",
        ),
        (
            "RevokeAllSessions",
            "/expectedCount",
            "-1".into(),
            "`expected_count`: is less than zero",
        ),
        (
            "ListSessions",
            "/pageSize",
            (-1).into(),
            "`page_size`: must be 0 to 1000",
        ),
        (
            "ListSessions",
            "/pageSize",
            i32::MAX.into(),
            "`page_size`: must be 0 to 1000",
        ),
        (
            "ListSessions",
            "/pageSize",
            i32::MIN.into(),
            "`page_size`: must be 0 to 1000",
        ),
        (
            "ListSessions",
            "/pageToken",
            "AAAA".into(),
            "`page_token`: is no page token",
        ),
        (
            "ListSessions",
            "/pageToken",
            long(100_000),
            "`page_token`: is no page token",
        ),
        ("ListSessions", "/subject", json!({}), "`subject`: "),
        (
            "WatchSessions",
            "/position",
            "AAAA".into(),
            "`position`: is no position",
        ),
        ("WatchSessions", "/parent", "x".into(), "`parent`: is not"),
        (
            "CreateApiKey",
            "/subject",
            Value::Null,
            "`subject`: is required",
        ),
        (
            "CreateApiKey",
            "/displayName",
            long(101),
            "`display_name`: has more than 100",
        ),
        ("CreateApiKey", "/scopes", json!(["a b"]), "`scopes[0]`: "),
        (
            "CreateApiKey",
            "/scopes",
            many(257),
            "`scopes`: has 257 entries",
        ),
        (
            "CreateApiKey",
            "/ttl",
            "-1s".into(),
            "`ttl`: must be longer than zero",
        ),
        ("CreateApiKey", "/parent", "x".into(), "`parent`: is not"),
        (
            "ListApiKeys",
            "/pageSize",
            1001.into(),
            "`page_size`: must be 0 to 1000",
        ),
        (
            "ListApiKeys",
            "/pageSize",
            (-1).into(),
            "`page_size`: must be 0 to 1000",
        ),
        (
            "ListApiKeys",
            "/pageToken",
            "AAAA".into(),
            "`page_token`: is no page token",
        ),
        (
            "RevokeApiKey",
            "/name",
            NOBODYS.into(),
            "`name`: is not `tenants/{tenant}/apiKeys/{id}`",
        ),
        (
            "RevokeApiKey",
            "/reason",
            long(201),
            "`reason`: has 201 characters",
        ),
        (
            "ExplainDecision",
            "/wire",
            Value::Null,
            "`wire`: is required",
        ),
    ]
}

#[tokio::test]
async fn a_field_that_makes_no_sense_is_named_with_what_is_wrong() {
    let scene = Scene::new().await;
    let before = scene.held().await;
    let mut faults = Vec::new();
    for (name, pointer, value, says) in fields() {
        let body = with(scene.good(name), pointer, value);
        let field = says.split('`').nth(1).unwrap();
        match scene.refused(name, &body).await {
            Ok(refused)
                if (&*refused.code, &*refused.reason) == ("invalid_argument", "INVALID_FIELD")
                    && refused.message.starts_with(says)
                    && refused.field == field => {}
            other => faults.push(format!("{name} {pointer} ({says}): {other:?}")),
        }
        if scene.held().await != before {
            faults.push(format!("{name} {pointer} ({says}) changed something"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(scene.sidecar.operation().await, "hello");
}
