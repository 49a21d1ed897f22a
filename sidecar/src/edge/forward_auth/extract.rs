//! What a trusted proxy says about a request. Only the headers named here and those of the wire
//! profile are read: an allow-list, since what is not read cannot be forged.

use std::net::IpAddr;

use auth_core::{
    decision_point::WireProfile,
    session::Tenant,
    wire::{self, Call, Deliverable, Peer, SessionView, WireKind},
};
use axum::http::{HeaderMap, HeaderName, StatusCode};

use crate::edge::http::extract::{self, TooLarge};

const METHOD: HeaderName = HeaderName::from_static("x-forwarded-method");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// A request that does not say what it is about, or says too much.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) problem: String,
}

fn bad(problem: String) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        problem,
    }
}

impl From<TooLarge> for Refusal {
    fn from(TooLarge(problem): TooLarge) -> Self {
        Self {
            status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            problem: problem.to_owned(),
        }
    }
}

/// The call that the proxy describes.
pub(super) fn call(
    headers: &HeaderMap,
    profile: &WireProfile,
    client: Option<IpAddr>,
    tenant: &Tenant,
) -> Result<Call, Refusal> {
    let target = the_only(headers, &URI)?;
    if target.len() > wire::MAX_TARGET_BYTES {
        return Err(TooLarge("`x-forwarded-uri` is too long").into());
    }
    Ok(Call {
        tenant: tenant.clone(),
        authority: the_only(headers, &HOST)?.to_owned(),
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
        ..Call::new(WireKind::Http, the_only(headers, &METHOD)?, target)
    })
}

fn the_only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<&'a str, Refusal> {
    let mut values = headers.get_all(name).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value,
        (None, _) => return Err(bad(format!("`{name}` is missing"))),
        (Some(_), Some(_)) => return Err(bad(format!("`{name}` stands there twice"))),
    };
    match std::str::from_utf8(value.as_bytes()) {
        Ok("") => Err(bad(format!("`{name}` is empty"))),
        Ok(text) => Ok(text),
        Err(_) => Err(bad(format!("`{name}` is no text"))),
    }
}

#[cfg(test)]
mod tests {
    use auth_core::wire::CredentialSource;

    use super::*;

    const GOOD: [(&str, &str); 3] = [
        ("x-forwarded-method", "DELETE"),
        ("x-forwarded-host", "books.example"),
        ("x-forwarded-uri", "/books/b1?x=1"),
    ];

    fn headers(entries: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in entries {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn with(more: &[(&'static str, &'static str)]) -> HeaderMap {
        headers(&[&GOOD[..], more].concat())
    }

    fn profile() -> WireProfile {
        WireProfile {
            credentials: vec![
                (CredentialSource::Header, "x-api-key".into()),
                (CredentialSource::Cookie, "session".into()),
            ],
            attributes: vec!["origin".into()],
            ..WireProfile::default()
        }
    }

    fn read(headers: &HeaderMap) -> Result<Call, Refusal> {
        call(headers, &profile(), None, &Tenant::default())
    }

    #[test]
    fn a_call_is_what_the_proxy_says() {
        let call = read(&with(&[("origin", "https://books.example")])).unwrap();
        assert_eq!(call.kind, WireKind::Http);
        assert_eq!(call.method, "DELETE");
        assert_eq!(call.authority, "books.example");
        assert_eq!(call.target, "/books/b1?x=1");
        assert_eq!(call.attributes[0].name, "origin");
        assert!(!call.data_complete);
    }

    #[test]
    fn what_is_missing_empty_or_twice_is_refused() {
        for (name, _) in GOOD {
            let rest: Vec<_> = GOOD.iter().filter(|(n, _)| *n != name).copied().collect();
            let missing = read(&headers(&rest)).unwrap_err();
            assert_eq!(missing.status, 400, "{name}");
            assert!(missing.problem.contains(name));
            let twice = read(&with(&[(name, "x")])).unwrap_err();
            assert!(twice.problem.contains("twice"), "{name}");
            let empty = headers(&[&rest[..], &[(name, "")]].concat());
            assert_eq!(read(&empty).unwrap_err().status, 400, "{name}");
        }
    }

    #[test]
    fn each_occurrence_of_a_listed_credential_is_passed_on() {
        let call = read(&with(&[
            ("authorization", "Bearer a"),
            ("authorization", "Bearer b"),
            ("cookie", "session=x"),
            ("x-api-key", "k"),
            ("x-other-key", "o"),
        ]))
        .unwrap();
        let found: Vec<_> = call
            .credentials
            .iter()
            .map(|c| (c.source, &*c.name, &c.value[..]))
            .collect();
        assert_eq!(
            found,
            [
                (CredentialSource::Authorization, "", &b"Bearer a"[..]),
                (CredentialSource::Authorization, "", b"Bearer b"),
                (CredentialSource::Cookie, "", b"session=x"),
                (CredentialSource::Header, "x-api-key", b"k"),
            ]
        );
    }

    #[test]
    fn too_much_is_refused_before_it_is_judged() {
        let long = "x".repeat(8193);
        for entry in [("x-forwarded-uri", &*long), ("authorization", &*long)] {
            let mut map = with(&[]);
            map.insert(entry.0, entry.1.parse().unwrap());
            assert_eq!(read(&map).unwrap_err().status, 431, "{}", entry.0);
        }
        let many = vec![("cookie", "a=1"); 17];
        assert_eq!(read(&with(&many)).unwrap_err().status, 431);
    }
}
