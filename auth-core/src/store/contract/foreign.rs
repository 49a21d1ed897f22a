//! Tokens that others issue (R18).

use super::{Bench, MICROSECOND, T0, everywhere, object, operator};
use crate::{
    clock::Timestamp,
    session::{JsonObject, MAX_RECORD_BYTES, Revocation},
    store::{Change, Ending, ForeignHandle, ForeignSession, UpdateError},
};

pub(super) const ISSUER: &str = "https://idp.example";

pub(super) fn jti(text: &str) -> ForeignHandle {
    ForeignHandle::Jti(text.to_owned())
}

pub(super) fn session(subject: &str) -> ForeignSession {
    ForeignSession {
        issuer: ISSUER.to_owned(),
        subject: subject.to_owned(),
        discriminator: "s1".to_owned(),
    }
}

pub(super) fn until() -> Timestamp {
    T0.plus(MICROSECOND * 10)
}

pub(super) async fn refuse(bench: &Bench, handle: ForeignHandle, end: Timestamp, why: Ending) {
    let answer = bench
        .store
        .revoke_foreign(&bench.tenant, ISSUER, handle, end, why, T0);
    answer.await.unwrap();
}

pub(super) async fn revocation(
    bench: &Bench,
    issuer: &str,
    handles: &[ForeignHandle],
    now: Timestamp,
) -> Option<Revocation> {
    let answer = bench
        .store
        .foreign_revocation(&bench.tenant, issuer, handles, now);
    answer.await.unwrap()
}

pub(super) async fn set(
    bench: &Bench,
    session: &ForeignSession,
    expected: Option<u64>,
    change: Change,
) -> Result<(JsonObject, u64), UpdateError> {
    let answer = bench
        .store
        .update_foreign(&bench.tenant, session, expected, change, until(), T0);
    answer.await
}

pub(super) fn patch(key: &str) -> Change {
    Change::PatchAttributes {
        set: object(key, "set"),
        remove: Vec::new(),
    }
}

pub(super) async fn attributes(
    bench: &Bench,
    session: &ForeignSession,
    now: Timestamp,
) -> (JsonObject, u64) {
    let answer = bench.store.foreign_attributes(&bench.tenant, session, now);
    answer.await.unwrap()
}

pub async fn a_revoked_foreign_token_is_refused_until_it_has_expired(bench: Bench) {
    refuse(&bench, jti("t1"), until(), operator()).await;
    let before = until().minus(MICROSECOND);
    let revocation_then = revocation(&bench, ISSUER, &[jti("t1")], before).await;
    assert_eq!(revocation_then.map(|held| held.by), Some(operator().by));
    let after = revocation(&bench, ISSUER, &[jti("t1")], until()).await;
    assert_eq!(after, None);
    while !bench.store.sweep(1, until()).await.unwrap().is_empty() {}
    let swept = revocation(&bench, ISSUER, &[jti("t1")], until()).await;
    assert_eq!(swept, None);
}

pub async fn any_of_the_handles_counts(bench: Bench) {
    let sid = ForeignHandle::Sid("t1".to_owned());
    refuse(&bench, sid.clone(), until(), operator()).await;
    let both = [jti("t1"), sid];
    assert!(revocation(&bench, ISSUER, &both, T0).await.is_some());
    assert_eq!(revocation(&bench, ISSUER, &both[..1], T0).await, None);
    assert_eq!(revocation(&bench, ISSUER, &[], T0).await, None);
}

pub async fn a_handle_belongs_to_its_issuer(bench: Bench) {
    refuse(&bench, jti("t1"), until(), operator()).await;
    let other = revocation(&bench, "https://other.example", &[jti("t1")], T0).await;
    assert_eq!(other, None);
}

pub async fn revoking_again_keeps_who_and_why_and_the_later_end(bench: Bench) {
    refuse(&bench, jti("t1"), until(), operator()).await;
    let later = until().plus(MICROSECOND);
    refuse(&bench, jti("t1"), later, everywhere()).await;
    refuse(&bench, jti("t1"), T0, everywhere()).await;
    let held = revocation(&bench, ISSUER, &[jti("t1")], until()).await;
    assert_eq!(held.map(|held| held.reason), Some(operator().reason));
}

pub async fn attributes_are_kept_across_renewals(bench: Bench) {
    let one = session("u1");
    assert_eq!(attributes(&bench, &one, T0).await, (JsonObject::new(), 0));
    set(&bench, &one, Some(0), patch("cart")).await.unwrap();
    let second = set(&bench, &one, None, patch("lang")).await.unwrap();
    let mut expected = object("cart", "set");
    expected.extend(object("lang", "set"));
    assert_eq!(second, (expected, 2));
    assert_eq!(attributes(&bench, &one, T0).await, second);
}

pub async fn attributes_are_forgotten_after_their_time(bench: Bench) {
    let one = session("u1");
    set(&bench, &one, None, patch("cart")).await.unwrap();
    let nothing = (JsonObject::new(), 0);
    assert_eq!(attributes(&bench, &one, until()).await, nothing);
    let swept = bench.store.sweep(10, until()).await.unwrap();
    assert_eq!(swept.removed, 1);
    assert_eq!(attributes(&bench, &one, until()).await, nothing);
}

pub async fn a_stale_version_of_attributes_is_a_conflict(bench: Bench) {
    let one = session("u1");
    set(&bench, &one, None, patch("cart")).await.unwrap();
    for stale in [0, 2] {
        let refused = set(&bench, &one, Some(stale), patch("lang")).await;
        assert_eq!(refused, Err(UpdateError::Conflict { current: 1 }));
    }
}

pub async fn replacing_attributes_needs_a_version(bench: Bench) {
    let one = session("u1");
    let all = Change::ReplaceAttributes(object("cart", "full"));
    let refused = set(&bench, &one, None, all.clone()).await;
    assert_eq!(refused, Err(UpdateError::Conflict { current: 0 }));
    assert!(set(&bench, &one, Some(0), all).await.is_ok());
}

pub async fn attributes_may_not_grow_over_16_kib(bench: Bench) {
    let big = Change::ReplaceAttributes(object("pad", &"x".repeat(MAX_RECORD_BYTES)));
    let refused = set(&bench, &session("u1"), Some(0), big).await;
    assert!(matches!(refused, Err(UpdateError::TooLarge(_))));
}

pub async fn foreign_sessions_differ_by_each_part(bench: Bench) {
    let one = session("u1");
    set(&bench, &one, None, patch("cart")).await.unwrap();
    let (mut issuer, mut discriminator) = (one.clone(), one);
    issuer.issuer = "https://other.example".to_owned();
    discriminator.discriminator = String::new();
    for other in [issuer, session("u2"), discriminator] {
        let nothing = (JsonObject::new(), 0);
        assert_eq!(attributes(&bench, &other, T0).await, nothing, "{other:?}");
    }
}
