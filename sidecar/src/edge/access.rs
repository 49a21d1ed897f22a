//! What a caller may ask for, before its request is looked at (R25).
//!
//! Who the caller is was found by the listener, which puts it as [`Identified`] into the extensions
//! of each request. Without it nothing is answered.

use std::sync::Arc;

use auth_core::{
    caller::{Caller, Grant},
    session::Tenant,
    wire::{Call, Peer, WireKind},
};
use http::Extensions;
use proto::core::reason;
use tonic::{Code, Status};

use super::status::refusal;

/// How a caller is connected, as the listener knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A unix socket, whose peer the system names.
    Unix,
    /// TCP, loopback too, and with TLS or without: the caller is known by a token alone.
    Tcp,
    /// TLS over TCP: the caller is known by its certificate.
    MutualTls,
}

/// Whom the listener found to be asking.
#[derive(Clone, Debug)]
pub struct Identified {
    /// The caller.
    pub caller: Arc<Caller>,
    /// How it is connected.
    pub transport: Transport,
}

/// The caller of a request, if it may use this grant over its transport.
///
/// # Errors
///
/// As [`known`].
pub fn caller(extensions: &Extensions, grant: Grant) -> Result<Arc<Caller>, Status> {
    known(extensions, grant).cloned()
}

/// The caller of a request where it stands, if it may use this grant over its transport.
///
/// # Errors
///
/// UNAUTHENTICATED (`CALLER_UNKNOWN`) when the listener found no caller, PERMISSION_DENIED when it
/// lacks the grant (`GRANT_MISSING`) or the grant needs more than a token
/// (`TRANSPORT_NOT_ALLOWED`).
pub fn known(extensions: &Extensions, grant: Grant) -> Result<&Arc<Caller>, Status> {
    let Some(Identified { caller, transport }) = extensions.get() else {
        tracing::warn!(
            target: "audit",
            event = "authn_login_fail",
            why = "unknown_caller",
            grant = grant.as_str(),
            "security event"
        );
        let message = "the caller is not known: present its token";
        return Err(refusal(
            Code::Unauthenticated,
            reason::CALLER_UNKNOWN,
            message,
            &[],
        ));
    };
    require(caller, *transport, grant)?;
    Ok(caller)
}

/// Holds a caller to its grants.
///
/// # Errors
///
/// As [`known`].
pub fn require(caller: &Caller, transport: Transport, grant: Grant) -> Result<(), Status> {
    let facts = [("grant", grant.as_str())];
    if !caller.may(grant) {
        let name = &caller.name;
        let message = format!("caller `{name}` lacks the grant `{grant}`");
        return Err(denied(caller, reason::GRANT_MISSING, message, &facts));
    }
    if grant.needs_more_than_a_token() && transport == Transport::Tcp {
        let message = format!(
            "the grant `{grant}` may be used over a unix socket, or with a client certificate, only"
        );
        return Err(denied(
            caller,
            reason::TRANSPORT_NOT_ALLOWED,
            message,
            &facts,
        ));
    }
    Ok(())
}

/// Holds a caller to its wires.
///
/// # Errors
///
/// PERMISSION_DENIED (`WIRE_NOT_ALLOWED`).
pub fn wire(caller: &Caller, kind: &WireKind) -> Result<(), Status> {
    if caller.may_speak(kind) {
        return Ok(());
    }
    let message = format!("caller `{}` may not speak of wire `{kind}`", caller.name);
    let facts = [("wire", kind.as_str())];
    Err(denied(caller, reason::WIRE_NOT_ALLOWED, message, &facts))
}

/// Holds a caller to its own tenant.
///
/// # Errors
///
/// PERMISSION_DENIED (`TENANT_NOT_ALLOWED`).
pub fn tenant(caller: &Caller, tenant: &Tenant) -> Result<(), Status> {
    if *tenant == caller.tenant {
        return Ok(());
    }
    let message = format!("caller `{}` belongs to another tenant", caller.name);
    Err(denied(caller, reason::TENANT_NOT_ALLOWED, message, &[]))
}

