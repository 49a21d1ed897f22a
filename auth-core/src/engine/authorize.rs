//! Deciding a call, from the target to the sealed handle.

use std::sync::{Arc, atomic::Ordering};

use super::{Engine, authenticate::Authenticated, render};
use crate::{
    caller::Caller,
    check::Row,
    clock::Timestamp,
    cors::{self, Preflight},
    cross_site, csrf,
    data::DataError,
    decision::{Answer, CredentialState, Reason, ReasonCode},
    evaluation::{Evaluation, Step},
    keys::Keyring,
    live::Session,
    observe::{DecisionEvent, Refusal},
    operation::{App, Operation, Reached, Unreached},
    policy::{Policy, file::SessionNeed},
    principal::{PEER_NAMESPACE, Principal},
    requirement::{Slot, Truth},
    strategy::Conflict,
    value::Value,
    wire::{Call, WireKind},
};

/// Whose call is decided.
#[derive(Clone, Debug)]
pub enum Who {
    /// Whoever the call's credentials say.
    Credentials,
    /// Nobody.
    Anonymous,
    /// A session as stated.
    Session(Arc<Session>),
}

/// A decision on its way to an answer.
pub(super) struct Verdict {
    pub(super) reason: Reason,
    pub(super) failure: Option<String>,
}

impl Verdict {
    pub(super) fn new(code: ReasonCode) -> Self {
        Self {
            reason: Reason::new(code),
            failure: None,
        }
    }

    pub(super) fn detail(code: ReasonCode, detail: impl Into<String>) -> Self {
        Self {
            reason: Reason::with_detail(code, detail),
            failure: None,
        }
    }

    fn failed(code: ReasonCode, failure: String) -> Self {
        Self {
            reason: Reason::new(code),
            failure: Some(failure),
        }
    }
}

/// What a decision is made under.
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) generation: u64,
    pub(super) policy: Arc<Policy>,
}

impl Engine {
    pub(super) fn moment(&self) -> Moment {
        Moment {
            now: self.clock.now(),
            // Before the policy: one that is put in force in between is then not cached as newer
            // than it is.
            generation: self.generation.load(Ordering::SeqCst),
            policy: self.policy.load_full(),
        }
    }

    /// Decides a call.
    pub(super) async fn decide(&self, caller: &Caller, call: &Call) -> Answer {
        let moment = self.moment();
        self.decide_at(&moment, caller, call, None).await
    }

    /// Decides a call whose credential may have been `judged` before.
    pub(super) async fn decide_at(
        &self,
        moment: &Moment,
        caller: &Caller,
        call: &Call,
        judged: Option<&Authenticated>,
    ) -> Answer {
        let (now, policy) = (moment.now, &*moment.policy);
        if let Some(preflight) = cors::preflight(&policy.apps, call) {
            return self.answer_preflight(moment, caller, call, preflight);
        }
        let mut authenticated = judged.cloned().unwrap_or_default();
        let reached = policy.apps.reach(call);
        let verdict = match &reached {
            Err(Unreached::Unknown) => Verdict::new(ReasonCode::UnknownOperation),
            Err(Unreached::Invalid(why)) => Verdict::detail(ReasonCode::TargetInvalid, why.clone()),
            Ok(reached) => {
                self.decide_reached(moment, call, reached, judged, &mut authenticated)
                    .await
            }
        };
        let reached = reached.ok();
        if verdict.reason.code == ReasonCode::DataNeeded {
            return unread(policy, verdict, reached.as_ref());
        }
        if judged.is_none() && authenticated.refusal.is_some() {
            self.throttle.refused(&call.peer.address, now);
        }
        let operation = reached.as_ref().map(|reached| reached.operation);
        let allowed = verdict.reason.code == ReasonCode::Allowed;
        let begins = operation.filter(|_| allowed);
        let begins = begins.is_some_and(|operation| may_begin(operation, &authenticated));
        let mut updates = match begins {
            true => Vec::new(),
            false => render::dead_cookie(policy, call, &authenticated),
        };
        if !call.advisory
            && let Some(token) = &authenticated.token
        {
            self.note_use(call, token, now).await;
            if !begins {
                updates.extend(self.hand_out_due(policy, caller, call, token, now).await);
            }
        }
        let handle = reached
            .as_ref()
            .filter(|_| allowed && !call.advisory)
            .and_then(|reached| {
                self.seal_call(
                    caller,
                    call,
                    reached.app,
                    reached.operation,
                    &authenticated,
                    now,
                )
            });
        let answer = Answer {
            challenges: render::challenges(policy, &verdict.reason, &authenticated),
            response_headers: operation
                .filter(|_| call.kind == WireKind::Http)
                .and_then(|operation| operation.cors.as_ref())
                .map_or_else(Vec::new, |cors| cors.response_headers(call)),
            reason: verdict.reason,
            operation: operation.map(|operation| operation.name.clone()),
            session: authenticated.session.clone(),
            workload: workload(call, now),
            updates,
            call: handle,
            decision_id: self.decisions.id(),
            policy_version: policy.version.clone(),
            credential: authenticated.state(),
        };
        self.observer.decided(&DecisionEvent {
            caller: &caller.name,
            call,
            target: reached.as_ref().map_or("", |reached| reached.path()),
            answer: &answer,
            presented: authenticated.presented,
            refusal: authenticated.refusal.as_ref(),
            failure: verdict.failure.as_deref(),
            duration: self.clock.now().since(now),
        });
        answer
    }

