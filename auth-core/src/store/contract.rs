//! The suite that every store passes, and the bench that its behaviours run on.
//!
//! ```ignore
//! auth_core::session_store_contract!(|| Bench::new(MyStore::open()));
//! ```
//!
//! expands to one `#[test]` for each behaviour. [`model`] runs random schedules against an obvious
//! reference.
#![expect(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests in all but name: a panic is the failure report, and each function is named for \
              what it states"
)]

use std::{
    any::Any,
    fmt,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use crate::{
    clock::Timestamp,
    principal::Principal,
    session::{
        Identity, JsonObject, RevocationCause, SessionId, SessionRecord, Tenant, TokenHash,
        TokenKind,
    },
    store::{
        CreateError, Death, Ending, Loaded, NewSession, Rotation, Store, TokenRole, UpdateError,
    },
};

pub mod clock;
pub mod create;
pub mod foreign;
pub mod keys;
pub mod limit;
pub mod list;
pub mod load;
pub mod model;
pub mod revoke;
pub mod rotate;
pub mod subject;
pub mod sweep;
pub mod tenants;
pub mod touch;
pub mod update;
pub mod watch;

/// When every behaviour starts.
pub const T0: Timestamp = Timestamp::from_seconds(1_800_000_000);
/// How long a session may stay unused.
pub const IDLE: Duration = Duration::from_hours(1);
/// How long a session lasts.
pub const LIFETIME: Duration = Duration::from_hours(24);
/// How long a predecessor lives on.
pub const OVERLAP: Duration = Duration::from_secs(10);
/// The smallest step of time.
pub const MICROSECOND: Duration = Duration::from_micros(1);

/// A future that is run to its end on the thread that made it.
pub type Behaviour = Pin<Box<dyn Future<Output = ()>>>;

/// A store with what a behaviour needs around it. Clones share the store.
#[derive(Clone)]
pub struct Bench {
    pub store: Arc<dyn Store>,
    pub tenant: Tenant,
    block_on: fn(Behaviour),
    counter: Arc<AtomicU64>,
    kept: Vec<Arc<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("store", &self.store).finish()
    }
}

/// A session and its token.
#[derive(Clone, Debug)]
pub struct SignedIn {
    pub record: SessionRecord,
    pub token: TokenHash,
}

impl SignedIn {
    pub fn id(&self) -> &SessionId {
        &self.record.id
    }
}

impl Bench {
    /// A bench for an empty store, whose futures need no runtime.
    pub fn new(store: impl Store) -> Self {
        Self {
            store: Arc::new(store),
            tenant: Tenant::default(),
            block_on,
            counter: Arc::default(),
            kept: Vec::new(),
        }
    }

    /// Keeps a thing, such as the store's directory, as long as the bench.
    #[must_use]
    pub fn keeping(mut self, thing: impl Any + Send + Sync) -> Self {
        self.kept.push(Arc::new(thing));
        self
    }

    /// Runs futures by `block_on`, for a store that needs a runtime. It is called on many threads.
    #[must_use]
    pub fn run_by(mut self, block_on: fn(Behaviour)) -> Self {
        self.block_on = block_on;
        self
    }

    /// The same store, seen as another tenant.
    #[must_use]
    pub fn as_tenant(&self, name: &str) -> Self {
        Self {
            tenant: Tenant::new(name).unwrap(),
            ..self.clone()
        }
    }

    /// Runs one behaviour to its end.
    pub fn run<F>(self, behaviour: impl FnOnce(Self) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        (self.block_on)(Box::pin(behaviour(self.clone())));
    }

    /// Runs `count` tasks at once, a thread each, and gives their answers in order.
    pub fn parallel<T, F>(&self, count: u64, task: impl Fn(Self, u64) -> F + Sync) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + 'static,
    {
        thread::scope(|scope| {
            let task = &task;
            let start = |index| scope.spawn(move || self.answer(task(self.clone(), index)));
            let threads: Vec<_> = (0..count).map(start).collect();
            let answers = threads.into_iter().map(thread::ScopedJoinHandle::join);
            answers.map(Result::unwrap).collect()
        })
    }

