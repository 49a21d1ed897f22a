//! Data of a wrong type makes a check false, also where it stands negated (R4); data that cannot
//! be read is the client's mistake (R24); neither is an outage.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::scene::{Scene, with};

const ALLOW: &str = "OUTCOME_ALLOW";
const DENY: &str = "OUTCOME_DENY";
const INVALID: &str = "OUTCOME_INVALID";

/// Data, what `n == 7` makes of it, and what `!(n == 7)` does.
fn rows() -> Vec<(String, &'static str, &'static str)> {
    let nested = |depth: usize| format!(r#"{{"n":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    let mut many = serde_json::Map::from_iter((0..5000).map(|n| (format!("k{n}"), json!(n))));
    many.insert("n".to_owned(), json!(7));
    let row = |data: &str, is, is_not| (data.to_owned(), is, is_not);
    vec![
        row(r#"{"n":7}"#, ALLOW, DENY),
        row(r#"{"n":8}"#, DENY, ALLOW),
        row(r#"{"n":"7"}"#, DENY, DENY),
        row(r#"{"n":true}"#, DENY, DENY),
        row(r#"{"n":[7]}"#, DENY, DENY),
        row(r#"{"n":{"n":7}}"#, DENY, DENY),
        row(r#"{"n":7.5}"#, DENY, DENY),
        // An absent field is null, which equals no number (R4).
        row(r#"{"n":null}"#, DENY, ALLOW),
        row("{}", DENY, ALLOW),
        row("", DENY, ALLOW),
        row(r#"{"m":7}"#, DENY, ALLOW),
        row(r#"{"n\u0000":7}"#, INVALID, INVALID),
        row(r#"{"N":7}"#, DENY, ALLOW),
        // Twice, and of a size that cannot be exact.
        row(r#"{"n":7,"n":7}"#, INVALID, INVALID),
        row(r#"{"x":{"n":7,"n":7},"n":7}"#, INVALID, INVALID),
        row(r#"{"n":9223372036854775808}"#, INVALID, INVALID),
        row(r#"{"n":1e400}"#, INVALID, INVALID),
        row(r#"{"n":1e300}"#, INVALID, INVALID),
        row(r#"{"n":7,"x":"\u0000"}"#, INVALID, INVALID),
        // No object, or no JSON.
        row("7", INVALID, INVALID),
        row("[7]", INVALID, INVALID),
        row("null", INVALID, INVALID),
        row("{", INVALID, INVALID),
        row(r#"{"n":7}x"#, INVALID, INVALID),
        row(r#"{"n":07}"#, INVALID, INVALID),
        row(r#"{"n":NaN}"#, INVALID, INVALID),
        row("{\"n\":\"\u{1b}\"}", INVALID, INVALID),
        // Deep, and many.
        (nested(15), DENY, DENY),
        (nested(16), INVALID, INVALID),
        (nested(30_000), INVALID, INVALID),
        (Value::Object(many).to_string(), ALLOW, DENY),
    ]
}

#[tokio::test]
async fn data_that_is_odd_is_a_verdict_and_no_outage() {
    let scene = Scene::new().await;
    let mut faults = Vec::new();
    for (data, is, is_not) in rows() {
        for (target, expected) in [("/count", is), ("/other", is_not)] {
            let body = with(scene.good("Authorize"), "/wire/method", "POST".into());
            let body = with(body, "/wire/target", target.into());
            let body = with(body, "/dataJson", STANDARD.encode(&data).into());
            let over_grpc = scene.ask("Authorize", &body).await;
            let plain = scene.post("Authorize", body.to_string().as_bytes()).await;
            for answer in [over_grpc, plain.result()] {
                let shown: String = data.chars().take(60).collect();
                match answer {
                    Ok(answer) if answer["outcome"] == expected => {
                        let detail = answer["reason"]["detail"].as_str().unwrap_or("");
                        if expected == INVALID && !detail.contains("data") {
                            faults.push(format!("{shown} {target}: `{detail}` names nothing"));
                        }
                    }
                    other => faults.push(format!("{shown} {target} {expected}: {other:?}")),
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(scene.operation().await, "hello");
}