    /// Answers a browser that asks for a page of another origin. No credential is looked at.
    fn answer_preflight(
        &self,
        moment: &Moment,
        caller: &Caller,
        call: &Call,
        preflight: Preflight<'_>,
    ) -> Answer {
        let answer = Answer {
            decision_id: self.decisions.id(),
            ..preflight_answer(&moment.policy, preflight)
        };
        self.observer.decided(&DecisionEvent {
            caller: &caller.name,
            call,
            target: "",
            answer: &answer,
            presented: None,
            refusal: None,
            failure: None,
            duration: self.clock.now().since(moment.now),
        });
        answer
    }

    async fn decide_reached(
        &self,
        moment: &Moment,
        call: &Call,
        reached: &Reached<'_, '_>,
        judged: Option<&Authenticated>,
        authenticated: &mut Authenticated,
    ) -> Verdict {
        let now = moment.now;
        if let Some(refused) = gate_site(
            (&moment.policy, &self.keys, now),
            call,
            reached,
            call.advisory,
        ) {
            return refused;
        }
        if reached.operation.session != SessionNeed::None && judged.is_none() {
            let strategies = &moment.policy.strategies;
            match strategies.find(call, reached.target.as_ref()) {
                Err(Conflict) => return Verdict::new(ReasonCode::CredentialConflict),
                Ok(None) => {}
                Ok(Some(found)) => {
                    *authenticated = self.authenticate(call, found, moment.generation, now).await
                }
            }
        }
        if let Some(refused) = gate(reached.operation, call, reached.path(), authenticated) {
            return refused;
        }
        let session = authenticated.session.as_deref();
        self.evaluate(call, reached, session, now).await
    }

    /// Asks the requirements.
    pub(super) async fn evaluate(
        &self,
        call: &Call,
        reached: &Reached<'_, '_>,
        session: Option<&Session>,
        now: Timestamp,
    ) -> Verdict {
        let (app, operation) = (reached.app, reached.operation);
        let mut evaluation = Evaluation::new(app, operation, call, reached.path(), session, now);
        let mut failure = None;
        loop {
            match evaluation.step() {
                Step::Allow => return Verdict::new(ReasonCode::Allowed),
                Step::Deny(place) => return denied(operation, &evaluation, place, session),
                Step::Undetermined(place) => {
                    let failure = failure.unwrap_or_else(|| "a native check failed".into());
                    let verdict = Verdict::failed(ReasonCode::LookupFailed, failure);
                    return named(verdict, operation, &evaluation, place, Truth::Undetermined);
                }
                Step::NeedData => {
                    if let Err(why) = read_data(&mut evaluation, call, reached) {
                        return Verdict::detail(ReasonCode::DataInvalid, why.to_string());
                    }
                }
                Step::NeedBody => return Verdict::new(ReasonCode::DataNeeded),
                Step::RunLookups(slot) => {
                    if let Some(why) = Box::pin(run_lookups(app, &mut evaluation, slot)).await {
                        failure = Some(why);
                    }
                }
            }
        }
    }
}

