//! Deciding many calls of one client at once.
//!
//! A credential is judged once, however many calls present it: the calls of a batch see one policy,
//! one moment and one state of their session.

use std::sync::Arc;

use super::{
    Engine,
    authenticate::Authenticated,
    authorize::{Moment, gate_site},
};
use crate::{
    caller::Caller,
    decision_point::Answering,
    policy::file::SessionNeed,
    session::Tenant,
    strategy::{Found, Presented, Strategy},
    wire::{Call, Peer},
};

/// A credential, who sent it, and what it came to.
struct Judged<'a> {
    strategy: &'a Strategy,
    presented: Presented<'a>,
    tenant: &'a Tenant,
    peer: &'a Peer,
    authenticated: Arc<Authenticated>,
}

impl Engine {
    /// Judges the credentials of these calls, which are then ready to be decided.
    pub(super) async fn decide_all<'a>(
        &'a self,
        caller: &'a Caller,
        calls: Vec<Call>,
    ) -> Vec<Answering<'a>> {
        let moment = Arc::new(self.moment());
        let judged = self.judge_all(&moment, &calls).await;
        let answering = |(call, judged): (Call, Option<Arc<Authenticated>>)| {
            let moment = Arc::clone(&moment);
            let answer = async move {
                self.decide_at(&moment, caller, &call, judged.as_deref())
                    .await
            };
            Box::pin(answer) as Answering<'a>
        };
        calls.into_iter().zip(judged).map(answering).collect()
    }

    /// The credential that a call presents, where its operation looks for one.
    fn present<'a>(&self, moment: &'a Moment, call: &'a Call) -> Option<Found<'a, 'a>> {
        let policy = &*moment.policy;
        let reached = policy.apps.reach(call).ok()?;
        let is_refused = gate_site(
            (policy, &self.keys, moment.now),
            call,
            &reached,
            call.advisory,
        )
        .is_some();
        if is_refused || reached.operation.session == SessionNeed::None {
            return None;
        }
        let found = policy.strategies.find(call, reached.target.as_ref());
        found.ok().flatten()
    }

    /// What the credential of each call came to; `None` where none is looked for or found.
    async fn judge_all(&self, moment: &Moment, calls: &[Call]) -> Vec<Option<Arc<Authenticated>>> {
        let mut known: Vec<Judged<'_>> = Vec::new();
        let mut judged = Vec::with_capacity(calls.len());
        for call in calls {
            let found = self.present(moment, call);
            judged.push(match found {
                None => None,
                Some(found) => Some(self.judge(moment, call, found, &mut known).await),
            });
        }
        judged
    }

    async fn judge<'a>(
        &self,
        moment: &Moment,
        call: &'a Call,
        found: Found<'a, 'a>,
        known: &mut Vec<Judged<'a>>,
    ) -> Arc<Authenticated> {
        let same = |judged: &&Judged<'_>| {
            std::ptr::eq(judged.strategy, found.strategy)
                && judged.presented.is_same(&found.presented)
                // A token may be bound to its sender, and is good in one tenant.
                && *judged.tenant == call.tenant
                && *judged.peer == call.peer
        };
        if let Some(judged) = known.iter().find(same) {
            return Arc::clone(&judged.authenticated);
        }
        let strategy = found.strategy;
        let presented = found.presented.named();
        let authenticated = self
            .authenticate(call, found, moment.generation, moment.now)
            .await;
        if authenticated.refusal.is_some() {
            self.throttle.refused(&call.peer.address, moment.now);
        }
        let authenticated = Arc::new(authenticated);
        if let Some(presented) = presented {
            known.push(Judged {
                strategy,
                presented,
                tenant: &call.tenant,
                peer: &call.peer,
                authenticated: Arc::clone(&authenticated),
            });
        }
        authenticated
    }
}
