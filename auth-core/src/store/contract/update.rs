//! Live sessions change by compare-and-set (R16).

use super::{Bench, IDLE, T0, object};
use crate::{
    session::{JsonObject, MAX_RECORD_BYTES, SessionId, SessionRecord},
    store::{Change, UpdateError},
};

async fn replace(
    bench: &Bench,
    id: &SessionId,
    expected: Option<u64>,
    attributes: JsonObject,
) -> Result<SessionRecord, UpdateError> {
    let change = Change::ReplaceAttributes(attributes);
    let answer = bench
        .store
        .update(&bench.tenant, id, expected, change, "shop", T0);
    answer.await
}

pub async fn a_patch_sets_and_removes_single_keys(bench: Bench) {
    let made = bench.sign_in("u1").await;
    bench.patch(made.id(), None, "cart", T0).await.unwrap();
    let change = Change::PatchAttributes {
        set: object("lang", "de"),
        remove: vec!["theme".to_owned(), "unknown".to_owned()],
    };
    let (tenant, id) = (&bench.tenant, made.id());
    let answer = bench.store.update(tenant, id, None, change, "shop", T0);
    let record = answer.await.unwrap();
    let mut expected = object("lang", "de");
    expected.extend(object("cart", "set"));
    assert_eq!((record.attributes, record.version), (expected, 3));
}

pub async fn a_replacement_puts_all_attributes_in_place(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let all = object("lang", "de");
    let record = replace(&bench, made.id(), Some(1), all.clone())
        .await
        .unwrap();
    assert_eq!((record.attributes, record.version), (all, 2));
}

pub async fn a_replacement_needs_a_version(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let refused = replace(&bench, made.id(), None, JsonObject::new()).await;
    assert_eq!(refused, Err(UpdateError::Conflict { current: 1 }));
}

pub async fn a_stale_version_is_a_conflict(bench: Bench) {
    let made = bench.sign_in("u1").await;
    bench.patch(made.id(), Some(1), "cart", T0).await.unwrap();
    for stale in [0, 1, 3] {
        let refused = bench.patch(made.id(), Some(stale), "lang", T0).await;
        let conflict = Err(UpdateError::Conflict { current: 2 });
        assert_eq!(refused, conflict, "version {stale}");
    }
}

pub async fn of_two_writers_with_one_version_one_wins(bench: Bench) {
    let id = bench.sign_in("u1").await.record.id;
    let answers = bench.parallel(8, |bench, index| async move {
        bench.patch(&id, Some(1), &format!("key{index}"), T0).await
    });
    let won: Vec<_> = answers.into_iter().filter_map(Result::ok).collect();
    assert_eq!(won.len(), 1);
    let found = bench.store.get(&bench.tenant, &id, T0).await.unwrap();
    assert_eq!(found.unwrap().record, won[0]);
}

pub async fn patches_in_parallel_all_take_effect(bench: Bench) {
    let id = bench.sign_in("u1").await.record.id;
    bench.parallel(8, |bench, index| async move {
        let key = format!("key{index}");
        bench.patch(&id, None, &key, T0).await.unwrap();
    });
    let found = bench.store.get(&bench.tenant, &id, T0).await.unwrap();
    let record = found.unwrap().record;
    assert_eq!((record.attributes.len(), record.version), (9, 9));
}

pub async fn a_change_leaves_identity_and_tokens_alone(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let record = bench.patch(made.id(), None, "cart", T0).await.unwrap();
    let mut expected = made.record.clone();
    expected.attributes.extend(object("cart", "set"));
    expected.version = 2;
    assert_eq!(record, expected);
    assert!(bench.lives(&made.token, T0).await);
}

pub async fn a_session_that_does_not_live_is_gone(bench: Bench) {
    let unknown = bench.patch(&bench.id(), None, "cart", T0).await;
    assert_eq!(unknown, Err(UpdateError::Gone));
    let revoked = bench.sign_in("u1").await;
    let expired = bench.sign_in("u1").await;
    bench.revoke(revoked.id(), T0).await;
    let refused = bench.patch(revoked.id(), Some(1), "cart", T0).await;
    assert_eq!(refused, Err(UpdateError::Gone));
    let refused = bench.patch(expired.id(), None, "cart", T0.plus(IDLE)).await;
    assert_eq!(refused, Err(UpdateError::Gone));
}

pub async fn a_record_may_not_grow_over_16_kib(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let big = object("pad", &"x".repeat(MAX_RECORD_BYTES));
    let refused = replace(&bench, made.id(), Some(1), big).await;
    assert!(matches!(refused, Err(UpdateError::TooLarge(bytes)) if bytes > MAX_RECORD_BYTES));
    let found = bench.store.get(&bench.tenant, made.id(), T0).await.unwrap();
    assert_eq!(found.unwrap().record, made.record);
}
