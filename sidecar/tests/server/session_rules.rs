//! What holds of every session, whoever asks and by whichever front (SECURITY, S rows).

use std::{collections::BTreeSet, sync::Arc};

use proto::v1;
use tonic::Code;

use crate::visitors::*;

const HOUR: u64 = 3600;

#[tokio::test]
async fn s04_a_token_from_before_a_sign_in_opens_nothing_after_it() {
    for store in STORES {
        let shop = shop(store, "").await;
        let planted = shop.anonymous().await;
        let first = shop
            .try_sign_in("u1", "user", Some(&planted))
            .await
            .unwrap();
        let again = shop.try_sign_in("u1", "user", Some(&first)).await.unwrap();
        let admin = shop.try_sign_in("u1", "admin", Some(&again)).await.unwrap();
        let all = BTreeSet::from([&planted, &first, &again, &admin]);
        assert_eq!(all.len(), 4, "each sign-in gives another token");
        for dead in [&planted, &first, &again] {
            for (front, allowed) in shop.fronts("cookie", dead).await {
                assert!(!allowed, "{front} on {store}");
            }
        }
        for (front, allowed) in shop.fronts("cookie", &admin).await {
            assert!(allowed, "{front} on {store}");
        }
        assert_eq!(shop.list().await.len(), 1, "one session is left of four");
    }
}

/// Use that keeps a session from idling, until this many seconds after it was made.
async fn use_until(shop: &Shop, cookie: &str, idle: u64, end: u64) {
    let mut passed = 0;
    while passed < end {
        let step = (idle - 1).min(end - passed);
        shop.pass(step);
        passed += step;
        if passed < end {
            assert!(shop.knows(cookie).await, "{passed} s");
        }
    }
}

#[tokio::test]
async fn s08_sessions_end_at_their_limits_to_the_second() {
    for (limits, lifetime, idle) in [
        ("", 24 * HOUR, HOUR),
        ("lifetime: 12h, idle: 15m, renew: 0s", 12 * HOUR, 15 * 60),
        ("lifetime: 30d, idle: 7d", 30 * 24 * HOUR, 7 * 24 * HOUR),
    ] {
        let shop = shop("memory: {}", limits).await;
        for (late, lives) in [(-1, true), (0, false), (1, false)] {
            let unused = shop.sign_in("u1").await;
            shop.pass(idle.saturating_add_signed(late));
            assert_eq!(shop.knows(&unused).await, lives, "idle {limits} {late}");
            let used = shop.sign_in("u1").await;
            use_until(
                &shop,
                &used,
                idle,
                lifetime.saturating_add_signed(late.min(0)),
            )
            .await;
            shop.pass(late.max(0).unsigned_abs());
            assert_eq!(shop.knows(&used).await, lives, "lifetime {limits} {late}");
        }
    }
}

#[tokio::test]
async fn s09_whose_subject_is_ended_has_nothing_left() {
    for store in STORES {
        let shop = shop(store, "").await;
        let (cookie, (_, token)) = (shop.sign_in("u1").await, shop.bearer("u1").await.unwrap());
        let bearer = format!("Bearer {token}");
        let key = shop.api_key("u1").await.key;
        let credentials = [
            ("cookie", cookie.as_str()),
            ("authorization", &bearer),
            ("x-api-key", &key),
        ];
        let mut calls = Vec::new();
        for credential in credentials {
            let answer = shop.ask(asked("GET", "/me", Some(credential))).await;
            assert_eq!(answer.decision(), v1::Decision::Allow, "{}", credential.0);
            calls.push(answer.call);
        }
        let other = shop.sign_in("u2").await;
        shop.revoke_subject("u1").await;
        for credential in credentials {
            let answer = shop.ask(asked("GET", "/me", Some(credential))).await;
            assert_eq!(
                answer.outcome(),
                v1::Outcome::Unauthenticated,
                "{}",
                credential.0
            );
        }
        for call in calls {
            let request = v1::GetSessionRequest { call };
            let read = shop.sessions.clone().get_session(request).await;
            let code = read.unwrap_err().code();
            assert!(
                matches!(code, Code::NotFound | Code::FailedPrecondition),
                "{code}"
            );
        }
        assert!(shop.knows(&other).await);
    }
}

