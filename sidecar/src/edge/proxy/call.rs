//! What a request is, to the decision point.

use std::{net::IpAddr, sync::Arc};

use auth_core::{
    decision_point::WireProfile,
    policy::settings::Network,
    session::Tenant,
    wire::{self, Call, Deliverable, Peer, SessionView, WireKind},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header, request::Parts};

use crate::{
    edge::http::{
        extract::{self, TooLarge},
        forwarded, grpc,
    },
    tls::peer::PeerCertificate,
};

/// The longest header field, in bytes (H-13).
const MAX_FIELD_BYTES: usize = 8 * 1024;

/// A request that is not asked about.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) problem: &'static str,
}

impl Refusal {
    const fn bad(problem: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            problem,
        }
    }

    pub(super) const fn late(problem: &'static str) -> Self {
        Self {
            status: StatusCode::REQUEST_TIMEOUT,
            problem,
        }
    }

    const fn too_large(problem: &'static str) -> Self {
        Self {
            status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            problem,
        }
    }
}

impl From<TooLarge> for Refusal {
    fn from(TooLarge(problem): TooLarge) -> Self {
        Self::too_large(problem)
    }
}

/// Who sent a request, over how many proxies.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// The other end of the connection.
    pub(super) peer: Option<IpAddr>,
    /// Whether the peer is a proxy that is believed.
    pub(super) is_proxied: bool,
    /// The client itself, as far as it is known.
    pub(super) address: Option<IpAddr>,
    /// Its certificate. That of a proxy before us says nothing of the client.
    pub(super) certificate: Option<Arc<PeerCertificate>>,
    /// Whether the connection to us is TLS.
    pub(super) is_tls: bool,
}

impl Client {
    pub(super) fn of(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[Network]) -> Self {
        let peer = peer.map(|peer| peer.to_canonical());
        let is_proxied = peer.is_some_and(|peer| Network::any_contains(trusted, peer));
        let address = match is_proxied {
            true => forwarded::client(headers, trusted),
            false => peer,
        };
        Self {
            peer,
            is_proxied,
            address,
            certificate: None,
            is_tls: false,
        }
    }

    /// The same over TLS, perhaps with a certificate.
    pub(super) fn over_tls(self, certificate: Option<&Arc<PeerCertificate>>) -> Self {
        Self {
            certificate: certificate.filter(|_| !self.is_proxied).cloned(),
            is_tls: true,
            ..self
        }
    }

    /// As the rules know it.
    fn peer(&self) -> Peer {
        let address = self.address.map(|address| address.to_string());
        let peer = Peer {
            address: address.unwrap_or_default(),
            ..Peer::default()
        };
        match &self.certificate {
            None => peer,
            Some(certificate) => Peer {
                identity: certificate.identity.to_string(),
                certificate_sha256: certificate.sha256.clone(),
                not_before: certificate.not_before,
                not_after: certificate.not_after,
                ..peer
            },
        }
    }
}

/// Which wire a request is of: gRPC says so itself, and what its path then names is no HTTP route.
pub(super) fn kind(request: &Parts) -> WireKind {
    let is_grpc = grpc::is_grpc(&request.headers);
    if is_grpc && request.method == Method::POST && request.version == Version::HTTP_2 {
        WireKind::Grpc
    } else {
        WireKind::Http
    }
}

/// The call, with nothing of the body.
pub(super) fn call(
    kind: WireKind,
    request: &Parts,
    profile: &WireProfile,
    client: &Client,
    tenant: &Tenant,
) -> Result<Call, Refusal> {
    let headers = &request.headers;
    if headers.values().any(|value| value.len() > MAX_FIELD_BYTES) {
        return Err(Refusal::too_large("a header field is too long"));
    }
    check_form(request)?;
    if headers.contains_key(header::TRANSFER_ENCODING)
        && headers.contains_key(header::CONTENT_LENGTH)
    {
        return Err(Refusal::bad("the length of the body is stated twice"));
    }
    let target = target(request);
    if target.len() > wire::MAX_TARGET_BYTES {
        return Err(Refusal {
            status: StatusCode::URI_TOO_LONG,
            problem: "the target is too long",
        });
    }
    let method = match kind {
        WireKind::Grpc => "",
        _ => request.method.as_str(),
    };
    Ok(Call {
        tenant: tenant.clone(),
        authority: authority(request)?,
        credentials: extract::credentials(headers, profile)?,
        peer: client.peer(),
        attributes: extract::attributes(headers, profile)?,
        deliverable: Deliverable {
            // What speaks gRPC keeps cookies only if it sends some.
            cookie: kind != WireKind::Grpc || headers.contains_key(header::COOKIE),
            token: true,
            connection: false,
        },
        view: SessionView::Full,
        ..Call::new(kind, method, &target)
    })
}

