//! Sessions come into being by `create` alone.

use std::time::Duration;

use super::{Bench, IDLE, LIFETIME, MICROSECOND, T0, is_taken, object, principal};
use crate::{
    session::{Identity, MAX_RECORD_BYTES, RevocationCause},
    store::{
        BeyondLimit, CreateError, Loaded, NewSession, SubjectLimit, TokenRole, record_bytes,
        rules::REQUEST_WINDOW,
    },
};

pub async fn a_new_session_is_live_with_what_it_was_given(bench: Bench) {
    let new = bench.draft("u1");
    let made = bench.make(new.clone()).await;
    let record = &made.record;
    assert_eq!(record.id, new.id);
    assert_eq!(record.tenant, new.tenant);
    assert_eq!((record.kind, &record.strategy), (new.kind, &new.strategy));
    assert_eq!(record.identity, new.identity);
    assert_eq!(record.attributes, new.attributes);
    assert_eq!((record.created_at, record.last_seen), (T0, T0));
    assert_eq!((record.token_issued_at, record.version), (T0, 1));
    assert_eq!((record.expires_at, record.idle), (T0.plus(LIFETIME), IDLE));
    let role = TokenRole::Current;
    let record = record.clone().into();
    let live = Loaded::Live { record, role };
    assert_eq!(bench.load(&made.token, T0).await, live);
}

pub async fn an_anonymous_session_can_be_made(bench: Bench) {
    let mut new = bench.draft("u1");
    new.identity = Identity::default();
    let made = bench.make(new).await;
    assert_eq!(made.record.identity, Identity::default());
    assert!(bench.lives(&made.token, T0).await);
}

pub async fn an_id_that_is_taken_is_refused(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let mut other = bench.draft("u2");
    other.id = made.record.id;
    let token = other.token;
    assert!(is_taken(&bench.store.create(other, T0).await));
    assert_eq!(bench.load(&token, T0).await, Loaded::Unknown);
    let found = bench.store.get(&bench.tenant, made.id(), T0).await.unwrap();
    assert_eq!(found.unwrap().record, made.record);
}

pub async fn a_token_that_is_taken_is_refused(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let mut other = bench.draft("u2");
    other.token = made.token;
    let id = other.id;
    assert!(is_taken(&bench.store.create(other, T0).await));
    let found = bench.store.get(&bench.tenant, &id, T0).await.unwrap();
    assert_eq!(found, None);
}

pub async fn a_dead_session_keeps_its_id_and_token_taken(bench: Bench) {
    let made = bench.sign_in("u1").await;
    bench.revoke(made.id(), T0).await;
    let mut same_id = bench.draft("u1");
    same_id.id = made.record.id;
    assert!(is_taken(&bench.store.create(same_id, T0).await));
    let mut same_token = bench.draft("u1");
    same_token.token = made.token;
    assert!(is_taken(&bench.store.create(same_token, T0).await));
    assert!(!bench.lives(&made.token, T0).await);
}

pub async fn a_record_over_16_kib_is_refused(bench: Bench) {
    let mut new = bench.draft("u1");
    new.attributes = object("pad", "");
    let room = MAX_RECORD_BYTES - record_bytes(&new.identity, &new.attributes);
    new.attributes = object("pad", &"x".repeat(room + 1));
    let refused = bench.store.create(new.clone(), T0).await;
    assert_eq!(refused, Err(CreateError::TooLarge(MAX_RECORD_BYTES + 1)));
    new.attributes = object("pad", &"x".repeat(room));
    assert!(bench.store.create(new, T0).await.is_ok());
}

pub async fn replacing_ends_the_old_session(bench: Bench) {
    let old = bench.sign_in("u1").await;
    let mut new = bench.draft("u1");
    new.replaces = Some(old.record.id);
    let new = bench.make(new).await;
    assert!(bench.lives(&new.token, T0).await);
    let cause = bench.cause(&old.token, T0).await;
    assert_eq!(cause, Some(RevocationCause::Replaced));
}

pub async fn a_refused_sign_in_leaves_the_old_session_alone(bench: Bench) {
    let old = bench.sign_in("u1").await;
    let mut taken = bench.draft("u1");
    taken.replaces = Some(old.record.id);
    taken.token = bench.sign_in("u2").await.token;
    assert!(is_taken(&bench.store.create(taken, T0).await));
    let mut refused = bench.draft("u2");
    refused.replaces = Some(old.record.id);
    refused.limit = Some(SubjectLimit {
        max: 1,
        beyond: BeyondLimit::Refuse,
    });
    assert!(bench.store.create(refused, T0).await.is_err());
    assert!(bench.lives(&old.token, T0).await);
}

pub async fn replacing_an_unknown_session_is_refused(bench: Bench) {
    let mut new = bench.draft("u1");
    new.replaces = Some(bench.id());
    let token = new.token;
    let refused = bench.store.create(new, T0).await;
    assert_eq!(refused, Err(CreateError::Gone));
    assert_eq!(bench.load(&token, T0).await, Loaded::Unknown);
}

