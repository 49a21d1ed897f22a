//! What edges cannot supply to the checks of operations that they are asked about (R24).

use crate::{
    caller::Grant,
    policy::file::{EnvoyFile, PolicyFile},
    wire::WireKind,
};

/// Something that calls of a wire lack when they come by an edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The edge, as the key that configures it.
    pub edge: &'static str,
    /// The wire.
    pub kind: WireKind,
    /// What is not there.
    pub what: Lacking,
    /// The operations that knowingly do without.
    pub excepted: Vec<String>,
}

/// What a call lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// Its body.
    Body,
    /// Its message: nobody there can read protobuf of the app's own.
    Message,
    /// Who the peer has proven to be.
    Peer,
}

impl Lacking {
    /// The key that lists the operations which knowingly do without.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Body => "without_body",
            Self::Message => "without_message",
            Self::Peer => "without_peer",
        }
    }
}

impl Lack {
    /// What the edges of a file cannot supply.
    #[must_use]
    pub fn of(policy: &PolicyFile) -> Vec<Self> {
        let Some(listen) = &policy.listen else {
            return Vec::new();
        };
        let mut lacks = Vec::new();
        if let Some(file) = &listen.forward_auth {
            let edge = "listen.forward_auth";
            lacks.push((edge, WireKind::Http, Lacking::Body, &file.without_body));
            lacks.push((edge, WireKind::Http, Lacking::Peer, &file.without_peer));
        }
        if let Some(file) = &listen.proxy {
            let (edge, excepted) = ("listen.proxy", &file.without_message);
            lacks.push((edge, WireKind::Grpc, Lacking::Message, excepted));
            let certificates = file.tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
            if certificates.is_none() {
                let excepted = &file.without_peer;
                lacks.push((edge, WireKind::Http, Lacking::Peer, excepted));
                lacks.push((edge, WireKind::Grpc, Lacking::Peer, excepted));
            }
        }
        if let Some(file) = &listen.envoy {
            let (edge, excepted) = ("listen.envoy", &file.without_message);
            lacks.push((edge, WireKind::Grpc, Lacking::Message, excepted));
            if !believed_of_peers(policy, file) {
                let excepted = &file.without_peer;
                lacks.push((edge, WireKind::Http, Lacking::Peer, excepted));
                lacks.push((edge, WireKind::Grpc, Lacking::Peer, excepted));
            }
        }
        let own = lacks.into_iter();
        own.map(|(edge, kind, what, excepted)| Self {
            edge,
            kind,
            what,
            excepted: excepted.iter().map(|name| name.value.clone()).collect(),
        })
        .collect()
    }

    /// Whether this operation knowingly does without.
    #[must_use]
    pub fn excepts(&self, operation: &str) -> bool {
        self.excepted.iter().any(|name| name == operation)
    }
}

/// Whether what Envoy says of a client's certificate counts.
fn believed_of_peers(policy: &PolicyFile, file: &EnvoyFile) -> bool {
    let caller = policy.callers.get(&*file.caller);
    caller.is_some_and(|caller| caller.may.iter().any(|grant| **grant == Grant::PeerAssert))
}
