use auth_core::wire::CredentialSource;

use super::*;

const FORWARDED: [(&str, &str); 4] = [
    ("x-forwarded-method", "DELETE"),
    ("x-forwarded-host", "books.example"),
    ("x-forwarded-uri", "/books/b1?x=1"),
    ("x-forwarded-proto", "https"),
];
const ORIGINAL: [(&str, &str); 4] = [
    ("x-original-method", "DELETE"),
    ("x-original-host", "books.example"),
    ("x-original-uri", "/books/b1?x=1"),
    ("x-original-proto", "https"),
];

type Entries<'a> = Vec<(&'static str, &'a str)>;

/// What a proxy sends that speaks this dialect.
fn good(dialect: Dialect) -> Entries<'static> {
    match dialect {
        Dialect::Nginx => ORIGINAL.to_vec(),
        Dialect::Plain | Dialect::Traefik | Dialect::Caddy => FORWARDED.to_vec(),
    }
}

/// The names that must be there.
fn required(dialect: Dialect) -> Entries<'static> {
    let mut all = good(dialect);
    all.truncate(match dialect {
        Dialect::Plain | Dialect::Nginx => 3,
        Dialect::Traefik | Dialect::Caddy => 4,
    });
    all
}

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
            (CredentialSource::Header, "x-api-key".into()),
            (CredentialSource::Cookie, "session".into()),
        ],
        attributes: vec!["origin".into()],
        ..WireProfile::default()
    }
}

fn read(dialect: Dialect, entries: &[(&'static str, &str)]) -> Result<Call, Refusal> {
    let headers = headers(entries);
    call(dialect, &headers, &profile(), None, &Tenant::default())
}

fn with<'a>(dialect: Dialect, more: &[(&'static str, &'a str)]) -> Entries<'a> {
    let mut entries = good(dialect);
    entries.extend(more);
    entries
}

#[test]
fn a_call_is_what_the_proxy_says() {
    for dialect in Dialect::ALL {
        let entries = with(dialect, &[("origin", "https://books.example")]);
        let call = read(dialect, &entries).unwrap();
        assert_eq!(call.kind, WireKind::Http);
        assert_eq!(call.method, "DELETE");
        assert_eq!(call.authority, "books.example");
        assert_eq!(call.target, "/books/b1?x=1");
        assert_eq!(call.attributes[0].name, "origin");
        assert!(!call.data_complete);
    }
}

#[test]
fn what_is_missing_empty_or_twice_is_refused() {
    for dialect in Dialect::ALL {
        for (name, value) in required(dialect) {
            let mut rest = good(dialect);
            rest.retain(|(other, _)| *other != name);
            let missing = read(dialect, &rest).unwrap_err();
            assert_eq!(missing.status, 400, "{dialect:?} {name}");
            assert!(!missing.is_clients, "{dialect:?} {name}");
            assert!(missing.problem.contains(name));
            let twice = read(dialect, &with(dialect, &[(name, value)])).unwrap_err();
            assert!(twice.problem.contains("twice"), "{dialect:?} {name}");
            rest.push((name, ""));
            let empty = read(dialect, &rest).unwrap_err();
            assert_eq!(empty.status, 400, "{dialect:?} {name}");
        }
    }
}

#[test]
fn h04_the_headers_of_another_dialect_are_not_read() {
    for dialect in Dialect::ALL {
        let others = match dialect {
            Dialect::Nginx => FORWARDED,
            _ => ORIGINAL,
        };
        let refusal = read(dialect, &others).unwrap_err();
        assert_eq!(refusal.status, 400, "{dialect:?}");
        let forged: Entries<'_> = others.iter().map(|(name, _)| (*name, "/forged")).collect();
        let call = read(dialect, &with(dialect, &forged)).unwrap();
        assert_eq!(call.target, "/books/b1?x=1", "{dialect:?}");
    }
}

#[test]
fn a_websocket_has_schemes_of_its_own_and_anything_else_is_none() {
    for dialect in Dialect::ALL {
        let (name, _) = good(dialect)[3];
        for (scheme, is_good) in [
            ("http", true),
            ("wss", true),
            ("WS", true),
            ("ftp", false),
            ("https,http", false),
        ] {
            let mut entries = good(dialect);
            entries[3] = (name, scheme);
            let read = read(dialect, &entries);
            assert_eq!(read.is_ok(), is_good, "{dialect:?} {scheme}");
        }
    }
}

#[test]
fn each_occurrence_of_a_listed_credential_is_passed_on() {
    let more = [
        ("authorization", "Bearer a"),
        ("authorization", "Bearer b"),
        ("cookie", "session=x"),
        ("x-api-key", "k"),
        ("x-other-key", "o"),
    ];
    let call = read(Dialect::Plain, &with(Dialect::Plain, &more)).unwrap();
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
    for dialect in Dialect::ALL {
        let mut target = good(dialect);
        target[2].1 = &long;
        assert_eq!(read(dialect, &target).unwrap_err().status, 431);
        let token = with(dialect, &[("authorization", &long)]);
        assert_eq!(read(dialect, &token).unwrap_err().status, 431);
        let many = with(dialect, &[("cookie", "a=1"); 17]);
        assert_eq!(read(dialect, &many).unwrap_err().status, 431);
    }
}

#[test]
fn h01_a_target_of_other_bytes_is_the_clients_fault() {
    for dialect in Dialect::ALL {
        let mut headers = headers(&good(dialect));
        let target = axum::http::HeaderValue::from_bytes(b"/\xff").unwrap();
        headers.insert(good(dialect)[2].0, target);
        let read = call(dialect, &headers, &profile(), None, &Tenant::default());
        let refusal = read.unwrap_err();
        assert_eq!((refusal.status.as_u16(), refusal.is_clients), (400, true));
    }
}

/// The others take headers away by the beginning of their name, before they ask or after.
#[test]
fn h05_what_nginx_could_not_take_away_is_refused() {
    for dialect in Dialect::ALL {
        for name in ["sidegate-future", "sidegate_subject", "sidegate-subject"] {
            let read = read(dialect, &with(dialect, &[(name, "evil")]));
            if dialect != Dialect::Nginx {
                assert!(read.is_ok(), "{dialect:?} {name}");
                continue;
            }
            let refusal = read.unwrap_err();
            assert_eq!((refusal.status.as_u16(), refusal.is_clients), (400, true));
            assert!(refusal.problem.contains(name), "{}", refusal.problem);
        }
        let others = with(dialect, &[("sidegates", "1"), ("x-sidegate", "1")]);
        assert!(read(dialect, &others).is_ok(), "{dialect:?}");
    }
}
