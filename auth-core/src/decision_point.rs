//! The decision point as the edges see it.
//!
//! Edges are written against [`DecisionPoint`] and used by generics. It has two implementations:
//! in process and, in `proto`, a client of another Sidegate.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    caller::Caller,
    data::TextType,
    decision::Answer,
    live::Session,
    session::{Identity, JsonObject},
    store::StoreError,
    wire::{Call, CredentialSource, WireKind},
    wire_update::WireUpdate,
};

/// A call that is being decided.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Decides calls, and reads and changes their sessions.
pub trait DecisionPoint: Send + Sync + 'static {
    /// Decides a call. Every verdict is an answer; there is no error.
    fn authorize(&self, caller: &Caller, call: Call) -> impl Future<Output = Answer> + Send;

    /// Begins to decide calls of one client: each as if it were alone, under one policy. Their
    /// credentials need not be judged more than once.
    fn authorize_all<'a>(
        &'a self,
        caller: &'a Caller,
        calls: Vec<Call>,
    ) -> impl Future<Output = Vec<Answering<'a>>> + Send {
        let answering = |call| Box::pin(self.authorize(caller, call)) as Answering<'a>;
        std::future::ready(calls.into_iter().map(answering).collect())
    }

    /// The session of a call as it is now; `None` when the call is anonymous.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError`] when the handle is not good or the session has ended.
    fn session(
        &self,
        caller: &Caller,
        call: &[u8],
    ) -> impl Future<Output = Result<Option<Arc<Session>>, SessionError>> + Send;

    /// Signs in, or changes attributes, as the operation of the call allows.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError`]; nothing has then changed.
    fn set(
        &self,
        caller: &Caller,
        request: SetSession,
    ) -> impl Future<Output = Result<SessionChange, SessionError>> + Send;

    /// Logs out.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError`]; nothing has then changed.
    fn clear(
        &self,
        caller: &Caller,
        call: &[u8],
        scope: ClearScope,
    ) -> impl Future<Output = Result<SessionCleared, SessionError>> + Send;

    /// Whether a call that lasts, as a socket or a stream, may go on: its session still lives (R17).
    /// Answers a handle to ask again with, which does nothing else; a handle that is not renewed
    /// ends as any other.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Gone`] when the session has ended, [`SessionError::CallInvalid`] when
    /// the handle is not good or has ended, as one of a foreign token does with the token.
    fn continue_call(
        &self,
        caller: &Caller,
        call: &[u8],
    ) -> impl Future<Output = Result<Bytes, SessionError>> + Send;

    /// What an edge should send for this kind of wire.
    fn profile(&self, kind: &WireKind) -> impl Future<Output = Arc<WireProfile>> + Send;
}

/// A change of a call's session. Its `Debug` prints no part of the handle, the request id or what
/// is written.
#[derive(Clone)]
pub struct SetSession {
    /// The sealed handle of the call.
    pub call: Bytes,
    /// The change.
    pub change: SessionWrite,
    /// The etag last read; empty to change whatever is there.
    pub etag: String,
    /// Names the request for retries (AIP-155); empty for none.
    pub request_id: String,
}

impl fmt::Debug for SetSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = match self.change {
            SessionWrite::SignIn(_) => "SignIn(..)",
            SessionWrite::Patch { .. } => "Patch(..)",
        };
        f.debug_struct("SetSession")
            .field("change", &format_args!("{change}"))
            .field("etag", &self.etag)
            .finish_non_exhaustive()
    }
}

/// What is written.
#[derive(Clone, Debug)]
pub enum SessionWrite {
    /// A new session takes the place of the present one.
    SignIn(SignIn),
    /// Attributes change.
    Patch {
        /// Top-level keys to set.
        set: JsonObject,
        /// Top-level keys to remove.
        remove: Vec<String>,
    },
}

/// Who signs in, with what.
#[derive(Clone, Debug)]
pub struct SignIn {
    /// Who, with which claims and scopes.
    pub identity: Identity,
    /// The app's own data.
    pub attributes: JsonObject,
    /// How long it may last, where that is shorter than configured.
    pub ttl: Option<Duration>,
}

/// A changed session. Its `Debug` prints no part of the handle.
#[derive(Clone)]
pub struct SessionChange {
    /// The session as it is now.
    pub session: Arc<Session>,
    /// What must happen on the wire.
    pub updates: Vec<WireUpdate>,
    /// The call with its new session.
    pub call: Bytes,
}

