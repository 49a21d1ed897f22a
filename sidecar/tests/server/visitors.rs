//! Readers of a shop who sign in and ask, by every front, while a test moves the clock.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use auth_core::clock::{Clock as _, ManualClock, Timestamp};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use proto::{
    admin::v1::{CreateApiKeyRequest, CreateApiKeyResponse},
    v1::{
        self, AuthorizeRequest, AuthorizeResponse, Credential, CredentialSource, Principal,
        WireUpdateKind, authorization_service_client::AuthorizationServiceClient,
        session_service_client::SessionServiceClient,
        session_store_service_client::SessionStoreServiceClient, set_session_request, wire_update,
    },
};
use sidecar::listener;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{Status, transport::Channel};

use crate::harness::*;

/// When every test begins.
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
/// The stores that a test runs on.
pub(crate) const STORES: [&str; 2] = ["memory: {}", "embedded: { path: ./data }"];

const APP: &str = "
operations:
  theme: { session: optional, writes: attributes, http: POST /theme }
  login: { session: optional, writes: sign_in, http: POST /login }
  logout: { http: POST /logout }
  me: { http: GET /me }
  secret: { http: GET /secret, require: is_admin }
claims: { role: string }
checks:
  is_admin: has(session.claims.role) && session.claims.role == \"admin\"
";

/// A shop whose clock stands still unless it is moved.
pub(crate) struct Shop {
    pub(crate) sidecar: Running,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) decisions: AuthorizationServiceClient<Channel>,
    pub(crate) sessions: SessionServiceClient<Channel>,
    pub(crate) store: SessionStoreServiceClient<Channel>,
}

/// A shop on this store, with these limits of sessions.
pub(crate) async fn shop(store: &str, limits: &str) -> Shop {
    let uid = listener::own_uid();
    let policy = format!(
        "listen:\n\
         \x20 grpc: [ unix:./s.sock, 127.0.0.1:0 ]\n\
         \x20 http: 127.0.0.1:0\n\
         \x20 admin: unix:./admin.sock\n\
         \x20 telemetry: 127.0.0.1:0\n\
         \x20 forward_auth: {{ address: 127.0.0.1:0, trusted_proxies: [ 127.0.0.1 ], caller: shop }}\n\
         store: {{ {store} }}\n\
         sessions: {{ {limits} }}\n\
         callers:\n\
         \x20 shop: {{ token_file: shop.token, may: [authorize] }}\n\
         \x20 desk: {{ uid: {uid}, may: [authorize, session.self, session.manage, admin],\
         \x20 sign_in: [local], claims: [role] }}\n\
         strategies:\n\
         \x20 - api_key: {{}}\n\
         \x20 - bearer: {{ opaque: true }}\n\
         \x20 - cookie: {{}}\n\
         include: [ apps/*.yaml ]\n"
    );
    let folder = files();
    std::fs::write(folder.path().join("sidegate.yaml"), policy).unwrap();
    std::fs::write(folder.path().join("apps/shop.yaml"), APP).unwrap();
    let clock = Arc::new(ManualClock::at(START));
    let sidecar = start_with(builder(&folder).clock(clock.clone()), folder).await;
    let channel = unix_channel(&sidecar.unix()).await;
    Shop {
        sidecar,
        clock,
        decisions: AuthorizationServiceClient::new(channel.clone()),
        sessions: SessionServiceClient::new(channel.clone()),
        store: store_client(channel),
    }
}

pub(crate) fn reader(id: &str) -> Principal {
    Principal {
        namespace: "local".into(),
        id: id.into(),
    }
}

/// `METHOD path`, with the value of a header that is a credential.
pub(crate) fn asked(
    method: &str,
    path: &str,
    credential: Option<(&str, &str)>,
) -> AuthorizeRequest {
    let mut request = authorize(path);
    let wire = request.wire.as_mut().unwrap();
    wire.method = method.into();
    wire.accepted_updates = vec![WireUpdateKind::Cookie.into()];
    if let Some((header, value)) = credential {
        let source = match header {
            "cookie" => CredentialSource::Cookie,
            "authorization" => CredentialSource::Authorization,
            _ => CredentialSource::Header,
        };
        let name = match source {
            CredentialSource::Header => header,
            _ => "",
        };
        wire.credentials = vec![Credential {
            source: source.into(),
            name: name.into(),
            value: value.to_owned().into(),
        }];
    }
    request
}

/// The one cookie that is handed out, as `name=value`.
pub(crate) fn handed(updates: &[v1::WireUpdate]) -> Option<String> {
    updates.iter().find_map(|update| match &update.kind {
        Some(wire_update::Kind::SetCookie(set)) => {
            Some(set.header_value.split(';').next().unwrap().to_owned())
        }
        _ => None,
    })
}

impl Shop {
    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Asks over gRPC.
    pub(crate) async fn ask(&self, request: AuthorizeRequest) -> AuthorizeResponse {
        let answer = self.decisions.clone().authorize(request).await;
        answer.unwrap().into_inner()
    }

    /// Whether `GET /me` is allowed with this cookie.
    pub(crate) async fn knows(&self, cookie: &str) -> bool {
        let answer = self
            .ask(asked("GET", "/me", Some(("cookie", cookie))))
            .await;
        answer.decision() == v1::Decision::Allow
    }

