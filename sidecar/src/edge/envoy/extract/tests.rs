use auth_core::wire::CredentialSource;
use bytes::Bytes;
use proto::envoy::{
    config::core::v3::{HeaderMap as Raw, HeaderValue as Entry},
    service::auth::v3::{AttributeContext, Request},
};

use super::*;
use crate::edge::deadline::too_late;

/// Which form Envoy sends headers in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// `encode_raw_headers: false`: joined.
    Joined,
    /// `encode_raw_headers: true`: one by one.
    Raw,
}

/// What there is of a body.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Handed {
    Nothing,
    Whole,
    Cut,
    Unmeasured,
}

const FORMS: [Form; 2] = [Form::Joined, Form::Raw];

fn request(form: Form, headers: &[(&str, &str)]) -> HttpRequest {
    let mut http = HttpRequest {
        method: "DELETE".into(),
        path: "/books/b1?x=1".into(),
        host: "books.example".into(),
        ..HttpRequest::default()
    };
    let own = [(":path", "/books/b1?x=1"), (":authority", "books.example")];
    let all = own.iter().chain(headers);
    match form {
        Form::Raw => {
            let entries = all.map(|(name, value)| Entry {
                key: (*name).to_owned(),
                value: Bytes::new(),
                raw_value: Bytes::copy_from_slice(value.as_bytes()),
            });
            http.header_map = Some(Raw {
                headers: entries.collect(),
            });
        }
        Form::Joined => {
            for (name, value) in all {
                let joined = match http.headers.get(*name) {
                    Some(there) => format!("{},{value}", there.escape_ascii()),
                    None => (*value).to_owned(),
                };
                http.headers.insert((*name).to_owned(), joined.into());
            }
        }
    }
    http
}

fn asked(http: HttpRequest, extensions: &[(&str, &str)]) -> Result<Asked, Refusal> {
    let profile = WireProfile {
        credentials: vec![(CredentialSource::Header, "x-api-key".into())],
        ..WireProfile::default()
    };
    let extensions = extensions
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let request = CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request { http: Some(http) }),
            context_extensions: extensions.collect(),
            ..AttributeContext::default()
        }),
    };
    described(request)
        .unwrap()
        .call(&profile, &Tenant::default())
}

fn values(call: &Call) -> Vec<(CredentialSource, String)> {
    let read = |credential: &auth_core::wire::Credential| {
        let value = credential.value.escape_ascii().to_string();
        (credential.source, value)
    };
    call.credentials.iter().map(read).collect()
}

#[test]
fn the_request_is_the_one_that_envoy_describes_and_no_header_says_another() {
    for form in FORMS {
        let forged = [
            ("x-forwarded-uri", "/elsewhere"),
            ("x-original-url", "/elsewhere"),
            ("x-envoy-original-path", "/elsewhere"),
            ("x-http-method-override", "GET"),
            ("x-forwarded-host", "other.example"),
        ];
        let Asked { call, .. } = asked(request(form, &forged), &[]).unwrap();
        assert_eq!(call.target, "/books/b1?x=1");
        assert_eq!(call.method, "DELETE");
        assert_eq!(call.authority, "books.example");
        assert_eq!(call.kind, WireKind::Http);
        assert!(!call.data_complete);
    }
}

#[test]
fn r08_credentials_are_handed_on_as_they_stand() {
    use CredentialSource::{Authorization, Cookie, Header};
    for (headers, joined, raw) in [
        (
            &[("authorization", "A"), ("authorization", "B")][..],
            &[(Authorization, "A,B")][..],
            &[(Authorization, "A"), (Authorization, "B")][..],
        ),
        (
            &[("x-api-key", "k1"), ("x-api-key", "k2")],
            &[(Header, "k1,k2")],
            &[(Header, "k1"), (Header, "k2")],
        ),
        (
            &[("cookie", "a=1"), ("cookie", "b=2")],
            &[(Cookie, "a=1,b=2")],
            &[(Cookie, "a=1"), (Cookie, "b=2")],
        ),
        (
            &[("cookie", "a=1; b=2")],
            &[(Cookie, "a=1; b=2")],
            &[(Cookie, "a=1; b=2")],
        ),
        (&[("x-other", "k")], &[], &[]),
    ] {
        for (form, expected) in [(Form::Joined, joined), (Form::Raw, raw)] {
            let Asked { call, .. } = asked(request(form, headers), &[]).unwrap();
            let expected: Vec<_> = expected
                .iter()
                .map(|(source, value)| (*source, (*value).to_owned()))
                .collect();
            assert_eq!(values(&call), expected, "{form:?}");
        }
    }
}

