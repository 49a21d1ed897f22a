//! The time that an engine decides by.

use std::sync::Arc;

use crate::{
    clock::{Clock, Timestamp},
    store::rules::TimeGuard,
};

/// A clock that is not followed back: what was seen to have expired, be it a cached session, an API
/// key or a foreign token, is not revived (SECURITY 5.4, F-10).
#[derive(Debug)]
pub(super) struct Guarded {
    clock: Arc<dyn Clock>,
    guard: TimeGuard,
}

impl Guarded {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            guard: TimeGuard::default(),
        }
    }
}

impl Clock for Guarded {
    fn now(&self) -> Timestamp {
        self.guard.see(self.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_clock_that_is_set_back_stands_still() {
        let at = Timestamp::from_seconds;
        let clock = Arc::new(ManualClock::at(at(100)));
        let guarded = Guarded::new(clock.clone());
        for (set, seen) in [(100, 100), (160, 160), (0, 160), (159, 160), (161, 161)] {
            clock.set(at(set));
            assert_eq!(guarded.now(), at(seen));
        }
    }
}
