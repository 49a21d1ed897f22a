use std::{net::SocketAddr, sync::Arc, time::Duration};

use auth_core::{
    caller::{Caller, Grant},
    wire::WireKind,
};
use axum::{body::Body, extract::ConnectInfo, http::Request, response::Response};
use sidecar::edge::forward_auth::{ForwardAuth, ForwardAuthError, Network, router};
use tower::ServiceExt as _;

use crate::scripted::{Scripted, caller};

fn trusted() -> Vec<Network> {
    vec!["10.0.0.0/8".parse().unwrap()]
}

const PROTO: (&str, &str) = ("x-forwarded-proto", "https");

async fn ask(peer: &str, target: &str, more: &[(&str, &str)]) -> (Arc<Scripted>, Response) {
    ask_at("/forward-auth?any=thing", peer, target, more).await
}

async fn ask_at(
    path: &str,
    peer: &str,
    target: &str,
    more: &[(&str, &str)],
) -> (Arc<Scripted>, Response) {
    let point = Arc::new(Scripted::default());
    let edge = ForwardAuth::new(Arc::clone(&point), caller(&[Grant::Authorize]), trusted());
    let edge = edge.unwrap().with_max(Duration::from_millis(50));
    let edge = edge.with_login(Some("/login".to_owned()));
    let peer: SocketAddr = peer.parse().unwrap();
    let mut request = Request::get(path)
        .header("x-forwarded-method", "GET")
        .header("x-forwarded-host", "books.example")
        .header("x-forwarded-uri", target)
        .extension(ConnectInfo(peer));
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from("ignored")).unwrap();
    let response = router(Arc::new(edge)).oneshot(request).await.unwrap();
    (point, response)
}

/// The endpoints, and what their proxies say of the scheme beside what all say.
const ENDPOINTS: [(&str, &[(&str, &str)]); 4] = [
    ("/forward-auth", &[]),
    ("/forward-auth/traefik", &[PROTO]),
    ("/forward-auth/caddy", &[PROTO]),
    (
        "/forward-auth/nginx",
        &[
            ("x-original-method", "GET"),
            ("x-original-host", "books.example"),
            ("x-original-uri", "/allow"),
        ],
    ),
];

#[tokio::test]
async fn h04_an_unlisted_peer_is_refused_and_nothing_is_asked() {
    for (path, more) in ENDPOINTS {
        for peer in ["127.0.0.1:1", "[::1]:1", "11.0.0.1:1"] {
            let (point, response) = ask_at(path, peer, "/allow", more).await;
            assert_eq!(response.status(), 403, "{path} {peer}");
            assert!(!response.headers().contains_key("sidegate-call"));
            assert!(point.asked.lock().unwrap().is_empty());
        }
        let (_, response) = ask_at(path, "10.1.2.3:1", "/allow", more).await;
        assert_eq!(response.status(), 200, "{path}");
    }
}

/// It is refused as a mistake of who configured it, also to nginx, which makes a 500 of it.
#[tokio::test]
async fn what_a_proxy_leaves_out_is_400_and_nothing_is_asked() {
    let described = ["method", "host", "uri", "proto"];
    for (path, said, needs_proto) in [
        ("/forward-auth", "x-forwarded", false),
        ("/forward-auth/traefik", "x-forwarded", true),
        ("/forward-auth/caddy", "x-forwarded", true),
        ("/forward-auth/nginx", "x-original", false),
    ] {
        for left_out in described {
            let point = Arc::new(Scripted::default());
            let edge = ForwardAuth::new(Arc::clone(&point), caller(&[Grant::Authorize]), trusted());
            let peer: SocketAddr = "10.1.2.3:1".parse().unwrap();
            let mut request = Request::get(path).extension(ConnectInfo(peer));
            for (what, value) in described
                .into_iter()
                .zip(["GET", "b.example", "/allow", "https"])
            {
                if what != left_out {
                    request = request.header(format!("{said}-{what}"), value);
                }
            }
            let request = request.body(Body::empty()).unwrap();
            let router = router(Arc::new(edge.unwrap()));
            let response = router.oneshot(request).await.unwrap();
            let may_lack = left_out == "proto" && !needs_proto;
            let expected = if may_lack { 200 } else { 400 };
            assert_eq!(response.status(), expected, "{path} without {left_out}");
            let asked = point.asked.lock().unwrap().len();
            assert_eq!(asked, usize::from(may_lack), "{path} without {left_out}");
        }
    }
}

/// No proxy hands over a body, and a length that came with the client's request means none.
#[tokio::test]
async fn a_body_is_never_read() {
    for (path, more) in ENDPOINTS {
        let more = [more, &[("content-length", "7")]].concat();
        let (point, response) = ask_at(path, "10.1.2.3:1", "/allow", &more).await;
        assert_eq!(response.status(), 200, "{path}");
        let asked = point.asked.lock().unwrap();
        assert!(asked[0].data_json.is_empty(), "{path}");
        assert!(!asked[0].data_complete && !asked[0].data_pending, "{path}");
    }
}

#[tokio::test]
async fn an_allow_hands_over_who_it_is() {
    let (_, response) = ask("10.1.2.3:1", "/allow", &[]).await;
    assert_eq!(response.status(), 200);
    let headers = response.headers();
    assert_eq!(headers["sidegate-subject"], "u1");
    assert_eq!(headers["sidegate-operation"], "op");
    assert_eq!(headers["sidegate-decision-id"], "d1");
    assert_eq!(headers["sidegate-call"], "c2VhbGVk");
    assert!(!headers["sidegate-session"].is_empty());
    assert_eq!(headers["set-cookie"], "__Host-session=sg1_secret; Secure");
}

