//! What stays open on behalf of a session (R17).

use std::{sync::Arc, time::Duration};

use sidecar::edge::lasting::{Ended, Lasted, Rhythm};

use crate::scripted::{Scripted, caller};

const RHYTHM: Rhythm = Rhythm {
    interval: Duration::from_millis(5),
    grace: Duration::from_millis(100),
};

fn lasted(call: &'static str) -> Lasted<Scripted> {
    Lasted {
        point: Arc::new(Scripted::default()),
        caller: caller(&[]),
        call: call.into(),
        rhythm: RHYTHM,
        decision_id: "d1".to_owned(),
    }
}

#[tokio::test]
async fn r17_what_is_open_ends_with_its_session_or_its_handle() {
    for call in ["gone", "call"] {
        assert_eq!(lasted(call).watch().await, Ended::Session, "{call}");
    }
}

#[tokio::test]
async fn r17_a_request_ends_with_its_session_but_not_with_what_proved_it() {
    let gone = lasted("gone").watch_request(Duration::ZERO);
    assert_eq!(gone.await, Ended::Session);
    let mut ran_out = lasted("call").watch_request(Duration::ZERO);
    let waited = tokio::time::timeout(2 * RHYTHM.grace, &mut ran_out).await;
    assert!(waited.is_err(), "{waited:?}");
}

#[tokio::test]
async fn r17_how_long_nobody_could_tell_counts_from_when_it_was_allowed() {
    let start = tokio::time::Instant::now();
    let watch = lasted("frozen").watch_at_once(RHYTHM.grace);
    assert_eq!(watch.await, Ended::Unknown);
    assert!(start.elapsed() < RHYTHM.grace);
}

#[tokio::test]
async fn r17_what_is_open_ends_once_nobody_can_tell_for_too_long() {
    for call in ["frozen", "full", "random"] {
        let start = tokio::time::Instant::now();
        assert_eq!(lasted(call).watch().await, Ended::Unknown, "{call}");
        assert!(start.elapsed() >= RHYTHM.grace, "{call}");
    }
}

#[tokio::test]
async fn r17_what_is_open_stays_while_its_session_lives() {
    let mut watch = lasted("sealed").watch();
    let waited = tokio::time::timeout(2 * RHYTHM.grace, &mut watch).await;
    assert!(waited.is_err(), "{waited:?}");
}
