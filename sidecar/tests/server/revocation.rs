//! What was revoked is over, for whoever asks after the revocation was acknowledged.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use proto::v1::{
    self, AuthorizeRequest, Credential, CredentialSource, CredentialState, Decision, Principal,
    authorization_service_client::AuthorizationServiceClient,
    session_store_service_client::SessionStoreServiceClient,
};
use tempfile::TempDir;
use tonic::{Code, transport::Channel};

use crate::harness::*;

/// How many calls are made after each revocation.
const CALLS: usize = 10_000;
/// How many of them at once.
const AT_ONCE: usize = 64;

const APP: &str = "operations:\n  hello: { http: GET /hello }\n";

/// A sidecar whose sessions are on disk, as those of users are.
async fn start_embedded() -> Running {
    let folder = files();
    let policy = policy().replace("{ memory: {} }", "{ embedded: { path: ./data } }")
        + "strategies:\n  - bearer: { opaque: true }\n";
    std::fs::write(folder.path().join("sidegate.yaml"), policy).unwrap();
    std::fs::write(folder.path().join("apps/shop.yaml"), APP).unwrap();
    start_with(builder(&folder), folder).await
}

/// The operator's client.
async fn operator(sidecar: &Running) -> SessionStoreServiceClient<Channel> {
    store_client(unix_channel(&sidecar.unix()).await)
}

fn local(id: &str) -> Principal {
    Principal {
        namespace: "local".into(),
        id: id.into(),
    }
}

/// A new session of this reader: its name and its token.
async fn session(store: &mut SessionStoreServiceClient<Channel>, id: &str) -> (String, String) {
    let request = v1::CreateSessionRequest {
        parent: "tenants/default".into(),
        sign_in: Some(v1::SignIn {
            subject: Some(local(id)),
            auth_time: Some(std::time::SystemTime::now().into()),
            ..v1::SignIn::default()
        }),
        kind: v1::TokenKind::Bearer.into(),
        ..v1::CreateSessionRequest::default()
    };
    let created = store.create_session(request).await.unwrap().into_inner();
    let name = created.session.unwrap().session.unwrap().name;
    (name, created.token)
}

/// `GET /hello` with this token.
fn hello(token: &str) -> AuthorizeRequest {
    let mut request = authorize("/hello");
    if let Some(wire) = &mut request.wire {
        wire.credentials = vec![Credential {
            source: CredentialSource::Authorization.into(),
            name: String::new(),
            value: format!("Bearer {token}").into(),
        }];
    }
    request
}

async fn is_allowed(client: &mut AuthorizationServiceClient<Channel>, token: &str) -> bool {
    let asked = with_token(hello(token), Some(SHOP_TOKEN));
    let answer = client.authorize(asked).await.unwrap().into_inner();
    answer.decision() == Decision::Allow
}

async fn client(sidecar: &Running) -> AuthorizationServiceClient<Channel> {
    AuthorizationServiceClient::new(tcp_channel(&sidecar.tcp()).await)
}

