//! Counters and durations, in the form that Prometheus reads.
//!
//! Labels come from closed lists, so that nobody can make series from outside.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicI64, AtomicU64},
    },
    time::Duration,
};

use auth_core::{
    clock::Timestamp, decision::ReasonCode, observe::DecisionEvent, outcome::Outcome,
    wire::WireKind,
};
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::Registry,
};

/// One label and its value.
type Label = [(&'static str, &'static str); 1];
type Histograms = Family<Label, Histogram, fn() -> Histogram>;

/// How many kinds of wire have a label of their own: the built-in ones, and one for the rest.
const WIRES: usize = WireKind::BUILT_IN.len() + 1;
const REASONS: usize = ReasonCode::ALL.len();

/// All metrics of a sidecar.
pub struct Metrics {
    registry: Registry,
    decisions: Family<[(&'static str, &'static str); 3], Counter>,
    /// The counters of `decisions`, found without a look-up on the request path.
    known_decisions: Box<[[OnceLock<Counter>; WIRES]; REASONS]>,
    decision_duration: Histogram,
    sessions_created: Counter,
    sessions_ended: Family<Label, Counter>,
    credentials_refused: Family<Label, Counter>,
    store_duration: Histograms,
    store_errors: Family<Label, Counter>,
    cache_hits: Counter,
    cache_misses: Counter,
    reloads: Family<Label, Counter>,
    last_reload_success: Gauge<i64, AtomicI64>,
    last_reload_time: Gauge<f64, AtomicU64>,
    swept: Counter,
    watch_dropped: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that all stand at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("sidegate"),
            decisions: Family::default(),
            known_decisions: Box::new(std::array::from_fn(|_| {
                std::array::from_fn(|_| OnceLock::new())
            })),
            decision_duration: decision_buckets(),
            sessions_created: Counter::default(),
            sessions_ended: Family::default(),
            credentials_refused: Family::default(),
            store_duration: Family::new_with_constructor(store_buckets),
            store_errors: Family::default(),
            cache_hits: Counter::default(),
            cache_misses: Counter::default(),
            reloads: Family::default(),
            last_reload_success: Gauge::default(),
            last_reload_time: Gauge::default(),
            swept: Counter::default(),
            watch_dropped: Counter::default(),
        };
        metrics.register_decisions();
        metrics.register_stores();
        metrics.register_operations();
        metrics
    }

    fn register_decisions(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "decisions",
            "Decisions made, by outcome, reason and wire",
            self.decisions.clone(),
        );
        registry.register(
            "decision_duration_seconds",
            "Time from call to decision",
            self.decision_duration.clone(),
        );
        registry.register(
            "credentials_refused",
            "Credentials that were presented and refused, by why",
            self.credentials_refused.clone(),
        );
        registry.register(
            "session_cache_hits",
            "Sessions found in the cache",
            self.cache_hits.clone(),
        );
        registry.register(
            "session_cache_misses",
            "Sessions not found in the cache",
            self.cache_misses.clone(),
        );
        registry.register(
            "watched_decisions_dropped",
            "Decisions that a slow watcher did not get to see",
            self.watch_dropped.clone(),
        );
    }

    fn register_stores(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "sessions_created",
            "Sessions made",
            self.sessions_created.clone(),
        );
        registry.register(
            "sessions_ended",
            "Sessions ended, by cause",
            self.sessions_ended.clone(),
        );
        registry.register(
            "store_duration_seconds",
            "Time that the store took, by verb",
            self.store_duration.clone(),
        );
        registry.register(
            "store_errors",
            "Times that the store did not answer, by verb",
            self.store_errors.clone(),
        );
        registry.register(
            "store_swept",
            "Tombstones, tokens and events removed for good",
            self.swept.clone(),
        );
    }

    fn register_operations(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "config_reloads",
            "Times that the configuration was read again, by result",
            self.reloads.clone(),
        );
        registry.register(
            "config_last_reload_success",
            "Whether the configuration was good when last read: 1 or 0",
            self.last_reload_success.clone(),
        );
        registry.register(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration in force was read",
            self.last_reload_time.clone(),
        );
        registry.register(
            "build",
            "The running program",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
    }

    /// A decision was made.
    pub(super) fn decided(&self, event: &DecisionEvent<'_>) {
        let reason = event.answer.reason.code;
        let wire = &event.call.kind;
        let known = position(&ReasonCode::ALL, &reason)
            .and_then(|row| self.known_decisions.get(row))
            .and_then(|row| row.get(wire_index(wire)));
        if let Some(counter) = known {
            counter
                .get_or_init(|| self.decisions.get_or_create_owned(&decision(reason, wire)))
                .inc();
        }
        self.decision_duration.observe(event.duration.as_secs_f64());
        if let Some(refusal) = event.refusal {
            let why = [("why", refusal.label())];
            self.credentials_refused.get_or_create(&why).inc();
        }
    }

    /// A session was found in the cache, or not.
    pub(super) fn cache_looked_up(&self, hit: bool) {
        if hit {
            self.cache_hits.inc();
        } else {
            self.cache_misses.inc();
        }
    }

    /// A session was made.
    pub fn session_created(&self) {
        self.sessions_created.inc();
    }

    /// Sessions ended.
    pub fn sessions_ended(&self, cause: &'static str, count: u64) {
        if count > 0 {
            let cause = [("cause", cause)];
            self.sessions_ended.get_or_create(&cause).inc_by(count);
        }
    }

    /// The store was asked.
    pub fn store_asked(&self, verb: &'static str, duration: Duration, answered: bool) {
        let verb = [("verb", verb)];
        self.store_duration
            .get_or_create(&verb)
            .observe(duration.as_secs_f64());
        if !answered {
            self.store_errors.get_or_create(&verb).inc();
        }
    }

    /// Things were removed for good.
    pub fn swept(&self, count: u64) {
        self.swept.inc_by(count);
    }

    /// The configuration was read, for the first time or again.
    pub fn config_read(&self, good: bool, now: Timestamp) {
        let result = [("result", if good { "success" } else { "failure" })];
        self.reloads.get_or_create(&result).inc();
        self.last_reload_success.set(i64::from(good));
        if good {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a second more or less does not matter here"
            )]
            self.last_reload_time.set(now.as_seconds() as f64);
        }
    }

    /// A slow watcher lost decisions.
    pub fn watch_dropped(&self, count: u64) {
        self.watch_dropped.inc_by(count);
    }

    /// All metrics in the text format of Prometheus.
    #[must_use]
    pub fn render(&self) -> String {
        let mut open_metrics = String::new();
        // Writing to a string does not fail.
        let _ = text::encode_registry(&mut open_metrics, &self.registry);
        classic(&open_metrics)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// From 10 us to 2.6 s, four times as long each.
fn decision_buckets() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(
        0.000_01, 4.0, 10,
    ))
}

