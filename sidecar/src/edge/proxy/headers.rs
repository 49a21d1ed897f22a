//! What of a message's header goes on to the other side (RFC 9110 section 7.6.1).

use std::net::IpAddr;

use auth_core::{decision_point::WireProfile, wire::CredentialSource};
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

use super::call::Client;
use crate::edge::http::{
    forwarded, identity,
    overrides::{is_override, reads_as},
};

const VIA: HeaderValue = HeaderValue::from_static("1.1 sidegate");
/// How many fields may be added: what is known of the origin, who calls, an assertion, an upgrade.
const ADDED: usize = 16;
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// Fields that speak of one connection, beside those that `Connection` names.
pub(super) fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The names that `Connection` lists.
fn connection_names(headers: &HeaderMap) -> Vec<HeaderName> {
    let lines = headers.get_all(header::CONNECTION).iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    names
        .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
        .collect()
}

/// What a client says of where it comes from, under whatever spelling an app might read.
fn is_forwarding(name: &HeaderName) -> bool {
    const FAMILY: &str = "x-forwarded-";
    let name = name.as_str();
    let start = name.get(..FAMILY.len()).unwrap_or_default();
    reads_as(start, FAMILY)
        || ["forwarded", "x-real-ip", "via"]
            .iter()
            .any(|known| reads_as(name, known))
}

/// What the app receives of a client's header.
pub(super) struct Onward<'a> {
    pub(super) client: &'a Client,
    /// The host that the client asked for.
    pub(super) authority: &'a str,
    /// The credentials that the app shall not see; `None` lets it see all.
    pub(super) withheld: Option<&'a WireProfile>,
    /// Whether it is gRPC, which needs `TE: trailers`.
    pub(super) is_grpc: bool,
}

impl Onward<'_> {
    /// The header for the app, without what identifies the caller: that is ours to add.
    pub(super) fn headers(&self, received: &HeaderMap) -> HeaderMap {
        let listed = connection_names(received);
        let mut sent = HeaderMap::with_capacity(received.len() + ADDED);
        for (name, value) in received {
            let is_dropped = is_hop_by_hop(name)
                || listed.contains(name)
                || identity::is_ours(name.as_str())
                || is_override(name)
                || is_forwarding(name)
                || matches!(*name, header::EXPECT | header::HOST | header::COOKIE)
                || self.withholds(name);
            if !is_dropped {
                sent.append(name.clone(), value.clone());
            }
        }
        self.add_cookies(received, &mut sent);
        self.add_origin(received, &mut sent);
        if self.is_grpc {
            sent.insert(header::TE, HeaderValue::from_static("trailers"));
        } else if let Ok(host) = HeaderValue::from_str(self.authority) {
            sent.insert(header::HOST, host);
        }
        sent
    }

    fn withholds(&self, name: &HeaderName) -> bool {
        let credentials = self.withheld.map(|profile| &profile.credentials);
        credentials
            .into_iter()
            .flatten()
            .any(|(source, listed)| match source {
                CredentialSource::Authorization => *name == header::AUTHORIZATION,
                CredentialSource::Header => name.as_str() == listed,
                CredentialSource::Cookie | CredentialSource::Envelope => false,
            })
    }

    /// One line of all cookies but ours; HTTP/2 may have split it (RFC 9113 section 8.2.3).
    fn add_cookies(&self, received: &HeaderMap, sent: &mut HeaderMap) {
        let lines = received.get_all(header::COOKIE).iter();
        let pairs = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        let mut kept = Vec::new();
        for pair in pairs.map(<[u8]>::trim_ascii) {
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
            if !pair.is_empty() && !self.withholds_cookie(name.trim_ascii()) {
                if !kept.is_empty() {
                    kept.extend_from_slice(b"; ");
                }
                kept.extend_from_slice(pair);
            }
        }
        if !kept.is_empty()
            && let Ok(mut line) = HeaderValue::from_bytes(&kept)
        {
            line.set_sensitive(true);
            sent.insert(header::COOKIE, line);
        }
    }

    fn withholds_cookie(&self, name: &[u8]) -> bool {
        let credentials = self.withheld.map(|profile| &profile.credentials);
        let mut cookies = credentials.into_iter().flatten();
        cookies.any(|(source, listed)| {
            *source == CredentialSource::Cookie && listed.as_bytes() == name
        })
    }

    /// What a believed proxy says by this header, in one line.
    fn said(&self, name: &HeaderName, received: &HeaderMap) -> Option<String> {
        if !self.client.is_proxied {
            return None;
        }
        let values = received.get_all(name).iter();
        let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// Where the request comes from, by what we know ourselves and what believed proxies say.
    fn add_origin(&self, received: &HeaderMap, sent: &mut HeaderMap) {
        let peer = self.client.peer.map(|peer| peer.to_string());
        let way = match (self.said(&forwarded::FOR, received), peer.as_deref()) {
            (Some(said), Some(peer)) => Some(format!("{said}, {peer}")),
            (said, peer) => said.or(peer.map(str::to_owned)),
        };
        let address = match self.client.address == self.client.peer {
            true => peer,
            false => self.client.address.as_ref().map(IpAddr::to_string),
        };
        let proto = self.said(&forwarded::PROTO, received);
        let host = self.said(&forwarded::HOST, received);
        let scheme = if self.client.is_tls { "https" } else { "http" };
        for (name, value) in [
            (forwarded::FOR, way.as_deref()),
            (REAL_IP, address.as_deref()),
            (forwarded::PROTO, Some(proto.as_deref().unwrap_or(scheme))),
            (
                forwarded::HOST,
                Some(host.as_deref().unwrap_or(self.authority)),
            ),
        ] {
            if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
                sent.insert(name, value);
            }
        }
        sent.insert(header::VIA, VIA);
    }
}

