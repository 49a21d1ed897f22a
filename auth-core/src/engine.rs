//! The decision point in process: policy, sessions and keys at work.
//!
//! A call goes one way: [`Engine::authorize`] finds the operation, then the credential, then the
//! session, then asks the requirements, and only then touches, renews and seals.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;

use crate::{
    caller::Caller,
    clock::Clock,
    decision::Answer,
    decision_point::{
        Answering, ClearScope, DecisionPoint, SessionChange, SessionCleared, SessionError,
        SetSession, WireProfile,
    },
    keys::Keyring,
    live::Session,
    observe::{Deaf, Observer},
    policy::Policy,
    random::Random,
    store::{Store, SubjectLimit},
    throttle::Throttle,
    wire::{Call, WireKind},
};

mod authenticate;
mod authorize;
mod batch;
mod cache;
mod explain;
mod foreign;
mod marking;
mod peer;
mod profile;
mod render;
mod renewal;
mod time;
mod verbs;

pub use authorize::Who;
pub use foreign::KeyFetchers;
pub use marking::Marking;

/// How long a predecessor token stays good after its successor's first use (R13).
pub const RENEWAL_OVERLAP: Duration = Duration::from_secs(10);

/// The limits of sessions (R14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// How long a session lasts at most.
    pub lifetime: Duration,
    /// How long it may stay unused.
    pub idle: Duration,
    /// After what time a token is renewed; `None` is never.
    pub renew: Option<Duration>,
    /// How many live sessions a subject may have.
    pub per_subject: Option<SubjectLimit>,
}

/// 24 hours, 1 hour unused, a new token every 6 hours, any number of sessions.
impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(24 * 3600),
            idle: Duration::from_secs(3600),
            renew: Some(Duration::from_secs(6 * 3600)),
            per_subject: None,
        }
    }
}

impl SessionLimits {
    /// How often the use of a session is written at most (R14).
    #[must_use]
    pub fn touch_interval(&self) -> Duration {
        touch_interval(self.idle)
    }
}

/// How often the use of a session that may stay unused for `idle` is written at most (R14): once
/// per `max(60 s, idle / 20)`, and often enough that it does not end while it is used.
fn touch_interval(idle: Duration) -> Duration {
    (idle / 20).max(Duration::from_secs(60)).min(idle / 2)
}

/// What an engine is made of.
#[derive(Debug)]
pub struct Parts {
    /// The policy.
    pub policy: Policy,
    /// The limits of sessions.
    pub limits: SessionLimits,
    /// Where sessions are kept. The engine alone should write there, or through
    /// [`Engine::store`].
    pub store: Arc<dyn Store>,
    /// The keys.
    pub keys: Arc<Keyring>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Who hears of what happens.
    pub observer: Arc<dyn Observer>,
    /// What fetches the keys of issuers.
    pub fetchers: KeyFetchers,
}

impl Parts {
    /// An engine's parts with nobody listening.
    #[must_use]
    pub fn new(
        policy: Policy,
        store: Arc<dyn Store>,
        keys: Arc<Keyring>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self {
            policy,
            limits: SessionLimits::default(),
            store,
            keys,
            clock,
            random,
            observer: Arc::new(Deaf),
            fetchers: KeyFetchers::default(),
        }
    }
}

/// The decision point in process.
pub struct Engine {
    policy: ArcSwap<Policy>,
    /// Counts the policies that were in force; what was cached under another is not believed.
    generation: AtomicU64,
    limits: SessionLimits,
    store: Arc<Marking>,
    cache: cache::SessionCache,
    keys: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    observer: Arc<dyn Observer>,
    fetchers: KeyFetchers,
    throttle: Throttle,
    decisions: Decisions,
}

