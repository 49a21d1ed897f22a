//! What a store tells those who watch it.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    principal::Principal,
    session::{RevocationCause, SessionId},
};

/// A place in the stream of events. Opaque to everyone but the store that made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// One thing that happened to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Where it stands in the stream.
    pub position: Position,
    /// When it happened.
    pub at: Timestamp,
    /// The session or API key; `None` where the event is about all of a subject's or everyone's,
    /// and where it is about a token that another issued.
    pub session: Option<SessionId>,
    /// The subject, where there is one.
    pub subject: Option<Principal>,
    /// What happened.
    pub kind: EventKind,
    /// Who asked; empty when it came about by itself.
    pub by: String,
    /// Words given with it; empty when none were.
    pub reason: String,
}

/// What can happen to a session (names after the OWASP Logging Vocabulary).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// It was made.
    SessionCreated,
    /// Its attributes changed.
    SessionUpdated,
    /// It got a new token.
    SessionRotated,
    /// It was ended.
    SessionRevoked(RevocationCause),
    /// It was swept after its end.
    SessionExpired,
    /// All of a subject's sessions were ended.
    SubjectRevoked,
    /// Everyone's sessions were ended.
    AllRevoked,
    /// An API key was made.
    KeyCreated,
    /// An API key was revoked.
    KeyRevoked,
}

/// What `watch` yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes {
    /// The events after the position, at least one, in order.
    Events(Vec<Event>),
    /// Events may have been lost since the position: read everything anew, then go on from here.
    Reset(Position),
}
