//! Through our reverse proxy: what clients present, what the app writes, and what breaks on the way.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proto::v1::{self, session_service_client::SessionServiceClient};
use serde_json::json;

use super::{
    app::{App, echoing, whole},
    traffic::{DATA, ECHOES, FORGED, HEADER, Presented, QUERY, REFUSED, SUBJECT, Traffic},
};
use crate::harness::tcp_channel;

/// Of a browser, on the app's own page.
const OWN: &str = "sec-fetch-site: same-origin";

/// What no client may send, or breaks off: each with what is secret somewhere in it.
const BROKEN: [&str; 15] = [
    "POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ncontent-length: 6\r\nx: SECRETframing\r\n\r\nSECRETframing",
    "POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nSECRETframing\r\n0\r\n\r\n",
    "POST /login HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: SECRETframing\r\n\r\n",
    "POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: SECRETframing\r\n\r\n",
    "POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nSECRETframing\r\n",
    "POST /search HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 400\r\n\r\n{\"wanted\":\"SECRETframing",
    "POST /login HTTP/1.1\r\nhost: localhost\r\ncontent-length: 400\r\n\r\nSECRETframing",
    "GET /books SECRETframing\r\nhost: localhost\r\n\r\n",
    "BREW /books?word=SECRETframing HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "GET /books?api_key=SECRETframing\u{7f} HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "GET /books HTTP/1.1\r\nhost: localhost\r\nauthorization SECRETframing\r\n\r\n",
    "GET /books HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer SECRETframing\u{1}\r\n\r\n",
    "GET /books HTTP/1.1\r\nhost: localhost\r\nhost: SECRETframing\r\n\r\n",
    "GET http://reader:SECRETframing@localhost/books HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nSECRETframing",
];

/// What no app may answer.
const GARBAGE: [&str; 9] = [
    "",
    "SECRETgarbage\r\n\r\n",
    "HTTP/1.1 SECRETgarbage\r\n\r\n",
    "HTTP/1.1 200 OK\r\nset-cookie SECRETgarbage\r\n\r\n",
    "HTTP/1.1 200 OK\r\nset-cookie: SECRETgarbage\u{1}\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: SECRETgarbage\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nSECRETgarbage\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\nSECRETgarbage",
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: SECRETgarbage\r\n\r\n",
];

