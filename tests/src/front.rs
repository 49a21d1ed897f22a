//! The ways to ask Sidegate. Whatever the way, a case has one answer (R19).

use std::{collections::BTreeMap, sync::Arc};

use auth_core::{
    decision_point::{ClearScope, SetSession, SignIn},
    store::Store,
    wire::Call,
};
use bytes::Bytes;
use serde_json::Value;

use crate::{cases::Case, world::World};

pub mod app;
pub mod behind;
pub mod command_line;
pub mod edge;
pub mod envoy;
pub mod forward_auth;
pub mod grpc;
pub mod json;
pub mod library;
pub mod proxy;
pub mod raw;
pub mod server;

/// What can be seen of an answer, by name. A front leaves out what it cannot see.
pub type Observed = BTreeMap<&'static str, Value>;

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    /// What can be seen.
    pub observed: Observed,
    /// The handle for the session API.
    pub handle: Option<Bytes>,
    /// What is handed to the client.
    pub handed: Vec<Handed>,
    /// The etag of the session.
    pub etag: String,
}

/// A credential that is handed to the client.
#[derive(Clone)]
pub enum Handed {
    /// The value of a `Set-Cookie` header.
    Cookie(String),
    /// A token.
    Token(String),
}

impl std::fmt::Debug for Handed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cookie(_) => "Cookie(..)",
            Self::Token(_) => "Token(..)",
        })
    }
}

/// A call to be decided, and who asks.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The name of the caller; the harness where it is none.
    pub caller: Option<&'a str>,
    /// The call.
    pub call: Call,
    /// The case that it belongs to.
    pub case: &'a Case,
}

/// What is done with the session of a call.
#[derive(Clone, Debug)]
pub enum Write {
    /// Signs in.
    SignIn {
        /// Who, with what.
        sign_in: Box<SignIn>,
        /// Names the request.
        request_id: String,
    },
    /// Changes attributes.
    Patch(Box<SetSession>),
    /// Logs out.
    Clear(ClearScope),
    /// Reads.
    Read,
}

/// A way to ask.
#[async_trait::async_trait]
pub trait Front: Send + Sync {
    /// Its name in `not_on`.
    fn name(&self) -> &'static str;

    /// Whether it can carry the case at all.
    fn carries(&self, case: &Case) -> bool;

    /// Its world.
    fn world(&self) -> &World;

    /// The store that it serves from.
    fn store(&self) -> Arc<dyn Store>;

    /// Decides a call.
    async fn decide(&self, asked: Asked<'_>) -> Reply;

    /// Reads, sets or clears the session of a call.
    async fn write(&self, caller: Option<&str>, handle: Bytes, write: Write) -> Reply;

    /// Ends what was started for it.
    async fn stop(self: Box<Self>) {}
}

/// The request of a write, for fronts that take it as one message.
#[must_use]
pub fn set_request(handle: &Bytes, write: &Write) -> Option<SetSession> {
    match write {
        Write::SignIn {
            sign_in,
            request_id,
        } => Some(SetSession {
            call: handle.clone(),
            change: auth_core::decision_point::SessionWrite::SignIn((**sign_in).clone()),
            etag: String::new(),
            request_id: request_id.clone(),
        }),
        Write::Patch(set) => Some(SetSession {
            call: handle.clone(),
            ..(**set).clone()
        }),
        Write::Clear(_) | Write::Read => None,
    }
}