    /// What `GET /me` comes to with a credential, by every front: true is allowed.
    pub(crate) async fn fronts(&self, header: &str, value: &str) -> BTreeMap<&'static str, bool> {
        let request = asked("GET", "/me", Some((header, value)));
        let grpc = self.ask(request).await.decision() == v1::Decision::Allow;
        let json = self.over_json(header, value).await;
        let proxy = self.sidecar.addresses.forward_auth.as_ref().unwrap();
        let said = format!(
            "x-forwarded-method: GET\r\nx-forwarded-host: localhost\r\nx-forwarded-uri: /me\r\n\
             x-forwarded-for: 192.0.2.7\r\n{header}: {value}\r\n"
        );
        let (status, _) = get(&proxy.to_string(), "/forward-auth", &said).await;
        assert!([200, 401].contains(&status), "{status}");
        [
            ("grpc", grpc),
            ("json", json),
            ("forward_auth", status == 200),
        ]
        .into()
    }

    async fn over_json(&self, header: &str, value: &str) -> bool {
        let source = format!("CREDENTIAL_SOURCE_{}", header.to_uppercase());
        let body = serde_json::json!({
            "wire": {
                "kind": "WIRE_KIND_HTTP", "authority": "localhost", "method": "GET",
                "target": "/me",
                "credentials": [{ "source": source, "value": STANDARD.encode(value) }],
            },
            "dataComplete": true,
        });
        let body = body.to_string();
        let mut stream = TcpStream::connect(self.sidecar.addresses.http[0].to_string())
            .await
            .unwrap();
        let request = format!(
            "POST /sidegate.v1.AuthorizationService/Authorize HTTP/1.1\r\nhost: localhost\r\n\
             authorization: Bearer {SHOP_TOKEN}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let allow = answer.contains("DECISION_ALLOW");
        assert!(allow || answer.contains("DECISION_DENY"), "{answer}");
        allow
    }

    /// The call of an allowed request.
    pub(crate) async fn call(&self, method: &str, path: &str, cookie: Option<&str>) -> Vec<u8> {
        let credential = cookie.map(|cookie| ("cookie", cookie));
        let answer = self.ask(asked(method, path, credential)).await;
        assert_eq!(answer.decision(), v1::Decision::Allow, "{answer:?}");
        answer.call.to_vec()
    }

    /// Signs a reader in, over what this cookie opens. Answers with the new cookie.
    pub(crate) async fn try_sign_in(
        &self,
        id: &str,
        role: &str,
        over: Option<&str>,
    ) -> Result<String, Status> {
        let call = self.call("POST", "/login", over).await;
        let sign_in = v1::SignIn {
            subject: Some(reader(id)),
            claims_json: serde_json::json!({ "role": role }).to_string().into(),
            auth_time: Some(self.now()),
            ..v1::SignIn::default()
        };
        self.set(call, set_session_request::Change::SignIn(sign_in))
            .await
    }

    pub(crate) async fn sign_in(&self, id: &str) -> String {
        self.try_sign_in(id, "user", None).await.unwrap()
    }

    /// What a visitor who has not signed in is given.
    pub(crate) async fn anonymous(&self) -> String {
        let call = self.call("POST", "/theme", None).await;
        let patch = v1::SessionPatch {
            set_json: br#"{"theme":"dark"}"#.to_vec().into(),
            ..v1::SessionPatch::default()
        };
        self.set(call, set_session_request::Change::Patch(patch))
            .await
            .unwrap()
    }

    async fn set(
        &self,
        call: Vec<u8>,
        change: set_session_request::Change,
    ) -> Result<String, Status> {
        let request = v1::SetSessionRequest {
            call: call.into(),
            change: Some(change),
            ..v1::SetSessionRequest::default()
        };
        let set = self.sessions.clone().set_session(request).await?;
        Ok(handed(&set.into_inner().updates).unwrap())
    }

    pub(crate) fn now(&self) -> prost_types::Timestamp {
        prost_types::Timestamp {
            seconds: self.clock.now().as_seconds(),
            nanos: 0,
        }
    }

    /// A bearer session that the operator makes: its name and token.
    pub(crate) async fn bearer(&self, id: &str) -> Result<(String, String), Status> {
        let request = v1::CreateSessionRequest {
            parent: "tenants/default".into(),
            sign_in: Some(v1::SignIn {
                subject: Some(reader(id)),
                auth_time: Some(self.now()),
                ..v1::SignIn::default()
            }),
            kind: v1::TokenKind::Bearer.into(),
            ..v1::CreateSessionRequest::default()
        };
        let made = self
            .store
            .clone()
            .create_session(request)
            .await?
            .into_inner();
        let name = made.session.unwrap().session.unwrap().name;
        Ok((name, made.token))
    }

    pub(crate) async fn api_key(&self, id: &str) -> CreateApiKeyResponse {
        let request = CreateApiKeyRequest {
            display_name: "nightly job".into(),
            subject: Some(reader(id)),
            ..CreateApiKeyRequest::default()
        };
        let mut admin = self.sidecar.admin_client().await;
        admin.create_api_key(request).await.unwrap().into_inner()
    }

    pub(crate) async fn list(&self) -> Vec<v1::ManagedSession> {
        let request = v1::ListSessionsRequest {
            parent: "tenants/default".into(),
            page_size: 1000,
            ..v1::ListSessionsRequest::default()
        };
        let page = self.store.clone().list_sessions(request).await;
        page.unwrap().into_inner().sessions
    }

    pub(crate) async fn revoke_subject(&self, id: &str) -> i64 {
        let request = v1::RevokeSubjectRequest {
            parent: "tenants/default".into(),
            subject: Some(reader(id)),
            ..v1::RevokeSubjectRequest::default()
        };
        let revoked = self.store.clone().revoke_subject(request).await;
        revoked.unwrap().into_inner().revoked_count
    }

    /// The value of the metric whose line begins so; 0 when there is none.
    pub(crate) async fn metric(&self, line: &str) -> u64 {
        let (_, text) = get(&self.sidecar.telemetry(), "/metrics", "").await;
        let value = text.lines().find_map(|held| held.strip_prefix(line));
        value.map_or(0, |value| value.trim().parse().unwrap())
    }
}
