//! How fast the embedded store is: `cargo bench -p sidegate-sidecar --bench sqlite_speed`.
#![expect(clippy::unwrap_used, reason = "a bench reports by its figures")]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use auth_core::{
    session::{SessionId, TokenHash},
    store::{
        NewSession, SessionStore,
        contract::{Bench, T0},
    },
};
use sidecar::store::sqlite::{SqliteOptions, SqliteStore};

const CALLERS: u64 = 64;
const SPAN: Duration = Duration::from_secs(5);

fn numbered(draft: &NewSession, caller: u64, count: u64) -> NewSession {
    // Ids go up with time, as version 7 UUIDs do.
    let number = u128::from(count) << 64 | u128::from(caller);
    let id = SessionId::from_bytes(number.to_be_bytes());
    let mut new = draft.clone();
    new.token = TokenHash::of(id.as_bytes());
    new.id = id;
    new
}

async fn create(store: Arc<SqliteStore>, draft: NewSession, caller: u64) -> u64 {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < SPAN {
        let new = numbered(&draft, caller, count);
        store.create(new, T0).await.unwrap();
        count += 1;
    }
    count
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // `cargo test` runs bench targets too, to see that they work; figures are for `cargo bench`.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    durable_creates_by_64_callers_and_loads_by_one().await;
}

async fn durable_creates_by_64_callers_and_loads_by_one() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let open = || SqliteStore::open(directory.path(), SqliteOptions::default()).unwrap();
    let store = Arc::new(open());
    let draft = Bench::new(auth_core::store::memory::MemoryStore::new()).draft("u1");
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| tokio::spawn(create(Arc::clone(&store), draft.clone(), caller)))
        .collect();
    let mut made = 0;
    for caller in callers {
        made += caller.await.unwrap();
    }
    println!("{} durable creates a second", made / SPAN.as_secs());

    let loads = 100_000;
    let start = Instant::now();
    for count in 0..loads {
        let new = numbered(&draft, count % CALLERS, count % 1000);
        let answer = store.load(&new.tenant, new.kind, &new.token, T0).await;
        answer.unwrap();
    }
    println!(
        "{:?} a load",
        start.elapsed() / u32::try_from(loads).unwrap()
    );
    drop(store);
    let start = Instant::now();
    drop(open());
    println!("{:?} to open {made} sessions", start.elapsed());
}
