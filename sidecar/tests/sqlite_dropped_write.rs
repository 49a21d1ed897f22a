//! A write whose caller goes away in the middle of it: the store writes it all the same.
use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
};

use auth_core::{
    engine::Marking,
    session::RevocationCause,
    store::{
        Ending, SessionStore as _,
        contract::{Bench, T0},
    },
};
use sidecar::store::sqlite::{SqliteOptions, SqliteStore};

#[test]
fn a_session_whose_revoke_was_dropped_is_not_believed_from_the_cache() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path(), SqliteOptions::default()).unwrap();
    Bench::new(store).keeping(directory).run(async |bench| {
        let marking = Marking::new(Arc::clone(&bench.store));
        let (made, tenant) = (bench.sign_in("u1").await, bench.tenant.clone());
        let ending = Ending {
            by: "shop".into(),
            cause: RevocationCause::Logout,
            reason: String::new(),
        };
        {
            let revoke = pin!(marking.revoke(&tenant, made.id(), ending, T0));
            // The write is handed to the store's own thread; whether it is done by now is luck.
            let _ = revoke.poll(&mut Context::from_waker(Waker::noop()));
        }
        // Whatever is loaded now may be loaded before the write.
        let marks = marking.invalidation();
        let since = marks.now();
        let answered = marks.is_good(since, &tenant, Some(*made.id()), None, T0);
        while bench.lives(&made.token, T0).await {
            tokio::task::yield_now().await;
        }
        assert!(!answered, "what was loaded at {since:?} would be believed");
    });
}