/// Removes from the trailers of a request what an app may take for a header that we vouch for.
pub(super) fn strip_forward(trailers: &mut HeaderMap) {
    let is_dropped = |name: &HeaderName| {
        is_hop_by_hop(name)
            || identity::is_ours(name.as_str())
            || is_override(name)
            || is_forwarding(name)
            || matches!(
                *name,
                header::EXPECT | header::HOST | header::COOKIE | header::AUTHORIZATION
            )
    };
    let dropped = trailers.keys().filter(|name| is_dropped(name)).cloned();
    let dropped: Vec<_> = dropped.collect();
    for name in dropped {
        trailers.remove(name);
    }
}

/// What the client receives of the app's header: nothing of one connection, and nothing of ours.
pub(super) fn backward(received: &HeaderMap) -> HeaderMap {
    let listed = connection_names(received);
    let mut sent = HeaderMap::with_capacity(received.len() + 4);
    for (name, value) in received {
        let is_dropped =
            is_hop_by_hop(name) || listed.contains(name) || identity::is_ours(name.as_str());
        if !is_dropped {
            sent.append(name.clone(), value.clone());
        }
    }
    sent
}

/// The trailers that an answer of HTTP/1.1 announces, as far as they go on: none else is sent.
pub(super) fn announced(received: &HeaderMap) -> Option<HeaderValue> {
    let lines = received.get_all(header::TRAILER).iter();
    let names = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    let names = names.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok());
    let kept: Vec<_> = names
        .filter(|name| !is_hop_by_hop(name) && !identity::is_ours(name.as_str()))
        .collect();
    let kept: Vec<_> = kept.iter().map(HeaderName::as_str).collect();
    (!kept.is_empty()).then(|| HeaderValue::try_from(kept.join(", ")).ok())?
}

/// The protocol that a request or response of HTTP/1.1 changes to. Not another HTTP, nor one of
/// several: in a tunnel, whoever made it could ask for what nobody decides (H-02).
pub(super) fn upgrade(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = version == Version::HTTP_11 && connection_names(headers).contains(&header::UPGRADE);
    let mut protocols = headers.get_all(header::UPGRADE).iter();
    match (protocols.next(), protocols.next()) {
        (Some(protocol), None) if asked && !may_be_http(protocol) => Some(protocol.clone()),
        _ => None,
    }
}

