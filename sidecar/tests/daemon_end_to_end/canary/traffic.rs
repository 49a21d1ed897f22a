//! Every method over every edge, with marked secrets wherever a secret can stand.

use proto::{
    admin::v1 as admin,
    v1::{
        self, authorization_service_client::AuthorizationServiceClient,
        session_service_client::SessionServiceClient,
        session_store_service_client::SessionStoreServiceClient,
    },
};
use serde_json::json;
use tonic::transport::Channel;

use super::app::App;
use crate::{
    daemon::Daemon,
    seen::{Seen, token_in},
    shop::*,
};

use admin::admin_service_client::AdminServiceClient;

/// Whom the sessions are of: no secret.
pub(super) const SUBJECT: &str = "marked-subject";

/// What is sent as data, as a request header, and as a word of a query.
pub(super) const DATA: &str = "SECRETvalueofdata";
pub(super) const HEADER: &str = "SECRETvalueofheader";
pub(super) const QUERY: &str = "SECRETvalueofquery";
const PASSWORD: &str = "SECRETpassword";

/// Credentials that nobody issued, of every kind and malformed in every way.
pub(super) const FORGED: [&str; 6] = [
    "sg1_SECRETtokenAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGx",
    "sg1_SECRETshort",
    "sgk_SECRETkeyAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGx",
    "eyJhbGciOiJub25lIn0.SECRETpayload.SECRETsignature",
    "SECRETtoken with spaces, and a comma",
    "SECRETtokenÿ\u{1b}[31m",
];

/// Good credentials of each kind.
pub(super) struct Presented<'a> {
    pub(super) bearer: &'a str,
    pub(super) cookie: &'a str,
    pub(super) key: &'a str,
}

