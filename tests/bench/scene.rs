//! What is asked: the book shop's requirement of three branches, and a request of about 560 bytes.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use proto::v1::{
    self, authorization_service_client::AuthorizationServiceClient,
    session_service_client::SessionServiceClient, wire_update::Kind,
};
use tonic::{Request, transport::Channel};

/// The token of the caller.
pub(crate) const TOKEN: &str = "bench-0123456789abcdef0123456789abcdef";

/// The operations: the same that P-3 is measured with.
const OPERATIONS: &str = include_str!("../../auth-core/tests/support/three_branches.yaml");

/// The rest of the policy; allows are logged one in 100,000, since the cost of a log line is the cost of
/// wherever it is written to.
const PLATFORM: &str = r#"
listen: { grpc: [ "127.0.0.1:0", "unix:./s.sock" ], http: "127.0.0.1:0", admin: "unix:./admin.sock", telemetry: "127.0.0.1:0" }
store: { memory: {} }
telemetry: { log_one_allow_in: 100000 }
callers:
  bench: { token_file: ./bench.token, may: [ authorize, session.self ], sign_in: [ local ], claims: [ role ] }
strategies:
  - cookie: { name: __Host-session, same_site: lax }
"#;

/// What the edges need beside: in front of the app at `UPSTREAM`.
const EDGES: &str = r#"telemetry: "127.0.0.1:0",
  proxy: { address: "127.0.0.1:0", upstream: "http://UPSTREAM", caller: bench },
  envoy: { address: "127.0.0.1:0", caller: bench },
  forward_auth: { address: "127.0.0.1:0", trusted_proxies: [ 127.0.0.1 ], caller: bench } }"#;

fn policy() -> String {
    format!("{PLATFORM}{OPERATIONS}")
}

/// Writes the policy with every HTTP edge, in front of this app, and with the embedded store.
pub(crate) fn write_edges(folder: &Path, upstream: &str) -> PathBuf {
    let path = write(folder);
    let policy = policy()
        .replace(
            r#"telemetry: "127.0.0.1:0" }"#,
            &EDGES.replace("UPSTREAM", upstream),
        )
        .replace("store: { memory: {} }\n", "");
    std::fs::write(&path, policy).unwrap();
    path
}

/// Writes the policy and its caller's token. Answers where the policy is.
pub(crate) fn write(folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let token = folder.join("bench.token");
    std::fs::write(&token, TOKEN).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let path = folder.join("sidegate.yaml");
    std::fs::write(&path, policy()).unwrap();
    path
}

fn with_token<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {TOKEN}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// Signs a reader of this role in. Answers the pair `name=value` of their cookie.
pub(crate) async fn sign_in(channel: Channel, role: &str) -> String {
    let wire = v1::WireContext {
        kind: v1::WireKind::Http.into(),
        method: "POST".into(),
        target: "/login".into(),
        accepted_updates: vec![v1::WireUpdateKind::Cookie.into()],
        ..v1::WireContext::default()
    };
    let login = v1::AuthorizeRequest {
        wire: Some(wire),
        data_complete: true,
        ..v1::AuthorizeRequest::default()
    };
    let mut decisions = AuthorizationServiceClient::new(channel.clone());
    let call = decisions.authorize(with_token(login)).await.unwrap();
    let sign_in = v1::SignIn {
        subject: Some(v1::Principal {
            namespace: "local".into(),
            id: "u1".into(),
        }),
        auth_time: Some(std::time::SystemTime::now().into()),
        claims_json: format!(r#"{{"role":"{role}"}}"#).into(),
        ..v1::SignIn::default()
    };
    let set = v1::SetSessionRequest {
        call: call.into_inner().call,
        change: Some(v1::set_session_request::Change::SignIn(sign_in)),
        ..v1::SetSessionRequest::default()
    };
    let mut sessions = SessionServiceClient::new(channel);
    let changed = sessions.set_session(with_token(set)).await.unwrap();
    let update = changed.into_inner().updates.remove(0).kind.unwrap();
    let Kind::SetCookie(cookie) = update else {
        panic!("no cookie was set")
    };
    cookie.header_value.split(';').next().unwrap().to_owned()
}

/// A browser's call to delete a book, with this cookie among others.
pub(crate) fn request(cookie: &str) -> v1::AuthorizeRequest {
    let cookies = format!(
        "theme=dark; locale=en-GB; _ga=GA1.2.1382475623.1700000000; consent=necessary.statistics; \
         {cookie}; last_seen=2026-11-23T10%3A00%3A00Z"
    );
    let wire = v1::WireContext {
        kind: v1::WireKind::Http.into(),
        authority: "shop.example.com".into(),
        method: "DELETE".into(),
        target: "/books/b1?from=catalogue&page=3".into(),
        credentials: vec![v1::Credential {
            source: v1::CredentialSource::Cookie.into(),
            name: String::new(),
            value: Bytes::from(cookies),
        }],
        peer: Some(v1::Peer {
            address: "203.0.113.17".into(),
            ..v1::Peer::default()
        }),
        connection_id: "c-7f3a9c52e1".into(),
        attributes: vec![v1::Attribute {
            name: "sec-fetch-site".into(),
            value: "same-origin".into(),
        }],
        accepted_updates: vec![
            v1::WireUpdateKind::Cookie.into(),
            v1::WireUpdateKind::Token.into(),
        ],
        ..v1::WireContext::default()
    };
    v1::AuthorizeRequest {
        wire: Some(wire),
        data_json: Bytes::from_static(
            br#"{"reason":"the copy was damaged in transport and has to be replaced","notify":true,"copies":[1,2,3],"warehouse":"north-2","ticket":"T-20481"}"#,
        ),
        data_complete: true,
        session_view: v1::SessionView::None.into(),
        ..v1::AuthorizeRequest::default()
    }
}
