//! Lists go by id, which goes by age.

use super::{Bench, IDLE, T0, principal};
use crate::{
    clock::Timestamp,
    session::SessionId,
    store::{Page, SessionFilter},
};

async fn page(
    bench: &Bench,
    filter: &SessionFilter,
    after: Option<&SessionId>,
    limit: usize,
    now: Timestamp,
) -> Page {
    let answer = bench.store.list(&bench.tenant, filter, after, limit, now);
    answer.await.unwrap()
}

fn ids(page: &Page) -> Vec<SessionId> {
    let sessions = page.sessions.iter();
    sessions.map(|listed| listed.record.id).collect()
}

pub async fn pages_go_by_id_and_miss_nothing(bench: Bench) {
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(bench.sign_in("u1").await.record.id);
    }
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = page(&bench, &SessionFilter::default(), after.as_ref(), 3, T0).await;
        assert!(page.sessions.len() <= 3);
        seen.extend(ids(&page));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, made);
}

pub async fn pages_stay_stable_while_sessions_come_and_go(bench: Bench) {
    let first = bench.sign_in("u1").await;
    let second = bench.sign_in("u1").await;
    let third = bench.sign_in("u1").await;
    let all = SessionFilter::default();
    let start = page(&bench, &all, None, 2, T0).await;
    assert_eq!(ids(&start), [first.record.id, second.record.id]);
    bench.revoke(second.id(), T0).await;
    let newest = bench.sign_in("u2").await;
    let rest = page(&bench, &all, start.next.as_ref(), 2, T0).await;
    assert_eq!(ids(&rest), [third.record.id, newest.record.id]);
    assert_eq!(rest.next, None);
}

pub async fn ended_sessions_are_listed_on_demand(bench: Bench) {
    let live = bench.sign_in("u1").await;
    let revoked = bench.sign_in("u1").await;
    let everywhere = bench.sign_in("u2").await;
    bench.revoke(revoked.id(), T0).await;
    bench.revoke_subject("u2", T0).await;
    let mut filter = SessionFilter::default();
    let page_of_live = page(&bench, &filter, None, 9, T0).await;
    assert_eq!(ids(&page_of_live), [live.record.id]);
    filter.include_ended = true;
    let all = page(&bench, &filter, None, 9, T0).await;
    let expected = [live.record.id, revoked.record.id, everywhere.record.id];
    assert_eq!(ids(&all), expected);
    let deaths = all.sessions.iter().map(|listed| listed.death.is_some());
    assert_eq!(deaths.collect::<Vec<_>>(), [false, true, true]);
}

pub async fn a_filter_picks_one_subject(bench: Bench) {
    let one = bench.sign_in("u1").await;
    bench.sign_in("u2").await;
    let mut anonymous = bench.draft("u1");
    anonymous.identity.subject = None;
    bench.make(anonymous).await;
    let filter = SessionFilter {
        subject: Some(principal("u1")),
        include_ended: true,
    };
    let page = page(&bench, &filter, None, 9, T0).await;
    assert_eq!(ids(&page), [one.record.id]);
}

pub async fn counts_are_of_live_sessions(bench: Bench) {
    bench.sign_in("u1").await;
    bench.sign_in("u2").await;
    let revoked = bench.sign_in("u1").await;
    bench.revoke(revoked.id(), T0).await;
    assert_eq!(bench.count("u1", T0).await, 1);
    let all = bench.store.count(&bench.tenant, None, T0).await;
    assert_eq!(all, Ok(2));
    assert_eq!(bench.count("u1", T0.plus(IDLE)).await, 0);
}
