//! The signed statement of who calls, as an app verifies it that does not trust its network: with
//! the keys that it fetches, and with nothing else of ours (RFC 7519, RFC 8725).

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use auth_core::clock::{ManualClock, Timestamp};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use harness::{
    raw,
    recorder::{Reply, Request},
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    jwk::{AlgorithmParameters, JwkSet},
};
use serde_json::{Value, json};

use crate::scene::{Scene, writing};

const PATH: &str = "/.well-known/jwks.json";
const FOR_BOOKS: &str = "assertion: { audience: books }";

/// Now, as the app's own clock has it.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap().as_secs()
}

/// A clock that shows what was so many seconds ago.
fn ago(seconds: u64) -> Arc<ManualClock> {
    let then = i64::try_from(now() - seconds).unwrap();
    Arc::new(ManualClock::at(Timestamp::from_seconds(then)))
}

/// The keys, as an app fetches them.
async fn fetched(scene: &Scene) -> JwkSet {
    let answer = raw::get(scene.proxy, PATH).await.unwrap();
    assert_eq!((answer.status, scene.app.take().len()), (200, 0));
    serde_json::from_str(&answer.text()).unwrap()
}

/// What an app expects of a statement.
struct Expected {
    audience: &'static str,
    issuer: &'static str,
}

const BOOKS: Expected = Expected {
    audience: "books",
    issuer: "sidegate",
};

/// What a statement says; why it is not believed otherwise.
fn verified(keys: &JwkSet, statement: &str, expected: &Expected) -> Result<Value, String> {
    auth_core::jwt::install_crypto_provider();
    let header = jsonwebtoken::decode_header(statement).map_err(|error| error.to_string())?;
    if header.typ.as_deref() != Some("sidegate-assertion+jwt") {
        return Err("another `typ`".to_owned());
    }
    let key = header.kid.as_deref().and_then(|id| keys.find(id));
    let key = DecodingKey::from_jwk(key.ok_or("an unknown key")?).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.leeway = 0;
    validation.validate_nbf = true;
    validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss"]);
    validation.set_audience(&[expected.audience]);
    validation.set_issuer(&[expected.issuer]);
    let decoded = jsonwebtoken::decode::<Value>(statement, &key, &validation);
    let decoded = decoded.map_err(|error| format!("{:?}", error.kind()))?;
    Ok(decoded.claims)
}

/// The request as it reaches the app, and the one statement in it.
async fn stated(scene: &Scene, method: &str, target: &str, own: Option<&str>) -> (Request, String) {
    let mut headers = vec![("Sec-Fetch-Site", "same-origin")];
    headers.extend(own.map(|own| ("Cookie", own)));
    headers.push(("Sidegate-Assertion", "forged"));
    let (answer, mut reached) = scene.ask(method, target, &headers).await;
    assert_eq!(answer.status, 200, "{target} {}", answer.text());
    let request = reached.remove(0);
    let statements = request.headers.all("sidegate-assertion");
    assert_eq!(statements.len(), 1, "{statements:?}");
    let statement = statements[0].to_owned();
    (request, statement)
}

/// Signs an admin in; gives the cookie.
async fn sign_in(scene: &Scene) -> String {
    let admin = r#"{"subject":"u1","claims":{"role":"admin"},"scopes":["a","b"]}"#;
    let change = ("Sidegate-Session-Set", admin);
    scene
        .app
        .answer(move |request| writing(request, 200, change));
    let (answer, _) = scene.ask("POST", "/login", &[]).await;
    scene.app.answer(|_| Reply::status(200));
    crate::scene::cookie(&answer).unwrap()
}

