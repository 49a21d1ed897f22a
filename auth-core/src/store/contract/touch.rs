//! Use keeps a session from idling, and does nothing else.

use super::{Bench, IDLE, LIFETIME, MICROSECOND, SignedIn, T0};
use crate::{clock::Timestamp, session::SessionRecord, store::Rotation};

async fn record(bench: &Bench, session: &SignedIn, now: Timestamp) -> SessionRecord {
    let found = bench.store.get(&bench.tenant, session.id(), now).await;
    found.unwrap().unwrap().record
}

pub async fn use_moves_the_idle_end(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let used = T0.plus(IDLE).minus(MICROSECOND);
    bench.touch(&made, &made.token, used).await;
    let end = used.plus(IDLE);
    assert!(bench.lives(&made.token, end.minus(MICROSECOND)).await);
    assert!(!bench.lives(&made.token, end).await);
}

pub async fn use_never_moves_it_backwards(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let used = T0.plus(IDLE / 2);
    bench.touch(&made, &made.token, used).await;
    bench
        .touch(&made, &made.token, used.minus(MICROSECOND))
        .await;
    assert_eq!(record(&bench, &made, used).await.last_seen, used);
}

pub async fn use_never_extends_the_lifetime(bench: Bench) {
    let mut new = bench.draft("u1");
    new.idle = LIFETIME;
    let made = bench.make(new).await;
    let end = T0.plus(LIFETIME);
    bench
        .touch(&made, &made.token, end.minus(MICROSECOND))
        .await;
    assert!(!bench.lives(&made.token, end).await);
    assert_eq!(record(&bench, &made, end).await.expires_at, end);
}

pub async fn use_never_revives_an_expired_session(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let end = T0.plus(IDLE);
    bench.touch(&made, &made.token, end).await;
    assert!(!bench.lives(&made.token, end).await);
    assert_eq!(record(&bench, &made, end).await.last_seen, T0);
}

pub async fn use_never_revives_a_revoked_session(bench: Bench) {
    let made = bench.sign_in("u1").await;
    bench.revoke(made.id(), T0).await;
    let now = T0.plus(MICROSECOND);
    bench.touch(&made, &made.token, now).await;
    assert!(!bench.lives(&made.token, now).await);
    assert_eq!(record(&bench, &made, now).await.last_seen, T0);
}

pub async fn use_leaves_the_version_alone(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let now = T0.plus(MICROSECOND);
    bench.touch(&made, &made.token, now).await;
    let mut expected = made.record.clone();
    expected.last_seen = now;
    assert_eq!(record(&bench, &made, now).await, expected);
}

pub async fn use_by_a_dead_token_counts_for_nothing(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let rotated = bench.rotate(&made, Rotation::Immediate, T0).await;
    rotated.unwrap();
    let now = T0.plus(MICROSECOND);
    bench.touch(&made, &made.token, now).await;
    assert_eq!(record(&bench, &made, now).await.last_seen, T0);
}

pub async fn use_by_another_sessions_token_counts_for_nothing(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let other = bench.sign_in("u1").await;
    let now = T0.plus(MICROSECOND);
    bench.touch(&made, &other.token, now).await;
    assert_eq!(record(&bench, &made, now).await.last_seen, T0);
}
