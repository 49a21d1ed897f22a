//! Watches the Sidegate that decides in place of this one.
//!
//! Without it every edge refuses, so the health service says so, and the log says why: most often it
//! is not the other process that is at fault but the token by which it should know this one.

use std::{path::Path, sync::Arc, time::Duration};

use auth_core::{
    decision_point::{DecisionPoint as _, WireProfile},
    policy::settings::{Lack, Lacking, Remote},
    wire::WireKind,
};
use proto::{
    envoy::service::auth::v3::authorization_server::SERVICE_NAME as ENVOY,
    remote::{RemoteDecisionPoint, Unusable},
};
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::edge::health::Readiness;

/// How often it is asked.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// What needs it: all of this process, as `""` means, and what Envoy asks.
const SERVICES: [&str; 2] = ["", ENVOY];

/// What is told of it.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The one that decides.
    pub(crate) point: Arc<RemoteDecisionPoint>,
    /// Where it is.
    pub(crate) settings: Remote,
    /// What the edges here cannot supply to its checks.
    pub(crate) lacks: Vec<Lack>,
    /// Who is told.
    pub(crate) health: HealthReporter,
    /// Once this process ends, its health says so, whatever the other one does.
    pub(crate) readiness: Arc<Readiness>,
}

impl Watch {
    /// Asks until `stop`, and tells what has changed.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let (mut known, mut version) = (None, Arc::from(""));
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let asked = tokio::time::timeout(PATIENCE, self.point.probe()).await;
            let found = asked.unwrap_or(Err(Unusable::Away));
            if let Ok(profile) = &found
                && profile.policy_version != version
            {
                let grpc = self.point.profile(&WireKind::Grpc).await;
                // Else it is asked anew: the policy changed in between, or nobody answered.
                if grpc.policy_version == profile.policy_version {
                    self.tell_of_lacks(profile, &grpc);
                    version = Arc::clone(&profile.policy_version);
                }
            }
            let found = found.map(drop);
            if known != Some(found) {
                self.tell(found).await;
                known = Some(found);
            }
        }
    }

    async fn tell(&self, found: Result<(), Unusable>) {
        let address = &self.settings.address;
        match found {
            Ok(()) => tracing::info!(%address, "`decide.remote` answers"),
            Err(problem) => tracing::error!(
                %address,
                %problem,
                help = help(problem, self.settings.token_file.as_deref()),
                "`decide.remote` decides nothing: every request is refused"
            ),
        }
        let is_good = found.is_ok() && !self.readiness.is_draining();
        self.set(is_good).await;
        // The end may have begun in between, and it must have the last word.
        if is_good && self.readiness.is_draining() {
            self.set(false).await;
        }
    }

    /// What is refused when a file loads that has edges and operations both (R24) can only be told
    /// here, where they meet.
    fn tell_of_lacks(&self, http: &WireProfile, grpc: &WireProfile) {
        for lack in &self.lacks {
            let profile = match lack.kind {
                WireKind::Grpc => grpc,
                _ => http,
            };
            if lack.what == Lacking::Peer {
                // What reads it is not known here.
                if profile.peer_identity && lack.excepted.is_empty() {
                    tracing::warn!(
                        edge = lack.edge,
                        wire = lack.kind.as_str(),
                        help = "list the operations that may do without as `without_peer`",
                        "something reads who the peer is, of whom this edge is never told: there \
                         `workload.identity` is `null`"
                    );
                }
                continue;
            }
            let data = profile.data.iter();
            for name in data.filter(|name| !lack.excepts(&name.operation)) {
                tracing::warn!(
                    edge = lack.edge,
                    wire = lack.kind.as_str(),
                    operation = &*name.operation,
                    data = name.field,
                    help = format!(
                        "add `{}: [ {} ]` to `{}` to say that this is known",
                        lack.what.key(),
                        name.operation,
                        lack.edge
                    ),
                    "data of an operation never comes by this edge: a check that reads it never \
                     holds here"
                );
            }
        }
    }

    async fn set(&self, is_good: bool) {
        let status = match is_good {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        };
        for name in SERVICES {
            self.health.set_service_status(name, status).await;
        }
    }
}

/// What mends it.
fn help(problem: Unusable, token_file: Option<&Path>) -> String {
    match (problem, token_file) {
        (Unusable::Away, _) => "start it, or correct `decide.remote.address`".to_owned(),
        (Unusable::Unknown, Some(file)) => format!(
            "the token in `{}` must be that of a caller in the other one's file",
            file.display()
        ),
        (Unusable::Unknown, None) => {
            "name its `token_file`, or give a caller in the other one's file the `uid` of this \
             process"
                .to_owned()
        }
        (Unusable::GrantMissing, _) => {
            "give that caller `may: [ authorize ]`, and `session.self` for apps that write sessions"
                .to_owned()
        }
        (Unusable::Refuses(_) | Unusable::Garbled, _) => {
            "see the other one's log, and that both are of one version".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_not_known_is_named_by_its_file() {
        let file = Path::new("/etc/sidegate/edge.token");
        let said = help(Unusable::Unknown, Some(file));
        assert!(said.contains("`/etc/sidegate/edge.token`"), "{said}");
        let said = help(Unusable::Unknown, None);
        assert!(said.contains("`token_file`"), "{said}");
    }
}