/// Holds a call to what its caller may say: its wire, its tenant, and what it knows of the peer.
/// What it may not assert about the peer is dropped.
///
/// # Errors
///
/// As [`wire`] and [`tenant`].
pub fn call(caller: &Caller, call: &mut Call) -> Result<(), Status> {
    wire(caller, &call.kind)?;
    tenant(caller, &call.tenant)?;
    if !caller.may(Grant::PeerAssert) {
        if !call.peer.identity.is_empty() || !call.peer.certificate_sha256.is_empty() {
            tracing::debug!(caller = %caller.name, "dropped what it may not assert of its peer");
        }
        call.peer = Peer {
            address: std::mem::take(&mut call.peer.address),
            ..Peer::default()
        };
    }
    Ok(())
}

fn denied(caller: &Caller, reason: &str, message: String, facts: &[(&str, &str)]) -> Status {
    tracing::warn!(
        target: "audit",
        event = "authz_fail",
        caller = %caller.name,
        why = reason,
        detail = facts.first().map(|(_, fact)| *fact),
        "security event"
    );
    refusal(Code::PermissionDenied, reason, message, facts)
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    fn caller_with(grants: &[Grant]) -> Caller {
        Caller {
            grants: grants.iter().copied().collect(),
            ..Caller::new("shop")
        }
    }

    fn reason(status: &Status) -> String {
        status
            .get_error_details()
            .error_info()
            .unwrap()
            .reason
            .clone()
    }

    #[test]
    fn nothing_is_answered_to_an_unknown_caller() {
        let status = caller(&Extensions::new(), Grant::Authorize).unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_eq!(reason(&status), "CALLER_UNKNOWN");
    }

    #[test]
    fn a_grant_that_needs_a_unix_socket_is_none_over_tcp() {
        let manager = caller_with(&[Grant::SessionManage, Grant::Authorize]);
        for (transport, grant, expected) in [
            (Transport::Unix, Grant::SessionManage, None),
            (
                Transport::Tcp,
                Grant::SessionManage,
                Some("TRANSPORT_NOT_ALLOWED"),
            ),
            (Transport::Tcp, Grant::Authorize, None),
            (Transport::Unix, Grant::Admin, Some("GRANT_MISSING")),
        ] {
            let refused = require(&manager, transport, grant).err();
            assert_eq!(
                refused.as_ref().map(reason).as_deref(),
                expected,
                "{grant} {transport:?}"
            );
        }
    }

    #[test]
    fn a_peer_is_believed_only_from_those_who_may_assert_it() {
        let asserted = Peer {
            address: "192.0.2.1".into(),
            identity: "spiffe://example/app".into(),
            certificate_sha256: vec![1; 32].into(),
            ..Peer::default()
        };
        for (grants, identity) in [
            (vec![], ""),
            (vec![Grant::PeerAssert], "spiffe://example/app"),
        ] {
            let mut asked = Call {
                peer: asserted.clone(),
                ..Call::new(WireKind::Http, "GET", "/")
            };
            call(&caller_with(&grants), &mut asked).unwrap();
            assert_eq!(asked.peer.identity, identity);
            assert_eq!(
                asked.peer.certificate_sha256.is_empty(),
                identity.is_empty()
            );
            assert_eq!(asked.peer.address, "192.0.2.1");
        }
    }

    #[test]
    fn a_caller_speaks_of_its_own_wires_and_tenant_only() {
        let shop = Caller {
            wires: Some([WireKind::Http].into()),
            ..caller_with(&[])
        };
        let mut other_wire = Call::new(WireKind::Queue, "", "jobs");
        let refused = call(&shop, &mut other_wire).unwrap_err();
        assert_eq!(reason(&refused), "WIRE_NOT_ALLOWED");
        let mut other_tenant = Call {
            tenant: Tenant::new("other").unwrap(),
            ..Call::new(WireKind::Http, "GET", "/")
        };
        let refused = call(&shop, &mut other_tenant).unwrap_err();
        assert_eq!(reason(&refused), "TENANT_NOT_ALLOWED");
    }
}
