//! Fetches the keys of issuers ahead of the calls that need them.

use std::{sync::Arc, time::Duration};

use auth_core::{
    engine::{Engine, KeyFetchers},
    strategy::{Strategy, issuers::Issuers},
};
use tokio_util::sync::CancellationToken;

/// How often to look whose keys are due.
const INTERVAL: Duration = Duration::from_secs(15);

/// Fetches what is due, again and again, until told to stop.
pub async fn run(engine: Arc<Engine>, fetchers: KeyFetchers, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = fetch(&engine, &fetchers) => {}
        }
    }
}

async fn fetch(engine: &Engine, fetchers: &KeyFetchers) {
    let policy = engine.policy();
    for strategy in &policy.strategies.all {
        if let Strategy::Bearer(bearer) = strategy
            && let Some(issuers) = &bearer.issuers
        {
            fetch_due(issuers, engine, fetchers).await;
        }
    }
}

async fn fetch_due(issuers: &Issuers, engine: &Engine, fetchers: &KeyFetchers) {
    for wanted in issuers.verifier.keys_due(engine.clock().now()) {
        let Some(traits) = issuers.traits.get(wanted.issuer) else {
            continue;
        };
        let fetcher = if traits.private_address {
            &fetchers.private
        } else {
            &fetchers.public
        };
        let now = engine.clock().now();
        issuers.verifier.fetch_keys(wanted, now, &**fetcher).await;
        let status = issuers.verifier.keys_status(wanted.issuer);
        if let Some(error) = status.and_then(|status| status.last_error) {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(issuer = traits.name, %error, cause, "keys could not be fetched");
        }
    }
}
