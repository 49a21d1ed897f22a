//! Deciding a call and telling how, without leaving a trace.

use std::sync::atomic::Ordering;

use super::{
    Engine, Who,
    authenticate::Authenticated,
    authorize::{
        gate, gate_site, needed_scopes, preflight_answer, read_data, run_lookups, workload,
    },
    render,
};
use crate::{
    clock::Timestamp,
    cors,
    decision::{Answer, ReasonCode},
    evaluation::Evaluation,
    explain::{CredentialFate, Explanation, requirements},
    live::Session,
    operation::{Reached, Unreached},
    policy::{Policy, file::SessionNeed},
    strategy::Conflict,
    wire::Call,
};

use super::authorize::Verdict;

impl Engine {
    /// Decides a call as if `who` made it, and explains the decision. Nothing is touched, counted
    /// or handed out.
    pub async fn explain(&self, call: &Call, who: Who) -> (Answer, Explanation) {
        let now = self.clock.now();
        let generation = self.generation.load(Ordering::SeqCst);
        let policy = self.policy.load_full();
        let mut authenticated = Authenticated::default();
        if let Some(preflight) = cors::preflight(&policy.apps, call) {
            let answer = preflight_answer(&policy, preflight);
            let explanation = Explanation::unreached(&answer);
            return (answer, explanation);
        }
        let reached = match policy.apps.reach(call) {
            Ok(reached) => reached,
            Err(unreached) => {
                let verdict = match unreached {
                    Unreached::Unknown => Verdict::new(ReasonCode::UnknownOperation),
                    Unreached::Invalid(why) => Verdict::detail(ReasonCode::TargetInvalid, why),
                };
                let answer = self.answer(&policy, call, None, verdict, &authenticated);
                let explanation = Explanation::unreached(&answer);
                return (answer, explanation);
            }
        };
        let stated = !matches!(who, Who::Credentials);
        let identified = match gate_site((&policy, &self.keys, now), call, &reached, true) {
            Some(refused) => Err(refused),
            None => self
                .identify(&policy, generation, call, &reached, who, now)
                .await
                .map_err(|Conflict| Verdict::new(ReasonCode::CredentialConflict)),
        };
        let verdict = match identified {
            Ok(identified) => {
                authenticated = identified;
                match gate(reached.operation, call, reached.path(), &authenticated) {
                    Some(refused) => refused,
                    None => {
                        let session = authenticated.session.as_deref();
                        self.evaluate(call, &reached, session, now).await
                    }
                }
            }
            Err(refused) => refused,
        };
        let mut explanation = self.tree(call, &reached, &authenticated, now).await;
        explanation.failure = verdict.failure.clone().or(explanation.failure);
        let answer = self.answer(&policy, call, Some(&reached), verdict, &authenticated);
        explanation.credential = fate(&answer, &authenticated, stated);
        (answer, explanation)
    }

    /// Whose call it is.
    async fn identify(
        &self,
        policy: &Policy,
        generation: u64,
        call: &Call,
        reached: &Reached<'_, '_>,
        who: Who,
        now: Timestamp,
    ) -> Result<Authenticated, Conflict> {
        let none = reached.operation.session == SessionNeed::None;
        match who {
            _ if none => Ok(Authenticated::default()),
            Who::Anonymous => Ok(Authenticated::default()),
            Who::Session(session) => Ok(Authenticated {
                session: Some(session),
                ..Authenticated::default()
            }),
            Who::Credentials => match policy.strategies.find(call, reached.target.as_ref())? {
                Some(found) => Ok(self.authenticate(call, found, generation, now).await),
                None => Ok(Authenticated::default()),
            },
        }
    }

    /// Works out every check, also those that the decision did not need.
    async fn tree(
        &self,
        call: &Call,
        reached: &Reached<'_, '_>,
        authenticated: &Authenticated,
        now: Timestamp,
    ) -> Explanation {
        let (app, operation) = (reached.app, reached.operation);
        let session: Option<&Session> = authenticated.session.as_deref();
        let needed = needed_scopes(operation, &call.kind, reached.path());
        let mut explanation = Explanation::reached(app, reached.path(), session, &needed);
        let mut evaluation = Evaluation::new(app, operation, call, reached.path(), session, now);
        // Checks of data that is not valid are false, as they are without any.
        let _ = read_data(&mut evaluation, call, reached);
        let keys = operation
            .requirements
            .iter()
            .flat_map(|attached| attached.requirement.keys());
        for slot in keys.flat_map(|key| key.checks()) {
            let failure = run_lookups(app, &mut evaluation, slot).await;
            explanation.failure = explanation.failure.or(failure);
        }
        explanation.requirements = requirements(operation, call, reached.path(), &mut evaluation);
        explanation
    }

    fn answer(
        &self,
        policy: &Policy,
        call: &Call,
        reached: Option<&Reached<'_, '_>>,
        verdict: Verdict,
        authenticated: &Authenticated,
    ) -> Answer {
        Answer {
            challenges: render::challenges(policy, &verdict.reason, authenticated),
            response_headers: Vec::new(),
            reason: verdict.reason,
            operation: reached.map(|reached| reached.operation.name.clone()),
            session: authenticated.session.clone(),
            workload: workload(call, self.clock.now()),
            updates: Vec::new(),
            call: None,
            decision_id: self.decisions.id(),
            policy_version: policy.version.clone(),
            credential: authenticated.state(),
        }
    }
}

fn fate(answer: &Answer, authenticated: &Authenticated, stated: bool) -> CredentialFate {
    let session = authenticated.session.as_deref();
    CredentialFate {
        state: if stated {
            "stated"
        } else {
            answer.credential.as_str()
        }
        .to_owned(),
        strategy: session.map(|session| session.strategy.to_string()),
        principal: session.and_then(Session::principal).map(str::to_owned),
        refused: authenticated.refusal.as_ref().map(ToString::to_string),
    }
}
