//! Decisions in process, as many as asked, for whoever counts their instructions.

use std::{hint::black_box, path::Path};

use auth_core::{
    caller::Caller, decision::Decision, decision_point::DecisionPoint as _, engine::Engine,
    wire::Call,
};
use futures_util::FutureExt as _;
use proto::{core::wire, v1};
use sidecar::Sidecar;
use tonic::transport::Endpoint;

use crate::{scene, stages};

/// An engine with two signed-in readers: the call of one is allowed, that of the other refused.
pub(crate) async fn engine(
    folder: &Path,
) -> (
    std::sync::Arc<Engine>,
    v1::AuthorizeRequest,
    v1::AuthorizeRequest,
) {
    let folder = folder.join("in-process");
    std::fs::create_dir_all(&folder).unwrap();
    let policy = scene::write(&folder);
    let bound = Sidecar::builder(policy).bind().await.unwrap();
    let (engine, address) = (bound.engine(), bound.addresses.grpc[0].to_string());
    let stop = tokio_util::sync::CancellationToken::new();
    let serving = tokio::spawn(bound.run(stop.clone().cancelled_owned()));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = channel.connect().await.unwrap();
    let allowed = scene::request(&scene::sign_in(channel.clone(), "admin").await);
    let refused = scene::request(&scene::sign_in(channel, "user").await);
    stop.cancel();
    serving.await.unwrap().unwrap();
    (engine, allowed, refused)
}

/// Decides `count` calls of this kind, `allow` or `deny`.
pub(crate) async fn run(kind: &str, count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (engine, allowed, refused) = engine(folder.path()).await;
    let caller = stages::caller();
    let (message, expected) = match kind {
        "allow" => (allowed, Decision::Allow),
        _ => (refused, Decision::Deny),
    };
    let call = wire::call(message, &caller.tenant).unwrap();
    decide_repeatedly(&engine, &caller, &call, expected, count);
}

/// What is counted, by this name. The session is cached, so that nothing is waited for.
#[inline(never)]
fn decide_repeatedly(
    engine: &Engine,
    caller: &Caller,
    call: &Call,
    expected: Decision,
    count: usize,
) {
    for _ in 0..count {
        let answer = engine.authorize(caller, call.clone()).now_or_never();
        assert_eq!(black_box(answer).unwrap().decision(), expected);
    }
}
