//! Envoy's external authorization (`ext_authz` v3) over gRPC: Envoy describes a request, we say
//! whether it may pass.
//!
//! Who asks is known by the listener, which Envoy alone is meant to reach; the configuration names
//! the caller on whose behalf it asks. A refusal is a verdict, and so is what could not be decided
//! (a refusal with status 503): an error would let the request pass where Envoy is told
//! `failure_mode_allow`. Only where the configuration asks for it is an undetermined answer an error.

use std::{pin::pin, sync::Arc, time::Duration};

use auth_core::{
    caller::{Caller, Grant},
    decision::{Answer, Reason, ReasonCode},
    decision_point::{DecisionPoint, WireProfile},
    outcome::Outcome,
    wire::{Call, WireKind},
};
use http::StatusCode;
use proto::envoy::service::auth::v3::{
    CheckRequest, CheckResponse, authorization_server::Authorization,
};
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::{
    access,
    deadline::{DEFAULT_MAX, Deadline},
};
use extract::{Body, Refusal};
use render::Client;

mod extract;
mod headers;
mod metadata;
mod peer;
pub mod process;
mod query;
mod render;

/// Why Envoy is not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvoyError {
    /// The caller may not ask for decisions.
    #[error("caller `{caller}` lacks the grant `authorize`, which Envoy's edge needs")]
    GrantMissing {
        /// The caller.
        caller: String,
    },
    /// The caller may not write sessions.
    #[error("caller `{caller}` lacks the grant `session.self`, which writing sessions needs")]
    MayNotWrite {
        /// The caller.
        caller: String,
    },
    /// The caller may not speak of HTTP.
    #[error("caller `{caller}` may not speak of wire `http`, which Envoy's edge needs")]
    WireNotAllowed {
        /// The caller.
        caller: String,
    },
}

/// Answers Envoy with the decisions of `D`.
#[derive(Debug)]
pub struct EnvoyEdge<D> {
    point: Arc<D>,
    caller: Arc<Caller>,
    error_response: bool,
    max: Duration,
}

impl<D: DecisionPoint> EnvoyEdge<D> {
    /// Answers on behalf of `caller`. `error_response` makes what could not be decided an error,
    /// which the operator of Envoy may let pass.
    ///
    /// # Errors
    ///
    /// Returns [`EnvoyError`] when the caller may not ask.
    pub fn new(
        point: Arc<D>,
        caller: Arc<Caller>,
        error_response: bool,
    ) -> Result<Self, EnvoyError> {
        let name = || caller.name.to_string();
        if !caller.may(Grant::Authorize) {
            return Err(EnvoyError::GrantMissing { caller: name() });
        }
        if !caller.may_speak(&WireKind::Http) {
            return Err(EnvoyError::WireNotAllowed { caller: name() });
        }
        Ok(Self {
            point,
            caller,
            error_response,
            max: DEFAULT_MAX,
        })
    }

    /// The same, which gives up after `max`.
    #[must_use]
    pub fn with_max(self, max: Duration) -> Self {
        Self { max, ..self }
    }

    /// The answer to a request with this metadata. Whatever it says, there is one.
    pub async fn answer(&self, metadata: &MetadataMap, request: CheckRequest) -> CheckResponse {
        let Some(described) = extract::described(request) else {
            let problem = "this is a connection, and no operation is declared for those";
            let refusal = Refusal::new(StatusCode::FORBIDDEN, problem);
            return refused(Client::Other, &refusal);
        };
        let client = described.client();
        let deadline = Deadline::ahead(metadata, self.max);
        let kind = described.kind();
        let Ok(profile) = deadline.result(self.point.profile(&kind)).await else {
            return self.failed(client);
        };
        let mut asked = match described.call(&profile, &self.caller.tenant) {
            Ok(asked) => asked,
            Err(refusal) => return refused(client, &refusal),
        };
        if let Err(status) = access::call(&self.caller, &mut asked.call) {
            let refusal = Refusal::new(StatusCode::FORBIDDEN, status.message());
            return refused(client, &refusal);
        }
        // Pinned where it is: a decision on its way is large, and is not to be moved about.
        let decided = pin!(self.decide(asked.call, asked.body, &profile));
        match deadline.result(decided).await {
            Ok(Err(refusal)) => refused(client, &refusal),
            Ok(Ok(answer)) => {
                self.render(client, &asked.named.hold(answer, &profile), asked.remove)
            }
            Err(_) => self.failed(client),
        }
    }

