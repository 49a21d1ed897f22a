//! What happens when a server does not start, and what a test can ask of one that runs.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
};

use harness::{
    raw::{self, NoAnswer},
    real::{
        caddy::{self, Version},
        nginx,
        server::Place,
    },
    recorder::{App, Reply},
};

fn answering(port: u16) -> String {
    format!("http://127.0.0.1:{port} {{\n\trespond here\n}}\n")
}

#[tokio::test]
async fn a_refused_configuration_is_reported_with_the_log() {
    let start = nginx::start("a refused configuration", |_| "no_such_directive on;");
    let started = tokio::spawn(start).await.map(|server| server.is_none());
    let report = match started {
        Ok(is_missing) => return assert!(is_missing),
        Err(panic) => panic.into_panic().downcast::<String>().unwrap(),
    };
    assert!(
        report.contains(r#"unknown directive "no_such_directive""#),
        "{report}"
    );
}

#[tokio::test]
async fn a_taken_port_is_tried_again() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let tries = AtomicUsize::new(0);
    let configuration = |place: &Place| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => answering(port),
        _ => answering(place.http()),
    };
    let server = caddy::start(Version::Pinned, "a taken port", configuration).await;
    if let Some(server) = server {
        assert_eq!(raw::get(server.http(), "/").await.unwrap().text(), "here");
        assert_eq!(tries.into_inner(), 2);
    }
}

#[tokio::test]
async fn each_server_has_an_administration_port_of_its_own() {
    for version in [Version::Pinned, Version::Debian] {
        let start = caddy::start(version, "administration of Caddy", |place| {
            answering(place.http())
        });
        if let Some(server) = start.await {
            let configuration = raw::get(server.admin(), "/config/").await.unwrap();
            assert!(
                configuration.text().contains("respond") || configuration.text().contains("here")
            );
            assert!(server.peak_memory() > 1024 * 1024);
        }
    }
}

#[tokio::test]
async fn a_killed_server_is_gone_and_an_app_comes_back() {
    let start = caddy::start(Version::Pinned, "a killed server", |place| {
        answering(place.http())
    });
    if let Some(mut server) = start.await {
        server.kill();
        assert!(matches!(
            raw::get(server.http(), "/").await,
            Err(NoAnswer::Refused(_))
        ));
    }
    let app = App::ok().await;
    let address = app.stop().await;
    let app = App::start_at(address, |_| Reply::status(204)).await;
    assert_eq!(raw::get(app.address(), "/").await.unwrap().status, 204);
}
