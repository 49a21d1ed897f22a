//! Apps in other languages, with no library of ours, behind each edge: a visitor signs in, changes
//! a setting and leaves (R11). Where the edge sees responses, the app writes by headers of them;
//! where it does not, by the session API.

use std::{net::SocketAddr, path::Path};

use auth_core::policy::settings::Address;
use harness::{
    raw::{self, Answer},
    real::{
        app::{self, Language},
        ports::Port,
        printed::{Printing, Proxy},
        server::Server,
    },
};
use serde_json::Value;
use sidecar::{Sidecar, server::Addresses};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

use crate::scene::{PROGRAM, TOKEN, write_token};

const POLICY: &str = r#"
listen:
  grpc: 127.0.0.1:0
  http: 127.0.0.1:0
  telemetry: 127.0.0.1:0
  admin: unix:./admin.sock
  EDGE
store: { memory: {} }
callers:
  edge: { token_file: ./edge.token, may: [ authorize, session.self ], sign_in: [ local ], claims: [ role ] }
strategies: [ { cookie: { name: __Host-session } } ]
app: shop
claims: { role: string }
attributes: { theme: string }
hosts: [ books.example ]
checks: { is_admin: session.claims.role == "admin" }
operations:
  login: { session: optional, writes: sign_in, http: POST /login }
  me: { session: optional, http: GET /me }
  theme: { writes: attributes, http: PATCH /me/theme }
  logout: { http: POST /logout }
  delete_book: { require: is_admin, http: "DELETE /books/{book}" }
"#;

/// A sidecar in a folder of its own.
struct Running {
    addresses: Addresses,
    policy: TempDir,
    _stop: oneshot::Sender<()>,
    _running: JoinHandle<()>,
}

async fn sidecar(edge: &str) -> Running {
    let policy = tempfile::tempdir().unwrap();
    let path = policy.path().join("sidegate.yaml");
    std::fs::write(&path, POLICY.replace("EDGE", edge)).unwrap();
    write_token(policy.path());
    let bound = Sidecar::builder(path).bind().await.unwrap();
    let addresses = bound.addresses.clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(async move {
        let shutdown = async {
            let _ = stopped.await;
        };
        bound.run(shutdown).await.unwrap();
    });
    Running {
        addresses,
        policy,
        _stop: stop,
        _running: running,
    }
}

fn tcp(address: Option<&Address>) -> SocketAddr {
    match address {
        Some(Address::Tcp(address)) => *address,
        other => panic!("no TCP address but {other:?}"),
    }
}

/// Somebody with a browser's cookie.
struct Visitor<'a> {
    edge: SocketAddr,
    cookie: String,
    told: &'a str,
}

impl Visitor<'_> {
    async fn ask(&self, method: &str, target: &str, body: &str) -> Answer {
        let mut headers = vec![
            ("Content-Type", "application/json"),
            ("Sec-Fetch-Site", "same-origin"),
        ];
        if !self.cookie.is_empty() {
            headers.push(("Cookie", &*self.cookie));
        }
        let request = raw::request(method, target, "books.example", &headers, body.as_bytes());
        let answer = raw::exchange(self.edge, &request, raw::DEADLINE).await;
        answer.unwrap()
    }

    /// The same, allowed; what the app says, and the cookies.
    async fn allowed(&self, method: &str, target: &str, body: &str) -> (Value, Vec<String>) {
        let answer = self.ask(method, target, body).await;
        let text = answer.text();
        assert_eq!(answer.status, 200, "{} {target}: {text}", self.told);
        let cookies = answer.headers.all("set-cookie");
        (
            answer.json(),
            cookies.into_iter().map(str::to_owned).collect(),
        )
    }

    async fn sign_in(&mut self, user: &str) {
        let body = format!(r#"{{"user":"{user}"}}"#);
        let (said, cookies) = self.allowed("POST", "/login", &body).await;
        assert_eq!(said["signed_in"], user, "{}", self.told);
        assert_eq!(cookies.len(), 1, "{}: {cookies:?}", self.told);
        let pair = cookies[0].split(';').next().unwrap();
        assert!(pair.starts_with("__Host-session=sg1_"), "{pair}");
        pair.clone_into(&mut self.cookie);
    }
}