pub async fn s20_a_session_that_changed_is_not_replaced(bench: Bench) {
    let old = bench.sign_in("u1").await;
    let mut new = bench.draft("u1");
    new.replaces = Some(old.record.id);
    new.replaces_version = Some(old.record.version + 1);
    let refused = bench.store.create(new.clone(), T0).await;
    let current = old.record.version;
    assert_eq!(refused, Err(CreateError::Conflict { current }));
    assert!(bench.lives(&old.token, T0).await);
    new.replaces_version = Some(current);
    assert!(bench.store.create(new, T0).await.is_ok());
    assert!(!bench.lives(&old.token, T0).await);
}

pub async fn a_session_that_has_ended_is_not_replaced(bench: Bench) {
    let revoked = bench.sign_in("u1").await;
    bench.revoke(revoked.id(), T0).await;
    let everywhere = bench.sign_in("u2").await;
    bench.revoke_subject("u2", T0).await;
    let idle = bench.sign_in("u3").await;
    let cases = [(&revoked, T0), (&everywhere, T0), (&idle, T0.plus(IDLE))];
    for (old, now) in cases {
        let mut new = bench.draft("u4");
        new.replaces = Some(old.record.id);
        let token = new.token;
        let refused = bench.store.create(new, now).await;
        assert_eq!(refused, Err(CreateError::Gone));
        assert_eq!(bench.load(&token, now).await, Loaded::Unknown);
    }
    let cause = bench.cause(&revoked.token, T0).await;
    assert_ne!(cause, Some(RevocationCause::Replaced));
}

pub async fn parallel_sign_ins_replace_a_session_once(bench: Bench) {
    let old = bench.sign_in("u1").await;
    let id = old.record.id;
    let made = bench.parallel(8, |bench, _| async move {
        let mut new = bench.draft("u1");
        new.replaces = Some(id);
        bench.store.create(new, T0).await.is_ok()
    });
    assert_eq!(made.into_iter().filter(|made| *made).count(), 1);
    assert_eq!(bench.count("u1", T0).await, 1);
}

pub async fn parallel_creates_of_one_id_make_one_session(bench: Bench) {
    let id = bench.id();
    let answers = bench.parallel(8, |bench, _| async move {
        let mut new = bench.draft("u1");
        new.id = id;
        bench.store.create(new, T0).await
    });
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    assert_eq!(bench.count("u1", T0).await, 1);
}

fn asked(bench: &Bench) -> NewSession {
    let mut new = bench.draft("u1");
    new.request = Some(bench.token());
    new
}

fn again(bench: &Bench, first: &NewSession) -> NewSession {
    NewSession {
        id: bench.id(),
        token: bench.token(),
        ..first.clone()
    }
}

pub async fn a_retry_gives_the_same_session_with_the_new_token(bench: Bench) {
    let first = asked(&bench);
    let retry = again(&bench, &first);
    let made = bench.make(first).await;
    let now = T0.plus(REQUEST_WINDOW).minus(MICROSECOND);
    let token = retry.token;
    let record = bench.store.create(retry, now).await.unwrap().record;
    assert_eq!((record.id, record.version), (made.record.id, 2));
    assert!(bench.lives(&token, now).await);
    assert!(!bench.lives(&made.token, now).await);
    assert_eq!(bench.count("u1", now).await, 1);
}

pub async fn an_exact_replay_changes_nothing(bench: Bench) {
    let first = asked(&bench);
    let made = bench.make(first.clone()).await;
    let again = bench.make(first).await;
    assert_eq!(again.record, made.record);
    assert!(bench.lives(&made.token, T0).await);
}

pub async fn a_request_is_forgotten_after_ten_minutes(bench: Bench) {
    let first = asked(&bench);
    let later = again(&bench, &first);
    let made = bench.make(first).await;
    let now = T0.plus(REQUEST_WINDOW);
    let record = bench.store.create(later, now).await.unwrap().record;
    assert_ne!(record.id, made.record.id);
    assert!(bench.lives(&made.token, now).await);
}

pub async fn a_retry_after_logout_makes_no_session(bench: Bench) {
    let first = asked(&bench);
    let retry = again(&bench, &first);
    let made = bench.make(first).await;
    bench.revoke(made.id(), T0).await;
    assert!(is_taken(&bench.store.create(retry, T0).await));
    assert_eq!(bench.count("u1", T0).await, 0);
}

pub async fn a_retry_for_another_subject_is_refused(bench: Bench) {
    let first = asked(&bench);
    let mut retry = again(&bench, &first);
    retry.identity.subject = Some(principal("u2"));
    let made = bench.make(first).await;
    assert!(is_taken(&bench.store.create(retry, T0).await));
    assert!(bench.lives(&made.token, T0).await);
}

pub async fn a_retry_for_another_strategy_is_refused(bench: Bench) {
    let first = asked(&bench);
    let mut retry = again(&bench, &first);
    retry.strategy = None;
    let made = bench.make(first).await;
    assert!(is_taken(&bench.store.create(retry, T0).await));
    assert!(bench.lives(&made.token, T0).await);
}

pub async fn parallel_retries_make_one_session(bench: Bench) {
    let request = bench.token();
    let answers = bench.parallel(8, |bench, index| async move {
        let mut new = bench.draft("u1");
        new.request = Some(request);
        let now = T0.plus(Duration::from_millis(index));
        bench.store.create(new, now).await.unwrap().record.id
    });
    assert!(answers.iter().all(|id| *id == answers[0]));
    assert_eq!(bench.count("u1", T0).await, 1);
}
