use std::time::Duration;

use auth_core::{
    caller::{Caller, Grant},
    decision::ReasonCode,
    decision_point::{ClearScope, DecisionPoint as _, SessionWrite, SetSession},
    session::JsonObject,
    wire::{Call, SessionView, WireKind},
};
use proto::remote::{CallerToken, RemoteDecisionPoint};

use crate::{
    grpc::serve,
    scripted::{session, session_errors, update},
};

async fn remote() -> RemoteDecisionPoint {
    let grants = [Grant::Authorize, Grant::SessionSelf];
    let (_, channel) = serve(&grants, Duration::from_secs(60)).await;
    RemoteDecisionPoint::new(channel, CallerToken::new("").unwrap())
}

fn edge() -> Caller {
    Caller::new("edge")
}

#[tokio::test]
async fn an_answer_crosses_the_wire_unchanged() {
    let remote = remote().await;
    for (target, code) in [
        ("/allow", ReasonCode::Allowed),
        ("/deny", ReasonCode::RequirementFailed),
        ("/nowhere", ReasonCode::UnknownOperation),
    ] {
        let call = Call {
            view: SessionView::Full,
            ..Call::new(WireKind::Http, "GET", target)
        };
        let answer = remote.authorize(&edge(), call).await;
        assert_eq!(answer.reason.code, code);
        assert_eq!(answer.updates, [update()]);
        assert_eq!(answer.call.is_some(), code == ReasonCode::Allowed);
        let claims = answer
            .session
            .map(|session| session.identity.claims.clone());
        let has_session = code != ReasonCode::UnknownOperation;
        assert_eq!(
            claims,
            has_session.then(|| session().identity.claims.clone())
        );
    }
}

#[tokio::test]
async fn each_session_error_crosses_the_wire_unchanged() {
    let remote = remote().await;
    for (handle, error) in session_errors() {
        let call = handle.as_bytes();
        let read = remote.session(&edge(), call).await.unwrap_err();
        assert_eq!(read, error, "{handle}");
        let cleared = remote.clear(&edge(), call, ClearScope::This).await;
        assert_eq!(cleared.unwrap_err(), error, "{handle}");
    }
}

#[tokio::test]
async fn a_change_crosses_the_wire() {
    let remote = remote().await;
    let request = SetSession {
        call: "sealed".into(),
        change: SessionWrite::Patch {
            set: JsonObject::new(),
            remove: vec!["theme".into()],
        },
        etag: String::new(),
        request_id: "r1".into(),
    };
    let changed = remote.set(&edge(), request).await.unwrap();
    assert_eq!(changed.call, "sealed again");
    assert_eq!(changed.session.identity, session().identity);
}
