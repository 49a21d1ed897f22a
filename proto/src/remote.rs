//! A decision point that is another Sidegate, asked over gRPC.
//!
//! The other one knows this process by its token and by nothing else: it never hears of the
//! [`Caller`]s of the edges here, whose grants those edges check themselves. So the handles that it
//! seals are good for every caller of this process; give processes that must not share them
//! decision points of their own.
//!
//! Where it cannot be reached, every decision is undetermined, which edges render as closed.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use auth_core::{
    caller::Caller,
    decision::{Answer, CredentialState, Reason, ReasonCode},
    decision_point::{
        ClearScope, DecisionPoint, SessionChange, SessionCleared, SessionError, SetSession,
        WireProfile,
    },
    live::Session,
    store::StoreError,
    wire::{Call, WireKind},
    wire_update::WireUpdate,
};
use bytes::Bytes;
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue, errors::InvalidMetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};
use tonic_types::StatusExt as _;

use crate::{
    core::{ConvertError, session, wire},
    v1::{
        self, authorization_service_client::AuthorizationServiceClient,
        session_service_client::SessionServiceClient,
    },
};

mod error;

pub use error::Unusable;

/// How long the other Sidegate may take, unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// Adds the caller's token to each request, as `authorization: Bearer ...`.
#[derive(Clone)]
pub struct CallerToken(Option<MetadataValue<Ascii>>);

impl CallerToken {
    /// The token `token`; an empty one adds nothing, for a unix socket that knows its peer.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidMetadataValue`] when the token holds what no header can.
    pub fn new(token: &str) -> Result<Self, InvalidMetadataValue> {
        if token.is_empty() {
            return Ok(Self(None));
        }
        let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse()?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl fmt::Debug for CallerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallerToken(..)")
    }
}

impl Interceptor for CallerToken {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", value.clone());
        }
        Ok(request)
    }
}

type Transport = InterceptedService<Channel, CallerToken>;

/// Another Sidegate as a decision point.
#[derive(Debug)]
pub struct RemoteDecisionPoint {
    authorization: AuthorizationServiceClient<Transport>,
    session: SessionServiceClient<Transport>,
    timeout: Duration,
    profiles: Mutex<HashMap<WireKind, Arc<WireProfile>>>,
}

impl RemoteDecisionPoint {
    /// The Sidegate at the other end of `channel`.
    #[must_use]
    pub fn new(channel: Channel, token: CallerToken) -> Self {
        Self {
            authorization: AuthorizationServiceClient::with_interceptor(
                channel.clone(),
                token.clone(),
            ),
            session: SessionServiceClient::with_interceptor(channel, token),
            timeout: DEFAULT_TIMEOUT,
            profiles: Mutex::default(),
        }
    }

    /// The same, which gives up after `timeout`. It tells the other end as well.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.timeout);
        request
    }

    /// Asks what it wants to be sent of HTTP, which tells whether it can be asked for decisions.
    ///
    /// # Errors
    ///
    /// Returns [`Unusable`] when it would decide nothing for this process.
    pub async fn probe(&self) -> Result<Arc<WireProfile>, Unusable> {
        self.ask_profile(&WireKind::Http).await
    }

    async fn decide(&self, call: Call) -> Result<Answer, Reason> {
        let request = self.request(wire::request(call));
        let mut client = self.authorization.clone();
        let response = client
            .authorize(request)
            .await
            .map_err(|status| refusal(&status))?;
        let answer = Answer::try_from(response.into_inner())
            .map_err(|error| Reason::with_detail(ReasonCode::StoreUnavailable, garbled(&error)))?;
        self.forget_profiles_but_of(&answer.policy_version);
        Ok(answer)
    }

    /// Another policy may look for other credentials, so that profiles of an older one are stale.
    fn forget_profiles_but_of(&self, version: &str) {
        let mut profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        profiles.retain(|_, profile| *profile.policy_version == *version);
    }

    fn known_profile(&self, kind: &WireKind) -> Option<Arc<WireProfile>> {
        let profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        profiles.get(kind).cloned()
    }

    async fn ask_profile(&self, kind: &WireKind) -> Result<Arc<WireProfile>, Unusable> {
        let (number, custom_kind) = wire::kind_to_message(kind);
        let request = self.request(v1::GetWireProfileRequest {
            kind: number.into(),
            custom_kind,
        });
        let mut client = self.authorization.clone();
        let response = client.get_wire_profile(request).await?;
        let profile = WireProfile::try_from(response.into_inner());
        let profile = Arc::new(profile.map_err(|_| Unusable::Garbled)?);
        self.forget_profiles_but_of(&profile.policy_version);
        let mut profiles = self.profiles.lock().unwrap_or_else(PoisonError::into_inner);
        profiles.insert(kind.clone(), Arc::clone(&profile));
        Ok(profile)
    }
}

impl DecisionPoint for RemoteDecisionPoint {
    async fn authorize(&self, _: &Caller, call: Call) -> Answer {
        self.decide(call).await.unwrap_or_else(undecided)
    }

