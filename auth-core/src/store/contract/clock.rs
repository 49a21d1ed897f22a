//! The clock may jump; nothing comes back by it (SECURITY 5.4).

use std::time::Duration;

use super::{Bench, IDLE, MICROSECOND, T0};
use crate::clock::Timestamp;

pub async fn a_clock_set_back_revives_nothing(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let late = T0.plus(IDLE);
    assert!(!bench.lives(&made.token, late).await);
    for back in [
        MICROSECOND,
        Duration::from_hours(1),
        Duration::from_hours(87_600),
    ] {
        let now = late.minus(back);
        assert!(!bench.lives(&made.token, now).await, "{back:?}");
        bench.touch(&made, &made.token, now).await;
        assert!(bench.patch(made.id(), None, "cart", now).await.is_err());
    }
}

pub async fn while_a_clock_is_behind_time_stands_still(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let ahead = T0.plus(IDLE / 2);
    bench.store.sweep(1, ahead).await.unwrap();
    bench.touch(&made, &made.token, T0.plus(MICROSECOND)).await;
    let found = bench.store.get(&bench.tenant, made.id(), T0).await;
    assert_eq!(found.unwrap().unwrap().record.last_seen, ahead);
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
