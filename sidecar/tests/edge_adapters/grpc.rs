use std::{sync::Arc, time::Duration};

use auth_core::caller::Grant;
use proto::v1::{
    self, authorization_service_client::AuthorizationServiceClient,
    authorization_service_server::AuthorizationServiceServer,
    session_service_client::SessionServiceClient, session_service_server::SessionServiceServer,
};
use sidecar::edge::{
    access::{Identified, Transport},
    grpc::AuthorizationEdge,
    session::SessionEdge,
    status::session_error,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Request, Status,
    service::InterceptorLayer,
    transport::{Channel, Endpoint, Server},
};
use tonic_types::StatusExt as _;

use crate::scripted::{Scripted, caller, session_errors};

const BOTH: [Grant; 2] = [Grant::Authorize, Grant::SessionSelf];

/// A server whose every caller has these grants, and the way to it.
pub(crate) async fn serve(grants: &[Grant], max: Duration) -> (Arc<Scripted>, Channel) {
    let point = Arc::new(Scripted::default());
    let caller = caller(grants);
    let identify = move |mut request: Request<()>| {
        request.extensions_mut().insert(Identified {
            caller: Arc::clone(&caller),
            transport: Transport::Tcp,
        });
        Ok(request)
    };
    let authorization = AuthorizationEdge::with_max(Arc::clone(&point), max);
    let session = SessionEdge::with_max(Arc::clone(&point), max);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(
        Server::builder()
            .layer(InterceptorLayer::new(identify))
            .add_service(AuthorizationServiceServer::new(authorization))
            .add_service(SessionServiceServer::new(session))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    let endpoint = Endpoint::try_from(format!("http://{address}")).unwrap();
    (point, endpoint.connect_lazy())
}

async fn authorization(
    grants: &[Grant],
    max: Duration,
) -> (Arc<Scripted>, AuthorizationServiceClient<Channel>) {
    let (point, channel) = serve(grants, max).await;
    (point, AuthorizationServiceClient::new(channel))
}

const LONG: Duration = Duration::from_secs(60);

fn ask(target: &str) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest {
        wire: Some(v1::WireContext {
            kind: v1::WireKind::Http.into(),
            method: "GET".into(),
            target: target.into(),
            peer: Some(v1::Peer {
                address: "192.0.2.1".into(),
                identity: "spiffe://forged".into(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        session_view: v1::SessionView::Full.into(),
        ..Default::default()
    }
}

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details.error_info().unwrap().reason.clone()
}

#[tokio::test]
async fn a_verdict_is_an_answer_and_no_error() {
    let (point, mut client) = authorization(&BOTH, LONG).await;
    for (target, decision, outcome) in [
        ("/allow", v1::Decision::Allow, v1::Outcome::Allow),
        ("/deny", v1::Decision::Deny, v1::Outcome::Deny),
        ("/nowhere", v1::Decision::Deny, v1::Outcome::Deny),
    ] {
        let answer = client.authorize(ask(target)).await.unwrap().into_inner();
        assert_eq!(answer.decision(), decision, "{target}");
        assert_eq!(answer.outcome(), outcome, "{target}");
        assert_eq!(answer.call.is_empty(), decision != v1::Decision::Allow);
        assert_eq!(answer.updates.len(), 1);
    }
    let asked = point.asked.lock().unwrap();
    assert!(asked.iter().all(|call| call.peer.identity.is_empty()));
}

#[tokio::test]
async fn a_session_is_shown_as_far_as_asked() {
    let (_, mut client) = authorization(&BOTH, LONG).await;
    for (view, has_session, has_claims) in [
        (v1::SessionView::Unspecified, false, false),
        (v1::SessionView::None, false, false),
        (v1::SessionView::Basic, true, false),
        (v1::SessionView::Full, true, true),
    ] {
        let request = v1::AuthorizeRequest {
            session_view: view.into(),
            ..ask("/allow")
        };
        let session = client
            .authorize(request)
            .await
            .unwrap()
            .into_inner()
            .session;
        assert_eq!(session.is_some(), has_session, "{view:?}");
        let claims = session.unwrap_or_default().claims_json;
        assert_eq!(!claims.is_empty(), has_claims, "{view:?}");
    }
}

#[tokio::test]
async fn a_caller_is_held_to_its_grants_wires_and_tenant() {
    let (_, mut ungranted) = authorization(&[Grant::SessionSelf], LONG).await;
    let refused = ungranted.authorize(ask("/allow")).await.unwrap_err();
    assert_eq!(reason(&refused), "GRANT_MISSING");

    let (point, mut client) = authorization(&BOTH, LONG).await;
    let mut queue = ask("/allow");
    queue.wire.as_mut().unwrap().kind = v1::WireKind::Queue.into();
    let tenant = v1::AuthorizeRequest {
        tenant: "other".into(),
        ..ask("/allow")
    };
    for (request, expected) in [(queue, "WIRE_NOT_ALLOWED"), (tenant, "TENANT_NOT_ALLOWED")] {
        let refused = client.authorize(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert_eq!(reason(&refused), expected);
    }
    assert!(point.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_bad_field_is_named_in_the_details() {
    let (_, mut client) = authorization(&BOTH, LONG).await;
    let mut request = ask("/allow");
    request.wire.as_mut().unwrap().credentials = vec![v1::Credential::default()];
    let status = client.authorize(request).await.unwrap_err();
    let details = status.get_error_details();
    let violation = &details.bad_request().unwrap().field_violations[0];
    assert_eq!(violation.field, "wire.credentials[0].source");
}

#[tokio::test]
async fn our_deadline_gives_an_undetermined_answer() {
    let (_, mut client) = authorization(&BOTH, Duration::from_millis(20)).await;
    let answer = client.authorize(ask("/slow")).await.unwrap().into_inner();
    assert_eq!(answer.decision(), v1::Decision::Undetermined);
    assert_eq!(
        answer.reason.unwrap().code(),
        v1::ReasonCode::DeadlineExceeded
    );
}

#[tokio::test]
async fn a_batch_keeps_its_order_and_undetermined_items_their_place() {
    let (point, mut client) = authorization(&BOTH, Duration::from_millis(500)).await;
    let targets = ["/allow", "/deny", "/slow"];
    let items = (0..1000).map(|index| v1::BatchAuthorizeItem {
        method: "GET".into(),
        target: targets[usize::from(index == 500) * 2 + usize::from(index % 2 == 1)].into(),
        ..Default::default()
    });
    let request = v1::BatchAuthorizeRequest {
        caller: Some(v1::WireContext {
            kind: v1::WireKind::Http.into(),
            ..Default::default()
        }),
        items: items.collect(),
        tenant: String::new(),
    };
    let batch = client.batch_authorize(request).await.unwrap().into_inner();
    assert_eq!(batch.responses.len(), 1000);
    for (index, answer) in batch.responses.iter().enumerate() {
        let expected = match index {
            500 => v1::Decision::Undetermined,
            _ if index % 2 == 1 => v1::Decision::Deny,
            _ => v1::Decision::Allow,
        };
        assert_eq!(answer.decision(), expected, "{index}");
    }
    assert!(point.asked.lock().unwrap().iter().all(|call| call.advisory));
}

#[tokio::test]
async fn a_profile_says_what_to_send() {
    let (_, mut client) = authorization(&BOTH, LONG).await;
    let request = v1::GetWireProfileRequest {
        kind: v1::WireKind::Mcp.into(),
        custom_kind: String::new(),
    };
    let profile = client.get_wire_profile(request).await.unwrap().into_inner();
    assert_eq!(profile.attributes, ["mcp"]);
    assert_eq!(profile.credentials[0].name, "x-api-key");
    assert_eq!(profile.query_parameters, ["key"]);
}

#[tokio::test]
async fn the_session_of_a_call_is_read_set_and_cleared() {
    let (_, channel) = serve(&BOTH, LONG).await;
    let mut client = SessionServiceClient::new(channel);
    for (call, expected) in [("sealed", true), ("anonymous", false)] {
        let request = v1::GetSessionRequest { call: call.into() };
        let session = client
            .get_session(request)
            .await
            .unwrap()
            .into_inner()
            .session;
        assert_eq!(session.is_some(), expected, "{call}");
    }
    let patch = v1::set_session_request::Change::Patch(v1::SessionPatch::default());
    let set = v1::SetSessionRequest {
        call: "sealed".into(),
        change: Some(patch),
        ..Default::default()
    };
    let changed = client.set_session(set).await.unwrap().into_inner();
    assert_eq!(changed.call, "sealed again");
    assert_eq!(changed.updates.len(), 1);
    let clear = v1::ClearSessionRequest {
        call: "sealed".into(),
        scope: v1::ClearScope::All.into(),
    };
    let cleared = client.clear_session(clear).await.unwrap().into_inner();
    assert_eq!(cleared.ended_count, 3);
}

#[tokio::test]
async fn each_session_error_arrives_with_its_status_and_reason() {
    let (_, channel) = serve(&BOTH, LONG).await;
    let mut client = SessionServiceClient::new(channel);
    for (handle, error) in session_errors() {
        let request = v1::GetSessionRequest {
            call: handle.into(),
        };
        let arrived = client.get_session(request).await.unwrap_err();
        let expected = session_error(error);
        assert_eq!(arrived.code(), expected.code(), "{handle}");
        assert_eq!(arrived.message(), expected.message(), "{handle}");
        assert_eq!(reason(&arrived), reason(&expected), "{handle}");
    }
}

#[tokio::test]
async fn the_session_needs_its_own_grant() {
    let (_, channel) = serve(&[Grant::Authorize], LONG).await;
    let request = v1::GetSessionRequest {
        call: "sealed".into(),
    };
    let mut client = SessionServiceClient::new(channel);
    let refused = client.get_session(request).await.unwrap_err();
    assert_eq!(reason(&refused), "GRANT_MISSING");
}
