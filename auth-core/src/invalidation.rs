//! What a cache of sessions must not believe any more.
//!
//! Every change leaves a mark before it is acknowledged. A cached record is good only if nothing
//! about it was marked since its load began, so a load that races a revoke loses (SECURITY 5.5).
//! A change whose end nobody waited for is in doubt: nothing it is about is believed for a while.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    clock::Timestamp,
    principal::Principal,
    session::{SessionId, Tenant},
};

/// How long marks are kept. What was loaded longer ago is not believed anyway.
pub const MARK_LIFETIME: Duration = Duration::from_secs(30);

/// A place in the order of loads and changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One session.
    Session(Tenant, SessionId),
    /// All sessions of a subject.
    Subject(Tenant, Principal),
    /// All sessions of a tenant.
    Tenant(Tenant),
}

/// The marks that changes leave.
#[derive(Debug, Default)]
pub struct Invalidation {
    clock: AtomicU64,
    marked: AtomicUsize,
    floor: AtomicU64,
    marks: RwLock<Marks>,
}

#[derive(Debug, Default)]
struct Marks {
    sessions: HashMap<(Tenant, SessionId), Mark>,
    subjects: HashMap<(Tenant, Principal), Mark>,
    tenants: HashMap<Tenant, Mark>,
    swept_at: Timestamp,
    /// The newest mark that was ever forgotten: what was loaded before it is not believed, however
    /// the clock has jumped.
    floor: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    moment: Moment,
    at: Timestamp,
    /// Until when nothing is believed, whenever it was loaded; `None` when nothing is in doubt.
    doubted_until: Option<Timestamp>,
}

impl Mark {
    fn admits(&self, since: Moment, now: Timestamp) -> bool {
        self.moment <= since && self.doubted_until.is_none_or(|until| now >= until)
    }
}

impl Invalidation {
    /// The present moment; take it before a load.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment(self.clock.load(Ordering::SeqCst))
    }

    /// Marks what has changed, or is about to.
    pub fn change(&self, scope: &Scope, at: Timestamp) {
        self.mark(scope, at, None);
    }

    /// Marks what a change is about that may be written at any time from now on: nobody waits for
    /// its end. It is not believed for [`MARK_LIFETIME`].
    pub fn doubt(&self, scope: &Scope, at: Timestamp) {
        self.mark(scope, at, Some(at.plus(MARK_LIFETIME)));
    }

    /// Whether a record that was loaded at `since` may still be believed at `now`.
    #[must_use]
    pub fn is_good(
        &self,
        since: Moment,
        tenant: &Tenant,
        id: Option<SessionId>,
        subject: Option<&Principal>,
        now: Timestamp,
    ) -> bool {
        if self.marked.load(Ordering::SeqCst) == 0 && since.0 >= self.floor.load(Ordering::SeqCst) {
            return true;
        }
        let Ok(marks) = self.marks.read() else {
            return false;
        };
        if since < marks.floor {
            return false;
        }
        let unmarked = |mark: Option<&Mark>| mark.is_none_or(|mark| mark.admits(since, now));
        unmarked(marks.tenants.get(tenant))
            && id.is_none_or(|id| unmarked(marks.sessions.get(&(tenant.clone(), id))))
            && subject.is_none_or(|subject| {
                unmarked(marks.subjects.get(&(tenant.clone(), subject.clone())))
            })
    }

    fn mark(&self, scope: &Scope, at: Timestamp, doubted_until: Option<Timestamp>) {
        let mut marks = self
            .marks
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Counted first: a load that begins after this change has been written carries a moment
        // that is not before the mark's.
        let moment = Moment(self.clock.fetch_add(1, Ordering::SeqCst) + 1);
        let mark = Mark {
            moment,
            at,
            doubted_until,
        };
        match scope {
            Scope::Session(tenant, id) => put(&mut marks.sessions, (tenant.clone(), *id), mark),
            Scope::Subject(tenant, subject) => {
                put(&mut marks.subjects, (tenant.clone(), subject.clone()), mark);
            }
            Scope::Tenant(tenant) => put(&mut marks.tenants, tenant.clone(), mark),
        }
        marks.sweep(at);
        self.floor.store(marks.floor.0, Ordering::SeqCst);
        self.marked.store(marks.len(), Ordering::SeqCst);
    }
}

