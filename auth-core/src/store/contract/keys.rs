//! API keys (T-19).

use std::sync::Arc;

use super::{Bench, MICROSECOND, T0, everywhere, is_taken, object, operator, principal};
use crate::{
    session::{MAX_RECORD_BYTES, Revocation},
    store::{ApiKey, Changes, CreateError, Death, EventKind},
};

pub(super) fn draft(bench: &Bench) -> ApiKey {
    ApiKey {
        id: bench.id(),
        tenant: bench.tenant.clone(),
        hash: bench.token(),
        name: "nightly build".to_owned(),
        subject: principal("robot"),
        claims: object("team", "core"),
        scopes: vec!["read".to_owned()],
        all_scopes: false,
        created_at: T0,
        created_by: "operator/ann".to_owned(),
        expires_at: None,
        revoked: None,
    }
}

async fn found(bench: &Bench, key: &ApiKey) -> Arc<ApiKey> {
    let found = bench.store.load_key(&bench.tenant, &key.hash).await;
    found.unwrap().unwrap()
}

pub async fn a_key_is_found_by_its_hash(bench: Bench) {
    let mut key = draft(&bench);
    key.expires_at = Some(T0.plus(MICROSECOND));
    bench.store.create_key(key.clone()).await.unwrap();
    assert_eq!(*found(&bench, &key).await, key);
    let stranger = bench.store.load_key(&bench.tenant, &bench.token()).await;
    assert_eq!(stranger, Ok(None));
}

pub async fn a_key_is_never_changed_by_create(bench: Bench) {
    let key = draft(&bench);
    bench.store.create_key(key.clone()).await.unwrap();
    let mut same_id = draft(&bench);
    same_id.id = key.id;
    assert!(is_taken(&bench.store.create_key(same_id).await));
    let mut same_hash = draft(&bench);
    same_hash.hash = key.hash;
    assert!(is_taken(&bench.store.create_key(same_hash).await));
    let mut big = draft(&bench);
    big.claims = object("pad", &"x".repeat(MAX_RECORD_BYTES));
    let refused = bench.store.create_key(big).await;
    assert!(matches!(refused, Err(CreateError::TooLarge(_))));
    assert_eq!(*found(&bench, &key).await, key);
}

pub async fn a_revoked_key_tells_who_and_why(bench: Bench) {
    let key = draft(&bench);
    bench.store.create_key(key.clone()).await.unwrap();
    let (tenant, ending) = (&bench.tenant, operator());
    let first = bench.store.revoke_key(tenant, &key.id, ending, T0).await;
    assert_eq!(first, Ok(Some(true)));
    let again = bench.store.revoke_key(tenant, &key.id, everywhere(), T0);
    assert_eq!(again.await, Ok(Some(false)));
    let death = found(&bench, &key).await.death(T0);
    let ending = operator();
    let expected = Death::Revoked(Revocation {
        at: T0,
        by: ending.by,
        cause: ending.cause,
        reason: ending.reason,
    });
    assert_eq!(death, Some(expected));
}

pub async fn a_key_ends_with_its_time(bench: Bench) {
    let mut key = draft(&bench);
    let end = T0.plus(MICROSECOND);
    key.expires_at = Some(end);
    bench.store.create_key(key.clone()).await.unwrap();
    let held = found(&bench, &key).await;
    assert_eq!(held.death(T0), None);
    assert!(held.death(end).is_some());
    let (tenant, ending) = (&bench.tenant, operator());
    let revoked = bench.store.revoke_key(tenant, &key.id, ending, end).await;
    assert_eq!(revoked, Ok(Some(false)));
}

pub async fn keys_are_listed_in_pages(bench: Bench) {
    let keys = [draft(&bench), draft(&bench), draft(&bench)];
    for key in &keys {
        bench.store.create_key(key.clone()).await.unwrap();
    }
    let first = bench.store.list_keys(&bench.tenant, None, 2).await;
    assert_eq!(first.unwrap(), keys[..2]);
    let after = Some(&keys[1].id);
    let rest = bench.store.list_keys(&bench.tenant, after, 2).await;
    assert_eq!(rest.unwrap(), keys[2..]);
}

pub async fn an_unknown_key_cannot_be_revoked(bench: Bench) {
    let id = bench.id();
    let answer = bench.store.revoke_key(&bench.tenant, &id, operator(), T0);
    assert_eq!(answer.await, Ok(None));
}

pub async fn keys_have_their_events(bench: Bench) {
    let start = bench.store.position().await.unwrap();
    let key = draft(&bench);
    bench.store.create_key(key.clone()).await.unwrap();
    let revoked = bench
        .store
        .revoke_key(&bench.tenant, &key.id, operator(), T0);
    revoked.await.unwrap();
    let changes = bench.store.watch(&bench.tenant, start, 9).await.unwrap();
    let Changes::Events(events) = changes else {
        panic!("reset");
    };
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::KeyCreated, EventKind::KeyRevoked]);
    let about: Vec<_> = events.iter().map(|event| event.session).collect();
    assert_eq!(about, [Some(key.id), Some(key.id)]);
}
