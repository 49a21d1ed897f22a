//! The bounded stream of events, and who waits for it.

use std::{collections::VecDeque, task::Waker};

use crate::{
    clock::Timestamp,
    principal::Principal,
    session::{SessionId, Tenant},
    store::{Changes, Event, EventKind, Position},
};

/// What an event says besides its place.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: Timestamp,
    pub(super) session: Option<SessionId>,
    pub(super) subject: Option<Principal>,
    pub(super) kind: EventKind,
    pub(super) by: String,
    pub(super) reason: String,
}

#[derive(Debug)]
pub(super) struct Log {
    capacity: usize,
    events: VecDeque<(Tenant, Event)>,
    end: u64,
    news: bool,
    waiting: Vec<Waker>,
}

impl Log {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            events: VecDeque::new(),
            end: 0,
            news: false,
            waiting: Vec::new(),
        }
    }

    pub(super) fn append(&mut self, tenant: &Tenant, entry: Entry) {
        self.end += 1;
        self.news = true;
        if self.events.len() == self.capacity {
            self.events.pop_front();
        }
        let event = Event {
            position: Position(self.end),
            at: entry.at,
            session: entry.session,
            subject: entry.subject,
            kind: entry.kind,
            by: entry.by,
            reason: entry.reason,
        };
        self.events.push_back((tenant.clone(), event));
    }

    pub(super) fn end(&self) -> Position {
        Position(self.end)
    }

    /// The tenant's events after a position; `None` when there is nothing to tell yet.
    pub(super) fn after(&self, tenant: &Tenant, after: Position, limit: usize) -> Option<Changes> {
        let dropped = self.end - self.events.len() as u64;
        if after.0 < dropped || after.0 > self.end {
            return Some(Changes::Reset(self.end()));
        }
        let seen = usize::try_from(after.0 - dropped).unwrap_or(usize::MAX);
        let events: Vec<Event> = self
            .events
            .iter()
            .skip(seen)
            .filter(|(owner, _)| owner == tenant)
            .map(|(_, event)| event.clone())
            .take(limit.max(1))
            .collect();
        (!events.is_empty()).then_some(Changes::Events(events))
    }

    pub(super) fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    /// Whom to wake, once the lock is released.
    pub(super) fn woken(&mut self) -> Vec<Waker> {
        if std::mem::take(&mut self.news) {
            std::mem::take(&mut self.waiting)
        } else {
            Vec::new()
        }
    }
}
