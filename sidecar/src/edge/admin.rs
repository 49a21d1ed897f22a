//! Administration: `sidegate.admin.v1.AdminService`, on the admin socket only.
//!
//! Only for callers with `admin`, over a unix socket (R25, A-06).

use std::{fmt, pin::Pin, sync::Arc};

use auth_core::{
    caller::{Caller, Grant},
    clock::{Clock, Timestamp},
    engine::{Engine, Who},
    policy::diagnostic::PolicyError,
    principal::Principal,
    stated::StatedSession,
    wire::{Call, SessionView},
};
use futures_util::Stream;
use proto::{
    admin::v1::{self, admin_service_server::AdminService, explain_decision_request},
    core::{ConvertError, decision, reason, time, wire},
    v1::{AuthorizeRequest, WireContext},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Extensions, Request, Response, Status};

use super::{access, health::Readiness, status::refusal};
use crate::{
    reload::{ConfigStatus, Reloader},
    telemetry::Telemetry,
};

mod keys;
mod watch;

/// What the edge works with.
#[derive(Clone)]
pub struct AdminParts {
    /// The decision point.
    pub engine: Arc<Engine>,
    /// What reads the configuration again.
    pub reloader: Arc<Reloader>,
    /// Whether the store answers.
    pub readiness: Arc<Readiness>,
    /// Where decisions are seen.
    pub telemetry: Arc<Telemetry>,
    /// Where it listens, as `grpc 127.0.0.1:7480`.
    pub listeners: Vec<String>,
    /// The store and what it promises.
    pub store_promise: String,
    /// When the process started.
    pub started_at: Timestamp,
    /// Ends open streams when the sidecar stops.
    pub shutdown: CancellationToken,
}

impl fmt::Debug for AdminParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminParts").finish_non_exhaustive()
    }
}

/// Administers a running Sidegate.
#[derive(Clone, Debug)]
pub struct AdminEdge {
    parts: AdminParts,
}

impl AdminEdge {
    /// The edge of these parts.
    #[must_use]
    pub const fn new(parts: AdminParts) -> Self {
        Self { parts }
    }

    fn clock(&self) -> &dyn Clock {
        &**self.parts.engine.clock()
    }
}

/// The caller, if it may administer; what it does is noted.
fn operator(extensions: &Extensions, act: &'static str) -> Result<Arc<Caller>, Status> {
    let caller = access::caller(extensions, Grant::Admin)?;
    tracing::info!(
        target: "audit",
        event = "authz_admin",
        act,
        by = %caller.name,
        "security event"
    );
    Ok(caller)
}

#[tonic::async_trait]
impl AdminService for AdminEdge {
    type WatchDecisionsStream =
        Pin<Box<dyn Stream<Item = Result<v1::WatchDecisionsResponse, Status>> + Send>>;