    fn session(
        &self,
        _: &Caller,
        call: &[u8],
    ) -> impl Future<Output = Result<Option<Arc<Session>>, SessionError>> + Send {
        let request = self.request(v1::GetSessionRequest {
            call: Bytes::copy_from_slice(call),
        });
        let mut client = self.session.clone();
        async move {
            let response = client.get_session(request).await.map_err(error::session)?;
            let session = response.into_inner().session.map(session::from_message);
            Ok(session.transpose().map_err(unreadable)?.map(Arc::new))
        }
    }

    fn set(
        &self,
        _: &Caller,
        request: SetSession,
    ) -> impl Future<Output = Result<SessionChange, SessionError>> + Send {
        let request = self.request(v1::SetSessionRequest::from(request));
        let mut client = self.session.clone();
        async move {
            let response = client.set_session(request).await.map_err(error::session)?;
            let response = response.into_inner();
            let session = response
                .session
                .ok_or_else(|| unreadable(ConvertError::new("session", "is required")))?;
            Ok(SessionChange {
                session: Arc::new(session::from_message(session).map_err(unreadable)?),
                updates: updates(response.updates)?,
                call: response.call,
            })
        }
    }

    fn clear(
        &self,
        _: &Caller,
        call: &[u8],
        scope: ClearScope,
    ) -> impl Future<Output = Result<SessionCleared, SessionError>> + Send {
        let request = self.request(v1::ClearSessionRequest {
            call: Bytes::copy_from_slice(call),
            scope: v1::ClearScope::from(scope).into(),
        });
        let mut client = self.session.clone();
        async move {
            let response = client
                .clear_session(request)
                .await
                .map_err(error::session)?;
            let response = response.into_inner();
            Ok(SessionCleared {
                updates: updates(response.updates)?,
                ended: u64::try_from(response.ended_count).unwrap_or(0),
            })
        }
    }

    fn continue_call(
        &self,
        _: &Caller,
        call: &[u8],
    ) -> impl Future<Output = Result<Bytes, SessionError>> + Send {
        let request = self.request(v1::ContinueCallRequest {
            call: Bytes::copy_from_slice(call),
        });
        let mut client = self.authorization.clone();
        async move {
            let response = client.continue_call(request).await;
            Ok(response.map_err(error::session)?.into_inner().call)
        }
    }

    /// Asked once a policy version and then remembered. Where it cannot be had it is empty: the
    /// edge then sends no credential, and nothing that needs one is allowed.
    fn profile(&self, kind: &WireKind) -> impl Future<Output = Arc<WireProfile>> + Send {
        let kind = kind.clone();
        async move {
            match self.known_profile(&kind) {
                Some(profile) => profile,
                None => self.ask_profile(&kind).await.unwrap_or_default(),
            }
        }
    }
}

fn updates(messages: Vec<v1::WireUpdate>) -> Result<Vec<WireUpdate>, SessionError> {
    messages
        .into_iter()
        .map(|message| WireUpdate::try_from(message).map_err(unreadable))
        .collect()
}

fn garbled(error: &ConvertError) -> String {
    format!("the decision point sent an answer that makes no sense: {error}")
}

fn unreadable(error: ConvertError) -> SessionError {
    SessionError::Store(StoreError::Unavailable(garbled(&error)))
}

/// Why there is no answer. What the other end refuses to read is the client's doing where the field
/// came from the client; all else is a dependency of ours that failed. The nearest reason for one
/// that is out of reach is the store's, since it is the way to the sessions that failed.
fn refusal(status: &Status) -> Reason {
    let code = match status.code() {
        Code::DeadlineExceeded | Code::Cancelled => ReasonCode::DeadlineExceeded,
        Code::InvalidArgument => refused_field(status).unwrap_or(ReasonCode::StoreUnavailable),
        _ => ReasonCode::StoreUnavailable,
    };
    let detail = format!("the decision point answered {:?}", status.code());
    Reason::with_detail(code, detail)
}

fn refused_field(status: &Status) -> Option<ReasonCode> {
    let details = status.get_error_details();
    let field = &details.bad_request()?.field_violations.first()?.field;
    if field.starts_with("wire.credentials") {
        Some(ReasonCode::CredentialConflict)
    } else if field.starts_with("data_json") {
        Some(ReasonCode::DataInvalid)
    } else if ["wire.authority", "wire.method", "wire.target"].contains(&&**field) {
        Some(ReasonCode::TargetInvalid)
    } else {
        None
    }
}

fn undecided(reason: Reason) -> Answer {
    Answer {
        reason,
        operation: None,
        session: None,
        workload: None,
        updates: Vec::new(),
        call: None,
        decision_id: String::new(),
        policy_version: Arc::from(""),
        credential: CredentialState::Undetermined,
        challenges: Vec::new(),
        response_headers: Vec::new(),
    }
}

#[cfg(test)]
#[cfg(feature = "server")]
mod tests;
