//! `sidegate proxy attack` through each proxy: as it is printed nothing is found, and a proxy that
//! hands on what the printed comments refuse it for is named.

use std::path::Path;

use harness::{
    hostile::{
        HOST,
        command::{Ran, Typed, text},
    },
    real::{caddy::Version, ports::Port, printed::Proxy},
};
use serde_json::json;

use crate::scene::{PROGRAM, Scene, Setup};

/// Attacks a proxy as an ordinary user; `None` where there is no such proxy.
async fn attack(proxy: Proxy, setup: Setup) -> Option<Ran> {
    let port = Port::free();
    let app = Some(port.address());
    let mut scene = Scene::with(proxy, Setup { app, ..setup }).await?;
    let cookie = scene.sign_in().await;
    scene.stop_app().await;
    let typed = Typed {
        program: Path::new(PROGRAM),
        url: &format!("http://{}", scene.server.http()),
        app,
        token: cookie.split_once('=').map(|(_, token)| token),
        more: &["--host", HOST],
    };
    Some(typed.run().await)
}

/// Nothing is found behind this proxy, and it is known for what it is.
async fn assert_survives(proxy: Proxy) {
    let Some(ran) = attack(proxy, Setup::default()).await else {
        return;
    };
    let report = ran.report();
    assert_eq!(report["findings"], json!([]), "{ran:?}");
    assert_eq!(report["not_judged"], json!([]), "{ran:?}");
    assert_eq!(report["taken_for"], json!([proxy.name()]), "{ran:?}");
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_the_printed_nginx_survives_proxy_attack() {
    assert_survives(Proxy::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_the_printed_caddy_survives_proxy_attack() {
    assert_survives(Proxy::Caddy).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_the_printed_traefik_survives_proxy_attack() {
    assert_survives(Proxy::Traefik).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_the_printed_envoy_survives_proxy_attack() {
    assert_survives(Proxy::Envoy).await;
}

/// The proxy is named as one that hands aliases on, with what mends it.
async fn assert_named(proxy: Proxy, setup: Setup, what: &str, fix: &str) {
    let Some(ran) = attack(proxy, setup).await else {
        return;
    };
    assert_eq!(ran.code, Some(10), "{ran:?}");
    let found = ran.finding(&format!("alias/{}", proxy.name()), what);
    assert!(text(&found["fix"]).contains(fix), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_an_old_caddy_is_named_by_proxy_attack() {
    let setup = Setup {
        caddy: Version::Debian,
        ..Setup::default()
    };
    let what = "is Caddy before 2.11.4";
    assert_named(Proxy::Caddy, setup, what, "Caddy: 2.11.4 or newer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_a_traefik_without_its_alias_strategy_is_named_by_proxy_attack() {
    let setup = Setup {
        altered: Some(("aliasHeadersStrategy: delete", "aliasHeadersStrategy: keep")),
        ..Setup::default()
    };
    let what = "is Traefik without `aliasHeadersStrategy: delete`";
    let fix = "`aliasHeadersStrategy: delete` at every entry point";
    assert_named(Proxy::Traefik, setup, what, fix).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_an_nginx_that_takes_underscores_is_named_by_proxy_attack() {
    let setup = Setup {
        altered: Some(("underscores_in_headers off", "underscores_in_headers on")),
        ..Setup::default()
    };
    let what = "is nginx with `underscores_in_headers on`";
    assert_named(Proxy::Nginx, setup, what, "`underscores_in_headers off`").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h16_an_envoy_that_keeps_underscores_is_named_by_proxy_attack() {
    let setup = Setup {
        altered: Some(("headers_with_underscores_action: DROP_HEADER", "")),
        ..Setup::default()
    };
    let what = "is Envoy without `headers_with_underscores_action: DROP_HEADER`";
    assert_named(Proxy::Envoy, setup, what, "DROP_HEADER").await;
}
