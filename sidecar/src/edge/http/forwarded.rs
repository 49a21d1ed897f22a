//! What proxies before us say of the client (H-04).

use std::net::IpAddr;

use auth_core::policy::settings::Network;
use http::{HeaderMap, HeaderName};

/// The addresses that a request came by.
pub const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The scheme that the client used.
pub const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// The host that the client asked for.
pub const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The client's address: the last one in `X-Forwarded-For` that no trusted proxy has, since those
/// before it are the client's own words. `None` when that is no address.
#[must_use]
pub fn client(headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    client_in(&FOR, headers, trusted)
}

/// The same, by a header of this name.
#[must_use]
pub fn client_in(name: &HeaderName, headers: &HeaderMap, trusted: &[Network]) -> Option<IpAddr> {
    let lines: Vec<&str> = headers
        .get_all(name)
        .iter()
        .map(|line| line.to_str().unwrap_or("?"))
        .collect();
    for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let address: IpAddr = entry.trim().parse().ok()?;
        if !Network::any_contains(trusted, address) {
            return Some(address.to_canonical());
        }
    }
    None
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

    #[test]
    fn the_client_is_the_last_address_that_no_proxy_of_ours_has() {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        for (lines, expected) in [
            (vec![], None),
            (vec!["192.0.2.7"], Some("192.0.2.7")),
            (vec!["203.0.113.9, 192.0.2.7, 10.1.2.3"], Some("192.0.2.7")),
            (vec!["203.0.113.9", "192.0.2.7"], Some("192.0.2.7")),
            (vec!["192.0.2.7, evil"], None),
            (vec!["10.1.2.3"], None),
        ] {
            let entries: Vec<_> = lines
                .iter()
                .map(|line| ("x-forwarded-for", *line))
                .collect();
            let found = client(&headers(&entries), &trusted);
            assert_eq!(
                found.map(|address| address.to_string()).as_deref(),
                expected,
                "{lines:?}"
            );
        }
    }
}