/// All that a visitor does.
async fn visits(edge: SocketAddr, language: Language, told: &str) {
    let mut visitor = Visitor {
        edge,
        cookie: String::new(),
        told,
    };
    let (me, _) = visitor.allowed("GET", "/me", "").await;
    assert_eq!(me["app"], language.name(), "{told}");
    assert_eq!(
        (&me["subject"], &me["session"]),
        (&"".into(), &Value::Null),
        "{told}"
    );

    visitor.sign_in("ann").await;
    let theme = r#"{"theme":"dark"}"#;
    let (_, cookies) = visitor.allowed("PATCH", "/me/theme", theme).await;
    assert!(cookies.is_empty(), "{told}: {cookies:?}");
    let (me, _) = visitor.allowed("GET", "/me", "").await;
    assert_eq!(me["subject"], "ann", "{told}");
    assert_eq!(me["session"]["claims"]["role"], "user", "{told}");
    assert_eq!(me["session"]["attributes"]["theme"], "dark", "{told}");
    assert_eq!(
        visitor.ask("DELETE", "/books/7", "").await.status,
        403,
        "{told}"
    );

    let (said, cookies) = visitor.allowed("POST", "/logout", "").await;
    assert_eq!(said["signed_out"], "ann", "{told}");
    assert!(
        cookies.len() == 1 && cookies[0].contains("Max-Age=0"),
        "{told}: {cookies:?}"
    );
    let (me, _) = visitor.allowed("GET", "/me", "").await;
    assert_eq!(me["subject"], "", "{told}: the cookie is dead");

    visitor.cookie.clear();
    visitor.sign_in("admin").await;
    let (said, _) = visitor.allowed("DELETE", "/books/7", "").await;
    assert_eq!(
        (&said["deleted"], &said["by"]),
        (&"7".into(), &"admin".into()),
        "{told}"
    );
}

#[tokio::test]
async fn r11_every_app_lives_behind_our_own_proxy() {
    for language in Language::ALL {
        let Some(app) = app::start(language, "an app behind our proxy").await else {
            continue;
        };
        let proxy = format!(
            "proxy: {{ address: \"127.0.0.1:0\", upstream: \"http://{}\", caller: edge }}",
            app.http()
        );
        let sidecar = sidecar(&proxy).await;
        let edge = tcp(sidecar.addresses.proxy.as_ref());
        visits(edge, language, &format!("{language:?} behind our proxy")).await;
    }
}

/// The proxy, the app and the sidecar; `None` where a part is not installed.
async fn behind(
    proxy: Proxy,
    language: Language,
    port: &Port,
) -> Option<(Server, Server, Running)> {
    let asks = port.number();
    let what = "an app behind a real proxy";
    let running = match proxy {
        Proxy::Envoy => {
            let edge = format!("envoy: {{ address: \"127.0.0.1:{asks}\", caller: edge }}");
            sidecar(&edge).await
        }
        Proxy::Nginx | Proxy::Caddy | Proxy::Traefik => {
            let edge = format!(
                "forward_auth: {{ address: \"127.0.0.1:{asks}\", trusted_proxies: [ 127.0.0.1 ], \
                 caller: edge }}"
            );
            sidecar(&edge).await
        }
    };
    let api = format!("http://{}", tcp(running.addresses.http.first()));
    let app = match proxy {
        Proxy::Envoy => app::start(language, what).await?,
        _ => app::start_with_api(language, what, (&api, TOKEN)).await?,
    };
    let printing = Printing {
        program: Path::new(PROGRAM),
        policy: &running.policy.path().join("sidegate.yaml"),
        upstream: app.http(),
    };
    let server = printing.start(proxy, what).await?;
    Some((server, app, running))
}

#[tokio::test]
async fn r11_an_app_lives_behind_each_real_proxy() {
    for (proxy, language) in [
        (Proxy::Nginx, Language::Python),
        (Proxy::Caddy, Language::Node),
        (Proxy::Traefik, Language::Go),
        (Proxy::Envoy, Language::Node),
    ] {
        let port = Port::free();
        if let Some((server, _app, _running)) = behind(proxy, language, &port).await {
            let told = format!("{language:?} behind {proxy:?}");
            visits(server.http(), language, &told).await;
        }
    }
}
