//! Texts with what has no place in a text, in every field of text that the contract has.

use prost_reflect::{Kind, MessageDescriptor};
use serde_json::{Value, json};

use super::scene::{Scene, is_odd, with};
use crate::ask::*;

/// What stands in the middle of each text.
pub(super) const HIDDEN: [&str; 8] = [
    "\0",
    "\r\n",
    "\n",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{85}",
    "\u{202e}",
    "\u{2028}",
];

/// Fields whose text is the client's and not the asker's: what is odd about it is a verdict.
const VERDICTS: [&str; 9] = [
    "Authorize /wire/authority",
    "Authorize /wire/method",
    "Authorize /wire/target",
    "BatchAuthorize /caller/authority",
    "BatchAuthorize /items/0/method",
    "BatchAuthorize /items/0/target",
    "ExplainDecision /wire/authority",
    "ExplainDecision /wire/method",
    "ExplainDecision /wire/target",
];

/// Names of attributes: the app's own data, which may be any text of JSON.
const FREE: &str = "/patch/remove/0";

/// The places of all texts in a message.
pub(super) fn places(shape: &MessageDescriptor, above: &str, found: &mut Vec<String>) {
    for field in shape.fields() {
        let index = if field.is_list() { "/0" } else { "" };
        let place = format!("{above}/{}{index}", field.json_name());
        match field.kind() {
            Kind::String => found.push(place),
            Kind::Message(inner) if inner.package_name() != "google.protobuf" => {
                places(&inner, &place, found);
            }
            _ => {}
        }
    }
}

/// A body that is right but for this text.
pub(super) fn body(scene: &Scene, name: &str, place: &str, text: &str) -> Value {
    let mut body = scene.good(name);
    // What cannot stand beside the field goes, and what must stand beside it comes.
    let above = place.rsplit_once('/').map_or("", |(above, _)| above);
    let beside = |name: &str| format!("{above}/{name}");
    if place.starts_with("/patch") && name == "SetSession" {
        body = with(body, "/signIn", Value::Null);
    }
    if name == "ExplainDecision" {
        body = with(body, "/anonymous", Value::Null);
    }
    if place.ends_with("credentials/0/name") {
        body = with(body, &beside("source"), json!(3));
    }
    if place.ends_with("/customKind") {
        body = with(body, &beside("kind"), json!(9));
    }
    if above.ends_with("/actor") || above == "/subject" {
        body = with(body, above, json!({ "namespace": "local", "id": "u2" }));
    }
    with(body, place, text.into())
}

#[tokio::test]
async fn a_text_that_hides_something_is_refused_in_every_field() {
    let scene = Scene::new().await;
    let before = scene.held().await;
    let mut faults = Vec::new();
    let mut count = 0;
    for method in methods() {
        let name = method.name();
        let mut all = Vec::new();
        places(&method.input(), "", &mut all);
        all.retain(|place| place != FREE);
        for (place, hidden) in all
            .iter()
            .flat_map(|place| HIDDEN.map(|hidden| (place, hidden)))
        {
            let row = format!("{name} {place}");
            let body = body(&scene, name, place, &format!("a{hidden}b"));
            count += 1;
            if VERDICTS.contains(&&*row) {
                let answer = scene.ask(name, &body).await;
                if !answer.as_ref().is_ok_and(|answer| !is_allowed(answer)) {
                    faults.push(format!("{row} {hidden:?}: {answer:?}"));
                }
                continue;
            }
            match scene.refused(name, &body).await {
                Ok(refused)
                    if refused.code == "invalid_argument"
                        && is_about(&refused.field, place)
                        && !refused.message.contains(is_odd) => {}
                other => faults.push(format!("{row} {hidden:?}: {other:?}")),
            }
        }
    }
    assert!(faults.is_empty(), "{} {faults:#?}", faults.len());
    assert!(count > 300, "{count}");
    assert_eq!(scene.held().await, before);
    assert_eq!(scene.operation().await, "hello");
}

/// Whether any decision of an answer lets a call proceed.
fn is_allowed(answer: &Value) -> bool {
    let batch = answer["responses"].as_array().cloned().unwrap_or_default();
    let mut all = batch.iter().chain([answer, &answer["decision"]]);
    all.any(|one| one["decision"] == "DECISION_ALLOW")
}

/// Whether `wire.custom_kind` is about `/wire/customKind`, or about what holds it.
fn is_about(field: &str, place: &str) -> bool {
    let camel = |text: &str| text.replace(['_', '[', ']', '/', '.'], "").to_lowercase();
    let (field, place) = (camel(field), camel(place));
    !field.is_empty() && place.starts_with(&field)
}

#[tokio::test]
async fn the_name_of_a_claim_is_shown_escaped() {
    let scene = Scene::new().await;
    for name in HIDDEN {
        let claims = json!({ format!("a{name}b"): 1 });
        let body = with(scene.good("SetSession"), "/signIn/claims", claims);
        let refused = scene.refused("SetSession", &body).await.unwrap();
        assert_eq!(refused.reason, "CLAIM_NOT_ALLOWED", "{refused:?}");
        assert!(!refused.message.contains(is_odd), "{refused:?}");
    }
}
