//! Files that change under a running sidecar (F-18, F-19).

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use harness::raw;
use proto::envoy::service::auth::v3::{CheckRequest, authorization_client::AuthorizationClient};
use tokio::time::Instant;
use tonic::transport::Channel;

use crate::{
    authority::{Authority, Kind, replace},
    client::Client,
    scene::{Scene, manages},
};

/// Waits until `is` holds.
async fn until<F: Future<Output = bool>>(what: &str, is: impl Fn() -> F) {
    let deadline = Instant::now() + raw::DEADLINE;
    while !is().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn f18_a_new_certificate_takes_over_and_no_request_is_lost() {
    let scene = Scene::start().await;
    let client = Client::new(&scene.path().join("servers.pem"), None, &["http/1.1"]);
    let (stop, asked) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let asking = {
        let (client, address) = (client.clone(), scene.proxy());
        let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let heard = client.ask(address, "GET", "/public", &[]).await;
                assert_eq!(heard.unwrap().status, 200);
                asked.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    for _ in 0..5 {
        let before = client.served(scene.proxy()).await;
        let names = ["books.example", "127.0.0.1"];
        // One after the other: in between, the two do not fit together.
        scene
            .servers
            .sign(scene.path(), "public", Kind::Server, &names);
        until("a new certificate", || async {
            client.served(scene.proxy()).await != before
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    asking.await.unwrap();
    assert!(asked.load(Ordering::Relaxed) > 0);
}

#[tokio::test]
async fn f19_a_bad_file_keeps_the_old_certificate_and_says_so() {
    let scene = Scene::start().await;
    let client = Client::new(&scene.path().join("servers.pem"), None, &[]);
    let before = client.served(scene.proxy()).await;
    replace(&scene.path().join("public.pem"), "nothing");
    until("the fault in the status", || async {
        scene.last_error().await.contains("public.pem")
    })
    .await;
    assert_eq!(client.served(scene.proxy()).await, before);
    let names = ["books.example", "127.0.0.1"];
    scene
        .servers
        .sign(scene.path(), "public", Kind::Server, &names);
    until("a good certificate", || async {
        client.served(scene.proxy()).await != before && scene.last_error().await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn a_client_of_a_dropped_authority_is_cut_off_and_others_are_not() {
    let scene = Scene::start().await;
    let desk = scene.channel(scene.grpc(), Some(&scene.desk()));
    assert_eq!(manages(desk.clone(), None).await, "");
    let other = scene.channel(scene.grpc(), None);
    assert_eq!(manages(other.clone(), None).await, "CALLER_UNKNOWN");
    Authority::new("clients").write(scene.path(), "clients");
    // The connection stands, and goes once the new file is in force; another one is refused.
    until("the old client is refused", || async {
        !manages(desk.clone(), None).await.is_empty()
    })
    .await;
    assert_eq!(manages(other, None).await, "CALLER_UNKNOWN");
}

/// Whether who asks as Envoy does is answered.
async fn is_answered(channel: &Channel) -> bool {
    let mut client = AuthorizationClient::new(channel.clone());
    client.check(CheckRequest::default()).await.is_ok()
}

#[tokio::test]
async fn f19_an_envoy_that_left_the_policy_is_refused_where_it_is_connected() {
    let scene = Scene::start().await;
    let names = ["envoy.shop.example"];
    let envoy = scene
        .clients
        .sign(scene.path(), "envoy", Kind::Client, &names);
    let envoy = scene.channel(scene.envoy(), Some(&envoy));
    assert!(is_answered(&envoy).await);
    let path = scene.path().join("sidegate.yaml");
    let policy = std::fs::read_to_string(&path).unwrap();
    let policy = policy.replace("envoy.shop.example", "another.shop.example");
    std::fs::write(path, policy).unwrap();
    until("the Envoy of before is refused", || async {
        !is_answered(&envoy).await
    })
    .await;
}
