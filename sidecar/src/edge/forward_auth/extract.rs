//! What a trusted proxy says about a request. Only the headers named here and those of the wire
//! profile are read: an allow-list, since what is not read cannot be forged.

use std::net::IpAddr;

use auth_core::{
    decision_point::WireProfile,
    session::Tenant,
    wire::{self, Call, Deliverable, Peer, SessionView, WireKind},
};
use axum::http::{HeaderMap, HeaderName, StatusCode};

use super::dialect::{Described, Dialect};
use crate::edge::http::{
    extract::{self, TooLarge},
    identity,
};

/// The schemes that a client may have used.
const SCHEMES: [&str; 4] = ["http", "https", "ws", "wss"];

/// A request that does not say what it is about, or says too much.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// Whether the client wrote what is refused, and not who configured the proxy.
    pub(super) is_clients: bool,
    pub(super) problem: String,
}

fn bad(problem: String) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        is_clients: false,
        problem,
    }
}

impl From<TooLarge> for Refusal {
    fn from(TooLarge(problem): TooLarge) -> Self {
        Self {
            status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            is_clients: true,
            problem: problem.to_owned(),
        }
    }
}

/// The call that the proxy describes.
pub(super) fn call(
    dialect: Dialect,
    headers: &HeaderMap,
    profile: &WireProfile,
    client: Option<IpAddr>,
    tenant: &Tenant,
) -> Result<Call, Refusal> {
    let described = dialect.described();
    if dialect.hands_on_ours() {
        check_names(headers)?;
    }
    check_scheme(headers, &described)?;
    let target = the_only(headers, described.uri)?;
    if target.len() > wire::MAX_TARGET_BYTES {
        return Err(TooLarge("the described target is too long").into());
    }
    Ok(Call {
        tenant: tenant.clone(),
        authority: the_only(headers, described.host)?.to_owned(),
        credentials: extract::credentials(headers, profile)?,
        peer: Peer {
            address: client.map_or_else(String::new, |address| address.to_string()),
            ..Peer::default()
        },
        attributes: extract::attributes(headers, profile)?,
        // The app's response does not come by here, but the app can set a cookie by itself.
        deliverable: Deliverable {
            cookie: true,
            ..Deliverable::default()
        },
        data_complete: false,
        view: SessionView::Full,
        ..Call::new(WireKind::Http, the_only(headers, described.method)?, target)
    })
}

/// Nothing that a client made up reaches the app under a name of ours (H-05), also where that can only
/// be had by letting nothing pass.
fn check_names(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut names = headers.keys().map(HeaderName::as_str);
    match names.find(|name| identity::is_ours(name)) {
        None => Ok(()),
        Some(name) => Err(Refusal {
            is_clients: true,
            ..bad(format!("`{name}` is for Sidegate alone to say"))
        }),
    }
}

/// A WebSocket is asked about as the request that opens it, so that its schemes are as good.
fn check_scheme(headers: &HeaderMap, described: &Described) -> Result<(), Refusal> {
    if !described.needs_proto && !headers.contains_key(described.proto) {
        return Ok(());
    }
    let scheme = the_only(headers, described.proto)?;
    let is_known = SCHEMES
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    is_known
        .then_some(())
        .ok_or_else(|| bad(format!("`{}` names no scheme of HTTP", described.proto)))
}

fn the_only<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value,
        (None, _) => return Err(bad(format!("`{name}` is missing"))),
        (Some(_), Some(_)) => return Err(bad(format!("`{name}` stands there twice"))),
    };
    match std::str::from_utf8(value.as_bytes()) {
        Ok("") => Err(bad(format!("`{name}` is empty"))),
        Ok(text) => Ok(text),
        // A proxy passes on the bytes of a target as the client wrote them.
        Err(_) => Err(Refusal {
            is_clients: true,
            ..bad(format!("`{name}` is no text"))
        }),
    }
}

#[cfg(test)]
mod tests;