fn may_be_http(protocol: &HeaderValue) -> bool {
    let bytes = protocol.as_bytes().trim_ascii();
    let begins_with = |name: &[u8]| {
        let start = bytes.get(..name.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(name))
    };
    // TLS would hide what is in it.
    bytes.contains(&b',')
        || [&b"h2"[..], b"h3", b"http", b"tls"]
            .into_iter()
            .any(begins_with)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in entries {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn profile() -> WireProfile {
        WireProfile {
            credentials: vec![
                (CredentialSource::Authorization, String::new()),
                (CredentialSource::Header, "x-api-key".into()),
                (CredentialSource::Cookie, "session".into()),
            ],
            ..WireProfile::default()
        }
    }

    fn onward(received: &[(&'static str, &str)], is_proxied: bool, withheld: bool) -> HeaderMap {
        let peer = Some([192, 0, 2, 7].into());
        let client = Client {
            certificate: None,
            is_tls: false,
            peer,
            is_proxied,
            address: peer,
        };
        let profile = profile();
        Onward {
            client: &client,
            authority: "books.example",
            withheld: withheld.then_some(&profile),
            is_grpc: false,
        }
        .headers(&headers(received))
    }

    #[test]
    fn h06_no_spelling_of_our_names_goes_on() {
        for name in [
            "sidegate-subject",
            "sidegate_session",
            "sidegate.call",
            "sidegate-x",
        ] {
            assert!(
                !onward(&[(name, "evil")], true, true).contains_key(name),
                "{name}"
            );
            assert!(
                !backward(&headers(&[(name, "evil")])).contains_key(name),
                "{name}"
            );
        }
    }

    #[test]
    fn h10_no_other_method_or_path_goes_on() {
        for name in [
            "x-http-method-override",
            "x_http_method_override",
            "x-original-url",
            "x-rewrite-url",
        ] {
            assert!(
                !onward(&[(name, "x")], true, true).contains_key(name),
                "{name}"
            );
        }
    }

    #[test]
    fn what_connection_lists_stays_here() {
        let sent = onward(
            &[
                ("connection", "close, x-a"),
                ("x-a", "1"),
                ("x-b", "2"),
                ("te", "trailers"),
            ],
            false,
            true,
        );
        assert!(
            !sent.contains_key("x-a")
                && !sent.contains_key("connection")
                && !sent.contains_key("te")
        );
        assert_eq!(sent["x-b"], "2");
    }

    #[test]
    fn h04_only_a_listed_proxy_says_where_a_request_comes_from() {
        let said = [
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("x_forwarded_for", "1.2.3.4"),
            ("forwarded", "for=1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
        ];
        for (is_proxied, way, proto, host) in [
            (false, "192.0.2.7", "http", "books.example"),
            (true, "203.0.113.9, 192.0.2.7", "https", "evil.example"),
        ] {
            let sent = onward(&said, is_proxied, true);
            assert_eq!(sent["x-forwarded-for"], way);
            assert_eq!(sent["x-forwarded-proto"], proto);
            assert_eq!(sent["x-forwarded-host"], host);
            assert_eq!(sent["x-real-ip"], "192.0.2.7");
            assert!(!sent.contains_key("x_forwarded_for") && !sent.contains_key("forwarded"));
        }
    }

    #[test]
    fn t25_no_header_tells_the_app_of_a_client_certificate() {
        // Envoy's header: an app behind us would take it for a certificate that somebody verified.
        for name in ["x-forwarded-client-cert", "x_forwarded_client_cert"] {
            for is_proxied in [false, true] {
                let said = [(name, "URI=spiffe://books.example/evil")];
                let sent = onward(&said, is_proxied, true);
                assert!(!sent.contains_key(name), "{name}, proxied: {is_proxied}");
            }
        }
    }

    #[test]
    fn credentials_that_a_strategy_reads_stay_here_unless_they_are_passed() {
        let presented = [
            ("authorization", "Bearer x"),
            ("x-api-key", "k"),
            ("cookie", "a=1; session=s"),
            ("cookie", "b=2;session=t;"),
        ];
        let sent = onward(&presented, false, true);
        assert_eq!(sent["cookie"], "a=1; b=2");
        assert!(!sent.contains_key("authorization") && !sent.contains_key("x-api-key"));
        let sent = onward(&presented, false, false);
        assert_eq!(sent["cookie"], "a=1; session=s; b=2; session=t");
        assert!(sent.contains_key("authorization") && sent.contains_key("x-api-key"));
    }

    #[test]
    fn an_upgrade_is_asked_for_in_both_headers() {
        let both = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "websocket"),
        ];
        assert!(upgrade(Version::HTTP_11, &headers(&both)).is_some());
        assert!(upgrade(Version::HTTP_2, &headers(&both)).is_none());
        assert!(upgrade(Version::HTTP_11, &headers(&both[1..])).is_none());
        assert!(upgrade(Version::HTTP_11, &headers(&both[..1])).is_none());
    }

    #[test]
    fn h02_no_tunnel_is_made_for_another_http() {
        for (protocols, is_tunnel) in [
            (&["websocket"][..], true),
            (&["SPDY/3.1"], true),
            (&["h2c"], false),
            (&["H2C"], false),
            (&["HTTP/2.0"], false),
            (&["TLS/1.3"], false),
            (&["websocket, h2c"], false),
            (&["websocket", "h2c"], false),
        ] {
            let mut asked = headers(&[("connection", "upgrade")]);
            for protocol in protocols {
                asked.append("upgrade", protocol.parse().unwrap());
            }
            let tunnel = upgrade(Version::HTTP_11, &asked);
            assert_eq!(tunnel.is_some(), is_tunnel, "{protocols:?}");
        }
    }
}