#[tokio::test]
async fn an_anonymous_allow_has_empty_identity_headers() {
    let (_, response) = ask("10.1.2.3:1", "/anonymous", &[]).await;
    assert_eq!(response.status(), 200);
    for name in ["sidegate-subject", "sidegate-session"] {
        assert_eq!(response.headers()[name], "", "{name}");
    }
}

#[tokio::test]
async fn a_denial_and_a_delay_are_closed() {
    for (target, status, outcome) in [
        ("/deny", 403, "deny"),
        ("/nowhere", 403, "deny"),
        ("/slow", 503, "undetermined"),
    ] {
        let (_, response) = ask("10.1.2.3:1", target, &[]).await;
        assert_eq!(response.status(), status, "{target}");
        assert_eq!(response.headers()["sidegate-outcome"], outcome);
        assert!(!response.headers().contains_key("sidegate-subject"));
    }
}

#[tokio::test]
async fn a_forged_header_beside_the_real_one_is_refused() {
    let forged = [("x-forwarded-uri", "/deny")];
    let (point, response) = ask("10.1.2.3:1", "/allow", &forged).await;
    assert_eq!(response.status(), 400);
    assert!(point.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_clients_address_and_credentials_are_passed_on() {
    let more = [
        ("x-forwarded-for", "203.0.113.9, 192.0.2.7"),
        ("x-api-key", "k"),
        ("x-original-url", "/elsewhere"),
    ];
    let (point, _) = ask("10.1.2.3:1", "/allow", &more).await;
    let asked = point.asked.lock().unwrap();
    assert_eq!(asked[0].peer.address, "192.0.2.7");
    assert_eq!(asked[0].target, "/allow");
    assert_eq!(asked[0].credentials[0].name, "x-api-key");
}

#[test]
fn it_does_not_start_without_proxies_or_grants() {
    let start = |caller: Arc<Caller>, trusted: Vec<Network>| {
        ForwardAuth::new(Arc::new(Scripted::default()), caller, trusted).err()
    };
    let may = caller(&[Grant::Authorize]);
    assert_eq!(start(Arc::clone(&may), trusted()), None);
    assert_eq!(
        start(Arc::clone(&may), vec![]),
        Some(ForwardAuthError::NoProxies)
    );
    let name = || "shop".to_owned();
    assert_eq!(
        start(caller(&[]), trusted()),
        Some(ForwardAuthError::GrantMissing { caller: name() })
    );
    let other_wire = Arc::new(Caller {
        wires: Some([WireKind::Queue].into()),
        ..Caller::clone(&may)
    });
    assert_eq!(
        start(other_wire, trusted()),
        Some(ForwardAuthError::WireNotAllowed { caller: name() })
    );
}

#[tokio::test]
async fn each_dialect_is_asked_at_its_own_path_and_no_other_path_is_there() {
    for (path, expected) in [
        ("/forward-auth", 200),
        ("/forward-auth/traefik", 200),
        ("/forward-auth/caddy", 200),
        // It reads none of the headers that are sent here.
        ("/forward-auth/nginx", 400),
        ("/", 404),
        ("/forward-auth/", 404),
        ("/forward-auth/haproxy", 404),
        ("/allow", 404),
    ] {
        let (point, response) = ask_at(path, "10.1.2.3:1", "/allow", &[PROTO]).await;
        assert_eq!(response.status(), expected, "{path}");
        let asked = point.asked.lock().unwrap().len();
        assert_eq!(asked, usize::from(expected == 200), "{path}");
    }
}

#[tokio::test]
async fn only_browsers_are_sent_to_sign_in() {
    const HTML: (&str, &str) = ("accept", "text/html");
    let rows: [(&[(&str, &str)], u16); 6] = [
        (&[HTML], 302),
        (&[], 401),
        (&[("accept", "application/json")], 401),
        (&[HTML, ("x-requested-with", "XMLHttpRequest")], 401),
        (&[HTML, ("sec-websocket-key", "x")], 401),
        (&[HTML, ("content-type", "application/grpc")], 401),
    ];
    for (more, status) in rows {
        let more = [&[PROTO], more].concat();
        let path = "/forward-auth/traefik";
        let (_, response) = ask_at(path, "10.1.2.3:1", "/unauthenticated", &more).await;
        assert_eq!(response.status(), status, "{more:?}");
        let location = response.headers().get("location");
        let location = location.map(|location| location.to_str().unwrap());
        let expected = (status == 302).then_some("/login?return_to=/unauthenticated");
        assert_eq!(location, expected, "{more:?}");
    }
}

/// nginx makes a 500 of a 400, which would be a fault of the server.
#[tokio::test]
async fn h01_nginx_is_told_that_the_target_is_invalid() {
    let point = Arc::new(Scripted::default());
    let edge = ForwardAuth::new(Arc::clone(&point), caller(&[Grant::Authorize]), trusted());
    let peer: SocketAddr = "10.1.2.3:1".parse().unwrap();
    let request = Request::get("/forward-auth/nginx")
        .header("x-original-method", "GET")
        .header("x-original-host", "books.example")
        .header("x-original-uri", &b"/\xff"[..])
        .extension(ConnectInfo(peer))
        .body(Body::empty());
    let router = router(Arc::new(edge.unwrap()));
    let response = router.oneshot(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(response.headers()["sidegate-outcome"], "invalid");
    assert!(point.asked.lock().unwrap().is_empty());
}