impl Engine {
    /// An engine of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let store = Arc::new(Marking::new(parts.store));
        Self {
            policy: ArcSwap::from_pointee(parts.policy),
            generation: AtomicU64::new(0),
            limits: parts.limits,
            cache: cache::SessionCache::new(store.invalidation().clone()),
            store,
            decisions: Decisions::new(&*parts.random),
            keys: parts.keys,
            clock: Arc::new(time::Guarded::new(parts.clock)),
            random: parts.random,
            observer: parts.observer,
            fetchers: parts.fetchers,
            throttle: Throttle::default(),
        }
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.load_full()
    }

    /// Puts another policy in force, for all decisions that begin from now on.
    pub fn replace_policy(&self, policy: Policy) {
        self.policy.store(Arc::new(policy));
        self.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// The store, such that what is written through it is believed by the cache at once.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// The limits of sessions.
    #[must_use]
    pub const fn limits(&self) -> &SessionLimits {
        &self.limits
    }

    /// The keys.
    #[must_use]
    pub const fn keys(&self) -> &Arc<Keyring> {
        &self.keys
    }

    /// The clock, which never goes back: what has expired stays expired.
    #[must_use]
    pub const fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The source of randomness.
    #[must_use]
    pub const fn random(&self) -> &Arc<dyn Random> {
        &self.random
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.policy.load();
        f.debug_struct("Engine")
            .field("policy", &policy.version)
            .finish_non_exhaustive()
    }
}

impl DecisionPoint for Engine {
    // Written out, since an async function would hold the call twice.
    #[expect(
        clippy::manual_async_fn,
        reason = "a decision on its way is to be small"
    )]
    fn authorize(&self, caller: &Caller, call: Call) -> impl Future<Output = Answer> + Send {
        async move { self.decide(caller, &call).await }
    }

    async fn authorize_all<'a>(
        &'a self,
        caller: &'a Caller,
        calls: Vec<Call>,
    ) -> Vec<Answering<'a>> {
        self.decide_all(caller, calls).await
    }

    async fn session(
        &self,
        caller: &Caller,
        call: &[u8],
    ) -> Result<Option<Arc<Session>>, SessionError> {
        self.read_session(caller, call).await
    }

    async fn set(
        &self,
        caller: &Caller,
        request: SetSession,
    ) -> Result<SessionChange, SessionError> {
        self.set_session(caller, request).await
    }

    async fn clear(
        &self,
        caller: &Caller,
        call: &[u8],
        scope: ClearScope,
    ) -> Result<SessionCleared, SessionError> {
        self.clear_session(caller, call, scope).await
    }

    async fn continue_call(&self, caller: &Caller, call: &[u8]) -> Result<Bytes, SessionError> {
        self.continue_handle(caller, call).await
    }

    async fn profile(&self, kind: &WireKind) -> Arc<WireProfile> {
        profile::profile(&self.policy.load(), kind)
    }
}

/// Writes a number in lower-case hexadecimal, with as many digits as it needs and no fewer than
/// `digits`. Every decision has an id, and the general formatter takes five times as long.
fn push_hex(text: &mut String, number: u64, digits: u32) {
    let needed = (u64::BITS - number.leading_zeros()).div_ceil(4);
    for place in (0..needed.max(digits)).rev() {
        let digit = u32::try_from((number >> (4 * place)) & 0xf).unwrap_or_default();
        text.push(char::from_digit(digit, 16).unwrap_or('0'));
    }
}

/// Names decisions: unique within and, by a random start, across processes.
#[derive(Debug)]
struct Decisions {
    process: u32,
    next: AtomicU64,
}

impl Decisions {
    fn new(random: &dyn Random) -> Self {
        let mut process = [0; 4];
        // Ids are names, not secrets: without randomness they are merely not unique.
        let _ = random.fill(&mut process);
        Self {
            process: u32::from_be_bytes(process),
            next: AtomicU64::new(1),
        }
    }

    fn id(&self) -> String {
        let mut id = String::with_capacity(8 + 1 + 16);
        push_hex(&mut id, self.process.into(), 8);
        id.push('-');
        push_hex(&mut id, self.next.fetch_add(1, Ordering::Relaxed), 1);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_in_hexadecimal() {
        for (number, digits) in [
            (0, 1),
            (0, 8),
            (15, 1),
            (16, 1),
            (0xdead_beef, 8),
            (u64::MAX, 1),
        ] {
            let mut text = String::new();
            push_hex(&mut text, number, digits);
            let width = usize::try_from(digits).unwrap();
            assert_eq!(text, format!("{number:0width$x}"));
        }
    }
}
