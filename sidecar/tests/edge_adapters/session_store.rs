use std::{sync::Arc, time::Duration};

use auth_core::{
    caller::{Caller, Grant},
    clock::ManualClock,
    grammar::TokenText,
    keys::{Keyring, MasterKey},
    random::SystemRandom,
    session::{Tenant, TokenHash, TokenKind},
    store::{Loaded, SessionStore as _, memory::MemoryStore},
};
use futures_util::StreamExt as _;
use proto::v1::{
    self, session_store_service_server::SessionStoreService as _, watch_sessions_response::Item,
};
use sidecar::edge::{
    access::{Identified, Transport},
    session_store::{SessionLimits, SessionStoreEdge, SessionStoreParts},
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

use crate::scripted::{NOW, caller};

struct World {
    store: Arc<MemoryStore>,
    shutdown: CancellationToken,
    edge: SessionStoreEdge,
}

fn world() -> World {
    let store = Arc::new(MemoryStore::new());
    let shutdown = CancellationToken::new();
    let limits = SessionLimits {
        lifetime: Duration::from_secs(3600),
        idle: Duration::from_secs(600),
        per_subject: None,
    };
    let edge = SessionStoreEdge::new(SessionStoreParts {
        store: store.clone(),
        clock: Arc::new(ManualClock::at(NOW)),
        random: Arc::new(SystemRandom),
        keys: Arc::new(Keyring::new(&MasterKey::from_bytes([1; 32]), &[])),
        limits: Arc::new(move || limits),
        shutdown: shutdown.clone(),
    });
    World {
        store,
        shutdown,
        edge,
    }
}

fn by<T>(caller: &Arc<Caller>, transport: Transport, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let caller = Arc::clone(caller);
    request
        .extensions_mut()
        .insert(Identified { caller, transport });
    request
}

fn managed<T>(message: T) -> Request<T> {
    by(&caller(&[Grant::SessionManage]), Transport::Unix, message)
}

fn subject(id: &str) -> Option<v1::Principal> {
    Some(v1::Principal {
        namespace: "local".into(),
        id: id.into(),
    })
}

fn new_session(id: &str) -> v1::CreateSessionRequest {
    v1::CreateSessionRequest {
        kind: v1::TokenKind::Bearer.into(),
        sign_in: Some(v1::SignIn {
            subject: subject(id),
            auth_time: Some(proto::core::time::to_message(NOW)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

impl World {
    async fn create(&self, id: &str) -> (String, String) {
        let created = self.edge.create_session(managed(new_session(id))).await;
        let created = created.unwrap().into_inner();
        let name = created.session.unwrap().session.unwrap().name;
        (name, created.token)
    }

    async fn state(&self, name: &str) -> v1::SessionState {
        let request = v1::ReadSessionRequest { name: name.into() };
        let read = self.edge.read_session(managed(request)).await.unwrap();
        read.into_inner().session.unwrap().state()
    }

    async fn is_live(&self, token: &str) -> bool {
        let hash = TokenHash::of(&TokenText::parse(token).unwrap());
        let tenant = Tenant::default();
        let loaded = self
            .store
            .load(&tenant, TokenKind::Bearer, &hash, NOW)
            .await;
        matches!(loaded.unwrap(), Loaded::Live { .. })
    }
}

fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    details.error_info().unwrap().reason.clone()
}

#[tokio::test]
async fn a_made_session_opens_by_its_token() {
    let world = world();
    let (name, token) = world.create("u1").await;
    assert!(world.is_live(&token).await);
    assert_eq!(world.state(&name).await, v1::SessionState::Live);
}

#[tokio::test]
async fn only_a_manager_on_a_unix_socket_is_answered() {
    let world = world();
    let manager = caller(&[Grant::SessionManage]);
    let other = caller(&[Grant::Authorize, Grant::SessionSelf]);
    for (caller, transport, expected) in [
        (&manager, Transport::Tcp, "TRANSPORT_NOT_ALLOWED"),
        (&other, Transport::Unix, "GRANT_MISSING"),
    ] {
        let request = by(caller, transport, new_session("u1"));
        let refused = world.edge.create_session(request).await.unwrap_err();
        assert_eq!(reason(&refused), expected);
    }
}

#[tokio::test]
async fn a05_another_tenants_sessions_are_out_of_reach() {
    let world = world();
    let (name, _) = world.create("u1").await;
    let other = name.replace("tenants/default/", "tenants/other/");
    let read = v1::ReadSessionRequest { name: other };
    let refused = world.edge.read_session(managed(read)).await.unwrap_err();
    assert_eq!(reason(&refused), "TENANT_NOT_ALLOWED");
    let list = v1::ListSessionsRequest {
        parent: "tenants/other".into(),
        ..Default::default()
    };
    let refused = world.edge.list_sessions(managed(list)).await.unwrap_err();
    assert_eq!(reason(&refused), "TENANT_NOT_ALLOWED");
}

#[tokio::test]
async fn a_stale_etag_is_refused() {
    let world = world();
    let (name, _) = world.create("u1").await;
    let update = |etag: &str| {
        managed(v1::UpdateSessionRequest {
            name: name.clone(),
            patch: Some(v1::SessionPatch {
                set_json: r#"{"theme":"dark"}"#.into(),
                remove: vec![],
            }),
            etag: etag.into(),
        })
    };
    let updated = world.edge.update_session(update("")).await.unwrap();
    let session = updated.into_inner().session.unwrap().session.unwrap();
    assert_eq!(session.attributes_json, r#"{"theme":"dark"}"#);
    let again = world.edge.update_session(update(&session.etag)).await;
    assert!(again.is_ok());
    let stale = world.edge.update_session(update(&session.etag)).await;
    let stale = stale.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted);
    assert_eq!(reason(&stale), "ETAG_MISMATCH");
}

#[tokio::test]
async fn a_rotated_token_is_the_only_one_left() {
    let world = world();
    let (name, old) = world.create("u1").await;
    let request = v1::RotateSessionRequest {
        name,
        etag: String::new(),
    };
    let rotated = world.edge.rotate_session(managed(request)).await.unwrap();
    let new = rotated.into_inner().token;
    assert!(world.is_live(&new).await);
    assert!(!world.is_live(&old).await);
}

#[tokio::test]
async fn a_revoked_session_stays_and_says_why() {
    let world = world();
    let (name, token) = world.create("u1").await;
    for (words, was_live) in [("stolen", true), ("again", false)] {
        let request = v1::RevokeSessionRequest {
            name: name.clone(),
            reason: words.into(),
        };
        let revoked = world.edge.revoke_session(managed(request)).await.unwrap();
        assert_eq!(revoked.into_inner().was_live, was_live);
    }
    assert!(!world.is_live(&token).await);
    let request = v1::ReadSessionRequest { name };
    let read = world.edge.read_session(managed(request)).await.unwrap();
    let managed = read.into_inner().session.unwrap();
    assert_eq!(managed.state(), v1::SessionState::Revoked);
    let revocation = managed.revocation.unwrap();
    assert_eq!((&*revocation.by, &*revocation.reason), ("shop", "stolen"));
}

#[tokio::test]
async fn a_subject_is_revoked_but_for_one() {
    let world = world();
    let (kept, _) = world.create("u1").await;
    world.create("u1").await;
    world.create("u1").await;
    let (other, _) = world.create("u2").await;
    for (dry_run, count) in [(true, 2), (false, 2), (false, 0)] {
        let request = v1::RevokeSubjectRequest {
            subject: subject("u1"),
            except: kept.clone(),
            dry_run,
            ..Default::default()
        };
        let revoked = world.edge.revoke_subject(managed(request)).await.unwrap();
        assert_eq!(revoked.into_inner().revoked_count, count, "{dry_run}");
    }
    for name in [kept, other] {
        assert_eq!(world.state(&name).await, v1::SessionState::Live);
    }
}

#[tokio::test]
async fn everyone_is_revoked_only_by_the_right_number() {
    let world = world();
    world.create("u1").await;
    world.create("u2").await;
    let revoke = |expected_count: Option<i64>, dry_run: bool| {
        managed(v1::RevokeAllSessionsRequest {
            expected_count,
            dry_run,
            ..Default::default()
        })
    };
    let counted = world.edge.revoke_all_sessions(revoke(None, true)).await;
    assert_eq!(counted.unwrap().into_inner().revoked_count, 2);
    let blind = world.edge.revoke_all_sessions(revoke(None, false)).await;
    assert_eq!(blind.unwrap_err().code(), Code::InvalidArgument);
    let wrong = world.edge.revoke_all_sessions(revoke(Some(3), false)).await;
    let wrong = wrong.unwrap_err();
    assert_eq!(reason(&wrong), "COUNT_MISMATCH");
    let details = wrong.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["live"], "2");
    let right = world.edge.revoke_all_sessions(revoke(Some(2), false)).await;
    assert_eq!(right.unwrap().into_inner().revoked_count, 2);
}

#[tokio::test]
async fn words_for_the_record_are_short_and_one_line() {
    let world = world();
    let (name, _) = world.create("u1").await;
    for reason in ["x".repeat(201), "a\nb".into()] {
        let name = name.clone();
        let request = managed(v1::RevokeSessionRequest { name, reason });
        let refused = world.edge.revoke_session(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    assert_eq!(world.state(&name).await, v1::SessionState::Live);
}

#[tokio::test]
async fn pages_follow_each_other_and_a_token_fits_its_request_only() {
    let world = world();
    for id in ["u1", "u2", "u3"] {
        world.create(id).await;
    }
    let mut request = v1::ListSessionsRequest {
        page_size: 2,
        ..Default::default()
    };
    let first = world.edge.list_sessions(managed(request.clone())).await;
    let first = first.unwrap().into_inner();
    assert_eq!(first.sessions.len(), 2);
    request.page_token = first.next_page_token;
    let second = world.edge.list_sessions(managed(request.clone())).await;
    let second = second.unwrap().into_inner();
    assert_eq!(second.sessions.len(), 1);
    assert_eq!(second.next_page_token, "");
    request.include_ended = true;
    let other = world.edge.list_sessions(managed(request.clone())).await;
    assert_eq!(other.unwrap_err().code(), Code::InvalidArgument);
    for page_size in [-1, 1001] {
        let request = v1::ListSessionsRequest {
            page_size,
            ..Default::default()
        };
        let refused = world.edge.list_sessions(managed(request)).await;
        assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_watch_begins_says_what_happens_and_goes_on_after_a_break() {
    let world = world();
    let watch = |position: &str| {
        managed(v1::WatchSessionsRequest {
            position: position.into(),
            ..Default::default()
        })
    };
    let mut stream = world
        .edge
        .watch_sessions(watch(""))
        .await
        .unwrap()
        .into_inner();
    let started = stream.next().await.unwrap().unwrap();
    assert!(matches!(started.item, Some(Item::Started(_))));
    let (name, _) = world.create("u1").await;
    let event = stream.next().await.unwrap().unwrap();
    let Some(Item::Event(created)) = event.item else {
        panic!("no event: {event:?}");
    };
    assert_eq!(
        (&*created.r#type, created.session),
        ("session_created", name)
    );
    drop(stream);

    let (second, _) = world.create("u2").await;
    let resumed = world.edge.watch_sessions(watch(&event.position)).await;
    let mut resumed = resumed.unwrap().into_inner();
    resumed.next().await.unwrap().unwrap();
    let event = resumed.next().await.unwrap().unwrap();
    assert!(matches!(event.item, Some(Item::Event(e)) if e.session == second));
    world.shutdown.cancel();
    let end = resumed.next().await.unwrap().unwrap_err();
    assert_eq!(end.code(), Code::Unavailable);
    assert!(resumed.next().await.is_none());

    let forged = world.edge.watch_sessions(watch("AAAA")).await;
    assert_eq!(forged.err().unwrap().code(), Code::InvalidArgument);
}
