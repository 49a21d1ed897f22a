//! Logs, metrics, and decisions as they are made.
//!
//! There are three kinds of logs, told apart by their target: `decision` has one line a decision,
//! `audit` has security events (names after the OWASP Logging Vocabulary), all else is for
//! debugging. No secret is in any of them; text from outside is escaped.

use std::{
    fmt,
    io::IsTerminal as _,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use auth_core::{
    observe::{DecisionEvent, Observer, SessionEvent},
    policy::file::LogFormat,
};
use tokio::sync::broadcast;
use tracing_subscriber::EnvFilter;

pub mod decision;
pub mod metrics;

pub use decision::DecisionSeen;
pub use metrics::Metrics;

/// How many decisions a slow watcher may lag behind before some are dropped for it.
const WATCH_CAPACITY: usize = 1024;

/// Starts logging for this process. Done once; a second start changes nothing.
///
/// # Errors
///
/// Returns what is wrong with the filter, or that another logger is in place.
pub fn start_logs(format: Option<LogFormat>, filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|err| format!("`{filter}`: {err}"))?;
    let is_terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal);
    let format = format.unwrap_or(if is_terminal {
        LogFormat::Text
    } else {
        LogFormat::Json
    });
    match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|err| err.to_string())
}

/// Hears what the engine does: logs, counts and passes on.
pub struct Telemetry {
    metrics: Arc<Metrics>,
    watchers: broadcast::Sender<Arc<DecisionSeen>>,
    /// One allow in this many is logged; changes with a reload.
    one_allow_in: AtomicU32,
    allows: AtomicU32,
}

impl Telemetry {
    /// Counts in these metrics.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            watchers: broadcast::Sender::new(WATCH_CAPACITY),
            one_allow_in: AtomicU32::new(1),
            allows: AtomicU32::new(0),
        }
    }

    /// The metrics.
    #[must_use]
    pub const fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Logs one allow in this many from now on.
    pub fn log_one_allow_in(&self, many: std::num::NonZeroU32) {
        self.one_allow_in.store(many.get(), Ordering::Relaxed);
    }

    /// The decisions from now on. One who reads too slowly loses some, and is told how many.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Arc<DecisionSeen>> {
        self.watchers.subscribe()
    }

    /// Whether this decision has its line in the log. Refusals always have.
    fn is_logged(&self, event: &DecisionEvent<'_>) -> bool {
        use auth_core::decision::Decision;
        match event.answer.decision() {
            Decision::Deny | Decision::Undetermined => true,
            Decision::Allow => {
                let every = self.one_allow_in.load(Ordering::Relaxed);
                every == 1
                    || self
                        .allows
                        .fetch_add(1, Ordering::Relaxed)
                        .is_multiple_of(every)
            }
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

impl Observer for Telemetry {
    fn decided(&self, event: &DecisionEvent<'_>) {
        self.metrics.decided(event);
        if self.is_logged(event) {
            decision::log(event);
        }
        decision::audit(event);
        if self.watchers.receiver_count() > 0 {
            // An error says only that the last watcher has left.
            let _ = self.watchers.send(Arc::new(DecisionSeen::of(event)));
        }
    }

    /// Changes are heard at the store instead, which all changes pass (see
    /// [`measured`](crate::measured)).
    fn session_changed(&self, _: &str, _: &SessionEvent) {}

    fn cache_looked_up(&self, hit: bool) {
        self.metrics.cache_looked_up(hit);
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use auth_core::{
        decision::{Answer, CredentialState, Reason, ReasonCode},
        wire::{Call, WireKind},
    };

    use super::*;

    /// How many of ten decisions for this reason have a line in the log.
    fn logged(telemetry: &Telemetry, code: ReasonCode) -> usize {
        let answer = Answer {
            reason: Reason::new(code),
            operation: None,
            session: None,
            workload: None,
            updates: Vec::new(),
            call: None,
            decision_id: "1".into(),
            policy_version: "v".into(),
            credential: CredentialState::Absent,
            challenges: Vec::new(),
            response_headers: Vec::new(),
        };
        let event = DecisionEvent {
            caller: "shop",
            call: &Call::new(WireKind::Http, "GET", "/"),
            target: "/",
            answer: &answer,
            presented: None,
            refusal: None,
            failure: None,
            duration: Duration::ZERO,
        };
        (0..10).filter(|_| telemetry.is_logged(&event)).count()
    }

    #[test]
    fn allows_are_sampled_and_refusals_never() {
        let telemetry = Telemetry::new(Arc::new(Metrics::new()));
        for (every, code, expected) in [
            (1, ReasonCode::Allowed, 10),
            (5, ReasonCode::Allowed, 2),
            (5, ReasonCode::RequirementFailed, 10),
            (5, ReasonCode::StoreUnavailable, 10),
        ] {
            telemetry.log_one_allow_in(NonZeroU32::new(every).unwrap());
            assert_eq!(logged(&telemetry, code), expected, "{every} {code:?}");
        }
    }
}
