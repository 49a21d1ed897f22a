//! Callers: the processes that ask Sidegate, and what each may do (R25). Not the end users.

use std::{collections::BTreeSet, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{session::Tenant, wire::WireKind};

/// Something a caller may be allowed to do.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
pub enum Grant {
    /// Ask for decisions.
    #[serde(rename = "authorize")]
    Authorize,
    /// Read and change the session of a call it was handed.
    #[serde(rename = "session.self")]
    SessionSelf,
    /// Manage sessions by id or subject; only over a unix socket, or named by a certificate.
    #[serde(rename = "session.manage")]
    SessionManage,
    /// Ask about any subject, without their credential.
    #[serde(rename = "check.any_subject")]
    CheckAnySubject,
    /// Be believed about the identity of its peers.
    #[serde(rename = "peer.assert")]
    PeerAssert,
    /// Administer; only over a unix socket, or named by a certificate.
    #[serde(rename = "admin")]
    Admin,
}

impl Grant {
    /// The name in policy files and errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::SessionSelf => "session.self",
            Self::SessionManage => "session.manage",
            Self::CheckAnySubject => "check.any_subject",
            Self::PeerAssert => "peer.assert",
            Self::Admin => "admin",
        }
    }

    /// Whether a token does not suffice for it: it may be used over a unix socket, or by a caller that
    /// its certificate names (R25).
    #[must_use]
    pub const fn needs_more_than_a_token(self) -> bool {
        match self {
            Self::SessionManage | Self::Admin => true,
            Self::Authorize | Self::SessionSelf | Self::CheckAnySubject | Self::PeerAssert => false,
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Stands for every namespace; no policy file can name it, since it is no namespace.
const ANY_NAMESPACE: &str = "*";

/// A named process that asks Sidegate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Its name in logs, events and sealed calls.
    pub name: Arc<str>,
    /// The tenant it belongs to.
    pub tenant: Tenant,
    /// What it may do.
    pub grants: BTreeSet<Grant>,
    /// The wires it may speak of; `None` is all.
    pub wires: Option<BTreeSet<WireKind>>,
    /// The namespaces it may sign principals in for.
    pub sign_in: BTreeSet<String>,
    /// The claims it may set; `None` is all that are declared.
    pub claims: Option<BTreeSet<String>>,
}

impl Caller {
    /// A caller that may do nothing yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            tenant: Tenant::default(),
            grants: BTreeSet::new(),
            wires: None,
            sign_in: BTreeSet::new(),
            claims: Some(BTreeSet::new()),
        }
    }

    /// The operator of this machine: may do everything.
    #[must_use]
    pub fn operator(name: &str) -> Self {
        Self {
            grants: [
                Grant::Authorize,
                Grant::SessionSelf,
                Grant::SessionManage,
                Grant::CheckAnySubject,
                Grant::Admin,
            ]
            .into(),
            sign_in: [ANY_NAMESPACE.to_owned()].into(),
            claims: None,
            ..Self::new(name)
        }
    }

    /// Whether it may do this.
    #[must_use]
    pub fn may(&self, grant: Grant) -> bool {
        self.grants.contains(&grant)
    }

    /// Whether it may speak of calls by this wire.
    #[must_use]
    pub fn may_speak(&self, wire: &WireKind) -> bool {
        self.wires.as_ref().is_none_or(|wires| wires.contains(wire))
    }

    /// Whether it may sign in principals of this namespace.
    #[must_use]
    pub fn may_sign_in(&self, namespace: &str) -> bool {
        self.sign_in.contains(namespace) || self.sign_in.contains(ANY_NAMESPACE)
    }

    /// Whether it may set this claim.
    #[must_use]
    pub fn may_claim(&self, claim: &str) -> bool {
        self.claims
            .as_ref()
            .is_none_or(|claims| claims.contains(claim))
    }
}