/// What the parser before us lets through though it is malformed, and an app may read in another
/// way than we do (H-14): a length that is none or stands there twice (RFC 9110 section 8.6), and
/// in HTTP/2 a blank around a value (RFC 9113 section 8.2.1), which HTTP/1.1 cuts off.
fn check_form(request: &Parts) -> Result<(), Refusal> {
    let headers = &request.headers;
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let is_number = |length: &HeaderValue| {
        let digits = length.as_bytes();
        !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
    };
    match (lengths.next(), lengths.next()) {
        (None, _) => {}
        (Some(length), None) if is_number(length) => {}
        _ => return Err(Refusal::bad("`content-length` is not one number")),
    }
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let has_blank = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        is_blank(bytes.first()) || is_blank(bytes.last())
    };
    if request.version == Version::HTTP_2 && headers.values().any(has_blank) {
        return Err(Refusal::bad("a header field has a blank around its value"));
    }
    Ok(())
}

/// The target as received. In absolute form it is handed on as such, for the rules to refuse.
fn target(request: &Parts) -> String {
    let uri = &request.uri;
    match request.version {
        Version::HTTP_2 | Version::HTTP_3 => uri
            .path_and_query()
            .map_or("", |path| path.as_str())
            .to_owned(),
        _ => uri.to_string(),
    }
}

/// The host: `:authority`, else the one `Host`. If both are there they must agree
/// (RFC 9113 section 8.3.1).
fn authority(request: &Parts) -> Result<String, Refusal> {
    let mut hosts = request.headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(Refusal::bad("there are two `host` headers")),
        (Some(host), None) => Some(
            host.to_str()
                .map_err(|_| Refusal::bad("`host` is no text"))?,
        ),
        (None, None) => None,
    };
    match (request.uri.authority(), host) {
        (Some(authority), Some(host)) if !authority.as_str().eq_ignore_ascii_case(host) => {
            Err(Refusal::bad("`host` and the target disagree"))
        }
        (Some(authority), _) => Ok(authority.as_str().to_owned()),
        (None, Some(host)) => Ok(host.to_owned()),
        (None, None) => Err(Refusal::bad("`host` is missing")),
    }
}

#[cfg(test)]
mod tests {
    use auth_core::clock::Timestamp;

    use super::*;

    #[test]
    fn a_certificate_is_that_of_the_client_unless_a_proxy_is_in_between() {
        let certificate = Arc::new(PeerCertificate {
            identity: "spiffe://shop/web".into(),
            sha256: vec![7; 32].into(),
            not_before: Some(Timestamp::EPOCH),
            not_after: Some(Timestamp::EPOCH),
        });
        let trusted: [Network; 1] = ["10.0.0.0/8".parse().unwrap()];
        for (peer, identity) in [("192.0.2.1", "spiffe://shop/web"), ("10.0.0.1", "")] {
            let client = Client::of(peer.parse().ok(), &HeaderMap::new(), &trusted);
            let got = client.over_tls(Some(&certificate)).peer();
            assert_eq!(got.identity, identity, "{peer}");
            let is_told = got.certificate_sha256 == certificate.sha256[..];
            assert_eq!(is_told, !identity.is_empty(), "{peer}");
            assert_eq!(got.not_before.is_some(), is_told, "{peer}");
            assert_eq!(got.not_after.is_some(), is_told, "{peer}");
        }
    }
}
