//! Lists of sessions, page by page.

use super::Death;
use crate::{
    principal::Principal,
    session::{SessionId, SessionRecord},
};

/// Selects sessions for [`super::SessionStore::list`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only this subject's.
    pub subject: Option<Principal>,
    /// Also those that have ended and are not swept yet.
    pub include_ended: bool,
}

/// A session and whether it lives.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The record.
    pub record: SessionRecord,
    /// How it ended; `None` while it lives.
    pub death: Option<Death>,
}

/// One page of a list, oldest session first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The sessions.
    pub sessions: Vec<Listed>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<SessionId>,
}