    fn answer<T: 'static>(&self, task: impl Future<Output = T> + 'static) -> T {
        let slot = Arc::new(Mutex::new(None));
        let inner = Arc::clone(&slot);
        (self.block_on)(Box::pin(async move {
            let answer = task.await;
            *inner.lock().unwrap() = Some(answer);
        }));
        slot.lock().unwrap().take().unwrap()
    }

    /// A hash that no one has seen.
    pub fn token(&self) -> TokenHash {
        TokenHash::of(&self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes())
    }

    /// An id that no one has seen, above all before it.
    pub fn id(&self) -> SessionId {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        SessionId::from_bytes(u128::from(number).to_be_bytes())
    }

    /// A cookie session to be made for a local subject.
    pub fn draft(&self, subject: &str) -> NewSession {
        NewSession {
            id: self.id(),
            tenant: self.tenant.clone(),
            token: self.token(),
            kind: TokenKind::Cookie,
            strategy: Some("cookie".into()),
            identity: Identity {
                subject: Some(principal(subject)),
                actor: Some(Principal::new("support", "s1/desk").unwrap()),
                claims: object("plan", "pro"),
                scopes: vec!["cart:write".to_owned(), "*".to_owned()],
                all_scopes: true,
                auth_time: Some(T0.minus(MICROSECOND)),
                acr: Some("aal2".to_owned()),
                amr: vec!["pwd".to_owned(), "otp".to_owned()],
            },
            attributes: object("theme", "dark"),
            expires_at: T0.plus(LIFETIME),
            idle: IDLE,
            replaces: None,
            replaces_version: None,
            limit: None,
            request: None,
            by: "shop".to_owned(),
        }
    }

    /// Makes what was drafted, at [`T0`].
    pub async fn make(&self, new: NewSession) -> SignedIn {
        let token = new.token;
        let record = self.store.create(new, T0).await.unwrap().record;
        SignedIn { record, token }
    }

    /// Makes a cookie session for a local subject, at [`T0`].
    pub async fn sign_in(&self, subject: &str) -> SignedIn {
        self.make(self.draft(subject)).await
    }

    /// Finds the session of a cookie.
    pub async fn load(&self, token: &TokenHash, now: Timestamp) -> Loaded {
        let cookie = TokenKind::Cookie;
        let answer = self.store.load(&self.tenant, cookie, token, now).await;
        answer.unwrap()
    }

    /// What a live cookie is; `None` when it is not live.
    pub async fn role(&self, token: &TokenHash, now: Timestamp) -> Option<TokenRole> {
        match self.load(token, now).await {
            Loaded::Live { role, .. } => Some(role),
            _ => None,
        }
    }

    /// Whether a cookie opens a session.
    pub async fn lives(&self, token: &TokenHash, now: Timestamp) -> bool {
        self.role(token, now).await.is_some()
    }

    /// How the session of a cookie, or the cookie, ended.
    pub async fn death(&self, token: &TokenHash, now: Timestamp) -> Option<Death> {
        match self.load(token, now).await {
            Loaded::Dead { death, .. } => Some(death),
            _ => None,
        }
    }

    /// Why the session of a cookie was revoked.
    pub async fn cause(&self, token: &TokenHash, now: Timestamp) -> Option<RevocationCause> {
        match self.death(token, now).await {
            Some(Death::Revoked(revocation)) => Some(revocation.cause),
            _ => None,
        }
    }

    /// Ends a session as an operator would.
    pub async fn revoke(&self, id: &SessionId, now: Timestamp) -> Option<bool> {
        let answer = self.store.revoke(&self.tenant, id, operator(), now).await;
        answer.unwrap()
    }

    /// Ends all of a local subject's sessions.
    pub async fn revoke_subject(&self, subject: &str, now: Timestamp) -> u64 {
        let subject = principal(subject);
        let answer = self
            .store
            .revoke_subject(&self.tenant, &subject, None, everywhere(), now);
        answer.await.unwrap()
    }

    /// Counts the live sessions of a local subject.
    pub async fn count(&self, subject: &str, now: Timestamp) -> u64 {
        let subject = principal(subject);
        let answer = self.store.count(&self.tenant, Some(&subject), now).await;
        answer.unwrap()
    }

    /// Sets one attribute.
    pub async fn patch(
        &self,
        id: &SessionId,
        expected: Option<u64>,
        key: &str,
        now: Timestamp,
    ) -> Result<SessionRecord, UpdateError> {
        let change = crate::store::Change::PatchAttributes {
            set: object(key, "set"),
            remove: Vec::new(),
        };
        let answer = self
            .store
            .update(&self.tenant, id, expected, change, "shop", now);
        answer.await
    }

    /// Notes a use.
    pub async fn touch(&self, session: &SignedIn, token: &TokenHash, now: Timestamp) {
        let id = session.id();
        let answer = self.store.touch(&self.tenant, id, token, OVERLAP, now);
        answer.await.unwrap();
    }

    /// Renews a session by a token of its own.
    pub async fn renew(
        &self,
        session: &SignedIn,
        presented: TokenHash,
        now: Timestamp,
    ) -> Result<TokenHash, UpdateError> {
        self.rotate(session, Rotation::Renewal { presented }, now)
            .await
    }

    /// Rotates a session to a token that no one has seen.
    pub async fn rotate(
        &self,
        session: &SignedIn,
        rotation: Rotation,
        now: Timestamp,
    ) -> Result<TokenHash, UpdateError> {
        let token = self.token();
        let id = session.id();
        let answer = self
            .store
            .rotate(&self.tenant, id, None, token, rotation, "shop", now);
        answer.await.map(|_| token)
    }
}

