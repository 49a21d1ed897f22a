//! The stream of what happens to sessions.

use std::{collections::VecDeque, pin::Pin};

use auth_core::{
    session::Tenant,
    store::{Changes, Position},
};
use futures_util::{Stream, stream};
use proto::{
    core::managed,
    v1::{self, WatchReset, WatchSessionsResponse, WatchStarted, watch_sessions_response::Item},
};
use tonic::Status;

use super::{SessionStoreParts, cursor};
use crate::edge::status::store_error;

/// How many events are fetched at once.
const BATCH: usize = 256;

struct Watch {
    parts: SessionStoreParts,
    tenant: Tenant,
    position: Position,
    ready: VecDeque<WatchSessionsResponse>,
    is_over: bool,
}

/// The events after `from`, headed by the word that the watch has begun. It ends with an error when
/// the store fails or the sidecar stops; the client goes on from the last position.
pub(super) fn stream(
    parts: &SessionStoreParts,
    tenant: Tenant,
    from: Position,
) -> Pin<Box<dyn Stream<Item = Result<WatchSessionsResponse, Status>> + Send>> {
    let mut watch = Watch {
        parts: parts.clone(),
        tenant,
        position: from,
        ready: VecDeque::new(),
        is_over: false,
    };
    watch.push(Item::Started(WatchStarted {}), from);
    Box::pin(stream::unfold(watch, |mut watch| async move {
        if watch.is_over {
            return None;
        }
        let item = watch.next().await;
        watch.is_over = item.is_err();
        Some((item, watch))
    }))
}

impl Watch {
    async fn next(&mut self) -> Result<WatchSessionsResponse, Status> {
        loop {
            if let Some(response) = self.ready.pop_front() {
                return Ok(response);
            }
            let store = &self.parts.store;
            let changes = tokio::select! {
                changes = store.watch(&self.tenant, self.position, BATCH) => changes,
                () = self.parts.shutdown.cancelled() => {
                    return Err(Status::unavailable("the sidecar is stopping"));
                }
            };
            match changes.map_err(|error| store_error(&error))? {
                Changes::Events(events) => {
                    for event in events {
                        let position = event.position;
                        let message = managed::event_to_message(event, &self.tenant);
                        self.push(Item::Event(message), position);
                    }
                }
                Changes::Reset(position) => self.push(Item::Reset(WatchReset {}), position),
            }
        }
    }

    fn push(&mut self, item: Item, position: Position) {
        self.position = position;
        self.ready.push_back(v1::WatchSessionsResponse {
            item: Some(item),
            position: cursor::write_position(&self.parts.keys, &self.tenant, position),
        });
    }
}