impl Traffic<'_> {
    /// All of it. The app is gone at the end.
    pub(super) async fn through_proxy(&mut self, app: App, presented: &Presented<'_>) {
        let proxy = self.daemon.tcp("proxy");
        app.answer(|_| whole("200 OK", "set-cookie: theirs=SECRETofapp\r\n"));
        self.presented_to(&proxy, presented).await;
        self.called_by_grpc(&proxy, presented).await;
        self.written(&proxy, &app, presented).await;
        self.refused_writes(&proxy, &app, presented).await;
        for request in BROKEN {
            self.seen.broken_off(&proxy, request.as_bytes()).await;
        }
        let own = format!(
            "GET /books HTTP/1.1\r\ncookie: __Host-session={}",
            presented.cookie
        );
        for garbage in GARBAGE {
            app.answer(move |_| garbage.into());
            self.seen.http(&proxy, &own, "").await;
        }
        let told = app.stop().await;
        let (status, _) = self.seen.http(&proxy, &own, "").await;
        assert_eq!(status, 502, "the app is gone");
        for call in told.calls.iter().filter(|call| !call.is_empty()) {
            self.secrets.add("a handle that an app was told", call);
            let sealed = URL_SAFE_NO_PAD.decode(call).unwrap();
            self.secrets.calls.push(sealed);
        }
        for statement in told.statements.iter().filter(|it| !it.is_empty()) {
            self.secrets.add_jwt(statement);
        }
        for (name, text) in [
            ("what was framed badly", "SECRETframing"),
            ("what an app answered badly", "SECRETgarbage"),
            ("a cookie of the app's", "SECRETofapp"),
            ("a copy of a header of ours", "SECRETspoofed"),
        ] {
            self.secrets.add(name, text);
        }
    }

    /// Every credential where it can stand, with secrets in all the rest.
    async fn presented_to(&mut self, proxy: &str, presented: &Presented<'_>) {
        let Presented {
            bearer,
            cookie,
            key,
        } = presented;
        let mut fields = vec![
            format!("authorization: Bearer {bearer}"),
            format!("cookie: theirs=SECRETforeigncookie; __Host-session={cookie}"),
            format!("x-api-key: {key}"),
            format!("authorization: Bearer {bearer}\r\nx-api-key: {key}"),
            format!("cookie: __Host-session={cookie}; __Host-session={cookie}"),
            format!("x-other: {HEADER}\r\nsidegate-call: SECRETspoofed"),
            "sidegate-session-set: SECRETspoofed\r\nsidegate_subject: SECRETspoofed".to_owned(),
        ];
        fields.extend(FORGED.map(|token| format!("authorization: Bearer {token}")));
        fields.extend(FORGED.map(|token| format!("cookie: __Host-session={token}")));
        fields.extend(FORGED.map(|token| format!("x-api-key: {token}")));
        for field in &fields {
            for line in ["GET /books", "POST /admin/reindex", "GET /nowhere"] {
                let head = format!("{line}?word={QUERY} HTTP/1.1\r\n{OWN}\r\n{field}");
                self.seen.http(proxy, &head, "").await;
            }
        }
        for key in [key, "sgk_SECRETinquery", "SECRETinquery%00"] {
            for path in ["/books", "/nowhere", "/admin/reindex"] {
                let head = format!("GET {path}?api_key={key}&word={QUERY} HTTP/1.1\r\n{OWN}");
                self.seen.http(proxy, &head, "").await;
            }
        }
        let kind = "content-type: application/json";
        for body in [
            json!({ "wanted": DATA }).to_string(),
            json!({ "wanted": [DATA] }).to_string(),
            format!("{{\"wanted\": {DATA}"),
            format!("{{\"wanted\": \"{}\"}}", DATA.repeat(5_000)),
        ] {
            for field in ["", "\r\ncontent-encoding: SECRETspoofed"] {
                let head = format!("POST /search?word={QUERY} HTTP/1.1\r\n{OWN}\r\n{kind}{field}");
                self.seen.http(proxy, &head, &body).await;
            }
        }
    }

    /// Calls by gRPC, of which none succeeds: the app speaks HTTP/1.1 alone.
    async fn called_by_grpc(&mut self, proxy: &str, presented: &Presented<'_>) {
        let client = SessionServiceClient::new(tcp_channel(proxy).await);
        for token in [presented.bearer, FORGED[0], FORGED[3]] {
            let request = v1::GetSessionRequest {
                call: "SECRETspoofed".into(),
            };
            let answer = self.seen.ask(Some(token), request, async |request| {
                client.clone().get_session(request).await
            });
            assert!(answer.await.is_err());
            let request = v1::ClearSessionRequest {
                call: "SECRETspoofed".into(),
                ..v1::ClearSessionRequest::default()
            };
            let answer = self.seen.ask(Some(token), request, async |request| {
                client.clone().clear_session(request).await
            });
            assert!(answer.await.is_err(), "no operation is there");
        }
    }

    /// Signs in, changes and logs out, as an app does by headers of its answers.
    async fn written(&mut self, proxy: &str, app: &App, presented: &Presented<'_>) {
        let set = json!({ "subject": SUBJECT, "claims": { "role": "reader" } });
        let set = format!("sidegate-session-set: {set}\r\n");
        let mut own = presented.cookie.to_owned();
        for (line, fields) in [
            ("POST /login", set.as_str()),
            (
                "GET /books",
                "sidegate-session-patch: {\"theme\":\"marked-attribute\"}\r\n",
            ),
            ("POST /login", set.as_str()),
            ("POST /logout", "sidegate-session-clear: this\r\n"),
        ] {
            let fields = fields.to_owned();
            app.answer(move |head| echoing(head, "200 OK", &fields));
            // The first one comes as nobody, so that the good cookie lives on.
            let cookie = match own == presented.cookie {
                true => String::new(),
                false => format!("\r\ncookie: __Host-session={own}"),
            };
            let request = format!(
                "{line} HTTP/1.1\r\nhost: localhost\r\n{OWN}{cookie}\r\ncontent-length: 0\r\n\
                 connection: close\r\n\r\n"
            );
            let answer = self.seen.bytes(proxy, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{line}: {answer}");
            let set = "set-cookie: __Host-session=";
            let token = answer
                .split_once(set)
                .and_then(|(_, rest)| rest.split(';').next());
            if let Some(token) = token.filter(|token| !token.is_empty()) {
                self.secrets.add("a token that an app had made", token);
                own = token.to_owned();
            }
        }
        assert_ne!(own, presented.cookie);
    }

    /// Changes that are not made: not understood, not allowed, without the handle, of an app that
    /// failed.
    async fn refused_writes(&mut self, proxy: &str, app: &App, presented: &Presented<'_>) {
        let own = format!("cookie: __Host-session={}", presented.cookie);
        let login = format!("POST /login HTTP/1.1\r\n{OWN}\r\n{own}");
        let logout = format!("POST /logout HTTP/1.1\r\n{OWN}\r\n{own}");
        for (name, value) in REFUSED {
            let fields = format!("{name}: {value}\r\n");
            app.answer(move |head| echoing(head, "200 OK", &fields));
            let (status, _) = self.seen.http(proxy, &login, "").await;
            assert_eq!(status, 503, "{name}: {value}");
        }
        let set =
            r#"sidegate-session-set: {"subject":"u1","attributes":{"theme":"SECRETcontent"}}"#;
        for echo in ECHOES {
            let fields = format!("sidegate-call: {echo}\r\n{set}\r\n");
            app.answer(move |_| whole("200 OK", &fields));
            assert_eq!(self.seen.http(proxy, &login, "").await.0, 503, "{echo}");
        }
        let twice = format!("{set}\r\n{set}\r\n");
        app.answer(move |head| echoing(head, "200 OK", &twice));
        assert_eq!(self.seen.http(proxy, &login, "").await.0, 503);
        let set = format!("{set}\r\n");
        let failing = set.clone();
        app.answer(move |head| echoing(head, "500 Oh", &failing));
        assert_eq!(self.seen.http(proxy, &login, "").await.0, 500);
        // Where nothing may be written.
        app.answer(move |head| echoing(head, "200 OK", &set));
        assert_eq!(self.seen.http(proxy, &logout, "").await.0, 503);
    }
}
