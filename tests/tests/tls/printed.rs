//! Real proxies that ask over TLS, as `sidegate proxy print` has them do.

use std::path::{Path, PathBuf};

use harness::{
    raw,
    real::{
        caddy, envoy, nginx,
        printed::{Printing, Proxy},
        server::{Configuration, Place, Server},
        traefik,
    },
};

use crate::{
    authority::{Authority, Kind, Pair},
    scene::Scene,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sidegate-under-test");

/// Starts a proxy that believes this authority, and perhaps has a certificate; `None` where it is
/// not installed.
async fn start(scene: &Scene, proxy: Proxy, ca: &Path, pair: Option<&Pair>) -> Option<Server> {
    let policy = scene.path().join("sidegate.yaml");
    let printing = Printing {
        program: Path::new(PROGRAM),
        policy: &policy,
        upstream: scene.app.address(),
    };
    let mut words = vec!["--ca-file".to_owned(), ca.display().to_string()];
    if let Some(pair) = pair {
        let file = |path: &PathBuf| path.display().to_string();
        words.extend(["--cert-file".to_owned(), file(&pair.certificate)]);
        words.extend(["--key-file".to_owned(), file(&pair.key)]);
    }
    let text = |place: &Place, more: &[&str]| {
        let words = words.iter().map(String::as_str).chain(more.iter().copied());
        printing.text(proxy, place.http(), &words.collect::<Vec<_>>())
    };
    let what = "a proxy that asks over TLS";
    match proxy {
        Proxy::Nginx => nginx::start(what, |place| text(place, &[])).await,
        Proxy::Caddy => caddy::start(caddy::Version::Pinned, what, |place| text(place, &[])).await,
        Proxy::Envoy => envoy::start(what, |place| text(place, &[])).await,
        Proxy::Traefik => {
            let configuration = |place: &Place| {
                let fixed = Configuration::from(text(place, &["--part=static"]));
                fixed.file("dynamic.yaml", text(place, &["--part=dynamic"]))
            };
            traefik::start(what, configuration).await
        }
    }
}

/// What a client gets, from the app or not.
async fn asked(scene: &Scene, server: &Server) -> (u16, usize) {
    let request = raw::request("GET", "/public", "books.example", &[], b"");
    let answer = raw::exchange(server.http(), &request, raw::DEADLINE).await;
    (answer.unwrap().status, scene.app.take().len())
}

#[tokio::test]
async fn each_proxy_asks_over_tls_and_lets_nobody_through_to_a_stranger() {
    let scene = Scene::start().await;
    let stranger = Authority::new("servers").write(scene.path(), "stranger");
    let names = ["envoy.shop.example"];
    let own = scene
        .clients
        .sign(scene.path(), "envoy", Kind::Client, &names);
    for proxy in Proxy::ALL {
        let believed = scene.path().join("servers.pem");
        let Some(server) = start(&scene, proxy, &believed, Some(&own)).await else {
            continue;
        };
        assert_eq!(
            asked(&scene, &server).await,
            (200, 1),
            "{proxy:?}\n{}",
            server.log()
        );
        let server = start(&scene, proxy, &stranger, Some(&own)).await.unwrap();
        let (status, reached) = asked(&scene, &server).await;
        assert!(status >= 500 && reached == 0, "{proxy:?} {status}");
    }
}

#[tokio::test]
async fn an_envoy_that_is_another_caller_lets_nobody_through() {
    let scene = Scene::start().await;
    let believed = scene.path().join("servers.pem");
    let Some(server) = start(&scene, Proxy::Envoy, &believed, Some(&scene.desk())).await else {
        return;
    };
    assert_eq!(asked(&scene, &server).await, (503, 0));
}