/// Whether the app may be about to begin a session. It then sets the same cookies, and some proxies
/// would let ours win over its.
fn may_begin(operation: &Operation, authenticated: &Authenticated) -> bool {
    let is_anonymous = authenticated.session.is_none();
    operation.signs_in || (operation.writes_attributes && is_anonymous)
}

/// The answer to a preflight, without an id.
pub(super) fn preflight_answer(policy: &Policy, preflight: Preflight<'_>) -> Answer {
    let reason = match preflight.headers {
        Some(_) => Reason::new(ReasonCode::Preflight),
        None => Reason::with_detail(
            ReasonCode::CrossSite,
            "`origin` is not one that may call it",
        ),
    };
    Answer {
        response_headers: preflight.headers.unwrap_or_default(),
        ..bare(policy, reason, Some(preflight.operation))
    }
}

/// The answer of a call whose body is needed first. It is no decision yet, so nothing was done, and
/// nobody hears of it.
fn unread(policy: &Policy, verdict: Verdict, reached: Option<&Reached<'_, '_>>) -> Answer {
    bare(
        policy,
        verdict.reason,
        reached.map(|reached| reached.operation),
    )
}

/// An answer with a reason and nothing else.
fn bare(policy: &Policy, reason: Reason, operation: Option<&Operation>) -> Answer {
    Answer {
        reason,
        operation: operation.map(|operation| operation.name.clone()),
        session: None,
        workload: None,
        updates: Vec::new(),
        call: None,
        decision_id: String::new(),
        policy_version: policy.version.clone(),
        credential: CredentialState::Absent,
        challenges: Vec::new(),
        response_headers: Vec::new(),
    }
}

/// What must hold before anybody looks at credentials: no other site caused the call.
pub(super) fn gate_site(
    (policy, keys, now): (&Policy, &Keyring, Timestamp),
    call: &Call,
    reached: &Reached<'_, '_>,
    is_question: bool,
) -> Option<Verdict> {
    let (strategies, operation) = (&policy.strategies, reached.operation);
    let why = cross_site::refusal(strategies, operation, call, is_question)
        .or_else(|| csrf::refusal((keys, now), strategies, operation, call, is_question))?;
    Some(Verdict::detail(ReasonCode::CrossSite, why))
}

/// What must hold before requirements are asked: a session, its actor, its scopes.
pub(super) fn gate(
    operation: &Operation,
    call: &Call,
    path: &str,
    authenticated: &Authenticated,
) -> Option<Verdict> {
    if let Some((code, failure)) = &authenticated.failure {
        return Some(Verdict::failed(*code, failure.clone()));
    }
    if authenticated.refusal == Some(Refusal::Throttled) {
        return Some(Verdict::new(ReasonCode::TooManyRejected));
    }
    let required = operation.session == SessionNeed::Required;
    if required && authenticated.refusal.is_some() {
        return Some(Verdict::new(ReasonCode::CredentialRejected));
    }
    gate_session(operation, call, path, authenticated.session.as_deref())
}

/// The part of the gate that looks at the session.
pub(super) fn gate_session(
    operation: &Operation,
    call: &Call,
    path: &str,
    session: Option<&Session>,
) -> Option<Verdict> {
    let signed_in = session.filter(|session| session.is_signed_in());
    if operation.session == SessionNeed::Required && signed_in.is_none() {
        return Some(Verdict::new(ReasonCode::SessionRequired));
    }
    if session.is_some_and(|session| session.identity.actor.is_some()) && !operation.admits_actors {
        return Some(Verdict::new(ReasonCode::ActorRefused));
    }
    let needed = needed_scopes(operation, &call.kind, path);
    if needed.is_empty() || session.is_some_and(|session| session.covers(&needed)) {
        return None;
    }
    let code = match signed_in {
        Some(_) => ReasonCode::InsufficientScope,
        None => ReasonCode::SessionRequired,
    };
    let mut verdict = Verdict::new(code);
    verdict.reason.required_scopes = needed;
    Some(verdict)
}

