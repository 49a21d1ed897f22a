//! Nobody writes lines, colours or an order of their own into a log.

use std::process::Command;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    scene::{Scene, folder, is_odd, with},
    texts::{HIDDEN, body, places},
};
use crate::{ask::*, daemon, harness::*};

/// What a forged line would begin with.
const FORGED: &str = "FORGED";

/// Ends a process, also when a test fails.
struct Ends(String);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.0]).status();
    }
}

/// All that was written by a daemon with these logs, which was asked odd things in every way.
async fn written(telemetry: &str) -> String {
    let folder = folder(telemetry);
    let child = daemon::daemon(&folder.path().join("sidegate.yaml"));
    let guard = Ends(child.id().to_string());
    // Read all the while, since a full pipe would hold the daemon up.
    let ended = std::thread::spawn(move || daemon::end(child));
    daemon::serving(&folder.path().join("admin.sock")).await;
    let scene = Scene::on_daemon(folder.path()).await;
    for hidden in HIDDEN {
        let odd = format!("marked{hidden}{FORGED}");
        in_texts(&scene, &odd).await;
        in_bytes(&scene, &odd).await;
        over_http(&scene, &odd).await;
    }
    for operation in ["bad\\u001b[31m\\r\\nFORGED", "bad\\u202eFORGED"] {
        let app = format!("operations:\n  \"{operation}\": {{ session: none }}\n");
        std::fs::write(folder.path().join("apps/shop.yaml"), app).unwrap();
        scene.ask("ReloadPolicy", &json!({})).await.unwrap_err();
    }
    drop(scene);
    drop(guard);
    let ended = tokio::task::spawn_blocking(move || ended.join().unwrap());
    ended.await.unwrap().1
}

/// In every text of every message.
async fn in_texts(scene: &Scene, odd: &str) {
    for method in methods() {
        let mut all = Vec::new();
        places(&method.input(), "", &mut all);
        for place in all {
            let _ = scene
                .ask(method.name(), &body(scene, method.name(), &place, odd))
                .await;
        }
    }
}

/// In credentials, data, claims and attributes.
async fn in_bytes(scene: &Scene, odd: &str) {
    let object = json!({ odd: odd, "role": odd });
    let credential = |source: i32, name: &str| json!({ "source": source, "name": name, "value": STANDARD.encode(format!("Bearer {odd}")) });
    let data: Value = STANDARD.encode(format!("{{\"n\":\"{odd}\"")).into();
    for (name, place, value) in [
        ("Authorize", "/wire/credentials/0", credential(1, "")),
        ("Authorize", "/wire/credentials/0", credential(2, "")),
        (
            "Authorize",
            "/wire/credentials/0",
            credential(3, "x-api-key"),
        ),
        (
            "Authorize",
            "/wire/target",
            format!("/hello?{odd}#{odd}").into(),
        ),
        (
            "Authorize",
            "/wire/target",
            format!("/{}", odd.replace('\r', "%0d")).into(),
        ),
        ("Authorize", "/data", object.clone()),
        ("Authorize", "/dataJson", data),
        ("SetSession", "/signIn/claims", object.clone()),
        ("SetSession", "/signIn/attributes", object.clone()),
        ("UpdateSession", "/patch/set", object.clone()),
        ("CreateApiKey", "/claims", object.clone()),
        ("ExplainDecision", "/sessionJson", data_of(&object)),
    ] {
        let good = match place {
            "/sessionJson" => with(scene.good(name), "/anonymous", Value::Null),
            _ => scene.good(name),
        };
        let _ = scene.ask(name, &with(good, place, value)).await;
    }
}

fn data_of(object: &Value) -> Value {
    STANDARD.encode(object.to_string()).into()
}

/// In what stands around a message over HTTP.
async fn over_http(scene: &Scene, odd: &str) {
    let path = path(&method("Authorize"));
    let json = json!({ odd: odd }).to_string();
    let _ = scene.post("Authorize", json.as_bytes()).await;
    let _ = scene.post("Authorize", odd.as_bytes()).await;
    // A line end would end the header, so that what follows it is one of its own.
    let escaped = odd.replace(['\r', '\n', '\0'], "%0a");
    for head in [
        format!("POST {path}/{escaped}?{escaped} HTTP/1.1\r\nhost: localhost\r\n"),
        format!("POST {path} HTTP/1.1\r\nhost: {escaped}\r\norigin: {escaped}\r\n"),
        format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {escaped}\r\n\
             content-type: {escaped}\r\n"
        ),
        format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {SHOP_TOKEN}\r\n\
             content-type: application/json\r\nconnect-timeout-ms: {escaped}\r\n"
        ),
    ] {
        let _ = exchange(&scene.http, &head, json.as_bytes()).await;
    }
}

#[tokio::test]
async fn a08_no_text_from_outside_writes_a_line_of_a_text_log() {
    let log = written("{ log: text, log_filter: trace }").await;
    assert!(log.contains("marked"), "what was sent is logged");
    let forged = |line: &&str| line.starts_with(FORGED) || line.contains(is_odd);
    let forged: Vec<&str> = log.lines().filter(forged).take(5).collect();
    assert!(forged.is_empty(), "{forged:#?}");
}

#[tokio::test]
async fn a08_no_text_from_outside_writes_a_line_of_a_json_log() {
    let log = written("{ log: json, log_filter: debug }").await;
    assert!(log.contains("marked"), "what was sent is logged");
    for line in log.lines() {
        assert!(!line.contains(is_odd), "{line:?}");
        let event: Value = serde_json::from_str(line).unwrap();
        for name in ["timestamp", "level", "target"] {
            assert!(event[name].is_string(), "{line}");
        }
    }
}
