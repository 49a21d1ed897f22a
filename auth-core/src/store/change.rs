//! How a session changes, and how it ends.

use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::session::{Expiry, JsonObject, Revocation, RevocationCause, TokenHash};

/// How a session or token ended. Told apart only inside (R10).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum Death {
    /// A limit was reached.
    Expired {
        /// Which.
        limit: Expiry,
    },
    /// Somebody ended it.
    Revoked(Revocation),
    /// The session lives on under a newer token.
    Superseded,
}

/// A change of a live session. Nothing here changes whose it is (I9).
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Sets and removes top-level keys of the attributes.
    PatchAttributes {
        /// Keys to set.
        set: JsonObject,
        /// Keys to remove.
        remove: Vec<String>,
    },
    /// Puts these attributes in place of the present ones.
    ReplaceAttributes(JsonObject),
}

/// Why a session was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// There is no such live session.
    #[error("there is no such live session")]
    Gone,
    /// It changed since it was read (R16).
    #[error("the session has changed since it was read: it is at version {current}")]
    Conflict {
        /// The version it is at.
        current: u64,
    },
    /// Claims and attributes would be too large.
    #[error("claims and attributes would take {0} bytes as JSON, the limit is 16384")]
    TooLarge(usize),
    /// The new token is taken.
    #[error("this token exists already")]
    Exists,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a new token takes over from the old one (R13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The presented token stays good until `touch` reports the new one's first use, and its
    /// overlap has passed. An older or undelivered one dies at once.
    Renewal {
        /// The token that was presented.
        presented: TokenHash,
    },
    /// Every token but the new one dies at once.
    Immediate,
}

/// Who ends sessions, and why; the store adds when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The caller or operator.
    pub by: String,
    /// The kind of act.
    pub cause: RevocationCause,
    /// Words for the record; empty when there are none.
    pub reason: String,
}

/// Applies a change to attributes, for stores to share.
#[must_use]
pub fn apply(change: Change, attributes: JsonObject) -> JsonObject {
    match change {
        Change::ReplaceAttributes(all) => all,
        Change::PatchAttributes { set, remove } => {
            let mut attributes = attributes;
            for key in &remove {
                attributes.remove(key);
            }
            attributes.extend(set);
            attributes
        }
    }
}
