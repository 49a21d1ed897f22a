//! A sidecar to be asked things that make no sense, and questions that make some.

use std::path::Path;

use proto::admin::v1::{GetStatusRequest, admin_service_client::AdminServiceClient};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::transport::Channel;

use crate::{ask::*, harness::*};

/// The operations of the tests: one that signs in, one that needs nothing, one that needs data.
const APP: &str = "
checks: { is_seven: data.n == 7, is_not_seven: '!(data.n == 7)' }
operations:
  hello: { session: none, http: GET /hello }
  login: { session: optional, writes: [ sign_in, attributes ], http: POST /login }
  cart: { writes: attributes, http: POST /cart }
  count: { session: none, require: is_seven, data: { n: { type: int } }, http: POST /count }
  other: { session: none, require: is_not_seven, data: { n: { type: int } }, http: POST /other }
";

/// The files of a sidecar that writes logs like these.
pub(super) fn folder(telemetry: &str) -> TempDir {
    let folder = files();
    let all = "may: [authorize, session.self, session.manage]";
    let policy = policy()
        .replace("{ memory: {} }", "{ embedded: { path: ./data } }")
        .replace(
            "session.self] }",
            "session.self], sign_in: [local], claims: [role] }",
        )
        .replace("may: [authorize, session.manage]", all);
    let more = format!("telemetry: {telemetry}\nstrategies:\n  - bearer: {{ opaque: true }}\n");
    std::fs::write(folder.path().join("sidegate.yaml"), policy + &more).unwrap();
    std::fs::write(folder.path().join("apps/shop.yaml"), APP).unwrap();
    folder
}

/// A sidecar, what there is on it, and ways to ask it.
pub(super) struct Scene {
    /// Runs as long as this does.
    _sidecar: Option<Running>,
    pub(super) http: String,
    pub(super) tcp: Channel,
    pub(super) unix: Channel,
    pub(super) admin: Channel,
    /// The name of a session that lives.
    pub(super) session: String,
    /// The name of a key.
    pub(super) key: String,
    /// A handle with which one may sign in.
    pub(super) call: String,
}

impl Scene {
    /// On a sidecar in this process.
    pub(super) async fn new() -> Self {
        let folder = folder("{}");
        let sidecar = start_with(builder(&folder), folder).await;
        let tcp = tcp_channel(&sidecar.tcp()).await;
        let http = sidecar.addresses.http[0].to_string();
        let (unix, admin) = (sidecar.unix(), sidecar.admin());
        Self::on(Some(sidecar), tcp, &unix, &admin, http).await
    }

    /// On a daemon with this folder.
    pub(super) async fn on_daemon(folder: &Path) -> Self {
        let (unix, admin) = (folder.join("s.sock"), folder.join("admin.sock"));
        let mut client = AdminServiceClient::new(unix_channel(&admin).await);
        let status = client.get_status(GetStatusRequest {}).await.unwrap();
        let listeners = status.into_inner().listeners;
        let tcp = |name: &str| {
            let mut lines = listeners.iter().filter_map(|line| line.strip_prefix(name));
            let found = lines.find(|address| !address.starts_with("unix:"));
            found.unwrap().to_owned()
        };
        let channel = tcp_channel(&tcp("grpc ")).await;
        Self::on(None, channel, &unix, &admin, tcp("http ")).await
    }

    async fn on(
        sidecar: Option<Running>,
        tcp: Channel,
        unix: &Path,
        admin: &Path,
        http: String,
    ) -> Self {
        let mut scene = Self {
            _sidecar: sidecar,
            http,
            tcp,
            unix: unix_channel(unix).await,
            admin: unix_channel(admin).await,
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

    /// The operation that a plain call reaches, which shows that decisions are made.
    pub(super) async fn operation(&self) -> String {
        let answer = self.ask("Authorize", &self.good("Authorize")).await;
        text(&answer.unwrap(), "/operation")
    }

    /// The handle of a call that may sign in.
    pub(super) async fn handle(&self) -> String {
        let mut login = self.good("Authorize");
        login["wire"]["method"] = "POST".into();
        login["wire"]["target"] = "/login".into();
        text(&self.ask("Authorize", &login).await.unwrap(), "/call")
    }

    /// The handle of a call with this token that may change attributes.
    pub(super) async fn cart(&self, token: &str) -> String {
        let mut cart = self.good("Authorize");
        cart["wire"]["method"] = "POST".into();
        cart["wire"]["target"] = "/cart".into();
        cart["wire"]["credentials"] = json!([{ "source": 1, "text": format!("Bearer {token}") }]);
        text(&self.ask("Authorize", &cart).await.unwrap(), "/call")
    }

    /// A new session: its name, its etag and its token.
    pub(super) async fn made(&self) -> (String, String, String) {
        let made = self.ask("CreateSession", &self.good("CreateSession")).await;
        let made = made.unwrap();
        let etag = text(&made, "/session/session/etag");
        (
            text(&made, "/session/session/name"),
            etag,
            text(&made, "/token"),
        )
    }

    /// Whom to ask, and as whom.
    pub(super) fn door(&self, name: &str) -> (&Channel, Option<&'static str>) {
        match method(name).parent_service().name() {
            "AdminService" => (&self.admin, None),
            "SessionStoreService" => (&self.unix, None),
            _ => (&self.tcp, Some(SHOP_TOKEN)),
        }
    }

    pub(super) async fn ask(&self, name: &str, body: &Value) -> Result<Value, Refused> {
        let (channel, token) = self.door(name);
        ask(channel, token, name, body).await
    }

    pub(super) async fn post(&self, name: &str, body: &[u8]) -> Plain {
        post(&self.http, SHOP_TOKEN, name, body).await
    }

    /// A body that is right.
    pub(super) fn good(&self, name: &str) -> Value {
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
            "ContinueCall" | "GetSession" => json!({ "call": call }),
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
    pub(super) async fn held(&self) -> (usize, usize, Value) {
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
    pub(super) async fn refused(&self, name: &str, body: &Value) -> Result<Refused, String> {
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

pub(super) fn text(json: &Value, pointer: &str) -> String {
    let text = json.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no {pointer} in {json}"))
        .to_owned()
}

pub(super) fn shortened(body: &Value) -> String {
    body.to_string().chars().take(300).collect()
}

/// The body with another value at one place; the way there is made. Null takes the place away.
pub(super) fn with(mut body: Value, pointer: &str, value: Value) -> Value {
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

/// Characters that change what a line of a log seems to say.
pub(super) fn is_odd(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