#[test]
fn h06_a_clients_own_names_of_ours_are_listed_for_removal_unless_they_are_written() {
    for form in FORMS {
        let headers = [
            ("sidegate-subject", "evil"),
            ("sidegate_subject", "evil"),
            ("sidegate.call", "evil"),
            ("sidegate-session-set", "evil"),
            ("sidegateway", "mine"),
            ("x-sidegate-subject", "mine"),
        ];
        let asked = asked(request(form, &headers), &[]).unwrap();
        let mut names = asked.remove.headers;
        names.sort();
        let expected = ["sidegate-session-set", "sidegate.call", "sidegate_subject"];
        assert_eq!(names, expected, "{form:?}");
    }
}

#[test]
fn h10_headers_that_name_another_method_or_path_are_listed_for_removal() {
    for form in FORMS {
        let headers = [
            ("x-http-method-override", "DELETE"),
            ("x_original_url", "/admin"),
            ("x-original-path", "mine"),
        ];
        let asked = asked(request(form, &headers), &[]).unwrap();
        let mut names = asked.remove.headers;
        names.sort();
        assert_eq!(
            names,
            ["x-http-method-override", "x_original_url"],
            "{form:?}"
        );
    }
}

#[test]
fn a_call_is_grpc_by_method_and_content_type() {
    use WireKind::{Grpc, Http};
    for (method, kind, expected, client) in [
        ("POST", "application/grpc", Grpc, Client::Grpc),
        ("POST", "application/grpc+proto", Grpc, Client::Grpc),
        ("POST", "application/grpc;charset=x", Grpc, Client::Grpc),
        ("GET", "application/grpc", Http, Client::Grpc),
        ("POST", "application/grpc-web", Http, Client::Other),
        ("POST", "application/grpcx", Http, Client::Other),
        ("POST", "application/json", Http, Client::Other),
    ] {
        for form in FORMS {
            let http = HttpRequest {
                method: method.into(),
                path: "/books.v1.BookService/DeleteBook".into(),
                ..request(form, &[("content-type", kind)])
            };
            let told = headers::is_grpc(&http);
            assert_eq!(told, client == Client::Grpc, "{method} {kind}");
            let Asked { call, .. } = asked(http, &[]).unwrap();
            assert_eq!(call.kind, expected, "{method} {kind}");
            assert_eq!(call.target, "/books.v1.BookService/DeleteBook");
            assert_eq!(call.method.is_empty(), expected == Grpc);
        }
    }
    let twice = [
        ("content-type", "application/grpc"),
        ("content-type", "text/plain"),
    ];
    for form in FORMS {
        assert!(!headers::is_grpc(&request(form, &twice)), "{form:?}");
    }
}

#[test]
fn h13_what_is_too_much_is_refused() {
    let many: Vec<(String, String)> = (0..101)
        .map(|number| (format!("x-{number}"), "1".to_owned()))
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (&**n, &**v)).collect();
    let long = "x".repeat(wire::MAX_CREDENTIAL_BYTES + 1);
    let longer = "x".repeat(20_000);
    for headers in [
        &many[..],
        &[("authorization", &long)],
        &[("x-other", &longer)],
    ] {
        for form in FORMS {
            let refusal = asked(request(form, headers), &[]).unwrap_err();
            assert_eq!(refusal.status, 431, "{form:?}");
        }
    }
    let http = HttpRequest {
        path: "x".repeat(wire::MAX_TARGET_BYTES + 1).into(),
        ..request(Form::Raw, &[])
    };
    assert_eq!(asked(http, &[]).unwrap_err().status, 431);
}

