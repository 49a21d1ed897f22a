//! How many sessions a subject may have (S-13).

use std::time::Duration;

use super::{Bench, IDLE, T0, principal};
use crate::{
    principal::Principal,
    session::RevocationCause,
    store::{BeyondLimit, CreateError, NewSession, SubjectLimit},
};

fn limited(bench: &Bench, max: u32, beyond: BeyondLimit) -> NewSession {
    let mut new = bench.draft("u1");
    new.limit = Some(SubjectLimit { max, beyond });
    new
}

pub async fn the_oldest_is_evicted(bench: Bench) {
    let newer = bench.draft("u1");
    let oldest = bench.sign_in("u1").await;
    let now = T0.plus(Duration::from_secs(1));
    let token = newer.token;
    bench.store.create(newer, now).await.unwrap();
    let newest = limited(&bench, 2, BeyondLimit::EvictOldest);
    let created = bench.store.create(newest, T0).await.unwrap();
    assert_eq!(created.evicted, [*oldest.id()]);
    let cause = bench.cause(&oldest.token, now).await;
    assert_eq!(cause, Some(RevocationCause::Evicted));
    assert!(bench.lives(&token, now).await);
}

pub async fn the_new_one_is_refused(bench: Bench) {
    let first = bench.sign_in("u1").await;
    let second = limited(&bench, 1, BeyondLimit::Refuse);
    let refused = bench.store.create(second, T0).await;
    assert_eq!(refused, Err(CreateError::LimitReached(1)));
    assert!(bench.lives(&first.token, T0).await);
    assert_eq!(bench.count("u1", T0).await, 1);
}

pub async fn only_live_sessions_of_the_subject_count(bench: Bench) {
    bench.sign_in("u2").await;
    let mut elsewhere = bench.draft("u1");
    elsewhere.identity.subject = Some(Principal::new("idp", "u1").unwrap());
    bench.make(elsewhere).await;
    let revoked = bench.sign_in("u1").await;
    bench.revoke(revoked.id(), T0).await;
    bench.revoke_subject("u1", T0).await;
    let mut expired = bench.draft("u1");
    expired.expires_at = T0;
    bench.make(expired).await;
    let new = limited(&bench, 1, BeyondLimit::Refuse);
    assert!(bench.store.create(new, T0).await.is_ok());
}

pub async fn a_replaced_session_frees_its_place(bench: Bench) {
    let old = bench.sign_in("u1").await;
    let mut new = limited(&bench, 1, BeyondLimit::Refuse);
    new.replaces = Some(old.record.id);
    assert!(bench.store.create(new, T0).await.is_ok());
    assert_eq!(bench.count("u1", T0).await, 1);
}

pub async fn a_lowered_limit_evicts_as_many_as_it_takes(bench: Bench) {
    for _ in 0..4 {
        bench.sign_in("u1").await;
    }
    let new = bench
        .make(limited(&bench, 2, BeyondLimit::EvictOldest))
        .await;
    assert_eq!(bench.count("u1", T0).await, 2);
    assert!(bench.lives(&new.token, T0).await);
}

pub async fn s13_parallel_sign_ins_never_pass_a_limit_that_evicts(bench: Bench) {
    bench.parallel(50, |bench, _| async move {
        let new = limited(&bench, 3, BeyondLimit::EvictOldest);
        bench.store.create(new, T0).await.unwrap();
        assert!(bench.count("u1", T0).await <= 3);
    });
    assert_eq!(bench.count("u1", T0).await, 3);
}

pub async fn s13_parallel_sign_ins_never_pass_a_limit_that_refuses(bench: Bench) {
    let made = bench.parallel(50, |bench, _| async move {
        let new = limited(&bench, 3, BeyondLimit::Refuse);
        bench.store.create(new, T0).await.is_ok()
    });
    assert_eq!(made.into_iter().filter(|made| *made).count(), 3);
    let subject = principal("u1");
    let live = bench
        .store
        .count(&bench.tenant, Some(&subject), T0.plus(IDLE / 2));
    assert_eq!(live.await, Ok(3));
}
