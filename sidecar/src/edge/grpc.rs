//! Decisions over gRPC: `sidegate.v1.AuthorizationService`.

use std::{pin::pin, sync::Arc, time::Duration};

use auth_core::{
    caller::{Caller, Grant},
    decision_point::{DecisionPoint, WireProfile},
    wire::{Call, SessionView},
};
use http::Extensions;
use proto::{
    core::{decision, wire},
    v1::{self, authorization_service_server::AuthorizationService},
};
use tonic::{Request, Response, Status, metadata::MetadataMap};

use super::{
    access,
    deadline::{DEFAULT_MAX, Deadline},
    status::session_error,
};

/// Answers with the decisions of `D`.
#[derive(Debug)]
pub struct AuthorizationEdge<D> {
    point: Arc<D>,
    max: Duration,
}

impl<D> AuthorizationEdge<D> {
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

/// A call that a caller may ask about.
pub(crate) struct Asked<'a> {
    caller: &'a Caller,
    call: Call,
    deadline: Deadline,
}

impl<D: DecisionPoint> AuthorizationEdge<D> {
    /// What a request asks.
    ///
    /// # Errors
    ///
    /// Those of the method `Authorize`: what the caller may not ask, and what it did not say well.
    pub(crate) fn asked<'a>(
        &self,
        metadata: &MetadataMap,
        extensions: &'a Extensions,
        request: v1::AuthorizeRequest,
    ) -> Result<Asked<'a>, Status> {
        let caller = access::known(extensions, Grant::Authorize)?;
        let mut call = wire::call(request, &caller.tenant)?;
        access::call(caller, &mut call)?;
        Ok(Asked {
            caller,
            call,
            deadline: Deadline::of(metadata, self.max),
        })
    }

    /// The answer to what was asked.
    ///
    /// # Errors
    ///
    /// DEADLINE_EXCEEDED when the caller's own deadline passes.
    pub(crate) async fn answer(&self, asked: Asked<'_>) -> Result<v1::AuthorizeResponse, Status> {
        let Asked {
            caller,
            call,
            deadline,
        } = asked;
        let view = call.view;
        // Pinned where it is: a decision on its way is large, and is not to be moved about.
        let answer = pin!(self.point.authorize(caller, call));
        let answer = deadline.answer(answer).await?;
        Ok(decision::response(answer, view, &caller.tenant))
    }
}

impl<D> Clone for AuthorizationEdge<D> {
    fn clone(&self) -> Self {
        Self::with_max(Arc::clone(&self.point), self.max)
    }
}

#[tonic::async_trait]
impl<D: DecisionPoint> AuthorizationService for AuthorizationEdge<D> {
    async fn authorize(
        &self,
        request: Request<v1::AuthorizeRequest>,
    ) -> Result<Response<v1::AuthorizeResponse>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let asked = self.asked(&metadata, &extensions, request)?;
        self.answer(asked).await.map(Response::new)
    }

    async fn batch_authorize(
        &self,
        request: Request<v1::BatchAuthorizeRequest>,
    ) -> Result<Response<v1::BatchAuthorizeResponse>, Status> {
        let caller = access::caller(request.extensions(), Grant::Authorize)?;
        let deadline = Deadline::of(request.metadata(), self.max);
        let mut calls = wire::batch(request.into_inner(), &caller.tenant)?;
        for call in &mut calls {
            access::call(&caller, call)?;
        }
        let count = calls.len();
        let answers = self.point.authorize_all(&caller, calls);
        let responses = deadline
            .answers(answers, count)
            .await?
            .into_iter()
            .map(|answer| decision::response(answer, SessionView::None, &caller.tenant))
            .collect();
        Ok(Response::new(v1::BatchAuthorizeResponse { responses }))
    }

    async fn continue_call(
        &self,
        request: Request<v1::ContinueCallRequest>,
    ) -> Result<Response<v1::ContinueCallResponse>, Status> {
        let caller = access::caller(request.extensions(), Grant::Authorize)?;
        let deadline = Deadline::of(request.metadata(), self.max);
        let call = request.into_inner().call;
        let continued = self.point.continue_call(&caller, &call);
        let call = deadline.result(continued).await?.map_err(session_error)?;
        Ok(Response::new(v1::ContinueCallResponse { call }))
    }

    async fn get_wire_profile(
        &self,
        request: Request<v1::GetWireProfileRequest>,
    ) -> Result<Response<v1::GetWireProfileResponse>, Status> {
        let caller = access::caller(request.extensions(), Grant::Authorize)?;
        let deadline = Deadline::of(request.metadata(), self.max);
        let request = request.into_inner();
        let kind = wire::kind(request.kind, &request.custom_kind)?;
        access::wire(&caller, &kind)?;
        let profile = deadline.result(self.point.profile(&kind)).await?;
        Ok(Response::new(WireProfile::clone(&profile).into()))
    }
}