/// Asks `CALLS` times, over several connections at once. Answers how many were allowed.
async fn allowed_calls(sidecar: &Running, token: &str) -> usize {
    let mut tasks = Vec::new();
    for _ in 0..AT_ONCE {
        let (mut client, token) = (client(sidecar).await, token.to_owned());
        tasks.push(tokio::spawn(async move {
            let mut allowed = 0;
            for _ in 0..CALLS / AT_ONCE {
                allowed += usize::from(is_allowed(&mut client, &token).await);
            }
            allowed
        }));
    }
    let mut allowed = 0;
    for task in tasks {
        allowed += task.await.unwrap();
    }
    allowed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s05_no_call_after_an_acknowledged_revocation_is_allowed() {
    let sidecar = start_embedded().await;
    let mut store = operator(&sidecar).await;
    let (name, token) = session(&mut store, "u1").await;
    assert!(is_allowed(&mut client(&sidecar).await, &token).await);
    // Calls are in flight all the while, and keep the session in the cache.
    let (over, late) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let before = Arc::new(AtomicUsize::new(0));
    let mut busy = Vec::new();
    for _ in 0..8 {
        let (over, late, before) = (over.clone(), late.clone(), before.clone());
        let (mut client, token) = (client(&sidecar).await, token.clone());
        busy.push(tokio::spawn(async move {
            loop {
                let began_after = over.load(Ordering::SeqCst);
                let allowed = is_allowed(&mut client, &token).await;
                let count = if began_after { &late } else { &before };
                count.fetch_add(usize::from(allowed), Ordering::SeqCst);
                if began_after {
                    return;
                }
            }
        }));
    }
    until("calls are allowed", || async {
        before.load(Ordering::SeqCst) > 100
    })
    .await;
    let request = v1::RevokeSessionRequest {
        name,
        ..v1::RevokeSessionRequest::default()
    };
    assert!(
        store
            .revoke_session(request)
            .await
            .unwrap()
            .into_inner()
            .was_live
    );
    over.store(true, Ordering::SeqCst);
    for task in busy {
        task.await.unwrap();
    }
    assert_eq!(late.load(Ordering::SeqCst), 0, "of the calls in flight");
    assert_eq!(allowed_calls(&sidecar, &token).await, 0);
}

#[tokio::test]
async fn s10_all_sessions_of_a_subject_but_one_end_and_no_others() {
    let sidecar = start_embedded().await;
    let mut store = operator(&sidecar).await;
    let (kept, kept_token) = session(&mut store, "u1").await;
    let mut ended = Vec::new();
    let mut others = Vec::new();
    for _ in 0..100 {
        ended.push(session(&mut store, "u1").await.1);
        others.push(session(&mut store, "u2").await.1);
    }
    let mut client = client(&sidecar).await;
    for token in ended.iter().chain(&others) {
        assert!(is_allowed(&mut client, token).await);
    }
    let request = v1::RevokeSubjectRequest {
        parent: "tenants/default".into(),
        subject: Some(local("u1")),
        except: kept,
        ..v1::RevokeSubjectRequest::default()
    };
    let revoked = store.revoke_subject(request).await.unwrap().into_inner();
    assert_eq!(revoked.revoked_count, 100);
    assert!(is_allowed(&mut client, &kept_token).await, "the one kept");
    for token in &ended {
        assert!(!is_allowed(&mut client, token).await, "one that ended");
    }
    for token in &others {
        assert!(is_allowed(&mut client, token).await, "one of another");
    }
}

#[tokio::test]
async fn s11_everyones_sessions_end_when_as_many_as_expected() {
    let sidecar = start_embedded().await;
    let mut store = operator(&sidecar).await;
    let tokens = [
        session(&mut store, "u1").await.1,
        session(&mut store, "u2").await.1,
    ];
    let request = |expected| v1::RevokeAllSessionsRequest {
        parent: "tenants/default".into(),
        expected_count: Some(expected),
        ..v1::RevokeAllSessionsRequest::default()
    };
    let mut client = client(&sidecar).await;
    let refused = store.revoke_all_sessions(request(3)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    for token in &tokens {
        assert!(is_allowed(&mut client, token).await, "nothing ended");
    }
    let revoked = store.revoke_all_sessions(request(2)).await.unwrap();
    assert_eq!(revoked.into_inner().revoked_count, 2);
    for token in &tokens {
        assert!(!is_allowed(&mut client, token).await);
    }
}

/// How many sessions the store holds, ended ones among them.
async fn count(store: &mut SessionStoreServiceClient<Channel>) -> usize {
    let request = v1::ListSessionsRequest {
        parent: "tenants/default".into(),
        page_size: 1000,
        include_ended: true,
        ..v1::ListSessionsRequest::default()
    };
    store
        .list_sessions(request)
        .await
        .unwrap()
        .into_inner()
        .sessions
        .len()
}

/// Texts that are no token of anybody: what stores and parsers stumble on, and parts of a token.
fn hostile(token: &str) -> Vec<Vec<u8>> {
    let mut texts: Vec<Vec<u8>> = [
        "",
        " ",
        "\0",
        "a\0b",
        "a\r\nb",
        "'",
        "\"",
        "' OR 1=1 --",
        "*",
        "[a-z]*",
        "{tag}",
        "?",
        "%00",
        "..",
        "../../etc/passwd",
        "\u{202e}",
        "\x1b[31m",
        "null",
        "undefined",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    texts.push(vec![b'a'; 60_000]);
    texts.push(vec![0xff; 40]);
    texts.extend((0..token.len()).map(|end| token.as_bytes()[..end].to_vec()));
    texts.extend((1..token.len()).map(|start| token.as_bytes()[start..].to_vec()));
    texts
}

#[tokio::test]
async fn s03_s15_a_token_that_was_never_issued_opens_and_makes_nothing() {
    let sidecar = start_embedded().await;
    let mut store = operator(&sidecar).await;
    let (_, token) = session(&mut store, "u1").await;
    let mut client = client(&sidecar).await;
    for text in hostile(&token) {
        let mut request = hello("");
        let shown = String::from_utf8_lossy(&text[..text.len().min(60)]).into_owned();
        if let Some(wire) = &mut request.wire {
            wire.credentials[0].value = [b"Bearer ", &text[..]].concat().into();
        }
        match client
            .authorize(with_token(request, Some(SHOP_TOKEN)))
            .await
        {
            Ok(answer) => {
                let answer = answer.into_inner();
                assert_ne!(answer.decision(), Decision::Allow, "{shown:?}");
                let state = answer.credential_state();
                assert_ne!(state, CredentialState::Undetermined, "{shown:?}");
                assert!(answer.updates.is_empty(), "{shown:?}");
            }
            // What is longer than any credential may be is the asking service's fault.
            Err(status) => {
                assert_eq!(status.code(), Code::InvalidArgument, "{shown:?}: {status}");
                assert!(
                    status.message().contains("credentials[0].value"),
                    "{status}"
                );
            }
        }
    }
    assert_eq!(count(&mut store).await, 1);
    assert!(is_allowed(&mut client, &token).await, "it goes on serving");
}

#[tokio::test]
async fn s14_the_database_holds_no_token() {
    let sidecar = start_embedded().await;
    let mut store = operator(&sidecar).await;
    let (_, token) = session(&mut store, "u-marked").await;
    let held = database(&sidecar.folder);
    assert!(
        contains(&held, b"u-marked"),
        "the files that are searched hold the session"
    );
    assert!(!contains(&held, token.as_bytes()));
    let (_, secret) = token.split_at(token.len() - 40);
    assert!(!contains(&held, secret.as_bytes()));
}

fn database(folder: &TempDir) -> Vec<u8> {
    let files = std::fs::read_dir(folder.path().join("data")).unwrap();
    let files = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_file());
    files
        .flat_map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn contains(held: &[u8], text: &[u8]) -> bool {
    held.windows(text.len()).any(|window| window == text)
}