    /// Session and scopes decide before a body is read (DESIGN section 3).
    async fn decide(
        &self,
        call: Call,
        body: Option<Body>,
        profile: &WireProfile,
    ) -> Result<Answer, Refusal> {
        let again = body.map(|body| (body, call.clone()));
        let answer = self.point.authorize(&self.caller, call).await;
        match again {
            Some((body, call)) if answer.reason.code == ReasonCode::DataNeeded => {
                let call = body.give(call, &answer, profile)?;
                // Boxed, so that what is seldom needed takes no room in every request.
                Ok(Box::pin(self.point.authorize(&self.caller, call)).await)
            }
            _ => Ok(answer),
        }
    }

    fn render(&self, client: Client, answer: &Answer, remove: render::Remove) -> CheckResponse {
        match answer.outcome() {
            Outcome::Allow => match render::allowed(answer, remove) {
                Some(response) => response,
                None => self.failed(client),
            },
            Outcome::Undetermined if self.error_response => {
                render::undecided(render::denied(client, answer))
            }
            Outcome::Deny
            | Outcome::Unauthenticated
            | Outcome::Invalid
            | Outcome::Limited
            | Outcome::Undetermined => render::denied(client, answer),
        }
    }

    /// Something went wrong here.
    fn failed(&self, client: Client) -> CheckResponse {
        self.render(
            client,
            &super::deadline::too_late(),
            render::Remove::default(),
        )
    }
}

/// A request that was not asked about.
fn refused(client: Client, refusal: &Refusal) -> CheckResponse {
    let (status, problem) = (refusal.status, &*refusal.problem);
    tracing::info!(
        status = status.as_u16(),
        problem,
        "Envoy's request was refused"
    );
    render::refused(client, refusal)
}

/// What the operator's configuration of the route says that the request is.
#[derive(Debug, Default)]
struct Named {
    operation: Option<String>,
    /// With commas between.
    tags: Option<String>,
}

impl Named {
    /// Holds an answer to what the route is said to be. A name never loosens: the call is decided by
    /// what it reaches, and refused where that is something else.
    fn hold(&self, answer: Answer, profile: &WireProfile) -> Answer {
        if answer.outcome() != Outcome::Allow {
            return answer;
        }
        let reached = answer.operation.as_deref();
        let is_other = self
            .operation
            .as_deref()
            .is_some_and(|name| reached != Some(name));
        let lacks_a_tag = self
            .tags
            .as_deref()
            .is_some_and(|tags| !reached.is_some_and(|name| has_tags(profile, name, tags)));
        let problem = match (is_other, lacks_a_tag) {
            (true, _) => "the context extension `operation` names another operation",
            (false, true) => "the context extension `tags` names a tag that the operation lacks",
            (false, false) => return answer,
        };
        tracing::warn!(
            decision_id = answer.decision_id,
            operation = answer.operation.as_deref(),
            problem,
            "what Envoy's configuration says of a route does not hold"
        );
        Answer {
            reason: Reason::with_detail(ReasonCode::UnknownOperation, problem),
            session: None,
            call: None,
            ..answer
        }
    }
}

/// Whether the operation has every one of these tags, which have commas between. Where several apps
/// have an operation of this name, each of them must.
fn has_tags(profile: &WireProfile, operation: &str, tags: &str) -> bool {
    let mut known = profile
        .tags
        .iter()
        .filter(|known| *known.operation == *operation)
        .peekable();
    known.peek().is_some()
        && known.all(|known| {
            tags.split(',')
                .all(|tag| known.tags.iter().any(|own| own == tag.trim()))
        })
}

#[tonic::async_trait]
impl<D: DecisionPoint> Authorization for EnvoyEdge<D> {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        Ok(Response::new(self.answer(&metadata, request).await))
    }
}
