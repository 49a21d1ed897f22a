//! The wire a call came by, as an edge saw it: unparsed and unjudged.

use std::fmt;

use bytes::Bytes;

use crate::{clock::Timestamp, session::Tenant};

/// The largest target accepted, in bytes.
pub const MAX_TARGET_BYTES: usize = 8 * 1024;
/// The largest credential accepted, in bytes.
pub const MAX_CREDENTIAL_BYTES: usize = 8 * 1024;
/// The most credentials accepted with a call.
pub const MAX_CREDENTIALS: usize = 16;
/// The most attributes accepted with a call.
pub const MAX_ATTRIBUTES: usize = 32;
/// The largest `data` accepted, in bytes of JSON.
pub const MAX_DATA_BYTES: usize = 64 * 1024;

/// How a call arrived.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WireKind {
    /// HTTP, any version.
    Http,
    /// gRPC.
    Grpc,
    /// A message on a WebSocket.
    WebSocket,
    /// A command line.
    Cli,
    /// A tool of the Model Context Protocol.
    Mcp,
    /// A message from a queue.
    Queue,
    /// A scheduled job.
    Schedule,
    /// A remote procedure call of another kind.
    Rpc,
    /// A wire of the app's own.
    Custom(Box<str>),
}

impl WireKind {
    /// The kinds that have a name of ours.
    pub const BUILT_IN: [Self; 8] = [
        Self::Http,
        Self::Grpc,
        Self::WebSocket,
        Self::Cli,
        Self::Mcp,
        Self::Queue,
        Self::Schedule,
        Self::Rpc,
    ];

    /// The name, as policy files, logs and metrics have it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::WebSocket => "websocket",
            Self::Cli => "cli",
            Self::Mcp => "mcp",
            Self::Queue => "queue",
            Self::Schedule => "schedule",
            Self::Rpc => "rpc",
            Self::Custom(name) => name,
        }
    }

    /// The kind of this name; `None` when the name is malformed.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::BUILT_IN
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .or_else(|| crate::principal::is_namespace(name).then(|| Self::Custom(name.into())))
    }

    /// The name as a metric label: custom names fall together, so that labels stay bounded.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
            Self::WebSocket => "websocket",
            Self::Cli => "cli",
            Self::Mcp => "mcp",
            Self::Queue => "queue",
            Self::Schedule => "schedule",
            Self::Rpc => "rpc",
            Self::Custom(_) => "custom",
        }
    }
}

impl fmt::Display for WireKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where on the wire a credential stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CredentialSource {
    /// The value of an `Authorization` header or its like.
    Authorization,
    /// A line of cookies.
    Cookie,
    /// A header or metadata entry with a name.
    Header,
    /// A named field of a message envelope.
    Envelope,
}

/// One credential as presented. Its `Debug` prints no part of the value.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// Where it stood.
    pub source: CredentialSource,
    /// The name of the header or field, lower case; empty for the other sources.
    pub name: String,
    /// The value, byte for byte.
    pub value: Bytes,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("source", &self.source)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A further fact about a call, of a name that the wire profile lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, lower case.
    pub name: String,
    /// Its value, byte for byte.
    pub value: Bytes,
}

/// The other end of the connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its address, without a port; empty when unknown.
    pub address: String,
    /// Its identity, verified by the edge; empty when there is none.
    pub identity: String,
    /// SHA-256 of its certificate; empty when there is none.
    pub certificate_sha256: Bytes,
    /// From when on its certificate is valid, which tells when it was issued; `None` when that is
    /// not known.
    pub not_before: Option<Timestamp>,
    /// When its certificate ends; `None` when that is not known, and nothing more is asked then.
    pub not_after: Option<Timestamp>,
}

impl Peer {
    /// Whether its certificate is known to have ended (RFC 5280 section 4.1.2.5).
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.not_after.is_some_and(|end| now >= end)
    }

    /// The identity that it proves now: none once its certificate has ended.
    #[must_use]
    pub fn proven_identity(&self, now: Timestamp) -> &str {
        if self.has_expired(now) {
            ""
        } else {
            &self.identity
        }
    }
}

/// The changes that an edge can deliver to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Deliverable {
    /// It can set and expire cookies.
    pub cookie: bool,
    /// It can hand out a token.
    pub token: bool,
    /// It can bind an open connection to a session.
    pub connection: bool,
}

/// How much of the session an answer carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SessionView {
    /// Nothing.
    #[default]
    None,
    /// Who is signed in, without claims and attributes.
    Basic,
    /// Everything.
    Full,
}

/// A call to be decided. Its `Debug` prints neither credentials nor data.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// Whose sessions count.
    pub tenant: Tenant,
    /// The kind of wire.
    pub kind: WireKind,
    /// The host, broker or endpoint addressed: selects the app.
    pub authority: String,
    /// The method; empty where the wire has none.
    pub method: String,
    /// The target as received.
    pub target: String,
    /// What the caller presented, one entry for each occurrence.
    pub credentials: Vec<Credential>,
    /// The other end of the connection.
    pub peer: Peer,
    /// The connection that the call came by; empty when it has none that lasts.
    pub connection_id: String,
    /// Further facts.
    pub attributes: Vec<Attribute>,
    /// What the edge can deliver.
    pub deliverable: Deliverable,
    /// Declared data from body or message, a JSON object; empty when there is none.
    pub data_json: Bytes,
    /// Whether `data_json` holds everything declared.
    pub data_complete: bool,
    /// Whether there is more of the body, which the edge has not read yet. Where the decision
    /// depends on it the answer is [`ReasonCode::DataNeeded`](crate::decision::ReasonCode), and the
    /// edge asks again. Means nothing beside `data_complete`.
    pub data_pending: bool,
    /// How much of the session the answer shall carry.
    pub view: SessionView,
    /// Whether to ask only, without touching, renewing or handing out a `call`.
    pub advisory: bool,
}

impl Call {
    /// A call of `kind` to `target`, with nothing else set and `data` complete.
    #[must_use]
    pub fn new(kind: WireKind, method: &str, target: &str) -> Self {
        Self {
            tenant: Tenant::default(),
            kind,
            authority: String::new(),
            method: method.to_owned(),
            target: target.to_owned(),
            credentials: Vec::new(),
            peer: Peer::default(),
            connection_id: String::new(),
            attributes: Vec::new(),
            deliverable: Deliverable::default(),
            data_json: Bytes::new(),
            data_complete: true,
            data_pending: false,
            view: SessionView::None,
            advisory: false,
        }
    }
}

impl Call {
    /// The value of an attribute; `None` unless it stands there exactly once.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&[u8]> {
        let mut values = self.attributes.iter().filter(|own| own.name == name);
        match (values.next(), values.next()) {
            (Some(one), None) => Some(&one.value),
            _ => None,
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("tenant", &self.tenant)
            .field("kind", &self.kind)
            .field("authority", &self.authority)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}
