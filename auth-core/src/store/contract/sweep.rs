//! What has ended is forgotten in time, in small steps.

use super::{Bench, IDLE, LIFETIME, MICROSECOND, T0};
use crate::{
    session::{Expiry, Identity},
    store::{
        Changes, Death, EventKind, Expired, Loaded, Rotation, Swept, rules::TOMBSTONE_RETENTION,
    },
};

pub async fn expired_sessions_become_tombstones(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let start = bench.store.position().await.unwrap();
    let now = T0.plus(IDLE);
    let swept = bench.store.sweep(10, now).await.unwrap();
    assert_eq!(swept.expired.len(), 1);
    let death = Death::Expired {
        limit: Expiry::Idle,
    };
    assert_eq!(bench.death(&made.token, now).await, Some(death));
    match bench.store.watch(&bench.tenant, start, 9).await.unwrap() {
        Changes::Events(events) => {
            let event = &events[0];
            assert_eq!(event.kind, EventKind::SessionExpired);
            assert_eq!(event.session, Some(made.record.id));
        }
        Changes::Reset(_) => panic!("reset"),
    }
}

pub async fn a_step_tells_what_ended_and_why(bench: Bench) {
    let mut new = bench.draft("u1");
    new.idle = LIFETIME * 2;
    let spent = bench.make(new).await;
    let other = bench.as_tenant("other");
    let mut new = other.draft("u2");
    new.identity = Identity::default();
    let anonymous = other.make(new).await;
    let revoked = bench.sign_in("u3").await;
    bench.revoke(revoked.id(), T0).await;
    for (now, made, limit) in [
        (T0.plus(IDLE), &anonymous, Expiry::Idle),
        (T0.plus(LIFETIME), &spent, Expiry::Lifetime),
    ] {
        let swept = bench.store.sweep(10, now).await.unwrap();
        assert_eq!(swept.expired, [Expired::of(&made.record, limit)]);
    }
}

pub async fn a_step_is_bounded(bench: Bench) {
    for _ in 0..5 {
        bench.sign_in("u1").await;
    }
    let other = bench.as_tenant("other");
    other.sign_in("u1").await;
    let (mut steps, mut expired) = (0, 0);
    loop {
        let swept = bench.store.sweep(2, T0.plus(IDLE)).await.unwrap();
        assert!(swept.expired.len() <= 2 && swept.removed <= 2);
        if swept.is_empty() {
            break;
        }
        steps += 1;
        expired += swept.expired.len();
    }
    assert_eq!((steps, expired), (3, 6));
}

pub async fn a_tombstone_can_be_asked_about_for_a_week(bench: Bench) {
    let made = bench.sign_in("u1").await;
    bench.revoke(made.id(), T0).await;
    let end = T0.plus(LIFETIME).plus(TOMBSTONE_RETENTION);
    let before = end.minus(MICROSECOND);
    bench.store.sweep(10, before).await.unwrap();
    assert!(bench.cause(&made.token, before).await.is_some());
    let swept = bench.store.sweep(10, end).await.unwrap();
    assert_eq!(swept.removed, 1);
    let found = bench.store.get(&bench.tenant, made.id(), end).await;
    assert_eq!(found, Ok(None));
    assert_eq!(bench.load(&made.token, end).await, Loaded::Unknown);
}

pub async fn a_forgotten_session_never_lives_again(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let end = T0.plus(LIFETIME).plus(TOMBSTONE_RETENTION);
    while !bench.store.sweep(10, end).await.unwrap().is_empty() {}
    bench.touch(&made, &made.token, T0).await;
    assert!(bench.patch(made.id(), None, "cart", T0).await.is_err());
    assert!(!bench.lives(&made.token, T0).await);
    assert_eq!(bench.revoke(made.id(), T0).await, None);
}

pub async fn live_sessions_are_left_alone(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let now = T0.plus(IDLE).minus(MICROSECOND);
    let swept = bench.store.sweep(10, now).await;
    assert_eq!(swept, Ok(Swept::default()));
    assert!(bench.lives(&made.token, now).await);
}

pub async fn a_superseded_token_is_forgotten_after_a_week(bench: Bench) {
    let mut new = bench.draft("u1");
    new.idle = TOMBSTONE_RETENTION * 2;
    new.expires_at = T0.plus(TOMBSTONE_RETENTION * 2);
    let made = bench.make(new).await;
    let next = bench.rotate(&made, Rotation::Immediate, T0).await.unwrap();
    let end = T0.plus(TOMBSTONE_RETENTION);
    bench.store.sweep(10, end.minus(MICROSECOND)).await.unwrap();
    let death = bench.death(&made.token, end).await;
    assert_eq!(death, Some(Death::Superseded));
    bench.store.sweep(10, end).await.unwrap();
    assert_eq!(bench.load(&made.token, end).await, Loaded::Unknown);
    assert!(bench.lives(&next, end).await);
}

pub async fn sweeping_again_does_nothing(bench: Bench) {
    bench.sign_in("u1").await;
    let revoked = bench.sign_in("u1").await;
    bench.revoke(revoked.id(), T0).await;
    let now = T0.plus(IDLE);
    let swept = bench.store.sweep(10, now).await.unwrap();
    assert_eq!(swept.expired.len(), 1);
    let position = bench.store.position().await;
    assert!(bench.store.sweep(10, now).await.unwrap().is_empty());
    assert_eq!(bench.store.position().await, position);
}
