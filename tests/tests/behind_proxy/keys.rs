//! An API key in the query of a URL goes nowhere from here (SECURITY T-18).

use std::sync::Arc;

use auth_core::{
    clock::Timestamp,
    grammar::ApiKeyText,
    principal::Principal,
    session::{JsonObject, SessionId, Tenant, TokenHash},
    store::{ApiKey, ApiKeyStore as _, memory::MemoryStore},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use harness::recorder::Reply;

use crate::scene::Scene;

const BYTES: [u8; 32] = [7; 32];

/// Behind which the key of `BYTES` is good, and another one is not.
async fn scene() -> (Scene, String, String) {
    let store = MemoryStore::new();
    let key = ApiKey {
        id: SessionId::from_bytes([1; 16]),
        tenant: Tenant::default(),
        hash: TokenHash::of(&BYTES),
        name: "ci".into(),
        subject: Principal::local("ci").unwrap(),
        claims: JsonObject::default(),
        scopes: Vec::new(),
        all_scopes: true,
        created_at: Timestamp::from_seconds(1_700_000_000),
        created_by: "test".into(),
        expires_at: None,
        revoked: None,
    };
    store.create_key(key).await.unwrap();
    let more = "login: /login, assertion: { audience: books }";
    let scene = Scene::on(Arc::new(store), more).await;
    scene.app.answer(|_| {
        let public = Reply::status(200).header("Cache-Control", "public");
        public.body("ok")
    });
    let text = |bytes| ApiKeyText::new(bytes).as_str().to_owned();
    (scene, text(&BYTES), text(&[8; 32]))
}

#[tokio::test]
async fn t18_a_key_of_the_query_reaches_neither_the_app_nor_its_statement_nor_a_cache() {
    let (scene, key, _) = scene().await;
    let target = format!("/me?tab=1&key={key}");
    let (answer, reached) = scene.ask("GET", &target, &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert_eq!(reached[0].header("sidegate-subject"), Some("ci"));
    assert_eq!(reached[0].target, "/me?tab=1");
    assert!(!reached[0].mentions(&key), "{reached:?}");
    let statement = reached[0].header("sidegate-assertion").unwrap();
    let claims = statement.split('.').nth(1).unwrap();
    let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["target"], "/me?tab=1");
}

#[tokio::test]
async fn t18_a_key_that_is_refused_does_not_go_on_to_where_people_sign_in() {
    let (scene, _, unknown) = scene().await;
    let target = format!("/me?key={unknown}&tab=1");
    let browser = [("Accept", "text/html,*/*;q=0.8")];
    let (answer, reached) = scene.ask("GET", &target, &browser).await;
    assert_eq!((answer.status, reached.len()), (302, 0));
    let location = answer.header("location");
    assert_eq!(location, Some("/login?return_to=/me%3Ftab%3D1"));
}

#[tokio::test]
async fn a_parameter_of_that_name_is_the_apps_own_where_no_key_is_looked_for() {
    let (scene, _, _) = scene().await;
    let (answer, reached) = scene.ask("GET", "/open?key=7", &[]).await;
    let kept = (answer.status, answer.header("cache-control"));
    assert_eq!(kept, (200, Some("public")), "{}", answer.text());
    assert_eq!(reached[0].target, "/open?key=7");
}
