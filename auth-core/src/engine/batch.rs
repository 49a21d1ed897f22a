//! Deciding many calls of one client at once.
//!
//! A credential is judged once, however many calls present it: the calls of a batch see one policy,
//! one moment and one state of their session.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use super::{Engine, authenticate::Authenticated, authorize::Moment};
use crate::{
    caller::Caller,
    decision::Answer,
    policy::file::SessionNeed,
    strategy::{Found, Presented, Strategy},
    wire::Call,
};

/// How many calls of a batch are decided at once: enough for their look-ups to overlap, and few
/// enough that a batch leaves room for others.
const WIDTH: usize = 16;

/// A credential and what it came to.
struct Judged<'a> {
    strategy: &'a Strategy,
    presented: Presented<'a>,
    authenticated: Arc<Authenticated>,
}

impl Engine {
    /// Decides calls, in order.
    pub(super) async fn decide_all(&self, caller: &Caller, calls: Vec<Call>) -> Vec<Answer> {
        let moment = self.moment();
        let judged = self.judge_all(&moment, &calls).await;
        let answers = calls
            .into_iter()
            .zip(judged)
            .map(|(call, judged)| self.decide_one(&moment, caller, call, judged));
        stream::iter(answers).buffered(WIDTH).collect().await
    }

    async fn decide_one(
        &self,
        moment: &Moment,
        caller: &Caller,
        call: Call,
        judged: Option<Arc<Authenticated>>,
    ) -> Answer {
        self.decide_at(moment, caller, &call, judged.as_deref())
            .await
    }

    /// What the credential of each call came to; `None` where none is looked for or found.
    async fn judge_all(&self, moment: &Moment, calls: &[Call]) -> Vec<Option<Arc<Authenticated>>> {
        let mut known: Vec<Judged<'_>> = Vec::new();
        let mut judged = Vec::with_capacity(calls.len());
        for call in calls {
            let found = present(moment, call);
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
        call: &Call,
        found: Found<'a, 'a>,
        known: &mut Vec<Judged<'a>>,
    ) -> Arc<Authenticated> {
        let same = |judged: &&Judged<'_>| {
            std::ptr::eq(judged.strategy, found.strategy)
                && judged.presented.is_same(&found.presented)
        };
        if let Some(judged) = known.iter().find(same) {
            return Arc::clone(&judged.authenticated);
        }
        let strategy = found.strategy;
        let presented = found.presented.named();
        let authenticated = self
            .authenticate(call, found, moment.generation, moment.now)
            .await;
        let authenticated = Arc::new(authenticated);
        if let Some(presented) = presented {
            known.push(Judged {
                strategy,
                presented,
                authenticated: Arc::clone(&authenticated),
            });
        }
        authenticated
    }
}

/// The credential that a call presents, where its operation looks for one.
fn present<'a>(moment: &'a Moment, call: &'a Call) -> Option<Found<'a, 'a>> {
    let reached = moment.policy.apps.reach(call).ok()?;
    if reached.operation.session == SessionNeed::None {
        return None;
    }
    let found = moment.policy.strategies.find(call, reached.target.as_ref());
    found.ok().flatten()
}
