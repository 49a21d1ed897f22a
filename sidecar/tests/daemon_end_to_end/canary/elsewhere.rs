//! The rest of the traffic: sessions by id, administration, and the edges over HTTP.

use proto::{admin::v1 as admin, v1};
use serde_json::json;

use super::traffic::{DATA, HEADER, SUBJECT, Traffic};
use crate::{seen::WRONG_TOKEN, shop::*};

use admin::explain_decision_request::Who;

impl Traffic<'_> {
    /// Makes, reads, changes, rotates and lists sessions by id. Answers the token of a live one.
    pub(super) async fn managed(&mut self) -> String {
        let store = self.store.clone();
        let mut names = Vec::new();
        for (kind, id) in [
            (v1::TokenKind::Bearer, SUBJECT),
            (v1::TokenKind::Cookie, "another"),
        ] {
            let request = v1::CreateSessionRequest {
                sign_in: Some(sign_in(id, true)),
                kind: kind.into(),
                ..v1::CreateSessionRequest::default()
            };
            let made = self.seen.ask(None, request, async |request| {
                store.clone().create_session(request).await
            });
            let made = made.await.unwrap();
            self.secrets.add("the token of a made session", &made.token);
            names.push(made.session.unwrap().session.unwrap().name);
        }
        let request = v1::RotateSessionRequest {
            name: names[0].clone(),
            etag: String::new(),
        };
        let rotated = self.seen.ask(None, request, async |request| {
            store.clone().rotate_session(request).await
        });
        let token = rotated.await.unwrap().token;
        self.secrets.add("a rotated token", &token);

        // A token is no name: it is refused, and the refusal does not repeat it. A name is no
        // secret, so that `{:?}` prints it.
        let debug = self.seen.debug.len();
        let no_name = format!("tenants/default/sessions/{token}");
        for name in [names[0].clone(), no_name.clone()] {
            let request = v1::ReadSessionRequest { name };
            let _ = self
                .seen
                .ask(None, request, async |request| {
                    store.clone().read_session(request).await
                })
                .await;
        }
        for (name, json) in [(&names[0], r#"{"theme":"dark"}"#), (&no_name, DATA)] {
            let request = v1::UpdateSessionRequest {
                name: name.clone(),
                patch: Some(v1::SessionPatch {
                    set_json: json.as_bytes().to_vec().into(),
                    remove: Vec::new(),
                }),
                etag: String::new(),
            };
            let _ = self
                .seen
                .ask(None, request, async |request| {
                    store.clone().update_session(request).await
                })
                .await;
        }
        self.seen.debug.truncate(debug);
        for page_token in ["", "no-page-token"] {
            let request = v1::ListSessionsRequest {
                page_token: page_token.into(),
                ..v1::ListSessionsRequest::default()
            };
            let _ = self
                .seen
                .ask(None, request, async |request| {
                    store.clone().list_sessions(request).await
                })
                .await;
        }
        let request = v1::RevokeSessionRequest {
            name: names[1].clone(),
            reason: "marked-reason".into(),
        };
        let revoked = self.seen.ask(None, request, async |request| {
            store.clone().revoke_session(request).await
        });
        revoked.await.unwrap();
        token
    }

    /// Asks everything that operators may ask. Answers an API key.
    pub(super) async fn administered(&mut self) -> String {
        let client = self.admin.clone();
        let mut last = String::new();
        for _ in 0..2 {
            let request = admin::CreateApiKeyRequest {
                display_name: "marked-key".into(),
                subject: Some(local(SUBJECT)),
                ..admin::CreateApiKeyRequest::default()
            };
            let made = self.seen.ask(None, request, async |request| {
                client.clone().create_api_key(request).await
            });
            let made = made.await.unwrap();
            self.secrets.add("an API key", &made.key);
            last = made.key;
        }
        for page_token in ["", "no-page-token"] {
            let request = admin::ListApiKeysRequest {
                page_token: page_token.into(),
                ..admin::ListApiKeysRequest::default()
            };
            let _ = self
                .seen
                .ask(None, request, async |request| {
                    client.clone().list_api_keys(request).await
                })
                .await;
        }
        let request = admin::GetStatusRequest {};
        let status = self.seen.ask(None, request, async |request| {
            client.clone().get_status(request).await
        });
        status.await.unwrap();
        for who in [
            None,
            Some(Who::Subject(SUBJECT.into())),
            Some(Who::SessionJson(DATA.into())),
        ] {
            let request = admin::ExplainDecisionRequest {
                wire: call("GET", "/books?word=SECRETvalueofquery", &[bearer(&last)]).wire,
                data_json: json!({ "wanted": DATA }).to_string().into(),
                data_complete: true,
                who,
            };
            let _ = self
                .seen
                .ask(None, request, async |request| {
                    client.clone().explain_decision(request).await
                })
                .await;
        }
        self.reloaded().await;
        last
    }

    /// Reads the configuration again: as it is, and with a token that cannot be one.
    async fn reloaded(&mut self) {
        let client = self.admin.clone();
        let file = self.daemon.folder().join("clerk.token");
        let secrets = [
            (CLERK_TOKEN, true),
            ("SECRETshorttoken", false),
            ("SECRETtoken with spaces 0123456789abcdef", false),
            (SHOP_TOKEN, false),
            (CLERK_TOKEN, true),
        ];
        for (token, is_good) in secrets {
            std::fs::write(&file, token).unwrap();
            let request = admin::ReloadPolicyRequest {};
            let answer = self.seen.ask(None, request, async |request| {
                client.clone().reload_policy(request).await
            });
            assert_eq!(answer.await.is_ok(), is_good, "{token}");
            self.secrets.add("a token in a file", token);
        }
    }

    /// The same API as JSON, with bodies that are right and bodies that are not.
    pub(super) async fn over_json(&mut self, cookie_token: &str, key: &str) {
        let address = self.daemon.tcp("http");
        let credential = |source: &str, name: &str, text: &str| json!({ "source": format!("CREDENTIAL_SOURCE_{source}"), "name": name, "text": text });
        let ask = |target: &str, credential: serde_json::Value| {
            json!({
                "wire": {
                    "kind": "WIRE_KIND_HTTP", "authority": "localhost", "method": "GET",
                    "target": target, "credentials": [credential],
                    "attributes": [{ "name": "user-agent", "text": HEADER }],
                },
                "data": { "wanted": DATA }, "sessionView": "SESSION_VIEW_FULL",
            })
        };
        let cookie = credential("COOKIE", "", &format!("__Host-session={cookie_token}"));
        let method = "AuthorizationService/Authorize";
        let mut sealed = String::new();
        for body in [
            ask("/books", cookie.clone()),
            ask("/admin/reindex", credential("HEADER", "x-api-key", key)),
            ask(
                "/books",
                credential("AUTHORIZATION", "", "Bearer sg1_SECRETinjson"),
            ),
            ask(&format!("/books?api_key={key}"), json!({})),
        ] {
            let answer = self.json(&address, method, &body.to_string()).await;
            let answer: serde_json::Value = serde_json::from_str(&answer.1).unwrap();
            if let Some(call) = answer["call"].as_str() {
                self.secrets.add("a call in JSON", call);
                sealed = call.to_owned();
            }
        }
        assert!(!sealed.is_empty());
        let batch = json!({
            "caller": { "kind": "WIRE_KIND_HTTP", "credentials": [cookie] },
            "items": [{ "method": "GET", "target": format!("/books?api_key={key}") }],
        });
        let method = "AuthorizationService/BatchAuthorize";
        assert_eq!(self.json(&address, method, &batch.to_string()).await.0, 200);
        let set = json!({ "call": sealed, "patch": { "set": { "theme": "light" } } });
        for (method, body) in [
            ("AuthorizationService/GetWireProfile", json!({ "kind": 1 })),
            ("SessionService/GetSession", json!({ "call": sealed })),
            ("SessionService/SetSession", set),
        ] {
            let (status, answer) = self.json(&address, method, &body.to_string()).await;
            assert_eq!(status, 200, "{method} {answer}");
        }
        for (method, body) in [
            (
                "AuthorizationService/Authorize",
                json!({ "wire": { "credentials": [{ "text": 5, "no_such_field": 1 }] } })
                    .to_string(),
            ),
            (
                "AuthorizationService/Authorize",
                json!({ "wire": { "credentials": [{ "value": format!("{key}!") }] } }).to_string(),
            ),
            (
                "AuthorizationService/Authorize",
                json!({ "wire": { "credentials": format!("Bearer {key}") } }).to_string(),
            ),
            (
                "AuthorizationService/Authorize",
                json!({ "wire": { "kind": cookie_token } }).to_string(),
            ),
            (
                "AuthorizationService/Authorize",
                json!({ "wire": { "target": [key] }, "data": DATA }).to_string(),
            ),
            (
                "AuthorizationService/Authorize",
                format!("{{\"wire\": {key}"),
            ),
            (
                "SessionService/GetSession",
                json!({ "call": format!("{sealed}!") }).to_string(),
            ),
            (
                "SessionService/GetSession",
                json!({ "call": [sealed] }).to_string(),
            ),
            (
                "SessionService/SetSession",
                json!({ "call": sealed, "patch": { "set": DATA } }).to_string(),
            ),
            (
                "SessionService/ClearSession",
                json!({ "call": sealed, "scope": DATA }).to_string(),
            ),
        ] {
            let (status, answer) = self.json(&address, method, &body).await;
            assert!(status >= 400, "{method} {body} {answer}");
        }
        self.secrets.add("a forged token in JSON", "SECRETinjson");
    }

    async fn json(&mut self, address: &str, method: &str, body: &str) -> (u16, String) {
        self.seen.json(address, method, SHOP_TOKEN, body).await
    }

    /// Forward-auth, and addresses that are none of ours.
    pub(super) async fn by_proxy(&mut self, bearer: &str, cookie: &str, key: &str) {
        let proxy = self.daemon.tcp("forward_auth");
        for (uri, header) in [
            ("/books", format!("authorization: Bearer {bearer}")),
            ("/admin/reindex", format!("cookie: __Host-session={cookie}")),
            ("/books", format!("x-api-key: {key}")),
            (
                &*format!("/books?api_key={key}"),
                format!("x-other: {HEADER}"),
            ),
            (
                "/books",
                "authorization: Bearer sg1_SECRETbyproxy".to_owned(),
            ),
            (
                "/books",
                format!("authorization: Bearer {bearer}\r\nx-api-key: {key}"),
            ),
            (
                "/books",
                format!("cookie: __Host-session={cookie}; __Host-session={cookie}"),
            ),
        ] {
            let head = format!(
                "GET /forward-auth?{HEADER} HTTP/1.1\r\nx-forwarded-method: GET\r\nx-forwarded-host: \
                 localhost\r\nx-forwarded-uri: {uri}\r\nx-forwarded-for: 192.0.2.7\r\n{header}"
            );
            self.seen.http(&proxy, &head, "").await;
        }
        for listener in ["http", "telemetry", "forward_auth"] {
            let address = self.daemon.tcp(listener);
            let head = format!(
                "GET /metrics/{HEADER}?{HEADER} HTTP/1.1\r\nauthorization: Bearer {WRONG_TOKEN}\r\n\
                 cookie: __Host-session={cookie}\r\nx-api-key: {key}"
            );
            let (status, _) = self.seen.http(&address, &head, "").await;
            assert!(status >= 400, "{listener}");
        }
        self.secrets.add("a forged token by proxy", "SECRETbyproxy");
    }

    /// Ends sessions and keys, and tries what is dead.
    pub(super) async fn ended(&mut self, bearer_token: &str, cookie_token: &str, key: &str) {
        let credential = cookie(&format!("__Host-session={cookie_token}"));
        let answer = self
            .authorize(call("POST", "/logout", std::slice::from_ref(&credential)))
            .await;
        let client = self.sessions.clone();
        for call in [answer.call, "SECRETsealedcall".into()] {
            let request = v1::ClearSessionRequest {
                call,
                scope: v1::ClearScope::This.into(),
            };
            let _ = self
                .seen
                .ask(Some(SHOP_TOKEN), request, async |request| {
                    client.clone().clear_session(request).await
                })
                .await;
        }
        let admin = self.admin.clone();
        let request = admin::ListApiKeysRequest::default();
        let listed = self.seen.ask(None, request, async |request| {
            admin.clone().list_api_keys(request).await
        });
        let listed = listed.await.unwrap().api_keys;
        let debug = self.seen.debug.len();
        for listed in listed {
            for name in [listed.name, format!("tenants/default/apiKeys/{key}")] {
                let request = admin::RevokeApiKeyRequest {
                    name,
                    reason: "marked-reason".into(),
                };
                let _ = self
                    .seen
                    .ask(None, request, async |request| {
                        admin.clone().revoke_api_key(request).await
                    })
                    .await;
            }
        }
        // As above: a key where a name belongs.
        self.seen.debug.truncate(debug);
        let store = self.store.clone();
        let request = v1::RevokeSubjectRequest {
            subject: Some(local(SUBJECT)),
            reason: "marked-reason".into(),
            ..v1::RevokeSubjectRequest::default()
        };
        let revoked = self.seen.ask(None, request, async |request| {
            store.clone().revoke_subject(request).await
        });
        revoked.await.unwrap();
        for expected_count in [Some(99), None] {
            let request = v1::RevokeAllSessionsRequest {
                expected_count,
                dry_run: expected_count.is_none(),
                ..v1::RevokeAllSessionsRequest::default()
            };
            let _ = self
                .seen
                .ask(None, request, async |request| {
                    store.clone().revoke_all_sessions(request).await
                })
                .await;
        }
        let request = v1::WatchSessionsRequest {
            position: "no-position".into(),
            ..v1::WatchSessionsRequest::default()
        };
        let watch = self.seen.ask(None, request, async |request| {
            store.clone().watch_sessions(request).await
        });
        if let Ok(mut watch) = watch.await {
            let answer = watch.message().await;
            self.seen.debug += &format!("{answer:?}\n");
        }
        for credential in [credential, bearer(bearer_token), api_key(key)] {
            let answer = self.authorize(call("GET", "/books", &[credential])).await;
            assert_eq!(answer.outcome(), v1::Outcome::Unauthenticated);
        }
    }
}
