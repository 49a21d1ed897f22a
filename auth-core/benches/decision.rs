//! P-3: one decision in process, beside its floor, and a whole call with a cached session.
//! Run: `cargo bench -p sidegate-auth-core`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench reports by its figures"
)]

use std::{hint::black_box, sync::Arc};

use auth_core::{
    caller::{Caller, Grant},
    clock::{ManualClock, Timestamp},
    decision_point::{DecisionPoint as _, SessionWrite, SetSession, SignIn},
    engine::{Engine, Parts},
    evaluation::{Evaluation, Step},
    keys::{Keyring, MasterKey},
    live::Session,
    operation::{App, Operation},
    principal::Principal,
    random::SystemRandom,
    session::{Identity, JsonObject},
    store::memory::MemoryStore,
    target::Target,
    wire::{Attribute, Call, Credential, CredentialSource, Deliverable, WireKind},
    wire_update::WireUpdate,
};
use criterion::{Criterion, criterion_group, criterion_main};

#[path = "../tests/support/three_branches.rs"]
mod three_branches;

use three_branches::{POLICY, compile, identity, session};

/// What is known before the requirements are asked.
struct Asked<'a> {
    app: &'a App,
    operation: &'a Operation,
    call: &'a Call,
    path: &'a str,
    target: Option<Target<'a>>,
}

/// Asks the requirements of an operation. The data is `book`, where the call has a target, and
/// what the call has as JSON.
fn decide(asked: &Asked<'_>, session: &Session, book: &str) -> Step {
    let Asked {
        app,
        operation,
        call,
        path,
        target,
    } = asked;
    let now = Timestamp::EPOCH;
    let mut evaluation = Evaluation::new(app, operation, call, path, Some(session), now);
    match evaluation.step() {
        Step::NeedData => {
            evaluation
                .read_data(target.as_ref(), |_| Some(book))
                .unwrap();
            evaluation.step()
        }
        decided => decided,
    }
}

/// The same by hand: what no policy engine can be faster than.
fn floor(session: &Session, book: &str) -> bool {
    let role = session.claim("role").map(auth_core::value::Value::as_val);
    let role = role.as_ref().and_then(auth_core::value::Val::as_str);
    let subject = session.identity.subject.as_ref().map(Principal::id);
    role == Some("admin")
        || subject == Some(book)
        || (subject.is_some() && role == Some("reviewer"))
}

fn decisions(criterion: &mut Criterion) {
    let policy = compile(POLICY);
    let app = policy.apps.all.first().unwrap();
    let operation = app.operation("delete_book").unwrap();
    let call = Call::new(WireKind::Http, "DELETE", "/books/b1");
    let target = Target::parse(call.target.as_bytes()).unwrap();
    let asked = Asked {
        app,
        operation,
        call: &call,
        path: "/books/b1",
        target: Some(target),
    };
    let message = Call {
        data_json: br#"{"book_id":"b1"}"#.as_slice().into(),
        ..Call::new(WireKind::Queue, "", "books.delete")
    };
    let asked_by_message = Asked {
        call: &message,
        path: "books.delete",
        target: None,
        ..asked
    };
    let mut group = criterion.benchmark_group("P-3 decision");
    for (name, role) in [("allow by the session", "admin"), ("deny", "user")] {
        let session = session(role);
        group.bench_function(name, |bench| {
            bench.iter(|| decide(&asked, black_box(&session), black_box("b1")));
        });
        group.bench_function(format!("{name}, by hand"), |bench| {
            bench.iter(|| floor(black_box(&session), black_box("b1")));
        });
    }
    let session = session("user");
    group.bench_function("deny, its data in JSON", |bench| {
        bench.iter(|| decide(&asked_by_message, black_box(&session), ""));
    });
    group.finish();
}

/// An engine with one signed-in reader, and the call that shows their cookie.
async fn engine() -> (Engine, Caller, Call) {
    let keys = Arc::new(Keyring::new(&MasterKey::from_bytes([7; 32]), &[]));
    let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
    let store = Arc::new(MemoryStore::default());
    let engine = Engine::new(Parts::new(
        compile(POLICY),
        store,
        keys,
        clock,
        Arc::new(SystemRandom),
    ));
    let caller = Caller {
        grants: [Grant::Authorize, Grant::SessionSelf].into(),
        sign_in: ["local".to_owned()].into(),
        claims: None,
        ..Caller::new("bench")
    };
    let deliverable = Deliverable {
        cookie: true,
        ..Deliverable::default()
    };
    let login = Call {
        deliverable,
        ..Call::new(WireKind::Http, "POST", "/login")
    };
    let answer = engine.authorize(&caller, login).await;
    let identity = Identity {
        auth_time: Some(Timestamp::from_seconds(1_800_000_000)),
        ..identity("admin")
    };
    let sign_in = SignIn {
        identity,
        attributes: JsonObject::new(),
        ttl: None,
    };
    let request = SetSession {
        call: answer.call.unwrap(),
        change: SessionWrite::SignIn(sign_in),
        etag: String::new(),
        request_id: String::new(),
    };
    let changed = engine.set(&caller, request).await.unwrap();
    let [WireUpdate::SetCookie { header_value, .. }] = changed.updates.as_slice() else {
        panic!("no cookie")
    };
    let cookie = header_value.split(';').next().unwrap().to_owned();
    let mut call = Call::new(WireKind::Http, "DELETE", "/books/b1");
    call.credentials.push(Credential {
        source: CredentialSource::Cookie,
        name: String::new(),
        value: cookie.into(),
    });
    call.attributes.push(Attribute {
        name: "sec-fetch-site".to_owned(),
        value: "same-origin".into(),
    });
    (engine, caller, call)
}

fn calls(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (engine, caller, call) = runtime.block_on(engine());
    criterion.bench_function("a whole call, its session cached", |bench| {
        bench.iter(|| runtime.block_on(engine.authorize(&caller, call.clone())));
    });
    let advisory = Call {
        advisory: true,
        ..call
    };
    criterion.bench_function("the same, advisory", |bench| {
        bench.iter(|| runtime.block_on(engine.authorize(&caller, advisory.clone())));
    });
}

criterion_group!(benches, decisions, calls);
criterion_main!(benches);