#[test]
fn what_is_no_text_is_the_clients_fault() {
    let bad = || Bytes::from_static(b"/\xff");
    for spoil in [
        (|http, bad| http.path = bad) as fn(&mut HttpRequest, Bytes),
        |http, bad| http.method = bad,
        |http, bad| http.host = bad,
        |http, _| {
            let entry = Entry {
                key: "x".into(),
                raw_value: "a\r\nb".into(),
                ..Entry::default()
            };
            let headers = vec![entry];
            http.header_map = Some(Raw { headers });
        },
    ] {
        let mut http = request(Form::Joined, &[]);
        spoil(&mut http, bad());
        assert_eq!(asked(http, &[]).unwrap_err().status, 400);
    }
}

#[test]
fn what_is_no_request_by_http_is_none() {
    let connection = AttributeContext {
        request: Some(Request { http: None }),
        ..AttributeContext::default()
    };
    for attributes in [None, Some(AttributeContext::default()), Some(connection)] {
        assert!(described(CheckRequest { attributes }).is_none());
    }
}

#[test]
fn r24_a_call_waits_for_its_body_and_what_was_cut_is_not_read() {
    use Handed::{Cut, Nothing, Unmeasured, Whole};
    let json = ("content-type", "application/json");
    let longest = format!("{{}}{}", " ".repeat(wire::MAX_DATA_BYTES - 2));
    let long = format!("{longest} ");
    for (body, headers, handed) in [
        ("{}", &[json, ("content-length", "2")][..], Whole),
        // Envoy says so of a beginning too.
        ("{}", &[json], Unmeasured),
        (
            "{}",
            &[json, ("x-envoy-auth-partial-body", "false")],
            Unmeasured,
        ),
        ("{}", &[json, ("x-envoy-auth-partial-body", "true")], Cut),
        ("{}", &[json, ("content-length", "3")], Cut),
        ("{}", &[json, ("content-length", "1")], Nothing),
        ("{}", &[json, ("content-length", "x")], Nothing),
        ("{}", &[json, json], Nothing),
        ("{}", &[json, ("content-encoding", "gzip")], Nothing),
        ("{}", &[("content-type", "text/plain")], Nothing),
        ("{}", &[("content-type", "application/grpc")], Nothing),
        // Nobody says that there is none, and a client may say so of one that Envoy kept.
        ("", &[json, ("x-envoy-auth-partial-body", "false")], Nothing),
        ("", &[json, ("content-length", "3")], Nothing),
        (&longest, &[json, ("content-length", "65536")], Whole),
        (&long, &[json, ("content-length", "65537")], Cut),
        (&long, &[json], Cut),
        (&long, &[("content-type", "text/plain")], Nothing),
    ] {
        for (form, raw) in [(Form::Joined, true), (Form::Raw, false)] {
            let mut http = request(form, headers);
            http.method = "POST".into();
            match raw {
                true => http.raw_body = body.to_owned().into(),
                false => http.body = body.to_owned().into(),
            }
            let asked = asked(http, &[]).unwrap();
            let shown = format!("{body:.9} {headers:?} {form:?}");
            let waits = asked.call.data_pending;
            assert_eq!(waits, handed != Nothing, "{shown}");
            assert!(!asked.call.data_complete, "{shown}");
            let profile = WireProfile::default();
            let answer = too_late();
            let again = asked
                .body
                .map(|body| body.give(asked.call, &answer, &profile));
            let found = match again {
                None => Nothing,
                Some(Ok(call)) => {
                    assert!(call.data_complete && !call.data_pending, "{shown}");
                    Whole
                }
                Some(Err(refusal)) => match refusal.status.as_u16() {
                    413 => Cut,
                    411 => Unmeasured,
                    other => panic!("{shown}: {other}"),
                },
            };
            assert_eq!(found, handed, "{shown}");
        }
    }
}

#[test]
fn the_routes_own_words_are_read() {
    let http = request(Form::Joined, &[]);
    let Asked { named, .. } = asked(http.clone(), &[("operation", "delete_book")]).unwrap();
    assert_eq!(named.operation.as_deref(), Some("delete_book"));
    assert!(named.tags.is_none());
    let Asked { named, .. } = asked(http, &[("tags", "api"), ("other", "x")]).unwrap();
    assert!(named.operation.is_none());
    assert_eq!(named.tags.as_deref(), Some("api"));
}
