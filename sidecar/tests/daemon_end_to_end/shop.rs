//! The shop that the tests run: its policy with every strategy, its secrets, and calls to it.

use std::{
    net::SocketAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proto::v1;
use serde_json::json;
use sidecar::listener;
use tempfile::TempDir;

use crate::harness::secret;

/// The tokens of callers, of a service, and the secret of an issuer. Each is marked, so that no
/// accident makes a text that looks alike.
pub(crate) const SHOP_TOKEN: &str = "SECRETshopcaller0123456789abcdef0123";
pub(crate) const CLERK_TOKEN: &str = "SECRETclerkcaller0123456789abcdef012";
pub(crate) const SERVICE_TOKEN: &str = "SECRETservicetoken0123456789abcdef01";
pub(crate) const ISSUER_SECRET: &str = "SECRETissuerkey9f1c77e2b04d4a6f8b35d2c16e08a7f4";

/// The policy, with these logs and sessions, and these listeners beside those of services.
fn policy(telemetry: &str, sessions: &str, listeners: &str) -> String {
    let uid = listener::own_uid();
    format!(
        r#"
listen:
  grpc: [ "unix:./s.sock", "127.0.0.1:0" ]
  http: 127.0.0.1:0
  admin: "unix:./admin.sock"
  telemetry: 127.0.0.1:0
  forward_auth: {{ address: "127.0.0.1:0", trusted_proxies: [ 127.0.0.1 ], caller: shop, without_body: [ search ] }}
{listeners}store: {{ embedded: {{ path: ./data }} }}
telemetry: {telemetry}
sessions: {sessions}
callers:
  shop: {{ token_file: shop.token, may: [ authorize, session.self ], sign_in: [ local ], claims: [ role ] }}
  clerk: {{ token_file: clerk.token, may: [] }}
  desk: {{ uid: {uid}, may: [ authorize, session.self, session.manage ], sign_in: [ local ], claims: [ role ] }}
strategies:
  - bearer:
      issuers:
        - {{ issuer: "https://id.example", audience: books, namespace: idp, algorithms: [ HS256 ], keys_file: issuer.key }}
      tokens: [ {{ token_file: service.token, subject: robot }} ]
  - api_key: {{ header: x-api-key, query: api_key }}
  - cookie: {{ name: __Host-session }}
app: shop
claims: {{ role: string }}
checks:
  is_admin: session.claims.role == "admin"
  is_asked: data.wanted == "yes"
operations:
  login: {{ session: optional, writes: [ sign_in, attributes ], http: POST /login }}
  logout: {{ http: POST /logout }}
  read_books: {{ http: GET /books, writes: attributes, grpc: sidegate.v1.SessionService/GetSession }}
  reindex: {{ require: is_admin, http: POST /admin/reindex }}
  search: {{ session: optional, require: is_asked, data: {{ wanted: {{ type: string }} }}, http: POST /search }}
"#
    )
}

/// A folder with the policy and the files that it speaks of.
pub(crate) fn folder(telemetry: &str, sessions: &str) -> TempDir {
    folder_with(telemetry, sessions, "")
}

/// The same, in front of an app: with our reverse proxy, and behind Envoy.
pub(crate) fn folder_before(app: SocketAddr, telemetry: &str) -> TempDir {
    let listeners = format!(
        "  proxy: {{ address: \"127.0.0.1:0\", upstream: \"http://{app}\", caller: shop, \
         timeout: 2s, assertion: {{ audience: books }} }}\n\
         \x20 envoy: {{ address: \"127.0.0.1:0\", caller: shop }}\n"
    );
    folder_with(telemetry, "{}", &listeners)
}

fn folder_with(telemetry: &str, sessions: &str, listeners: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("shop.token", SHOP_TOKEN),
        ("clerk.token", CLERK_TOKEN),
        ("service.token", SERVICE_TOKEN),
    ] {
        secret(&folder.path().join(name), text);
    }
    // An HMAC secret is all bytes of its file: no line end follows.
    let key = folder.path().join("issuer.key");
    secret(&key, "");
    std::fs::write(key, ISSUER_SECRET).unwrap();
    let text = policy(telemetry, sessions, listeners);
    std::fs::write(folder.path().join("sidegate.yaml"), text).unwrap();
    folder
}

/// A JWT of the issuer, signed with `key`.
pub(crate) fn jwt(key: &str, subject: &str) -> String {
    let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
    let header = json!({ "alg": "HS256", "typ": "at+jwt" });
    let claims = json!({
        "iss": "https://id.example", "aud": "books", "sub": subject, "jti": "login-1",
        "iat": now - 10, "exp": now + 600,
    });
    let part = |json: &serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let signature = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

/// A call over HTTP, with these credentials.
pub(crate) fn call(
    method: &str,
    target: &str,
    credentials: &[v1::Credential],
) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest {
        wire: Some(v1::WireContext {
            kind: v1::WireKind::Http.into(),
            authority: "localhost".into(),
            method: method.into(),
            target: target.into(),
            credentials: credentials.to_vec(),
            attributes: vec![v1::Attribute {
                name: "sec-fetch-site".into(),
                value: "same-origin".into(),
            }],
            accepted_updates: vec![
                v1::WireUpdateKind::Cookie.into(),
                v1::WireUpdateKind::Token.into(),
            ],
            ..v1::WireContext::default()
        }),
        data_complete: true,
        session_view: v1::SessionView::Full.into(),
        ..v1::AuthorizeRequest::default()
    }
}

/// A credential of this source.
fn credential(source: v1::CredentialSource, name: &str, value: &str) -> v1::Credential {
    v1::Credential {
        source: source.into(),
        name: name.into(),
        value: value.to_owned().into(),
    }
}

/// The field `Authorization`.
pub(crate) fn authorization(value: &str) -> v1::Credential {
    credential(v1::CredentialSource::Authorization, "", value)
}

/// A bearer token.
pub(crate) fn bearer(token: &str) -> v1::Credential {
    authorization(&format!("Bearer {token}"))
}

/// The field `Cookie`.
pub(crate) fn cookie(value: &str) -> v1::Credential {
    credential(v1::CredentialSource::Cookie, "", value)
}

/// The field of API keys.
pub(crate) fn api_key(key: &str) -> v1::Credential {
    credential(v1::CredentialSource::Header, "x-api-key", key)
}

/// Who is signed in, with the role of an admin or without.
pub(crate) fn sign_in(subject: &str, is_admin: bool) -> v1::SignIn {
    let role = if is_admin { "admin" } else { "reader" };
    v1::SignIn {
        subject: Some(local(subject)),
        claims_json: json!({ "role": role }).to_string().into(),
        auth_time: Some(SystemTime::now().into()),
        ..v1::SignIn::default()
    }
}

/// A principal of the default namespace.
pub(crate) fn local(id: &str) -> v1::Principal {
    v1::Principal {
        namespace: "local".into(),
        id: id.into(),
    }
}
