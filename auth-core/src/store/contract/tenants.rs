//! Tenants never meet, by no verb.

use std::pin::pin;

use super::{
    Bench, OVERLAP, SignedIn, T0, everywhere, foreign, is_waiting, keys, operator, principal,
};
use crate::{
    session::JsonObject,
    store::{
        BeyondLimit, CreateError, Loaded, Page, Rotation, SessionFilter, SubjectLimit, UpdateError,
    },
};

async fn two(bench: &Bench) -> (SignedIn, Bench) {
    (bench.sign_in("u1").await, bench.as_tenant("other"))
}

pub async fn sessions_do_not_meet(bench: Bench) {
    let (made, other) = two(&bench).await;
    assert_eq!(other.load(&made.token, T0).await, Loaded::Unknown);
    let found = other.store.get(&other.tenant, made.id(), T0).await;
    assert_eq!(found, Ok(None));
}

pub async fn changes_do_not_meet(bench: Bench) {
    let (made, other) = two(&bench).await;
    let gone = Err(UpdateError::Gone);
    assert_eq!(other.patch(made.id(), None, "cart", T0).await, gone);
    let rotated = other.rotate(&made, Rotation::Immediate, T0).await;
    assert_eq!(rotated, Err(UpdateError::Gone));
    other.touch(&made, &made.token, T0.plus(OVERLAP)).await;
    let found = bench.store.get(&bench.tenant, made.id(), T0).await.unwrap();
    assert_eq!(found.unwrap().record, made.record);
}

pub async fn revocations_do_not_meet(bench: Bench) {
    let (made, other) = two(&bench).await;
    assert_eq!(other.revoke(made.id(), T0).await, None);
    assert_eq!(other.revoke_subject("u1", T0).await, 0);
    let all = other.store.revoke_all(&other.tenant, None, operator(), T0);
    assert_eq!(all.await, Ok(Ok(0)));
    let mut replacing = other.draft("u1");
    replacing.replaces = Some(made.record.id);
    let refused = other.store.create(replacing, T0).await;
    assert_eq!(refused, Err(CreateError::Gone));
    assert!(bench.lives(&made.token, T0).await);
    let subject = principal("u1");
    let at = bench
        .store
        .subject_revoked_at(&bench.tenant, &subject)
        .await;
    assert_eq!(at, Ok(None));
}

pub async fn lists_and_counts_do_not_meet(bench: Bench) {
    let (_, other) = two(&bench).await;
    assert_eq!(other.count("u1", T0).await, 0);
    assert_eq!(other.store.count(&other.tenant, None, T0).await, Ok(0));
    let filter = SessionFilter {
        subject: None,
        include_ended: true,
    };
    let page = other.store.list(&other.tenant, &filter, None, 9, T0).await;
    assert_eq!(page, Ok(Page::default()));
}

pub async fn events_do_not_meet(bench: Bench) {
    let start = bench.store.position().await.unwrap();
    let (_, other) = two(&bench).await;
    let watching = pin!(other.store.watch(&other.tenant, start, 9));
    assert!(is_waiting(watching));
}

pub async fn requests_and_limits_do_not_meet(bench: Bench) {
    let other = bench.as_tenant("other");
    let request = Some(bench.token());
    let mut made = Vec::new();
    for side in [&bench, &other] {
        let mut new = side.draft("u1");
        new.request = request;
        new.limit = Some(SubjectLimit {
            max: 1,
            beyond: BeyondLimit::Refuse,
        });
        made.push(side.make(new).await);
    }
    assert_ne!(made[0].record.id, made[1].record.id);
    assert!(bench.lives(&made[0].token, T0).await);
    assert!(other.lives(&made[1].token, T0).await);
}

pub async fn keys_do_not_meet(bench: Bench) {
    let other = bench.as_tenant("other");
    let key = keys::draft(&bench);
    bench.store.create_key(key.clone()).await.unwrap();
    let (store, tenant) = (&other.store, &other.tenant);
    assert_eq!(store.load_key(tenant, &key.hash).await, Ok(None));
    assert_eq!(store.list_keys(tenant, None, 9).await, Ok(Vec::new()));
    let revoked = store.revoke_key(tenant, &key.id, operator(), T0).await;
    assert_eq!(revoked, Ok(None));
}

pub async fn foreign_tokens_do_not_meet(bench: Bench) {
    let other = bench.as_tenant("other");
    let (one, end) = (foreign::session("u1"), foreign::until());
    foreign::refuse(&bench, foreign::jti("t1"), end, everywhere()).await;
    let set = foreign::set(&bench, &one, None, foreign::patch("cart")).await;
    set.unwrap();
    let handles = [foreign::jti("t1")];
    let there = foreign::revocation(&other, foreign::ISSUER, &handles, T0).await;
    assert_eq!(there, None);
    let there = foreign::attributes(&other, &one, T0).await;
    assert_eq!(there, (JsonObject::new(), 0));
}

pub async fn one_id_and_token_may_stand_in_two_tenants(bench: Bench) {
    let (made, other) = two(&bench).await;
    let mut twin = other.draft("u2");
    twin.id = made.record.id;
    twin.token = made.token;
    other.make(twin).await;
    other.revoke(made.id(), T0).await;
    assert!(bench.lives(&made.token, T0).await);
    assert!(!other.lives(&made.token, T0).await);
}
