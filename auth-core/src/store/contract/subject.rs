//! Logging out everywhere: one write that covers every session made before it.

use super::{Bench, IDLE, MICROSECOND, T0, everywhere, operator, principal};
use crate::{
    principal::Principal,
    session::{Expiry, Revocation, RevocationCause, SessionId},
    store::{Death, Ending},
};

async fn all_but(bench: &Bench, except: &SessionId) -> u64 {
    let (tenant, subject) = (&bench.tenant, principal("u1"));
    let answer = bench
        .store
        .revoke_subject(tenant, &subject, Some(except), everywhere(), T0);
    answer.await.unwrap()
}

pub async fn all_of_a_subjects_sessions_end_in_one_write(bench: Bench) {
    let sessions = [bench.sign_in("u1").await, bench.sign_in("u1").await];
    assert_eq!(bench.revoke_subject("u1", T0).await, 2);
    let Ending { by, cause, reason } = everywhere();
    let death = Some(Death::Revoked(Revocation {
        at: T0,
        by,
        cause,
        reason,
    }));
    for made in &sessions {
        assert_eq!(bench.death(&made.token, T0).await, death);
    }
}

pub async fn the_excepted_session_lives(bench: Bench) {
    let kept = bench.sign_in("u1").await;
    let ended = bench.sign_in("u1").await;
    assert_eq!(all_but(&bench, kept.id()).await, 1);
    assert!(bench.lives(&kept.token, T0).await);
    assert!(!bench.lives(&ended.token, T0).await);
    assert_eq!(bench.revoke_subject("u1", T0).await, 1);
    assert!(!bench.lives(&kept.token, T0).await);
}

pub async fn an_exception_spares_no_one_elses_session(bench: Bench) {
    let other = bench.sign_in("u2").await;
    let dead = bench.sign_in("u1").await;
    bench.revoke(dead.id(), T0).await;
    let live = bench.sign_in("u1").await;
    assert_eq!(all_but(&bench, other.id()).await, 1);
    let again = bench.sign_in("u1").await;
    assert_eq!(all_but(&bench, dead.id()).await, 1);
    for made in [dead, live, again] {
        assert!(!bench.lives(&made.token, T0).await);
    }
    assert!(bench.lives(&other.token, T0).await);
}

pub async fn other_subjects_are_left_alone(bench: Bench) {
    let other = bench.sign_in("u2").await;
    assert_eq!(bench.revoke_subject("u1", T0).await, 0);
    assert!(bench.lives(&other.token, T0).await);
}

pub async fn the_same_id_in_another_namespace_is_left_alone(bench: Bench) {
    let mut elsewhere = bench.draft("u1");
    elsewhere.identity.subject = Some(Principal::new("idp", "u1").unwrap());
    let elsewhere = bench.make(elsewhere).await;
    bench.revoke_subject("u1", T0).await;
    assert!(bench.lives(&elsewhere.token, T0).await);
}

pub async fn a_sign_in_after_it_lives(bench: Bench) {
    bench.revoke_subject("u1", T0).await;
    let made = bench.sign_in("u1").await;
    assert!(bench.lives(&made.token, T0).await);
}

pub async fn sign_ins_in_flight_end_or_come_after(bench: Bench) {
    // Whatever the order: a session is dead when the revocation was acknowledged after it was.
    let answers = bench.parallel(20, |bench, index| async move {
        if index % 4 == 0 {
            bench.revoke_subject("u1", T0).await;
            return None;
        }
        Some(bench.sign_in("u1").await)
    });
    bench.revoke_subject("u1", T0).await;
    for made in answers.into_iter().flatten() {
        assert!(!bench.lives(&made.token, T0).await);
    }
    assert_eq!(bench.count("u1", T0).await, 0);
}

pub async fn who_ended_a_session_before_stays_on_record(bench: Bench) {
    let made = bench.sign_in("u1").await;
    bench.revoke_subject("u1", T0).await;
    let first = bench.death(&made.token, T0).await;
    let now = T0.plus(MICROSECOND);
    let (tenant, subject) = (&bench.tenant, principal("u1"));
    let again = bench
        .store
        .revoke_subject(tenant, &subject, None, operator(), now);
    assert_eq!(again.await, Ok(0));
    assert_eq!(bench.death(&made.token, now).await, first);
    let cause = bench.cause(&made.token, now).await;
    assert_eq!(cause, Some(RevocationCause::SubjectRevoked));
}

pub async fn a_session_that_had_expired_stays_expired(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let now = T0.plus(IDLE);
    assert_eq!(bench.revoke_subject("u1", now).await, 0);
    let death = Death::Expired {
        limit: Expiry::Idle,
    };
    assert_eq!(bench.death(&made.token, now).await, Some(death));
}

pub async fn the_time_is_kept_for_tokens_of_others(bench: Bench) {
    let (tenant, subject) = (&bench.tenant, principal("u1"));
    let never = bench.store.subject_revoked_at(tenant, &subject).await;
    assert_eq!(never, Ok(None));
    let last = T0.plus(MICROSECOND);
    bench.revoke_subject("u1", T0).await;
    bench.revoke_subject("u1", last).await;
    let at = bench.store.subject_revoked_at(tenant, &subject).await;
    assert_eq!(at, Ok(Some(last)));
    let other = principal("u2");
    let never = bench.store.subject_revoked_at(tenant, &other).await;
    assert_eq!(never, Ok(None));
}

pub async fn revoking_everyone_counts_for_tokens_of_others(bench: Bench) {
    let (tenant, now) = (&bench.tenant, T0.plus(MICROSECOND));
    bench.revoke_subject("u1", T0).await;
    let all = bench.store.revoke_all(tenant, None, operator(), now).await;
    assert_eq!(all, Ok(Ok(0)));
    for subject in ["u1", "u2"] {
        let subject = principal(subject);
        let at = bench.store.subject_revoked_at(tenant, &subject).await;
        assert_eq!(at, Ok(Some(now)), "{subject}");
    }
}
