//! Every write tells, in order, at least once, or says that it cannot.

use std::pin::pin;

use super::{Bench, OVERLAP, SignedIn, T0, everywhere, is_waiting, operator};
use crate::{
    session::RevocationCause,
    store::{Changes, Event, EventKind, Position, Rotation},
};

async fn after(bench: &Bench, position: Position, limit: usize) -> Vec<Event> {
    match bench.store.watch(&bench.tenant, position, limit).await {
        Ok(Changes::Events(events)) => events,
        other => panic!("no events: {other:?}"),
    }
}

async fn start(bench: &Bench) -> Position {
    bench.store.position().await.unwrap()
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).collect()
}

pub async fn events_come_in_order(bench: Bench) {
    let start = start(&bench).await;
    let first = bench.sign_in("u1").await;
    let second = bench.sign_in("u2").await;
    let events = after(&bench, start, 9).await;
    let sessions: Vec<_> = events.iter().map(|event| event.session).collect();
    assert_eq!(sessions, [Some(first.record.id), Some(second.record.id)]);
    assert!(events.is_sorted_by(|one, next| one.position < next.position));
    assert!(events[0].position > start);
}

pub async fn every_write_has_its_event(bench: Bench) {
    let start = start(&bench).await;
    let old = bench.sign_in("u1").await;
    bench.patch(old.id(), None, "cart", T0).await.unwrap();
    bench.renew(&old, old.token, T0).await.unwrap();
    let mut new = bench.draft("u1");
    new.replaces = Some(old.record.id);
    let new = bench.make(new).await;
    bench.revoke(new.id(), T0).await;
    bench.revoke_subject("u1", T0).await;
    let all = bench
        .store
        .revoke_all(&bench.tenant, None, everywhere(), T0);
    all.await.unwrap().unwrap();
    let events = after(&bench, start, 99).await;
    let expected = [
        EventKind::SessionCreated,
        EventKind::SessionUpdated,
        EventKind::SessionRotated,
        EventKind::SessionRevoked(RevocationCause::Replaced),
        EventKind::SessionCreated,
        EventKind::SessionRevoked(RevocationCause::Revoked),
        EventKind::SubjectRevoked,
        EventKind::AllRevoked,
    ];
    assert_eq!(kinds(&events), expected);
    assert_eq!(events[5].by, operator().by);
    assert_eq!(events[5].reason, operator().reason);
    assert_eq!(events[6].subject, new.record.identity.subject);
}

pub async fn a_use_has_no_event(bench: Bench) {
    let made = bench.sign_in("u1").await;
    let start = start(&bench).await;
    let later = T0.plus(OVERLAP);
    bench.touch(&made, &made.token, later).await;
    assert_eq!(bench.store.position().await, Ok(start));
}

async fn refuse_all(bench: &Bench, dead: &SignedIn) {
    let mut taken = bench.draft("u1");
    taken.id = dead.record.id;
    assert!(bench.store.create(taken, T0).await.is_err());
    assert!(bench.patch(dead.id(), None, "cart", T0).await.is_err());
    let rotated = bench.rotate(dead, Rotation::Immediate, T0).await;
    assert!(rotated.is_err());
    assert_eq!(bench.revoke(dead.id(), T0).await, Some(false));
}

pub async fn a_refused_write_has_no_event(bench: Bench) {
    let dead = bench.sign_in("u1").await;
    bench.revoke(dead.id(), T0).await;
    let start = start(&bench).await;
    refuse_all(&bench, &dead).await;
    assert_eq!(bench.store.position().await, Ok(start));
}

pub async fn events_are_told_again_to_whom_asks_again(bench: Bench) {
    let start = start(&bench).await;
    bench.sign_in("u1").await;
    let once = after(&bench, start, 9).await;
    assert_eq!(after(&bench, start, 9).await, once);
}

pub async fn a_watcher_is_woken(bench: Bench) {
    let start = start(&bench).await;
    let seen = bench.parallel(2, |bench, index| async move {
        if index == 0 {
            return after(&bench, start, 9).await.len();
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
        bench.sign_in("u1").await;
        1
    });
    assert_eq!(seen, [1, 1]);
}

pub async fn a_place_beyond_the_end_is_reset(bench: Bench) {
    bench.sign_in("u1").await;
    let end = start(&bench).await;
    let beyond = Position(u64::from(u32::MAX));
    let changes = bench.store.watch(&bench.tenant, beyond, 9).await;
    assert_eq!(changes, Ok(Changes::Reset(end)));
}

pub async fn the_number_at_once_is_bounded(bench: Bench) {
    let start = start(&bench).await;
    for _ in 0..3 {
        bench.sign_in("u1").await;
    }
    let events = after(&bench, start, 2).await;
    assert_eq!(events.len(), 2);
    assert_eq!(after(&bench, events[1].position, 2).await.len(), 1);
}

pub async fn a_quiet_watcher_misses_nothing(bench: Bench) {
    let position = start(&bench).await;
    let store = bench.store.clone();
    let mut watching = pin!(store.watch(&bench.tenant, position, 9));
    assert!(is_waiting(watching.as_mut()));
    let loud = bench.as_tenant("loud");
    for _ in 0..20 {
        loud.sign_in("u1").await;
    }
    let made = bench.sign_in("u1").await;
    match watching.await.unwrap() {
        Changes::Events(events) => assert_eq!(events[0].session, Some(made.record.id)),
        Changes::Reset(_) => panic!("reset"),
    }
}