/// Adds a mark. It does not end the doubt about another change.
fn put<K: Eq + Hash>(marks: &mut HashMap<K, Mark>, key: K, mark: Mark) {
    marks
        .entry(key)
        .and_modify(|held| {
            let doubted_until = held.doubted_until.max(mark.doubted_until);
            *held = Mark {
                doubted_until,
                ..mark
            };
        })
        .or_insert(mark);
}

impl Marks {
    fn len(&self) -> usize {
        self.sessions.len() + self.subjects.len() + self.tenants.len()
    }

    /// Forgets old marks, now and then. A clock that jumps back keeps marks longer, never shorter.
    fn sweep(&mut self, now: Timestamp) {
        if now < self.swept_at.plus(MARK_LIFETIME / 2) {
            return;
        }
        fn keep<K: Eq + Hash>(marks: &mut HashMap<K, Mark>, floor: &mut Moment, now: Timestamp) {
            marks.retain(|_, mark| {
                let doubted = mark.doubted_until.is_some_and(|until| now < until);
                let kept = doubted || now < mark.at.plus(MARK_LIFETIME);
                if !kept {
                    *floor = mark.moment.max(*floor);
                }
                kept
            });
        }
        keep(&mut self.sessions, &mut self.floor, now);
        keep(&mut self.subjects, &mut self.floor, now);
        keep(&mut self.tenants, &mut self.floor, now);
        self.swept_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn alice() -> Principal {
        Principal::local("alice").unwrap()
    }

    #[test]
    fn a_load_that_began_before_a_change_is_not_believed() {
        let (tenant, id) = (Tenant::default(), SessionId::from_bytes([1; 16]));
        let other = SessionId::from_bytes([2; 16]);
        let marks = Invalidation::default();
        let before = marks.now();
        marks.change(&Scope::Session(tenant.clone(), id), NOW);
        assert!(!marks.is_good(before, &tenant, Some(id), None, NOW));
        assert!(marks.is_good(before, &tenant, Some(other), None, NOW));
        assert!(marks.is_good(marks.now(), &tenant, Some(id), None, NOW));
    }

    #[test]
    fn a_change_of_a_subject_or_tenant_covers_their_sessions() {
        let (tenant, id) = (Tenant::default(), SessionId::from_bytes([1; 16]));
        let marks = Invalidation::default();
        let before = marks.now();
        marks.change(&Scope::Subject(tenant.clone(), alice()), NOW);
        assert!(!marks.is_good(before, &tenant, Some(id), Some(&alice()), NOW));
        let between = marks.now();
        marks.change(&Scope::Tenant(tenant.clone()), NOW);
        assert!(!marks.is_good(between, &tenant, Some(id), Some(&alice()), NOW));
        assert!(marks.is_good(
            between,
            &Tenant::new("other").unwrap(),
            Some(id),
            Some(&alice()),
            NOW
        ));
    }

    #[test]
    fn marks_are_forgotten_after_their_time() {
        let tenant = Tenant::default();
        let marks = Invalidation::default();
        let session = |n| Scope::Session(tenant.clone(), SessionId::from_bytes([n; 16]));
        marks.change(&session(1), NOW);
        marks.change(&session(2), NOW.plus(2 * MARK_LIFETIME));
        assert_eq!(marks.marked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn what_is_in_doubt_is_not_believed_whenever_it_was_loaded() {
        let (tenant, id) = (Tenant::default(), SessionId::from_bytes([1; 16]));
        let marks = Invalidation::default();
        let scope = Scope::Session(tenant.clone(), id);
        marks.doubt(&scope, NOW);
        // Another change of the session has nothing to say of the first.
        marks.change(&scope, NOW);
        let end = NOW.plus(MARK_LIFETIME);
        for (now, believed) in [
            (NOW, false),
            (end.minus(Duration::from_micros(1)), false),
            (end, true),
        ] {
            let good = marks.is_good(marks.now(), &tenant, Some(id), None, now);
            assert_eq!(good, believed);
        }
    }
}