    async fn get_status(
        &self,
        request: Request<v1::GetStatusRequest>,
    ) -> Result<Response<v1::GetStatusResponse>, Status> {
        let caller = operator(request.extensions(), "get_status")?;
        let parts = &self.parts;
        let store = parts.engine.store();
        let live = store.count(&caller.tenant, None, self.clock().now()).await;
        Ok(Response::new(v1::GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            start_time: Some(time::to_message(parts.started_at)),
            listeners: parts.listeners.clone(),
            store: parts.store_promise.clone(),
            store_ready: parts.readiness.store_answers().await,
            policy: Some(policy_status(parts.reloader.status())),
            live_session_count: live.map_or(0, |live| i64::try_from(live).unwrap_or(i64::MAX)),
        }))
    }

    async fn explain_decision(
        &self,
        request: Request<v1::ExplainDecisionRequest>,
    ) -> Result<Response<v1::ExplainDecisionResponse>, Status> {
        let caller = operator(request.extensions(), "explain_decision")?;
        let request = request.into_inner();
        let who = who(request.who)?;
        let call = advisory_call(
            &caller,
            request.wire,
            request.data_json,
            request.data_complete,
        )?;
        let (answer, explanation) = self.parts.engine.explain(&call, who).await;
        let explanation = serde_json::to_vec(&explanation).map_err(|error| {
            tracing::error!(%error, "an explanation could not be written");
            Status::internal("the explanation could not be written")
        })?;
        Ok(Response::new(v1::ExplainDecisionResponse {
            decision: Some(decision::response(
                answer,
                SessionView::Full,
                &caller.tenant,
            )),
            explanation_json: explanation.into(),
        }))
    }

    async fn reload_policy(
        &self,
        request: Request<v1::ReloadPolicyRequest>,
    ) -> Result<Response<v1::ReloadPolicyResponse>, Status> {
        operator(request.extensions(), "reload_policy")?;
        let status = self.parts.reloader.reload().await;
        let status = status.map_err(|error| policy_invalid(&error))?;
        Ok(Response::new(v1::ReloadPolicyResponse {
            policy: Some(policy_status(status)),
        }))
    }

    async fn watch_decisions(
        &self,
        request: Request<v1::WatchDecisionsRequest>,
    ) -> Result<Response<Self::WatchDecisionsStream>, Status> {
        let caller = operator(request.extensions(), "watch_decisions")?;
        let tenant = caller.tenant.clone();
        Ok(Response::new(watch::stream(&self.parts, tenant)))
    }

    async fn create_api_key(
        &self,
        request: Request<v1::CreateApiKeyRequest>,
    ) -> Result<Response<v1::CreateApiKeyResponse>, Status> {
        let caller = operator(request.extensions(), "create_api_key")?;
        keys::create(&self.parts, &caller, request.into_inner()).await
    }

    async fn list_api_keys(
        &self,
        request: Request<v1::ListApiKeysRequest>,
    ) -> Result<Response<v1::ListApiKeysResponse>, Status> {
        let caller = operator(request.extensions(), "list_api_keys")?;
        keys::list(&self.parts, &caller, request.into_inner()).await
    }

    async fn revoke_api_key(
        &self,
        request: Request<v1::RevokeApiKeyRequest>,
    ) -> Result<Response<v1::RevokeApiKeyResponse>, Status> {
        let caller = operator(request.extensions(), "revoke_api_key")?;
        keys::revoke(&self.parts, &caller, request.into_inner()).await
    }
}

/// The policy in force, as a message.
fn policy_status(status: ConfigStatus) -> v1::PolicyStatus {
    let (last_error, at) = status.last_error.unzip();
    v1::PolicyStatus {
        version: status.version.to_string(),
        file: status.file,
        load_time: Some(time::to_message(status.loaded_at)),
        operation_count: i32::try_from(status.operations).unwrap_or(i32::MAX),
        last_error: last_error.unwrap_or_default(),
        last_error_time: at.map(time::to_message),
    }
}

fn policy_invalid(error: &PolicyError) -> Status {
    refusal(
        Code::FailedPrecondition,
        reason::POLICY_INVALID,
        error.to_string(),
        &[],
    )
}

/// The call to be explained, which leaves no trace.
fn advisory_call(
    caller: &Caller,
    wire: Option<WireContext>,
    data_json: bytes::Bytes,
    data_complete: bool,
) -> Result<Call, Status> {
    let request = AuthorizeRequest {
        wire,
        data_json,
        data_complete,
        advisory: true,
        ..AuthorizeRequest::default()
    };
    Ok(wire::call(request, &caller.tenant)?)
}

/// On whose behalf to explain.
fn who(asked: Option<explain_decision_request::Who>) -> Result<Who, Status> {
    use explain_decision_request::Who as Asked;
    let stated = match asked {
        None => return Ok(Who::Credentials),
        Some(Asked::Anonymous(_)) => return Ok(Who::Anonymous),
        Some(Asked::Subject(subject)) => {
            let principal: Principal = subject
                .parse()
                .map_err(|error| ConvertError::new("subject", format!("{error}")))?;
            StatedSession::of(principal)
        }
        Some(Asked::SessionJson(json)) => serde_json::from_slice(&json).map_err(|error| {
            let problem = format!("is no session: {error}");
            ConvertError::new("session_json", problem)
        })?,
    };
    Ok(Who::Session(Arc::new(stated.into_session())))
}
