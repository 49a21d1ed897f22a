//! `/livez`, `/readyz` and `/metrics`, for those who run the sidecar.

use std::{
    fmt::Write as _,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use auth_core::store::Store;
use axum::{
    Router,
    extract::State,
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
    routing::get,
};

use proto::remote::RemoteDecisionPoint;

use crate::telemetry::Metrics;

/// How long the store, or the Sidegate that decides, may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether requests should come here.
#[derive(Debug)]
pub struct Readiness {
    draining: AtomicBool,
    store: Arc<dyn Store>,
    /// What decides in place of this process.
    remote: OnceLock<Arc<RemoteDecisionPoint>>,
}

impl Readiness {
    /// Ready as long as this store answers.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            draining: AtomicBool::new(false),
            store,
            remote: OnceLock::new(),
        }
    }

    /// Ready only as long as this other Sidegate answers, too: without it every edge refuses.
    pub fn decided_by(&self, remote: Arc<RemoteDecisionPoint>) {
        // There is one of it for the life of the process.
        let _ = self.remote.set(remote);
    }

    /// Not ready from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether [`drain`](Self::drain) was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Whether the store answers.
    pub async fn store_answers(&self) -> bool {
        let asked = tokio::time::timeout(PATIENCE, self.store.position());
        matches!(asked.await, Ok(Ok(_)))
    }

    /// What is looked at, and whether it is good.
    async fn checks(&self) -> Vec<(&'static str, bool)> {
        let is_serving = !self.is_draining();
        let mut checks = vec![
            ("serving", is_serving),
            ("store", self.store_answers().await),
        ];
        if let Some(remote) = self.remote.get() {
            let asked = tokio::time::timeout(PATIENCE, remote.probe());
            checks.push(("decide.remote", matches!(asked.await, Ok(Ok(_)))));
        }
        checks
    }
}

#[derive(Clone)]
struct Shared {
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
}

/// The routes.
pub fn router(readiness: Arc<Readiness>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(render_metrics))
        .with_state(Shared { readiness, metrics })
}

/// As the Kubernetes API server does it: 200 or 503, and with `?verbose` a line for each check.
async fn ready(State(shared): State<Shared>, uri: Uri) -> Response {
    let checks = shared.readiness.checks().await;
    let is_ready = checks.iter().all(|(_, good)| *good);
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let verbose = uri
        .query()
        .is_some_and(|query| query.split('&').any(|part| part.starts_with("verbose")));
    let mut text = String::new();
    if verbose || !is_ready {
        for (name, good) in checks {
            let (sign, word) = if good { ('+', "ok") } else { ('-', "failed") };
            // Writing to a string does not fail.
            let _ = writeln!(text, "[{sign}]{name} {word}");
        }
    }
    text.push_str(if is_ready { "ok\n" } else { "not ready\n" });
    (status, text).into_response()
}

async fn render_metrics(State(shared): State<Shared>) -> Response {
    let mut response = shared.metrics.render().into_response();
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
