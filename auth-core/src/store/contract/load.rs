//! What a token or an id leads to.

use super::{Bench, IDLE, LIFETIME, MICROSECOND, T0, operator};
use crate::{
    session::{Expiry, Revocation, SessionId, TokenKind},
    store::{Death, Loaded},
};

pub async fn a_token_never_issued_is_unknown(bench: Bench) {
    bench.sign_in("u1").await;
    let stranger = bench.token();
    assert_eq!(bench.load(&stranger, T0).await, Loaded::Unknown);
    assert_eq!(bench.count("u1", T0).await, 1);
}

pub async fn a_token_is_no_credential_of_another_kind(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let bearer = TokenKind::Bearer;
    let answer = bench.store.load(&bench.tenant, bearer, &made.token, T0);
    assert_eq!(answer.await, Ok(Loaded::Unknown));
}

pub async fn one_hash_may_stand_for_both_kinds(bench: Bench) {
    let cookie = bench.sign_in("u1").await;
    let mut bearer = bench.draft("u2");
    bearer.token = cookie.token;
    bearer.kind = TokenKind::Bearer;
    let bearer = bench.make(bearer).await;
    bench.revoke(bearer.id(), T0).await;
    assert!(bench.lives(&cookie.token, T0).await);
}

pub async fn a_session_lives_until_its_idle_end(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let end = T0.plus(IDLE);
    assert!(bench.lives(&made.token, end.minus(MICROSECOND)).await);
    let death = Death::Expired {
        limit: Expiry::Idle,
    };
    assert_eq!(bench.death(&made.token, end).await, Some(death));
}

pub async fn a_session_lives_until_the_end_of_its_lifetime(bench: Bench) {
    let mut new = bench.draft("u1");
    new.idle = LIFETIME * 2;
    let made = bench.make(new).await;
    let end = T0.plus(LIFETIME);
    assert!(bench.lives(&made.token, end.minus(MICROSECOND)).await);
    let death = Death::Expired {
        limit: Expiry::Lifetime,
    };
    assert_eq!(bench.death(&made.token, end).await, Some(death));
}

pub async fn the_shorter_limit_counts(bench: Bench) {
    let mut new = bench.draft("u1");
    new.expires_at = T0.plus(IDLE / 2);
    let made = bench.make(new).await;
    let end = T0.plus(IDLE / 2);
    assert!(bench.lives(&made.token, end.minus(MICROSECOND)).await);
    assert!(!bench.lives(&made.token, end).await);
}

pub async fn a_revoked_session_tells_who_and_why(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let now = T0.plus(MICROSECOND);
    bench.revoke(made.id(), now).await;
    let ending = operator();
    let dead = Loaded::Dead {
        id: made.record.id,
        death: Death::Revoked(Revocation {
            at: now,
            by: ending.by,
            cause: ending.cause,
            reason: ending.reason,
        }),
    };
    assert_eq!(bench.load(&made.token, now).await, dead);
}

pub async fn an_id_finds_a_session_live_or_ended(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let (tenant, id) = (&bench.tenant, made.id());
    let found = bench.store.get(tenant, id, T0).await.unwrap().unwrap();
    assert_eq!((found.record, found.death), (made.record.clone(), None));
    let end = T0.plus(IDLE);
    let ended = bench.store.get(tenant, id, end).await.unwrap().unwrap();
    assert!(ended.death.is_some());
    let none = bench.store.get(tenant, &bench.id(), T0).await;
    assert_eq!(none, Ok(None));
}

pub async fn a_token_is_no_id(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&made.token.as_bytes()[..16]);
    let id = SessionId::from_bytes(bytes);
    assert_eq!(bench.store.get(&bench.tenant, &id, T0).await, Ok(None));
}