#[tokio::test]
async fn an_app_verifies_who_calls_by_the_keys_that_it_fetches() {
    let scene = Scene::keyed(ago(1), FOR_BOOKS, "{}").await;
    let own = sign_in(&scene).await;
    let keys = fetched(&scene).await;
    let signed_in = json!({ "sub": "local/u1", "claims": { "role": "admin" }, "scope": "a b" });
    for (method, target, cookie, operation, who) in [
        ("GET", "/me?tab=1", Some(&*own), "me", &signed_in),
        ("GET", "/admin/users", Some(&*own), "admin", &signed_in),
        ("POST", "/theme", Some(&*own), "theme", &signed_in),
        ("GET", "/public/page", Some(&*own), "public", &signed_in),
        ("GET", "/public/page", None, "public", &json!({})),
        ("GET", "/open", Some(&*own), "open", &json!({})),
    ] {
        let (request, statement) = stated(&scene, method, target, cookie).await;
        let said = verified(&keys, &statement, &BOOKS).unwrap();
        for (name, expected) in [
            ("iss", json!("sidegate")),
            ("aud", json!("books")),
            ("operation", json!(operation)),
            ("htm", json!(method)),
            ("target", json!(target)),
            ("jti", json!(request.header("sidegate-decision-id"))),
            ("sub", who["sub"].clone()),
            ("claims", who["claims"].clone()),
            ("scope", who["scope"].clone()),
        ] {
            assert_eq!(said[name], expected, "{method} {target}: {name}");
        }
        assert_eq!(said["sid"].is_string(), who["sub"].is_string(), "{target}");
        let [from, until] = ["iat", "exp"].map(|name| said[name].as_u64().unwrap());
        assert!(from <= now() && until == from + 60, "{from} {until}");
    }
}

#[tokio::test]
async fn the_published_keys_hold_nothing_to_sign_with() {
    let scene = Scene::with(FOR_BOOKS).await;
    let answer = raw::get(scene.proxy, PATH).await.unwrap();
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("application/jwk-set+json"));
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    assert_eq!(keys.len(), 1);
    let members: Vec<_> = keys[0].as_object().unwrap().keys().collect();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
}

#[tokio::test]
async fn without_statements_that_path_is_the_apps_own() {
    let scene = Scene::start().await;
    let (answer, reached) = scene.ask("GET", PATH, &[]).await;
    assert_eq!((answer.status, reached.len()), (403, 0));
    let (_, reached) = scene.ask("GET", "/open", &[]).await;
    assert_eq!(reached[0].header("sidegate-assertion"), None);
}

/// The statement with something else in this part.
fn with(statement: &str, part: usize, change: impl FnOnce(&mut Value)) -> String {
    let mut parts: Vec<_> = statement.split('.').map(str::to_owned).collect();
    let mut json = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(&parts[part]).unwrap()).unwrap();
    change(&mut json);
    parts[part] = URL_SAFE_NO_PAD.encode(json.to_string());
    parts.join(".")
}

/// Signed with the public key as if it were a secret (RFC 8725 section 2.1).
fn by_public_key(keys: &JwkSet, statement: &str) -> String {
    let AlgorithmParameters::OctetKeyPair(pair) = &keys.keys[0].algorithm else {
        panic!("{:?}", keys.keys[0]);
    };
    let secret = EncodingKey::from_secret(&URL_SAFE_NO_PAD.decode(&pair.x).unwrap());
    let claims = statement.split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let header = Header {
        typ: Some("sidegate-assertion+jwt".to_owned()),
        kid: keys.keys[0].common.key_id.clone(),
        ..Header::new(Algorithm::HS256)
    };
    jsonwebtoken::encode(&header, &claims, &secret).unwrap()
}