/// All scopes that a call needs.
pub(super) fn needed_scopes(operation: &Operation, kind: &WireKind, path: &str) -> Arc<[String]> {
    let mut conditional = operation
        .conditional_scopes
        .iter()
        .filter(|scopes| scopes.applies.to(kind, path))
        .flat_map(|scopes| scopes.scopes.iter())
        .peekable();
    if conditional.peek().is_none() {
        return operation.scopes.clone();
    }
    let mut all: Vec<String> = operation
        .scopes
        .iter()
        .chain(conditional)
        .cloned()
        .collect();
    all.sort();
    all.dedup();
    all.into()
}

/// A refusal by a requirement: for want of a session where it reads one (R7), else as it is.
fn denied(
    operation: &Operation,
    evaluation: &Evaluation<'_>,
    place: usize,
    session: Option<&Session>,
) -> Verdict {
    let reads_session = |slot: Slot| evaluation.check(slot).is_some_and(|c| c.reads_session());
    let wants_session = !session.is_some_and(Session::is_signed_in)
        && operation.requirements.get(place).is_some_and(|attached| {
            attached
                .requirement
                .keys()
                .iter()
                .any(|key| key.checks().any(reads_session))
        });
    let code = if wants_session {
        ReasonCode::SessionRequired
    } else {
        ReasonCode::RequirementFailed
    };
    named(
        Verdict::new(code),
        operation,
        evaluation,
        place,
        Truth::False,
    )
}

/// Names the requirement of a verdict, and its checks that came to `value`.
fn named(
    mut verdict: Verdict,
    operation: &Operation,
    evaluation: &Evaluation<'_>,
    place: usize,
    value: Truth,
) -> Verdict {
    let Some(attached) = operation.requirements.get(place) else {
        return verdict;
    };
    let requirement = &attached.requirement;
    verdict.reason.requirement = Some(requirement.name().clone());
    for slot in requirement.keys().iter().flat_map(|key| key.checks()) {
        let failed = evaluation.value(slot) == Some(value);
        if let Some(check) = evaluation.check(slot).filter(|_| failed)
            && !verdict.reason.checks.contains(check.name())
        {
            verdict.reason.checks.push(check.name().clone());
        }
    }
    verdict
}

/// Reads what the evaluation of a call needs next.
pub(super) fn read_data<'a>(
    evaluation: &mut Evaluation<'a>,
    call: &Call,
    reached: &'a Reached<'_, 'a>,
) -> Result<(), DataError> {
    let target = reached.target.as_ref();
    let target = target.filter(|_| call.kind == WireKind::Http);
    evaluation.read_data(target, |name| reached.parameter(&call.method, name))
}

/// Runs the look-ups of a check; answers what failed.
pub(super) async fn run_lookups(
    app: &App,
    evaluation: &mut Evaluation<'_>,
    slot: Slot,
) -> Option<String> {
    let mut failure = None;
    for index in evaluation.missing_lookups(slot) {
        let Some(lookup) = app.lookups.get(index) else {
            continue;
        };
        let args = lookup.args.iter().map(|(arg, kind)| {
            let value = evaluation.facts().value(arg).ok()?.to_value();
            kind.admits(&value.as_val()).then_some(value)
        });
        let row = match args.collect::<Option<Vec<Value>>>() {
            // What the expression may not compare, the database may not either: it converts.
            None => Row::Invalid,
            Some(_) if !lookup.is_checked => {
                failure = Some("its source could not be reached at load".to_owned());
                Row::Failed
            }
            Some(args) => match lookup.source.first_row(&lookup.sql, &args).await {
                Ok(row) => Row::Found(row),
                Err(err) => {
                    failure = Some(format!("source `{}`: {err}", lookup.source_name));
                    Row::Failed
                }
            },
        };
        evaluation.give_row(index, row);
    }
    failure
}

/// Who the peer has proven to be, whoever is signed in.
pub(super) fn workload(call: &Call, now: Timestamp) -> Option<Principal> {
    let identity = call.peer.proven_identity(now);
    if identity.is_empty() {
        return None;
    }
    Principal::new(PEER_NAMESPACE, identity).ok()
}