/// Changes of the session that an app may ask for and that are not made: the header, and what it
/// says. Each holds what nobody but the app's client may know.
pub(super) const REFUSED: [(&str, &str); 16] = [
    (
        "sidegate-session-set",
        r#"{"subject":"u1","SECRETcontent":1}"#,
    ),
    ("sidegate-session-set", r#"{"subject":["SECRETcontent"]}"#),
    ("sidegate-session-set", r#"{"subject":"SECRETcontent/u1"}"#),
    (
        "sidegate-session-set",
        r#"{"subject":"u1","claims":"SECRETcontent"}"#,
    ),
    (
        "sidegate-session-set",
        r#"{"subject":"u1","claims":{"other":"SECRETcontent"}}"#,
    ),
    (
        "sidegate-session-set",
        r#"{"subject":"u1","scopes":["SECRETcontent and more"]}"#,
    ),
    (
        "sidegate-session-set",
        r#"{"subject":"u1","ttl":"SECRETcontent"}"#,
    ),
    (
        "sidegate-session-set",
        r#"{"subject":"idp/u1","attributes":{"theme":"SECRETcontent"}}"#,
    ),
    (
        "sidegate-session-set",
        r#"{"subject":"u1","auth_time":9000000000,"acr":"SECRETcontent"}"#,
    ),
    ("sidegate-session-set", r#"{"subject":"SECRETcontent"#),
    ("sidegate-session-set", "SECRETcontent"),
    // A text, in base64url, and something that is none.
    ("sidegate-session-set", "IlNFQ1JFVGNvbnRlbnQi"),
    ("sidegate-session-patch", "IlNFQ1JFVGNvbnRlbnQi"),
    ("sidegate-session-patch", r#"["SECRETcontent"]"#),
    ("sidegate-session-patch", r#"{"theme":SECRETcontent}"#),
    ("sidegate-session-clear", "SECRETcontent"),
];

/// Echoes that are not the handle of the request.
pub(super) const ECHOES: [&str; 3] = ["", "SECRETechoedhandle", "SECRETecho, SECRETecho"];

/// All that was secret.
#[derive(Default)]
pub(super) struct Secrets {
    /// Tokens and other texts, by what they are.
    pub(super) texts: Vec<(&'static str, String)>,
    /// Sealed handles of calls.
    pub(super) calls: Vec<Vec<u8>>,
    /// The files of the daemon's own keys.
    pub(super) keys: Vec<Vec<u8>>,
}

impl Secrets {
    fn planted() -> Self {
        let mut texts = vec![
            ("the caller's token", SHOP_TOKEN.to_owned()),
            ("the other caller's token", CLERK_TOKEN.to_owned()),
            (
                "the unknown caller's token",
                crate::seen::WRONG_TOKEN.to_owned(),
            ),
            ("the service's token", SERVICE_TOKEN.to_owned()),
            ("the issuer's secret", ISSUER_SECRET.to_owned()),
            ("a word of a query", QUERY.to_owned()),
            ("a password in a target", PASSWORD.to_owned()),
            ("data", DATA.to_owned()),
            ("a request header", HEADER.to_owned()),
            ("what an app wrote", "SECRETcontent".to_owned()),
            ("a handle that an app made up", ECHOES[1].to_owned()),
        ];
        texts.extend(FORGED.map(|token| ("a forged credential", token.to_owned())));
        Self {
            texts,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, name: &'static str, text: &str) {
        self.texts.push((name, text.to_owned()));
    }

    pub(super) fn add_jwt(&mut self, jwt: &str) {
        for part in jwt.split('.').skip(1).filter(|part| !part.is_empty()) {
            self.add("a part of a JWT", part);
        }
        self.add("a JWT", jwt);
    }
}

/// What the traffic runs on.
pub(super) struct Traffic<'a> {
    pub(super) daemon: &'a Daemon,
    pub(super) seen: Seen,
    pub(super) secrets: Secrets,
    pub(super) point: AuthorizationServiceClient<Channel>,
    pub(super) sessions: SessionServiceClient<Channel>,
    pub(super) store: SessionStoreServiceClient<Channel>,
    pub(super) admin: AdminServiceClient<Channel>,
}

impl<'a> Traffic<'a> {
    pub(super) async fn new(daemon: &'a Daemon) -> Self {
        let tcp = daemon.grpc().await;
        Self {
            daemon,
            seen: Seen::default(),
            secrets: Secrets::planted(),
            point: AuthorizationServiceClient::new(tcp.clone()),
            sessions: SessionServiceClient::new(tcp),
            store: SessionStoreServiceClient::new(daemon.desk().await),
            admin: AdminServiceClient::new(daemon.admin().await),
        }
    }

    /// All of it, with this app behind the edges.
    pub(super) async fn run(&mut self, app: App) {
        let decisions = self.admin.clone();
        let request = admin::WatchDecisionsRequest {};
        let decisions = self.seen.ask(None, request, async |request| {
            decisions.clone().watch_decisions(request).await
        });
        let mut decisions = decisions.await.unwrap();
        let bearer_token = self.managed().await;
        let key = self.administered().await;
        let cookie_token = self.signed_in().await;
        self.decided(&[
            bearer(&bearer_token),
            api_key(&key),
            cookie(&format!(
                "theirs=SECRETforeigncookie; __Host-session={cookie_token}"
            )),
            bearer(SERVICE_TOKEN),
        ])
        .await;
        self.decided_by_query(&key).await;
        self.with_jwts().await;
        self.over_json(&cookie_token, &key).await;
        self.by_proxy(&bearer_token, &cookie_token, &key).await;
        let presented = Presented {
            bearer: &bearer_token,
            cookie: &cookie_token,
            key: &key,
        };
        self.through_envoy(&presented).await;
        self.through_proxy(app, &presented).await;
        self.ended(&bearer_token, &cookie_token, &key).await;
        for _ in 0..5 {
            let seen = decisions.message().await.unwrap();
            self.seen.debug += &format!("{seen:?}\n");
        }
    }

    pub(super) async fn authorize(
        &mut self,
        request: v1::AuthorizeRequest,
    ) -> v1::AuthorizeResponse {
        let client = self.point.clone();
        let answer = self.seen.ask(Some(SHOP_TOKEN), request, async |request| {
            client.clone().authorize(request).await
        });
        let answer = answer.await.unwrap();
        if !answer.call.is_empty() {
            self.secrets.calls.push(answer.call.to_vec());
        }
        answer
    }

    /// What is refused as a request, and not as a call.
    async fn refused(&mut self, request: v1::AuthorizeRequest) {
        let client = self.point.clone();
        for token in [SHOP_TOKEN, CLERK_TOKEN] {
            let answer = self
                .seen
                .ask(Some(token), request.clone(), async |request| {
                    client.clone().authorize(request).await
                });
            assert!(answer.await.is_err());
        }
    }

    async fn set(&mut self, request: v1::SetSessionRequest) -> Option<v1::SetSessionResponse> {
        let client = self.sessions.clone();
        let answer = self.seen.ask(Some(SHOP_TOKEN), request, async |request| {
            client.clone().set_session(request).await
        });
        let answer = answer.await.ok()?;
        self.secrets.calls.push(answer.call.to_vec());
        Some(answer)
    }

    /// Signs in by an anonymous call, patches, reads, and spoils all of these. Answers the token
    /// of the cookie.
    async fn signed_in(&mut self) -> String {
        let foreign = cookie("theirs=SECRETforeigncookie; __Host-session=SECRETnotours");
        self.secrets.add("a foreign cookie", "SECRETforeigncookie");
        self.secrets.add("a value of our cookie", "SECRETnotours");
        let answer = self.authorize(call("POST", "/login", &[foreign])).await;
        let request = v1::SetSessionRequest {
            call: answer.call,
            change: Some(v1::set_session_request::Change::SignIn(sign_in(
                SUBJECT, false,
            ))),
            request_id: "first-sign-in".into(),
            ..v1::SetSessionRequest::default()
        };
        let signed_in = self.set(request.clone()).await.unwrap();
        let token = token_in(&signed_in.updates).unwrap();
        self.secrets.add("the token of a cookie", &token);
        let patch = v1::SessionPatch {
            set_json: br#"{"theme":"marked-attribute"}"#.as_slice().into(),
            remove: Vec::new(),
        };
        let patched = v1::SetSessionRequest {
            call: signed_in.call.clone(),
            change: Some(v1::set_session_request::Change::Patch(patch)),
            ..v1::SetSessionRequest::default()
        };
        self.set(patched.clone()).await.unwrap();

        let client = self.sessions.clone();
        let mut forged = b"SECRETsealedcall".to_vec();
        forged.extend(&signed_in.call[16..]);
        self.secrets.calls.push(forged.clone());
        for call in [signed_in.call.clone(), forged.clone().into(), "".into()] {
            let request = v1::GetSessionRequest { call };
            let answer = self.seen.ask(Some(SHOP_TOKEN), request, async |request| {
                client.clone().get_session(request).await
            });
            let _ = answer.await;
        }
        self.continued(&[&signed_in.call, &forged, b""]).await;
        let mut stale = patched.clone();
        stale.etag = "\"0\"".into();
        let mut broken = patched;
        broken.change = Some(v1::set_session_request::Change::Patch(v1::SessionPatch {
            set_json: format!("{{\"theme\": {DATA}").into(),
            remove: Vec::new(),
        }));
        let mut sealed = request.clone();
        sealed.call = forged.into();
        let mut foreign = request;
        foreign.change = Some(v1::set_session_request::Change::SignIn(v1::SignIn {
            subject: Some(v1::Principal {
                namespace: "idp".into(),
                id: SUBJECT.into(),
            }),
            ..sign_in(SUBJECT, true)
        }));
        for request in [stale, broken, sealed, foreign] {
            assert!(self.set(request).await.is_none());
        }
        token
    }

    /// Asks whether these calls may go on: the first may.
    async fn continued(&mut self, calls: &[&[u8]]) {
        let client = self.point.clone();
        let mut went_on = Vec::new();
        for call in calls {
            let request = v1::ContinueCallRequest {
                call: call.to_vec().into(),
            };
            let answer = self.seen.ask(Some(SHOP_TOKEN), request, async |request| {
                client.clone().continue_call(request).await
            });
            let answer = answer.await;
            went_on.push(answer.is_ok());
            let next = answer.into_iter().map(|answer| answer.call.to_vec());
            self.secrets.calls.extend(next);
        }
        let first_alone: Vec<_> = (0..calls.len()).map(|index| index == 0).collect();
        assert_eq!(went_on, first_alone);
    }

    /// Every credential, good or not, to calls that are allowed, denied and not understood.
    async fn decided(&mut self, good: &[v1::Credential]) {
        let forged = FORGED.iter().flat_map(|token| {
            [
                bearer(token),
                authorization(&format!("Basic {token}")),
                authorization(&format!("DPoP {token}")),
                api_key(token),
                cookie(&format!("__Host-session={token}")),
                cookie(token),
            ]
        });
        let credentials: Vec<_> = good.iter().cloned().chain(forged).collect();
        for credential in &credentials {
            for (method, target) in [("GET", "/books"), ("POST", "/admin/reindex")] {
                self.authorize(call(method, target, std::slice::from_ref(credential)))
                    .await;
            }
        }
        // Two at once, nowhere, and no target at all.
        self.authorize(call("GET", "/books", &good[..2])).await;
        let targets = [
            format!("/nowhere?word={QUERY}#{QUERY}"),
            format!("http://reader:{PASSWORD}@localhost/books?word={QUERY}"),
            format!("/../%2e%2e/\r\n?word={QUERY}"),
        ];
        for target in targets {
            self.authorize(call("GET", &target, good)).await;
        }
        let mut search = call("POST", "/search", &[]);
        let wire = search.wire.as_mut().unwrap();
        wire.attributes.push(v1::Attribute {
            name: "user-agent".into(),
            value: HEADER.into(),
        });
        for data in [
            json!({ "wanted": DATA }).to_string(),
            json!({ "wanted": [DATA] }).to_string(),
        ] {
            search.data_json = data.into();
            self.authorize(search.clone()).await;
        }
        search.data_json = format!("{{\"wanted\": {DATA}").into();
        self.authorize(search.clone()).await;
        search.wire.as_mut().unwrap().authority = "long".repeat(100);
        self.refused(search).await;
        self.batch(good).await;
    }

    async fn batch(&mut self, good: &[v1::Credential]) {
        let (client, other) = (self.point.clone(), self.point.clone());
        for credential in good {
            let request = v1::BatchAuthorizeRequest {
                caller: Some(v1::WireContext {
                    method: String::new(),
                    target: String::new(),
                    ..call("", "", std::slice::from_ref(credential)).wire.unwrap()
                }),
                items: vec![v1::BatchAuthorizeItem {
                    method: "POST".into(),
                    target: format!("/search?word={QUERY}"),
                    data_json: json!({ "wanted": DATA }).to_string().into(),
                    data_complete: true,
                }],
                tenant: String::new(),
            };
            let answer = self.seen.ask(Some(SHOP_TOKEN), request, async |request| {
                client.clone().batch_authorize(request).await
            });
            answer.await.unwrap();
        }
        let request = v1::GetWireProfileRequest {
            kind: v1::WireKind::Http.into(),
            ..v1::GetWireProfileRequest::default()
        };
        let answer = self.seen.ask(Some(SHOP_TOKEN), request, async |request| {
            other.clone().get_wire_profile(request).await
        });
        answer.await.unwrap();
    }

    async fn decided_by_query(&mut self, key: &str) {
        for key in [key, "sgk_SECRETinquery", "SECRETinquery%00"] {
            for path in ["/books", "/nowhere", "/admin/reindex"] {
                let target = format!("{path}?api_key={key}&word={QUERY}");
                self.authorize(call("GET", &target, &[])).await;
            }
        }
        self.secrets.add("a forged key in a query", "SECRETinquery");
    }

    async fn with_jwts(&mut self) {
        let good = jwt(ISSUER_SECRET, SUBJECT);
        let forged = jwt("SECRETotherkey0123456789abcdef0123456789", SUBJECT);
        for token in [good.clone(), forged, good.replace('.', "..")] {
            self.secrets.add_jwt(&token);
            let answer = self
                .authorize(call("GET", "/books", &[bearer(&token)]))
                .await;
            if answer.decision() != v1::Decision::Allow {
                continue;
            }
            let client = self.sessions.clone();
            let request = v1::ClearSessionRequest {
                call: answer.call,
                scope: v1::ClearScope::This.into(),
            };
            let answer = self.seen.ask(Some(SHOP_TOKEN), request, async |request| {
                client.clone().clear_session(request).await
            });
            answer.await.unwrap();
            self.authorize(call("GET", "/books", &[bearer(&token)]))
                .await;
        }
    }
}
