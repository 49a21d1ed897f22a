//! Removes what has expired, in small steps, so that no step holds others up for long.

use std::{sync::Arc, time::Duration};

use auth_core::{clock::Clock, store::Store};
use tokio_util::sync::CancellationToken;

/// How often the store is swept.
const INTERVAL: Duration = Duration::from_secs(60);
/// How much one step does at most.
const STEP: usize = 200;
/// How long others have the store to themselves between two steps.
const PAUSE: Duration = Duration::from_millis(20);

/// Sweeps the store again and again, until told to stop.
pub async fn run(store: Arc<dyn Store>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sweep(&*store, &*clock) => {}
        }
    }
}

/// Sweeps until nothing is left to do. A failing store is left alone until the next time; it was
/// logged where it failed.
pub async fn sweep(store: &dyn Store, clock: &dyn Clock) {
    while let Ok(swept) = store.sweep(STEP, clock.now()).await {
        if swept.is_empty() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
