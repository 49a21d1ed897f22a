//! How a new token takes over from the old one (R13).

use super::{Bench, IDLE, MICROSECOND, OVERLAP, T0};
use crate::{
    session::RevocationCause,
    store::{Death, Rotation, TokenRole, UpdateError},
};

pub async fn a_renewed_token_is_fresh_until_its_first_use(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let next = bench.renew(&made, made.token, T0).await.unwrap();
    assert_eq!(bench.role(&next, T0).await, Some(TokenRole::Fresh));
    bench.touch(&made, &next, T0).await;
    assert_eq!(bench.role(&next, T0).await, Some(TokenRole::Current));
}

pub async fn a_predecessor_lives_until_the_overlap_is_over(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let next = bench.renew(&made, made.token, T0).await.unwrap();
    let used = T0.plus(OVERLAP * 3);
    bench.touch(&made, &next, used).await;
    bench.touch(&made, &next, used.plus(OVERLAP / 2)).await;
    let end = used.plus(OVERLAP);
    let role = bench.role(&made.token, end.minus(MICROSECOND)).await;
    assert_eq!(role, Some(TokenRole::Predecessor));
    let death = bench.death(&made.token, end).await;
    assert_eq!(death, Some(Death::Superseded));
    assert!(bench.lives(&next, end).await);
}

pub async fn a_predecessor_lives_as_long_as_its_successor_is_unused(bench: Bench) {
    let made = bench.sign_in("u1").await;
    bench.renew(&made, made.token, T0).await.unwrap();
    let later = T0.plus(IDLE / 2);
    bench.touch(&made, &made.token, later).await;
    let role = bench.role(&made.token, later.plus(OVERLAP)).await;
    assert_eq!(role, Some(TokenRole::Predecessor));
}

pub async fn an_undelivered_successor_is_replaced(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let lost = bench.renew(&made, made.token, T0).await.unwrap();
    let next = bench.renew(&made, made.token, T0).await.unwrap();
    assert_eq!(bench.death(&lost, T0).await, Some(Death::Superseded));
    assert_eq!(bench.role(&next, T0).await, Some(TokenRole::Fresh));
    let role = bench.role(&made.token, T0).await;
    assert_eq!(role, Some(TokenRole::Predecessor));
}

pub async fn the_predecessors_predecessor_is_superseded(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let second = bench.renew(&made, made.token, T0).await.unwrap();
    let third = bench.renew(&made, second, T0).await.unwrap();
    let death = bench.death(&made.token, T0).await;
    assert_eq!(death, Some(Death::Superseded));
    assert_eq!(bench.role(&second, T0).await, Some(TokenRole::Predecessor));
    assert_eq!(bench.role(&third, T0).await, Some(TokenRole::Fresh));
}

pub async fn a_dead_token_renews_nothing(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let other = bench.sign_in("u1").await;
    let next = bench.rotate(&made, Rotation::Immediate, T0).await.unwrap();
    for dead in [made.token, other.token, bench.token()] {
        let refused = bench.renew(&made, dead, T0).await;
        assert_eq!(refused, Err(UpdateError::Gone));
    }
    assert_eq!(bench.role(&next, T0).await, Some(TokenRole::Current));
}

pub async fn a_predecessor_renews_nothing_once_its_successor_is_used(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let next = bench.renew(&made, made.token, T0).await.unwrap();
    bench.touch(&made, &next, T0).await;
    let refused = bench.renew(&made, made.token, T0).await;
    assert_eq!(refused, Err(UpdateError::Conflict { current: 2 }));
    assert_eq!(bench.role(&next, T0).await, Some(TokenRole::Current));
}

pub async fn s16_of_parallel_renewals_one_successor_is_left(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let session = made.clone();
    let successors = bench.parallel(8, move |bench, _| {
        let session = session.clone();
        async move { bench.renew(&session, session.token, T0).await.unwrap() }
    });
    let mut live = 0;
    for token in &successors {
        live += u32::from(bench.lives(token, T0).await);
    }
    assert_eq!(live, 1);
    assert!(bench.lives(&made.token, T0).await);
}

pub async fn an_immediate_rotation_kills_every_other_token(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let fresh = bench.renew(&made, made.token, T0).await.unwrap();
    let next = bench.rotate(&made, Rotation::Immediate, T0).await.unwrap();
    for old in [made.token, fresh] {
        assert_eq!(bench.death(&old, T0).await, Some(Death::Superseded));
    }
    assert_eq!(bench.role(&next, T0).await, Some(TokenRole::Current));
}

pub async fn a_token_that_is_taken_is_no_new_token(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let other = bench.sign_in("u2").await;
    for taken in [made.token, other.token] {
        let now = Rotation::Immediate;
        let (tenant, id) = (&bench.tenant, made.id());
        let answer = bench.store.rotate(tenant, id, None, taken, now, "shop", T0);
        assert_eq!(answer.await, Err(UpdateError::Exists));
    }
    assert!(bench.lives(&made.token, T0).await);
    assert!(bench.lives(&other.token, T0).await);
}

pub async fn a_stale_version_rotates_nothing(bench: Bench) {
    let made = bench.sign_in("u1").await;
    bench.patch(made.id(), None, "cart", T0).await.unwrap();
    let (tenant, id, token) = (&bench.tenant, made.id(), bench.token());
    let now = Rotation::Immediate;
    let answer = bench
        .store
        .rotate(tenant, id, Some(1), token, now, "shop", T0);
    assert_eq!(answer.await, Err(UpdateError::Conflict { current: 2 }));
    assert!(bench.lives(&made.token, T0).await);
}

pub async fn a_session_that_does_not_live_is_not_rotated(bench: Bench) {
    let revoked = bench.sign_in("u1").await;
    let expired = bench.sign_in("u1").await;
    bench.revoke(revoked.id(), T0).await;
    let refused = bench.renew(&revoked, revoked.token, T0).await;
    assert_eq!(refused, Err(UpdateError::Gone));
    let end = T0.plus(IDLE);
    let refused = bench.rotate(&expired, Rotation::Immediate, end).await;
    assert_eq!(refused, Err(UpdateError::Gone));
}

pub async fn a_revoked_session_is_revoked_under_every_token(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let second = bench.renew(&made, made.token, T0).await.unwrap();
    let third = bench.renew(&made, second, T0).await.unwrap();
    bench.revoke(made.id(), T0).await;
    for token in [made.token, second, third] {
        let cause = bench.cause(&token, T0).await;
        assert_eq!(cause, Some(RevocationCause::Revoked));
    }
}

pub async fn a_rotation_is_no_use(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let now = T0.plus(IDLE / 2);
    let next = bench.renew(&made, made.token, now).await.unwrap();
    let found = bench.store.get(&bench.tenant, made.id(), now).await;
    let record = found.unwrap().unwrap().record;
    assert_eq!((record.last_seen, record.token_issued_at), (T0, now));
    assert!(!bench.lives(&next, T0.plus(IDLE)).await);
}
