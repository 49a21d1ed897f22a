//! What must happen on the wire because a session changed.

use std::fmt;

use crate::{clock::Timestamp, session::SessionId};

/// A change of the wire. Its `Debug` prints no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum WireUpdate {
    /// Send this `Set-Cookie` header.
    SetCookie {
        /// The cookie's name.
        name: String,
        /// The header's value, to be copied byte for byte. Secret.
        header_value: String,
    },
    /// Send this `Set-Cookie` header, which removes a cookie.
    ExpireCookie {
        /// The cookie's name.
        name: String,
        /// The header's value, to be copied byte for byte.
        header_value: String,
    },
    /// Hand this token to the client.
    IssueToken {
        /// The token. Secret.
        token: String,
        /// When it ends at the latest.
        expires_at: Timestamp,
    },
    /// Bind the connection to the session, or to none.
    BindConnection {
        /// The connection.
        connection_id: String,
        /// The session; `None` unbinds.
        session: Option<SessionId>,
    },
}

impl fmt::Debug for WireUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetCookie { name, .. } => write!(f, "SetCookie({name}, ..)"),
            Self::ExpireCookie { name, .. } => write!(f, "ExpireCookie({name})"),
            Self::IssueToken { expires_at, .. } => write!(f, "IssueToken(.., {expires_at})"),
            Self::BindConnection {
                connection_id,
                session,
            } => {
                write!(f, "BindConnection({connection_id}, {session:?})")
            }
        }
    }
}
