use std::{sync::Arc, time::Duration};

use auth_core::{
    caller::{Caller, Grant},
    wire::WireKind,
};
use proto::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse, HttpRequest, Peer, Request,
    check_response::HttpResponse,
};
use rcgen::{CertificateParams, KeyPair, SanType};
use sidecar::edge::envoy::{EnvoyEdge, EnvoyError};
use tonic::metadata::MetadataMap;

use crate::scripted::{Scripted, caller};

fn http(target: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".into(),
        host: "books.example".into(),
        path: target.to_owned().into(),
        ..HttpRequest::default()
    }
}

/// A certificate with this id, as Envoy hands it on.
fn certificate(id: &str) -> String {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
    let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let encode = percent_encoding::NON_ALPHANUMERIC;
    percent_encoding::utf8_percent_encode(&made.pem(), encode).to_string()
}

fn described(target: &str, extensions: &[(&str, &str)]) -> CheckRequest {
    let extensions = extensions
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let source = Peer {
        certificate: certificate("spiffe://shop/web").into(),
        ..Peer::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(source),
            request: Some(Request {
                http: Some(http(target)),
            }),
            context_extensions: extensions.collect(),
        }),
    }
}

/// An edge that answers for a caller with these grants.
async fn ask(
    grants: &[Grant],
    error_response: bool,
    request: CheckRequest,
) -> (Arc<Scripted>, CheckResponse) {
    let point = Arc::new(Scripted::default());
    let edge = EnvoyEdge::new(Arc::clone(&point), caller(grants), error_response);
    let edge = edge.unwrap().with_max(Duration::from_millis(50));
    let answer = edge.answer(&MetadataMap::new(), request).await;
    (point, answer)
}

/// The status that the client sees; 200 for an allow.
fn status(response: &CheckResponse) -> i32 {
    let code = response.status.as_ref().unwrap().code;
    match response.http_response.as_ref().unwrap() {
        HttpResponse::OkResponse(_) => {
            assert_eq!(code, 0);
            200
        }
        HttpResponse::DeniedResponse(denied) | HttpResponse::ErrorResponse(denied) => {
            assert_ne!(code, 0);
            denied.status.unwrap().code
        }
    }
}

#[tokio::test]
async fn envoy_is_told_what_was_decided() {
    for (target, expected) in [
        ("/allow", 200),
        ("/anonymous", 200),
        ("/deny", 403),
        ("/nowhere", 403),
        ("/slow", 503),
    ] {
        let (_, answer) = ask(&[Grant::Authorize], false, described(target, &[])).await;
        assert_eq!(status(&answer), expected, "{target}");
        let is_error = matches!(answer.http_response, Some(HttpResponse::ErrorResponse(_)));
        assert!(!is_error, "{target}");
    }
}

#[tokio::test]
async fn what_is_undetermined_is_an_error_only_where_that_is_asked_for() {
    for (target, is_error) in [("/slow", true), ("/deny", false)] {
        let (_, answer) = ask(&[Grant::Authorize], true, described(target, &[])).await;
        let found = matches!(answer.http_response, Some(HttpResponse::ErrorResponse(_)));
        assert_eq!(found, is_error, "{target}");
    }
}

#[tokio::test]
async fn a_connection_is_refused_and_nothing_is_asked() {
    let nothing = CheckRequest { attributes: None };
    let (point, answer) = ask(&[Grant::Authorize], false, nothing).await;
    assert_eq!(status(&answer), 403);
    assert!(point.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_operation_and_tags_that_a_route_names_only_tighten() {
    for (extensions, target, expected) in [
        (&[("operation", "op")][..], "/allow", 200),
        (&[("operation", "another")], "/allow", 403),
        (&[("operation", "")], "/allow", 403),
        (&[("operation", "op")], "/deny", 403),
        (&[("tags", "api")], "/allow", 200),
        (&[("tags", "books, api")], "/allow", 200),
        (&[("tags", "api"), ("operation", "op")], "/allow", 200),
        (&[("tags", "api"), ("operation", "another")], "/allow", 403),
        (&[("tags", "api,admin")], "/allow", 403),
        (&[("tags", "API")], "/allow", 403),
        (&[("tags", "")], "/allow", 403),
        (&[("tags", "api")], "/deny", 403),
        (&[("tags", "api")], "/anonymous", 200),
        (&[("something", "else")], "/allow", 200),
    ] {
        let request = described(target, extensions);
        let (_, answer) = ask(&[Grant::Authorize], false, request).await;
        assert_eq!(status(&answer), expected, "{extensions:?} {target}");
    }
}

#[tokio::test]
async fn t25_a_certificate_counts_if_the_caller_may_say_so() {
    for (grants, identity) in [
        (&[Grant::Authorize][..], ""),
        (&[Grant::Authorize, Grant::PeerAssert], "spiffe://shop/web"),
    ] {
        let (point, _) = ask(grants, false, described("/allow", &[])).await;
        assert_eq!(point.asked.lock().unwrap()[0].peer.identity, identity);
    }
}

#[tokio::test]
async fn a_wire_that_the_caller_may_not_speak_of_is_refused() {
    let http_only = Arc::new(Caller {
        wires: Some([WireKind::Http].into()),
        ..Caller::clone(&caller(&[Grant::Authorize]))
    });
    let point = Arc::new(Scripted::default());
    let edge = EnvoyEdge::new(Arc::clone(&point), http_only, false).unwrap();
    let grpc = HttpRequest {
        method: "POST".into(),
        headers: [("content-type".to_owned(), "application/grpc".into())].into(),
        ..http("/allow")
    };
    let request = CheckRequest {
        attributes: Some(AttributeContext {
            request: Some(Request { http: Some(grpc) }),
            ..AttributeContext::default()
        }),
    };
    let answer = edge.answer(&MetadataMap::new(), request).await;
    assert_eq!(status(&answer), 403);
    assert!(point.asked.lock().unwrap().is_empty());
}

#[test]
fn it_does_not_start_without_grants() {
    let start = |caller| EnvoyEdge::new(Arc::new(Scripted::default()), caller, false).err();
    let name = || "shop".to_owned();
    assert_eq!(start(caller(&[Grant::Authorize])), None);
    assert_eq!(
        start(caller(&[])),
        Some(EnvoyError::GrantMissing { caller: name() })
    );
    let other_wire = Arc::new(Caller {
        wires: Some([WireKind::Queue].into()),
        ..Caller::clone(&caller(&[Grant::Authorize]))
    });
    assert_eq!(
        start(other_wire),
        Some(EnvoyError::WireNotAllowed { caller: name() })
    );
}