impl fmt::Debug for SessionChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionChange")
            .field("session", &self.session.id())
            .field("updates", &self.updates)
            .finish_non_exhaustive()
    }
}

/// Which of the subject's sessions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClearScope {
    /// The one of the call.
    This,
    /// All but the one of the call.
    Others,
    /// All.
    All,
}

/// The end of a session.
#[derive(Clone, Debug)]
pub struct SessionCleared {
    /// What must happen on the wire.
    pub updates: Vec<WireUpdate>,
    /// How many live sessions ended.
    pub ended: u64,
}

/// Why a session was not read or changed. About the caller's own request, not about the end user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The handle is not ours, too old or another caller's.
    #[error("the call handle is not valid here: it is malformed, too old or another caller's")]
    CallInvalid,
    /// The session has ended.
    #[error("the session of this call has ended")]
    Gone,
    /// The operation may not write this.
    #[error(
        "operation `{operation}` may not do this: declare `writes: {needed}` in the policy file"
    )]
    WriteNotAllowed {
        /// The operation.
        operation: String,
        /// What its `writes` would have to say.
        needed: &'static str,
    },
    /// The caller may not sign in principals of this namespace.
    #[error("caller `{caller}` may not sign in principals of namespace `{namespace}`")]
    NamespaceNotAllowed {
        /// The caller.
        caller: String,
        /// The namespace.
        namespace: String,
    },
    /// The caller may not set this claim.
    #[error("caller `{caller}` may not set claim `{}`", claim.escape_debug())]
    ClaimNotAllowed {
        /// The caller.
        caller: String,
        /// The claim.
        claim: String,
    },
    /// The request makes no sense.
    #[error("`{field}`: {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The session changed since it was read.
    #[error("the session has changed since it was read")]
    EtagMismatch,
    /// The edge cannot deliver the change to the client.
    #[error("the edge did not accept the update `{0}`, which this change needs")]
    NotDeliverable(&'static str),
    /// The session is not one that can be changed.
    #[error("a session of a {0} cannot be changed")]
    ReadOnly(&'static str),
    /// The subject has as many sessions as allowed.
    #[error("the subject has {0} live sessions already, which is the limit")]
    TooManySessions(u32),
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness could be had, so nothing was made.
    #[error(transparent)]
    Random(#[from] crate::random::RandomError),
}

/// What an edge should send for a kind of wire; the rest is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireProfile {
    /// The credentials that a strategy looks for.
    pub credentials: Vec<(CredentialSource, String)>,
    /// The parameters of a query that may hold a credential. The target goes with a call in any
    /// case; these are what nobody behind the edge needs to see.
    pub query_parameters: Vec<String>,
    /// The attributes that something reads.
    pub attributes: Vec<String>,
    /// The data that operations on this wire declare.
    pub data: Vec<DataName>,
    /// The tags of operations on this wire; those without any are left out.
    pub tags: Vec<OperationTags>,
    /// Whether something reads the identity that the peer has proven.
    pub peer_identity: bool,
    /// Whether a credential may be bound to the certificate of the peer.
    pub peer_certificate: bool,
    /// The policy that the profile is of.
    pub policy_version: Arc<str>,
}

/// The tags of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationTags {
    /// The operation.
    pub operation: Arc<str>,
    /// Its tags, at least one.
    pub tags: Vec<String>,
}

/// Data that an operation declares, and where an edge finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataName {
    /// The operation.
    pub operation: Arc<str>,
    /// The field.
    pub field: String,
    /// Where body or message holds it, as `payload.book_id`.
    pub path: String,
    /// What a text is to be read as, where the wire has nothing but texts.
    pub text: TextType,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_prints_neither_its_handle_nor_what_is_written() {
        const CANARY: &str = "canary-4711";
        let object = JsonObject::from_iter([("note".to_owned(), CANARY.into())]);
        let writes = [
            SessionWrite::Patch {
                set: object.clone(),
                remove: vec![CANARY.to_owned()],
            },
            SessionWrite::SignIn(SignIn {
                identity: Identity::default(),
                attributes: object,
                ttl: None,
            }),
        ];
        for change in writes {
            let request = SetSession {
                call: Bytes::from_static(CANARY.as_bytes()),
                change,
                etag: "\"3\"".to_owned(),
                request_id: CANARY.to_owned(),
            };
            let printed = format!("{request:?} {request:#?}");
            assert!(printed.contains("etag"), "{printed}");
            assert!(!printed.contains(CANARY), "{printed}");
        }
    }
}
