//! Bodies that are no JSON of ours.

use super::scene::{Scene, is_odd};

const LONG_KEY: &str = r#"{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa":1}"#;

/// Bodies for `Authorize`, the field that is named, and what is said of it.
const BODIES: &[(&str, &str)] = &[
    ("", "`body`: is not well-formed JSON"),
    ("{", "`body`: is not well-formed JSON"),
    (
        LONG_KEY,
        "`aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`: is no",
    ),
    ("{}}", "`body`: is not well-formed JSON"),
    ("nul", "`body`: is not well-formed JSON"),
    ("{\"a\":\"\u{0}\"}", "`body`: is not well-formed JSON"),
    ("\u{feff}{}", "`body`: is not well-formed JSON"),
    ("[]", "`body`: must be a JSON object"),
    ("null", "`body`: must be a JSON object"),
    ("\"x\"", "`body`: must be a JSON object"),
    (
        r#"{"wire":{},"wire":{}}"#,
        "`body`: has a key twice, at line 1 column",
    ),
    (
        r#"{"data":{"n":{"a":1,"a":2}}}"#,
        "`body`: has a key twice, at line 1 column",
    ),
    (
        r#"{"wires":{}}"#,
        "`wires`: is no field of this message; it has `wire`,",
    ),
    (
        r#"{"wire":{"host":"x"}}"#,
        "`wire.host`: is no field of this message; it has `kind`,",
    ),
    (r#"{"@type":"x"}"#, "`@type`: is no field of this message"),
    (r#"{"a\r\nb":1}"#, r"`a\r\nb`: is no field of this message"),
    (
        r#"{"wire":{"\u001b[31m":1}}"#,
        r"`wire.\u{1b}[31m`: is no field of this message",
    ),
    (
        r#"{"\u202ea":1}"#,
        r"`\u{202e}a`: is no field of this message",
    ),
    (
        r#"{"data":{},"dataJson":""}"#,
        "`dataJson`: gives the field `dataJson` a second time",
    ),
    (
        r#"{"data_json":"","dataJson":""}"#,
        "`data_json`: gives the field `dataJson` a second time",
    ),
    (r#"{"wire":[]}"#, "`wire`: must be an object"),
    (r#"{"wire":"x"}"#, "`wire`: must be an object"),
    (
        r#"{"wire":{"kind":"HTTP"}}"#,
        "`wire.kind`: must be one of `WIRE_KIND_HTTP`, ",
    ),
    (r#"{"wire":{"kind":1.5}}"#, "`wire.kind`: must be one of "),
    (r#"{"wire":{"kind":true}}"#, "`wire.kind`: must be one of "),
    (
        r#"{"wire":{"method":1}}"#,
        "`wire.method`: must be a string",
    ),
    (
        r#"{"wire":{"method":["GET"]}}"#,
        "`wire.method`: must be a string",
    ),
    (
        r#"{"wire":{"credentials":{}}}"#,
        "`wire.credentials`: must be a list",
    ),
    (
        r#"{"wire":{"credentials":[1]}}"#,
        "`wire.credentials[0]`: must be an object",
    ),
    (
        r#"{"wire":{"credentials":[{"source":1,"value":"%"}]}}"#,
        "`wire.credentials[0].value`: must be a string in base64",
    ),
    (
        r#"{"wire":{"credentials":[{"source":1,"text":7}]}}"#,
        "`wire.credentials[0].text`: must be a string",
    ),
    (
        r#"{"wire":{"credentials":[{"source":1,"text":"a","value":"YQ=="}]}}"#,
        "`wire.credentials[0].value`: gives the field `value` a second time",
    ),
    (
        r#"{"wire":{"peer":{"certificateSha256":"?"}}}"#,
        "`wire.peer.certificateSha256`: must be",
    ),
    (r#"{"data":[]}"#, "`data`: must be a JSON object"),
    (r#"{"data":"{}"}"#, "`data`: must be a JSON object"),
    (
        r#"{"dataJson":"%"}"#,
        "`dataJson`: must be a string in base64",
    ),
    (
        r#"{"dataComplete":"true"}"#,
        "`dataComplete`: must be true or false",
    ),
    (
        r#"{"dataComplete":1}"#,
        "`dataComplete`: must be true or false",
    ),
];

/// Parts of a sign-in of the wrong kind.
const SIGN_INS: &[(&str, &str)] = &[
    (
        r#"{"authTime":"yesterday"}"#,
        "`signIn.authTime`: must be a time, as `2026",
    ),
    (r#"{"authTime":1}"#, "`signIn.authTime`: must be a time"),
    (
        r#"{"authTime":{"seconds":1}}"#,
        "`signIn.authTime`: must be a time",
    ),
    (
        r#"{"authTime":"2026-02-30T00:00:00Z"}"#,
        "`signIn.authTime`: must be a time",
    ),
    (
        r#"{"ttl":"1h"}"#,
        "`signIn.ttl`: must be a span in seconds, as `60s`",
    ),
    (r#"{"ttl":60}"#, "`signIn.ttl`: must be a span"),
    (r#"{"scopes":"a"}"#, "`signIn.scopes`: must be a list"),
    (r#"{"scopes":[1]}"#, "`signIn.scopes[0]`: must be a string"),
    (
        r#"{"allScopes":"yes"}"#,
        "`signIn.allScopes`: must be true or false",
    ),
    (r#"{"claims":null,"claims":{}}"#, "`body`: has a key twice"),
    (r#"{"subject":"u1"}"#, "`signIn.subject`: must be an object"),
];

#[tokio::test]
async fn a_body_that_is_no_message_is_refused_with_the_place() {
    let scene = Scene::new().await;
    let before = scene.held().await;
    let deep = format!(
        r#"{{"data":{}1{}}}"#,
        r#"{"a":"#.repeat(200),
        "}".repeat(200)
    );
    let bodies = BODIES
        .iter()
        .map(|(body, says)| ("Authorize", (*body).to_owned(), *says));
    let sign_ins = SIGN_INS.iter().map(|(part, says)| {
        let call = &scene.call;
        (
            "SetSession",
            format!(r#"{{"call":"{call}","signIn":{part}}}"#),
            *says,
        )
    });
    let others = [
        ("Authorize", deep, "`body`: "),
        (
            "SetSession",
            r#"{"signIn":{},"patch":{}}"#.to_owned(),
            "`signIn`: may not stand beside `patch`",
        ),
        (
            "GetSession",
            r#"{"call":7}"#.to_owned(),
            "`call`: must be a string in base64",
        ),
        (
            "ClearSession",
            r#"{"scope":"ALL"}"#.to_owned(),
            "`scope`: must be one of `CLEAR_SCOPE_THIS`, ",
        ),
    ];
    let mut faults = Vec::new();
    for (name, body, says) in bodies.chain(sign_ins).chain(others) {
        let plain = scene.post(name, body.as_bytes()).await;
        let shown: String = body.chars().take(80).collect();
        match plain.result() {
            Err(refused)
                if (plain.status, &*refused.code) == (400, "invalid_argument")
                    && refused.reason == "INVALID_FIELD"
                    && refused.message.starts_with(says)
                    && !refused.message.chars().any(is_odd) => {}
            other => faults.push(format!(
                "{name} {shown:?} ({says}): {} {other:?}",
                plain.status
            )),
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(scene.held().await, before);
    assert_eq!(scene.operation().await, "hello");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_no_json() {
    let scene = Scene::new().await;
    for body in [
        &b"\xff\xfe"[..],
        b"{\"a\":\"\xc0\x80\"}",
        b"{\"a\":\"\xed\xa0\x80\"}",
        &[0; 64],
    ] {
        let refused = scene.post("Authorize", body).await.result().unwrap_err();
        assert_eq!(refused.code, "invalid_argument", "{body:?}: {refused:?}");
        assert_eq!(refused.field, "body", "{body:?}: {refused:?}");
    }
}
