//! The session of a call over gRPC: `sidegate.v1.SessionService`.

use std::{sync::Arc, time::Duration};

use auth_core::{
    caller::Grant,
    decision_point::{DecisionPoint, SetSession},
};
use proto::{
    core::{session, wire},
    v1::{self, session_service_server::SessionService},
};
use tonic::{Request, Response, Status};

use super::{
    access,
    deadline::{DEFAULT_MAX, Deadline},
    status::session_error,
};

/// Reads and changes sessions by way of `D`.
#[derive(Debug)]
pub struct SessionEdge<D> {
    point: Arc<D>,
    max: Duration,
}

impl<D> SessionEdge<D> {
    /// The edge of this decision point. No request takes longer than [`DEFAULT_MAX`].
    #[must_use]
    pub fn new(point: Arc<D>) -> Self {
        Self::with_max(point, DEFAULT_MAX)
    }

    /// The edge of this decision point. No request takes longer than `max`.
    #[must_use]
    pub const fn with_max(point: Arc<D>, max: Duration) -> Self {
        Self { point, max }
    }
}

impl<D> Clone for SessionEdge<D> {
    fn clone(&self) -> Self {
        Self::with_max(Arc::clone(&self.point), self.max)
    }
}

#[tonic::async_trait]
impl<D: DecisionPoint> SessionService for SessionEdge<D> {
    async fn get_session(
        &self,
        request: Request<v1::GetSessionRequest>,
    ) -> Result<Response<v1::GetSessionResponse>, Status> {
        let caller = access::caller(request.extensions(), Grant::SessionSelf)?;
        let deadline = Deadline::of(request.metadata(), self.max);
        let call = request.into_inner().call;
        let found = deadline.result(self.point.session(&caller, &call)).await?;
        let session = found.map_err(session_error)?;
        Ok(Response::new(v1::GetSessionResponse {
            session: session.as_deref().map(Into::into),
        }))
    }

    async fn set_session(
        &self,
        request: Request<v1::SetSessionRequest>,
    ) -> Result<Response<v1::SetSessionResponse>, Status> {
        let caller = access::caller(request.extensions(), Grant::SessionSelf)?;
        let deadline = Deadline::of(request.metadata(), self.max);
        let change = SetSession::try_from(request.into_inner())?;
        let changed = deadline.result(self.point.set(&caller, change)).await?;
        let changed = changed.map_err(session_error)?;
        let updates = changed.updates.into_iter();
        Ok(Response::new(v1::SetSessionResponse {
            session: Some((&*changed.session).into()),
            updates: updates
                .map(|update| wire::update_to_message(update, &caller.tenant))
                .collect(),
            call: changed.call,
        }))
    }

    async fn clear_session(
        &self,
        request: Request<v1::ClearSessionRequest>,
    ) -> Result<Response<v1::ClearSessionResponse>, Status> {
        let caller = access::caller(request.extensions(), Grant::SessionSelf)?;
        let deadline = Deadline::of(request.metadata(), self.max);
        let request = request.into_inner();
        let scope = session::clear_scope(request.scope)?;
        let cleared = self.point.clear(&caller, &request.call, scope);
        let cleared = deadline.result(cleared).await?.map_err(session_error)?;
        let updates = cleared.updates.into_iter();
        Ok(Response::new(v1::ClearSessionResponse {
            updates: updates
                .map(|update| wire::update_to_message(update, &caller.tenant))
                .collect(),
            ended_count: i64::try_from(cleared.ended).unwrap_or(i64::MAX),
        }))
    }
}
