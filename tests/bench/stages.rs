//! Where the time of a request goes, stage by stage in this process.

use std::{hint::black_box, path::Path, time::Instant};

use auth_core::{
    caller::{Caller, Grant},
    decision_point::DecisionPoint as _,
    engine::Engine,
};
use prost::Message as _;
use proto::{
    core::{decision, wire},
    v1,
};

use crate::{ROUNDS, decide, transport::median};

const CALLS: u32 = 5_000;

/// The caller that may ask.
pub(crate) fn caller() -> Caller {
    Caller {
        grants: [Grant::Authorize, Grant::SessionSelf].into(),
        sign_in: ["local".to_owned()].into(),
        ..Caller::new("bench")
    }
}

fn nanos(mut work: impl FnMut()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        (0..CALLS).for_each(|_| work());
        began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    });
    median(rounds)
}

async fn decided(engine: &Engine, caller: &Caller, message: &v1::AuthorizeRequest) -> f64 {
    let call = wire::call(message.clone(), &caller.tenant).unwrap();
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        for _ in 0..CALLS {
            black_box(engine.authorize(caller, call.clone()).await);
        }
        rounds.push(began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS));
    }
    median(rounds)
}

/// Measures and prints the stages of the request that is allowed and of one that is refused.
pub(crate) async fn run(folder: &Path, asked: &v1::AuthorizeRequest, _: &v1::AuthorizeRequest) {
    let (engine, allowed, refused) = decide::engine(folder).await;
    let caller = caller();
    let encoded = bytes::Bytes::from(asked.encode_to_vec());
    let answer = engine
        .authorize(
            &caller,
            wire::call(allowed.clone(), &caller.tenant).unwrap(),
        )
        .await;
    let view = auth_core::wire::SessionView::None;
    let stages = [
        (
            "decode the request (prost)",
            nanos(|| drop(black_box(v1::AuthorizeRequest::decode(encoded.clone())))),
        ),
        (
            "check and convert it (and clone it)",
            nanos(|| drop(black_box(wire::call(asked.clone(), &caller.tenant)))),
        ),
        (
            "decide: allow, handle sealed",
            decided(&engine, &caller, &allowed).await,
        ),
        ("decide: deny", decided(&engine, &caller, &refused).await),
        (
            "convert and encode the answer",
            nanos(|| {
                let message = decision::response(answer.clone(), view, &caller.tenant);
                drop(black_box(message.encode_to_vec()));
            }),
        ),
    ];
    println!("\nWhere it goes, in this process (the rest is transport)\n");
    for (stage, nanos) in stages {
        println!("     {stage:<40} {nanos:>8.0} ns");
    }
}
