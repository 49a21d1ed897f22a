//! What use and renewal never do to a session's limits (S-07, S-18).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::time::Duration;

use auth_core::{
    clock::Timestamp,
    principal::Principal,
    session::{Identity, JsonObject, SessionId, SessionRecord, Tenant, TokenHash, TokenKind},
    store::{Loaded, NewSession, Rotation, SessionStore as _, memory::MemoryStore},
};
use proptest::{collection::vec, prelude::*};

const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
const OVERLAP: Duration = Duration::from_secs(10);

/// What is done to a session, after this many seconds.
#[derive(Clone, Copy, Debug)]
enum Act {
    Touch(u64),
    Renew(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let seconds = 0..4000_u64;
    prop_oneof![
        3 => seconds.clone().prop_map(Act::Touch),
        1 => seconds.prop_map(Act::Renew),
    ]
}

fn new(lifetime: u64, idle: u64) -> NewSession {
    NewSession {
        id: SessionId::from_bytes([1; 16]),
        tenant: Tenant::default(),
        token: TokenHash::of(&[0]),
        kind: TokenKind::Cookie,
        strategy: None,
        identity: Identity {
            subject: Some(Principal::local("u1").unwrap()),
            auth_time: Some(START),
            ..Identity::default()
        },
        attributes: JsonObject::new(),
        expires_at: START.plus(Duration::from_secs(lifetime)),
        idle: Duration::from_secs(idle),
        replaces: None,
        replaces_version: None,
        limit: None,
        request: None,
        by: "shop".into(),
    }
}

/// What a session is after these acts, each by its present token, and the last moment.
async fn after(acts: &[Act], lifetime: u64, idle: u64) -> (Vec<SessionRecord>, bool, Timestamp) {
    let (store, tenant) = (MemoryStore::default(), Tenant::default());
    let made = store
        .create(new(lifetime, idle), START)
        .await
        .unwrap()
        .record;
    let (mut token, mut now, mut seen) = (TokenHash::of(&[0]), START, vec![made]);
    let id = SessionId::from_bytes([1; 16]);
    for (number, act) in (1_u32..).zip(acts) {
        let (Act::Touch(passed) | Act::Renew(passed)) = act;
        now = now.plus(Duration::from_secs(*passed));
        if matches!(act, Act::Renew(_)) {
            let next = TokenHash::of(&number.to_be_bytes());
            let presented = Rotation::Renewal { presented: token };
            let renewed = store
                .rotate(&tenant, &id, None, next, presented, "shop", now)
                .await;
            if renewed.is_ok() {
                token = next;
            }
        }
        store
            .touch(&tenant, &id, &token, OVERLAP, now)
            .await
            .unwrap();
        let listed = store.get(&tenant, &id, now).await.unwrap();
        seen.extend(listed.map(|listed| listed.record));
    }
    let loaded = store.load(&tenant, TokenKind::Cookie, &token, now).await;
    let lives = matches!(loaded.unwrap(), Loaded::Live { .. });
    (seen, lives, now)
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

proptest! {
    #[test]
    fn s07_no_use_carries_a_session_past_its_lifetime(
        acts in vec(act(), 0..60),
        lifetime in 1_u64..90_000,
        idle in 1_u64..8000,
    ) {
        let (seen, lives, now) = run(after(&acts, lifetime, idle));
        let end = START.plus(Duration::from_secs(lifetime));
        for record in &seen {
            prop_assert!(record.ends_at() <= end);
        }
        prop_assert!(!lives || now < end);
    }

    #[test]
    fn s18_no_use_or_renewal_moves_sign_in_or_lifetime(acts in vec(act(), 0..60)) {
        let (seen, ..) = run(after(&acts, 86_400, 3600));
        let made = &seen[0];
        for record in &seen {
            prop_assert_eq!(record.identity.auth_time, Some(START));
            prop_assert_eq!(record.created_at, START);
            prop_assert_eq!(record.expires_at, made.expires_at);
            prop_assert_eq!(&record.identity, &made.identity);
        }
    }
}