/// A local principal.
pub fn principal(id: &str) -> Principal {
    Principal::local(id).unwrap()
}

/// A JSON object with one string in it.
pub fn object(key: &str, value: &str) -> JsonObject {
    JsonObject::from_iter([(key.to_owned(), value.into())])
}

/// An operator ends one session.
pub fn operator() -> Ending {
    Ending {
        by: "operator/ann".to_owned(),
        cause: RevocationCause::Revoked,
        reason: "stolen laptop".to_owned(),
    }
}

/// An operator ends all of a subject's.
pub fn everywhere() -> Ending {
    Ending {
        by: "operator/bob".to_owned(),
        cause: RevocationCause::SubjectRevoked,
        reason: "left the company".to_owned(),
    }
}

/// Whether a creation was refused because something is taken.
pub fn is_taken<T: fmt::Debug>(answer: &Result<T, CreateError>) -> bool {
    matches!(answer, Err(CreateError::Exists))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread, without a runtime.
pub fn block_on(behaviour: Behaviour) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut behaviour = pin!(behaviour);
    while behaviour.as_mut().poll(&mut context).is_pending() {
        thread::park();
    }
}

/// Whether a future has nothing to say yet.
pub fn is_waiting<F: Future>(future: Pin<&mut F>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    matches!(future.poll(&mut context), Poll::Pending)
}