#[tokio::test]
async fn s12_a_list_shows_sessions_by_ids_that_open_nothing() {
    let shop = shop("memory: {}", "").await;
    let cookie = shop.sign_in("u1").await;
    let [listed] = shop.list().await.try_into().unwrap();
    let shown = format!("{listed:?}");
    let session = listed.session.unwrap();
    assert_eq!(session.subject, Some(reader("u1")));
    assert!(session.auth_time.is_some() && session.expire_time.is_some());
    assert!(session.idle_expire_time.is_some());
    let (name, token) = cookie.split_once('=').unwrap();
    assert!(!shown.contains(token));
    let id = session.name.rsplit('/').next().unwrap();
    for tried in [id, &session.name] {
        for (header, value) in [
            ("cookie", format!("{name}={tried}")),
            ("authorization", format!("Bearer {tried}")),
        ] {
            let allowed = shop.fronts(header, &value).await;
            assert!(allowed.values().all(|allowed| !allowed), "{header} {tried}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s13_parallel_sign_ins_never_leave_more_than_the_limit() {
    for store in STORES {
        for (beyond, admitted) in [("evict_oldest", 50), ("refuse", 3)] {
            let limits = format!("max_per_subject: 3, beyond_limit: {beyond}");
            let shop = Arc::new(shop(store, &limits).await);
            let mut tasks = Vec::new();
            for _ in 0..50 {
                let shop = shop.clone();
                tasks.push(tokio::spawn(async move {
                    let made = shop.try_sign_in("u1", "user", None).await.is_ok();
                    assert!(shop.list().await.len() <= 3);
                    made
                }));
            }
            let mut made = 0;
            for task in tasks {
                made += u32::from(task.await.unwrap());
            }
            assert_eq!(made, admitted, "{beyond} on {store}");
            assert_eq!(shop.list().await.len(), 3, "{beyond} on {store}");
        }
    }
}

/// `GET /me` with this cookie, a hundred times at once: the cookies that were handed out.
async fn a_hundred(shop: &Arc<Shop>, cookie: &str) -> Vec<String> {
    let mut tasks = Vec::new();
    for _ in 0..100 {
        let (shop, cookie) = (shop.clone(), cookie.to_owned());
        tasks.push(tokio::spawn(async move {
            let answer = shop
                .ask(asked("GET", "/me", Some(("cookie", &cookie))))
                .await;
            assert_eq!(answer.decision(), v1::Decision::Allow);
            handed(&answer.updates)
        }));
    }
    let mut cookies = Vec::new();
    for task in tasks {
        cookies.extend(task.await.unwrap());
    }
    cookies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s16_no_request_fails_across_a_renewal_and_one_successor_wins() {
    for store in STORES {
        let shop = Arc::new(shop(store, "renew: 30m").await);
        let old = shop.sign_in("u1").await;
        shop.pass(30 * 60);
        let handed = a_hundred(&shop, &old).await;
        let mut live = Vec::new();
        for cookie in &handed {
            if shop.knows(cookie).await {
                live.push(cookie.clone());
            }
        }
        assert_eq!(live.len(), 1, "of {} on {store}", handed.len());
        assert_eq!(
            handed.len(),
            1,
            "nobody is given a token that lost, on {store}"
        );
        a_hundred(&shop, &old).await;
        a_hundred(&shop, &live[0]).await;
        shop.pass(11);
        assert!(!shop.knows(&old).await, "after the overlap");
        assert!(shop.knows(&live[0]).await);
    }
}

#[tokio::test]
async fn s19_a_thousand_uses_within_an_interval_are_one_write() {
    let shop = shop("memory: {}", "").await;
    let touches = "sidegate_store_duration_seconds_count{verb=\"touch\"}";
    let cookie = shop.sign_in("u1").await;
    for intervals in 1..=2 {
        // An hour of idling makes an interval of three minutes.
        shop.pass(180);
        for second in 0..1000 {
            if second % 100 == 0 {
                shop.pass(17);
            }
            assert!(shop.knows(&cookie).await);
        }
        assert_eq!(shop.metric(touches).await, intervals);
    }
}
