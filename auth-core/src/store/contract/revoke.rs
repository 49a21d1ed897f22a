//! Revoked stays revoked (R15).

use super::{Bench, IDLE, MICROSECOND, SignedIn, T0, everywhere, object, operator};
use crate::{
    session::{Expiry, RevocationCause},
    store::{Change, Death, Rotation},
};

pub async fn a_revoked_session_is_dead_at_once(bench: Bench) {
    let made = bench.sign_in("u1").await;
    assert_eq!(bench.revoke(made.id(), T0).await, Some(true));
    assert!(!bench.lives(&made.token, T0).await);
    assert!(!bench.lives(&made.token, T0.minus(IDLE)).await);
    assert_eq!(bench.count("u1", T0).await, 0);
}

pub async fn revoking_again_changes_nothing(bench: Bench) {
    let made = bench.sign_in("u1").await;
    bench.revoke(made.id(), T0).await;
    let first = bench.death(&made.token, T0).await;
    let now = T0.plus(MICROSECOND);
    let again = bench
        .store
        .revoke(&bench.tenant, made.id(), everywhere(), now);
    assert_eq!(again.await, Ok(Some(false)));
    assert_eq!(bench.death(&made.token, now).await, first);
}

pub async fn revoking_an_expired_session_changes_nothing(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let now = T0.plus(IDLE);
    assert_eq!(bench.revoke(made.id(), now).await, Some(false));
    let death = Death::Expired {
        limit: Expiry::Idle,
    };
    assert_eq!(bench.death(&made.token, now).await, Some(death));
}

pub async fn revoking_an_unknown_session_says_so(bench: Bench) {
    assert_eq!(bench.revoke(&bench.id(), T0).await, None);
}

pub async fn revoking_one_leaves_others_alone(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let other = bench.sign_in("u1").await;
    bench.revoke(made.id(), T0).await;
    assert!(bench.lives(&other.token, T0).await);
}

async fn write_at_random(bench: &Bench, made: &SignedIn, index: u64) {
    let (tenant, id, now) = (&bench.tenant, made.id(), T0.plus(MICROSECOND));
    match index % 5 {
        0 => {
            assert!(bench.revoke(id, now).await.is_some());
            // Acknowledged: nothing in flight may bring it back.
            assert!(!bench.lives(&made.token, now).await);
        }
        1 => {
            let change = Change::PatchAttributes {
                set: object("cart", "full"),
                remove: Vec::new(),
            };
            let answer = bench.store.update(tenant, id, None, change, "shop", now);
            answer.await.ok();
        }
        2 => bench.touch(made, &made.token, now).await,
        3 => {
            bench.renew(made, made.token, now).await.ok();
        }
        _ => {
            let rotated = bench.rotate(made, Rotation::Immediate, now).await;
            if let Ok(token) = rotated {
                bench.touch(made, &token, now).await;
            }
        }
    }
}

pub async fn s06_a_revoked_session_beats_writes_in_flight(bench: Bench) {
    for _ in 0..4 {
        let made = bench.sign_in("u1").await;
        let session = made.clone();
        bench.parallel(10, move |bench, index| {
            let session = session.clone();
            async move { write_at_random(&bench, &session, index).await }
        });
        let now = T0.plus(MICROSECOND);
        assert!(!bench.lives(&made.token, now).await);
        assert_eq!(bench.count("u1", now).await, 0);
    }
}

pub async fn everyone_is_revoked_in_one_write(bench: Bench) {
    let first = bench.sign_in("u1").await;
    let second = bench.sign_in("u2").await;
    let mut anonymous = bench.draft("u1");
    anonymous.identity.subject = None;
    let anonymous = bench.make(anonymous).await;
    let ended = bench.sign_in("u1").await;
    bench.revoke(ended.id(), T0).await;
    let all = operator();
    let answer = bench.store.revoke_all(&bench.tenant, None, all, T0).await;
    assert_eq!(answer, Ok(Ok(3)));
    for made in [first, second, anonymous] {
        assert!(bench.cause(&made.token, T0).await.is_some());
    }
    let later = bench.sign_in("u1").await;
    assert!(bench.lives(&later.token, T0).await);
}

pub async fn revoking_everyone_checks_the_number(bench: Bench) {
    let made = bench.sign_in("u1").await;
    for wrong in [0, 2] {
        let expected = Some(wrong);
        let answer = bench
            .store
            .revoke_all(&bench.tenant, expected, operator(), T0);
        assert_eq!(answer.await, Ok(Err(1)), "{wrong}");
    }
    assert!(bench.lives(&made.token, T0).await);
    let answer = bench
        .store
        .revoke_all(&bench.tenant, Some(1), operator(), T0);
    assert_eq!(answer.await, Ok(Ok(1)));
    assert!(!bench.lives(&made.token, T0).await);
}

pub async fn who_revoked_first_stays_on_record(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let other = bench.sign_in("u1").await;
    bench.revoke(made.id(), T0).await;
    bench.revoke_subject("u1", T0.plus(MICROSECOND)).await;
    let now = T0.plus(MICROSECOND * 2);
    let tenant = &bench.tenant;
    let answer = bench.store.revoke_all(tenant, None, operator(), now).await;
    assert_eq!(answer, Ok(Ok(0)));
    assert_eq!(bench.revoke(other.id(), now).await, Some(false));
    let cause = bench.cause(&made.token, now).await;
    assert_eq!(cause, Some(RevocationCause::Revoked));
    let cause = bench.cause(&other.token, now).await;
    assert_eq!(cause, Some(RevocationCause::SubjectRevoked));
}