/// One `#[test]` for each behaviour that a store has to show. The argument makes a [`Bench`] for an
/// empty store; its own small `block_on` runs the tests unless [`Bench::run_by`] names another.
#[macro_export]
macro_rules! session_store_contract {
    ($new:expr) => {
        $crate::session_store_contract! { @tests $new;
            create {
                a_new_session_is_live_with_what_it_was_given
                an_anonymous_session_can_be_made
                an_id_that_is_taken_is_refused
                a_token_that_is_taken_is_refused
                a_dead_session_keeps_its_id_and_token_taken
                a_record_over_16_kib_is_refused
                replacing_ends_the_old_session
                a_refused_sign_in_leaves_the_old_session_alone
                replacing_an_unknown_session_is_refused
                a_session_that_has_ended_is_not_replaced
                parallel_sign_ins_replace_a_session_once
                s20_a_session_that_changed_is_not_replaced
                parallel_creates_of_one_id_make_one_session
                a_retry_gives_the_same_session_with_the_new_token
                an_exact_replay_changes_nothing
                a_request_is_forgotten_after_ten_minutes
                a_retry_after_logout_makes_no_session
                a_retry_for_another_subject_is_refused
                a_retry_for_another_strategy_is_refused
                parallel_retries_make_one_session
            }
            limit {
                the_oldest_is_evicted
                the_new_one_is_refused
                only_live_sessions_of_the_subject_count
                a_replaced_session_frees_its_place
                a_lowered_limit_evicts_as_many_as_it_takes
                s13_parallel_sign_ins_never_pass_a_limit_that_evicts
                s13_parallel_sign_ins_never_pass_a_limit_that_refuses
            }
            load {
                a_token_never_issued_is_unknown
                a_token_is_no_credential_of_another_kind
                one_hash_may_stand_for_both_kinds
                a_session_lives_until_its_idle_end
                a_session_lives_until_the_end_of_its_lifetime
                the_shorter_limit_counts
                a_revoked_session_tells_who_and_why
                an_id_finds_a_session_live_or_ended
                a_token_is_no_id
            }
            touch {
                use_moves_the_idle_end
                use_never_moves_it_backwards
                use_never_extends_the_lifetime
                use_never_revives_an_expired_session
                use_never_revives_a_revoked_session
                use_leaves_the_version_alone
                use_by_a_dead_token_counts_for_nothing
                use_by_another_sessions_token_counts_for_nothing
            }
            update {
                a_patch_sets_and_removes_single_keys
                a_replacement_puts_all_attributes_in_place
                a_replacement_needs_a_version
                a_stale_version_is_a_conflict
                of_two_writers_with_one_version_one_wins
                patches_in_parallel_all_take_effect
                a_change_leaves_identity_and_tokens_alone
                a_session_that_does_not_live_is_gone
                a_record_may_not_grow_over_16_kib
            }
            rotate {
                a_renewed_token_is_fresh_until_its_first_use
                a_predecessor_lives_until_the_overlap_is_over
                a_predecessor_lives_as_long_as_its_successor_is_unused
                an_undelivered_successor_is_replaced
                the_predecessors_predecessor_is_superseded
                a_dead_token_renews_nothing
                a_predecessor_renews_nothing_once_its_successor_is_used
                s16_of_parallel_renewals_one_successor_is_left
                an_immediate_rotation_kills_every_other_token
                a_token_that_is_taken_is_no_new_token
                a_stale_version_rotates_nothing
                a_session_that_does_not_live_is_not_rotated
                a_revoked_session_is_revoked_under_every_token
                a_rotation_is_no_use
            }
            revoke {
                a_revoked_session_is_dead_at_once
                revoking_again_changes_nothing
                revoking_an_expired_session_changes_nothing
                revoking_an_unknown_session_says_so
                revoking_one_leaves_others_alone
                s06_a_revoked_session_beats_writes_in_flight
                everyone_is_revoked_in_one_write
                revoking_everyone_checks_the_number
                who_revoked_first_stays_on_record
            }
            subject {
                all_of_a_subjects_sessions_end_in_one_write
                the_excepted_session_lives
                an_exception_spares_no_one_elses_session
                other_subjects_are_left_alone
                the_same_id_in_another_namespace_is_left_alone
                a_sign_in_after_it_lives
                sign_ins_in_flight_end_or_come_after
                who_ended_a_session_before_stays_on_record
                a_session_that_had_expired_stays_expired
                the_time_is_kept_for_tokens_of_others
                revoking_everyone_counts_for_tokens_of_others
            }
            list {
                pages_go_by_id_and_miss_nothing
                pages_stay_stable_while_sessions_come_and_go
                ended_sessions_are_listed_on_demand
                a_filter_picks_one_subject
                counts_are_of_live_sessions
            }
            watch {
                events_come_in_order
                every_write_has_its_event
                a_use_has_no_event
                a_refused_write_has_no_event
                events_are_told_again_to_whom_asks_again
                a_watcher_is_woken
                a_place_beyond_the_end_is_reset
                the_number_at_once_is_bounded
                a_quiet_watcher_misses_nothing
            }
            sweep {
                expired_sessions_become_tombstones
                a_step_tells_what_ended_and_why
                a_step_is_bounded
                a_tombstone_can_be_asked_about_for_a_week
                a_forgotten_session_never_lives_again
                live_sessions_are_left_alone
                a_superseded_token_is_forgotten_after_a_week
                sweeping_again_does_nothing
            }
            tenants {
                sessions_do_not_meet
                changes_do_not_meet
                revocations_do_not_meet
                lists_and_counts_do_not_meet
                events_do_not_meet
                requests_and_limits_do_not_meet
                keys_do_not_meet
                foreign_tokens_do_not_meet
                one_id_and_token_may_stand_in_two_tenants
            }
            clock {
                a_clock_set_back_revives_nothing
                while_a_clock_is_behind_time_stands_still
                times_at_the_ends_of_the_range_do_no_harm
            }
            keys {
                a_key_is_found_by_its_hash
                a_key_is_never_changed_by_create
                a_revoked_key_tells_who_and_why
                a_key_ends_with_its_time
                keys_are_listed_in_pages
                an_unknown_key_cannot_be_revoked
                keys_have_their_events
            }
            foreign {
                a_revoked_foreign_token_is_refused_until_it_has_expired
                any_of_the_handles_counts
                a_handle_belongs_to_its_issuer
                revoking_again_keeps_who_and_why_and_the_later_end
                attributes_are_kept_across_renewals
                attributes_are_forgotten_after_their_time
                a_stale_version_of_attributes_is_a_conflict
                replacing_attributes_needs_a_version
                attributes_may_not_grow_over_16_kib
                foreign_sessions_differ_by_each_part
            }
        }
    };
    (@tests $new:expr; $($module:ident { $($name:ident)* })*) => {
        $($(
            #[test]
            fn $name() {
                let new: fn() -> $crate::store::contract::Bench = $new;
                new().run($crate::store::contract::$module::$name);
            }
        )*)*
    };
}