#[tokio::test]
async fn a_statement_that_is_not_what_the_app_expects_is_not_believed() {
    let scene = Scene::keyed(ago(1), FOR_BOOKS, "{}").await;
    let another_process = Scene::with(FOR_BOOKS).await;
    let own = sign_in(&scene).await;
    let keys = fetched(&scene).await;
    let foreign = fetched(&another_process).await;
    let (_, good) = stated(&scene, "GET", "/me", Some(&own)).await;
    let (_, nobody) = stated(&scene, "GET", "/public/x", None).await;
    let (_, signature) = nobody.rsplit_once('.').unwrap();
    let (head, _) = good.rsplit_once('.').unwrap();
    assert!(verified(&keys, &good, &BOOKS).is_ok());
    let (audience, issuer) = (
        Expected {
            audience: "films",
            ..BOOKS
        },
        Expected {
            issuer: "https://id.example",
            ..BOOKS
        },
    );
    let root = |json: &mut Value| json["sub"] = json!("local/root");
    let longer = |json: &mut Value| json["exp"] = json!(4_000_000_000_u64);
    let unsigned = |json: &mut Value| json["alg"] = json!("none");
    let renamed = |json: &mut Value| json["typ"] = json!("JWT");
    for (what, keys, statement, expected, why) in [
        (
            "another audience",
            &keys,
            good.clone(),
            &audience,
            "InvalidAudience",
        ),
        (
            "another issuer",
            &keys,
            good.clone(),
            &issuer,
            "InvalidIssuer",
        ),
        (
            "another subject",
            &keys,
            with(&good, 1, root),
            &BOOKS,
            "InvalidSignature",
        ),
        (
            "a later end",
            &keys,
            with(&good, 1, longer),
            &BOOKS,
            "InvalidSignature",
        ),
        (
            "another type",
            &keys,
            with(&good, 0, renamed),
            &BOOKS,
            "another `typ`",
        ),
        ("no algorithm", &keys, with(&good, 0, unsigned), &BOOKS, ""),
        (
            "a secret that is public",
            &keys,
            by_public_key(&keys, &good),
            &BOOKS,
            "InvalidAlgorithm",
        ),
        (
            "another's signature",
            &keys,
            format!("{head}.{signature}"),
            &BOOKS,
            "InvalidSignature",
        ),
        (
            "no signature",
            &keys,
            format!("{head}."),
            &BOOKS,
            "InvalidSignature",
        ),
        (
            "another process",
            &foreign,
            good.clone(),
            &BOOKS,
            "an unknown key",
        ),
    ] {
        let refused = verified(keys, &statement, expected).expect_err(what);
        assert!(refused.contains(why), "{what}: {refused}");
    }
}

#[tokio::test]
async fn a_statement_is_believed_for_as_long_as_it_is_good() {
    for (age, ttl, is_good) in [
        (1, "60s", true),
        (61, "60s", false),
        (61, "5m", true),
        (301, "5m", false),
        (2, "1s", false),
    ] {
        let more = format!("assertion: {{ audience: books, ttl: {ttl} }}");
        let scene = Scene::keyed(ago(age), &more, "{}").await;
        let (_, statement) = stated(&scene, "GET", "/open", None).await;
        let said = verified(&fetched(&scene).await, &statement, &BOOKS);
        match is_good {
            true => assert!(said.is_ok(), "{age} {ttl}: {said:?}"),
            false => assert_eq!(said.unwrap_err(), "ExpiredSignature", "{age} {ttl}"),
        }
    }
}

/// A key that took over so many seconds ago.
fn put_key(folder: &Path, age: u64, byte: u8) {
    let path = folder.join(format!("{}.key", now() - age));
    fs::write(&path, [byte; 32]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The key that signed it.
fn signer(statement: &str) -> Option<String> {
    jsonwebtoken::decode_header(statement).unwrap().kid
}

#[tokio::test]
async fn what_an_old_key_signed_is_believed_for_the_overlap_of_keys() {
    let folder = tempfile::tempdir().unwrap();
    let keys = format!("{{ dir: \"{}\", overlap: 1h }}", folder.path().display());
    let more = "assertion: { audience: books, ttl: 5m }";
    put_key(folder.path(), 86_400, 1);
    let scene = Scene::keyed(ago(1), more, &keys).await;
    let (_, old) = stated(&scene, "GET", "/open", None).await;
    drop(scene);

    put_key(folder.path(), 1, 2);
    let clock = ago(1);
    let scene = Scene::keyed(Arc::clone(&clock), more, &keys).await;
    let both = fetched(&scene).await;
    let (_, new) = stated(&scene, "GET", "/open", None).await;
    assert_ne!(signer(&old), signer(&new), "the newest key signs");
    for statement in [&old, &new] {
        let said = verified(&both, statement, &BOOKS);
        assert!(said.is_ok(), "{said:?}");
    }

    // While it runs, and when it starts anew.
    clock.advance(Duration::from_secs(3_600));
    let running = fetched(&scene).await;
    drop(scene);
    let scene = Scene::keyed(clock, more, &keys).await;
    for (what, one) in [("running", running), ("anew", fetched(&scene).await)] {
        let ids: Vec<_> = one.keys.iter().map(|key| &key.common.key_id).collect();
        assert_eq!(ids, [&signer(&new)], "{what}");
        let refused = verified(&one, &old, &BOOKS).unwrap_err();
        assert_eq!(refused, "an unknown key", "{what}");
    }
}
