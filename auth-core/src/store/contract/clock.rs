//! The clock may jump; nothing comes back by it (SECURITY 5.4).

use std::time::Duration;

use super::{Bench, IDLE, MICROSECOND, T0};
use crate::{clock::Timestamp, store::rules::CLOCK_LEEWAY};

pub async fn a_clock_set_back_revives_nothing(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let late = T0.plus(IDLE).plus(CLOCK_LEEWAY);
    assert!(!bench.lives(&made.token, late).await);
    for back in [Duration::from_hours(1), Duration::from_hours(87_600)] {
        let now = late.minus(back);
        assert!(!bench.lives(&made.token, now).await, "{back:?}");
        bench.touch(&made, &made.token, now).await;
        assert!(bench.patch(made.id(), None, "cart", now).await.is_err());
    }
}

pub async fn a_clock_set_back_within_the_leeway_is_followed(bench: Bench) {
    let made = bench.sign_in("u1").await;
    bench.store.sweep(1, T0.plus(CLOCK_LEEWAY)).await.unwrap();
    let now = T0.plus(MICROSECOND);
    bench.touch(&made, &made.token, now).await;
    let found = bench.store.get(&bench.tenant, made.id(), now).await;
    assert_eq!(found.unwrap().unwrap().record.last_seen, now);
}

pub async fn times_at_the_ends_of_the_range_do_no_harm(bench: Bench) {
    let mut new = bench.draft("u1");
    new.expires_at = Timestamp::MAX;
    new.idle = Duration::MAX;
    let first = Timestamp::EPOCH;
    let token = new.token;
    bench.store.create(new, first).await.unwrap();
    assert!(bench.lives(&token, T0).await);
    assert!(!bench.lives(&token, Timestamp::MAX).await);
    bench.store.sweep(10, Timestamp::MAX).await.unwrap();
    assert!(!bench.lives(&token, Timestamp::from_micros(i64::MIN)).await);
}