/// From 10 us to 10 s.
fn store_buckets() -> Histogram {
    Histogram::new(prometheus_client::metrics::histogram::exponential_buckets(
        0.000_01, 4.0, 11,
    ))
}

fn decision(reason: ReasonCode, wire: &WireKind) -> [(&'static str, &'static str); 3] {
    [
        ("outcome", Outcome::from(reason).as_str()),
        ("reason", reason.as_str()),
        ("wire", wire.label()),
    ]
}

fn wire_index(wire: &WireKind) -> usize {
    position(&WireKind::BUILT_IN, wire).unwrap_or(WIRES - 1)
}

fn position<T: PartialEq>(list: &[T], item: &T) -> Option<usize> {
    list.iter().position(|other| other == item)
}

/// Turns OpenMetrics into the older format, in which the name of a counter ends in `_total` in its
/// `HELP` and `TYPE` lines too, and there is no `info`. Every Prometheus reads that.
fn classic(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest;
            continue;
        }
        let Some(rest) = line.strip_prefix("# TYPE ") else {
            if !line.starts_with('#') {
                text.push_str(line);
                text.push('\n');
            }
            continue;
        };
        let (name, kind) = rest.rsplit_once(' ').unwrap_or((rest, "untyped"));
        let words = help.strip_prefix(name).unwrap_or_default().trim();
        let (suffix, kind) = match kind {
            "counter" => ("_total", "counter"),
            "info" => ("_info", "gauge"),
            other => ("", other),
        };
        text.push_str(&format!(
            "# HELP {name}{suffix} {words}\n# TYPE {name}{suffix} {kind}\n"
        ));
    }
    text
}
