//! Decisions as they are made. A slow watcher loses some and is told how many; it never holds a
//! decision up.

use std::{pin::Pin, sync::Arc};

use auth_core::{clock::Clock, session::Tenant};
use futures_util::{Stream, stream};
use proto::{admin::v1, core::time};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::AdminParts;
use crate::telemetry::{DecisionSeen, Metrics};

struct Watch {
    decisions: Receiver<Arc<DecisionSeen>>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
    tenant: Tenant,
}

/// The decisions of a tenant from now on, until the sidecar stops.
pub(super) fn stream(
    parts: &AdminParts,
    tenant: Tenant,
) -> Pin<Box<dyn Stream<Item = Result<v1::WatchDecisionsResponse, Status>> + Send>> {
    let watch = Watch {
        decisions: parts.telemetry.watch(),
        metrics: Arc::clone(parts.telemetry.metrics()),
        clock: Arc::clone(parts.engine.clock()),
        shutdown: parts.shutdown.clone(),
        tenant,
    };
    Box::pin(stream::unfold(watch, |mut watch| async move {
        let next = watch.next().await?;
        Some((Ok(next), watch))
    }))
}

impl Watch {
    async fn next(&mut self) -> Option<v1::WatchDecisionsResponse> {
        let mut dropped = 0;
        loop {
            let received = tokio::select! {
                () = self.shutdown.cancelled() => return None,
                received = self.decisions.recv() => received,
            };
            match received {
                Ok(seen) if seen.tenant != self.tenant => {}
                Ok(seen) => return Some(self.message(&seen, dropped)),
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(count)) => {
                    self.metrics.watch_dropped(count);
                    dropped += count;
                }
            }
        }
    }

    fn message(&self, seen: &DecisionSeen, dropped: u64) -> v1::WatchDecisionsResponse {
        v1::WatchDecisionsResponse {
            decide_time: Some(time::to_message(self.clock.now())),
            wire: seen.wire.clone(),
            target: seen.target.clone(),
            operation: seen.operation.clone(),
            outcome: seen.outcome.to_owned(),
            reason: seen.reason.to_owned(),
            requirement: seen.requirement.clone(),
            subject: seen.subject.clone(),
            decision_id: seen.decision_id.clone(),
            duration: Some(time::span_to_message(seen.duration)),
            dropped_count: i64::try_from(dropped).unwrap_or(i64::MAX),
        }
    }
}
