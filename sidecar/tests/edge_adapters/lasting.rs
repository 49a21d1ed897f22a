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
