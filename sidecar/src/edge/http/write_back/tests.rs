use http::HeaderValue;
use serde_json::json;

use super::*;

const ISSUED: &[u8] = b"sealed";

fn now() -> Timestamp {
    Timestamp::from_seconds(1_000)
}

fn echo() -> String {
    URL_SAFE_NO_PAD.encode(ISSUED)
}

fn response(entries: &[(HeaderName, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in entries {
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn asked(entries: &[(HeaderName, &str)]) -> Result<Option<Change>, WriteError> {
    read(&response(entries), Some(ISSUED), now())
}

#[test]
fn a_response_without_a_change_asks_for_none() {
    assert!(asked(&[]).unwrap().is_none());
    assert!(asked(&[(CALL, &echo())]).unwrap().is_none());
}

#[test]
fn r26_a_change_must_echo_the_handle_of_its_request() {
    let clear = (CLEAR, "this");
    let other = URL_SAFE_NO_PAD.encode(b"sealeb");
    for echoes in [
        vec![],
        vec![(CALL, &*other)],
        vec![(CALL, "")],
        vec![(CALL, "sealed")],
        vec![(CALL, &*echo()), (CALL, &*echo())],
    ] {
        let entries = [&[clear.clone()][..], &echoes].concat();
        assert_eq!(
            asked(&entries).unwrap_err(),
            WriteError::NotEchoed,
            "{echoes:?}"
        );
    }
    let relayed = response(&[clear.clone(), (CALL, "")]);
    assert_eq!(
        read(&relayed, None, now()).unwrap_err(),
        WriteError::NothingIssued
    );
    assert!(asked(&[clear, (CALL, &echo())]).unwrap().is_some());
}

#[test]
fn only_one_change_may_be_asked_for() {
    let echo = echo();
    for pair in [
        [(SET, r#"{"subject":"u"}"#), (CLEAR, "this")],
        [(CLEAR, "this"), (CLEAR, "this")],
        [(PATCH, "{}"), (PATCH, "{}")],
        [(PATCH, "{}"), (CLEAR, "all")],
    ] {
        let entries = [&pair[..], &[(CALL, &*echo)]].concat();
        assert_eq!(
            asked(&entries).unwrap_err(),
            WriteError::Several,
            "{pair:?}"
        );
    }
}

#[test]
fn a_sign_in_is_json_as_it_is_or_encoded() {
    let text = r#"{"subject":"u1","claims":{"role":"admin"},"scopes":["a"],"ttl":60}"#;
    for value in [text.to_owned(), URL_SAFE_NO_PAD.encode(text)] {
        let change = asked(&[(SET, &value), (CALL, &echo())]).unwrap();
        let Some(Change::SignIn(sign_in)) = change else {
            panic!("a sign-in was asked for");
        };
        assert_eq!(sign_in.identity.subject.unwrap().to_string(), "local/u1");
        assert_eq!(sign_in.identity.claims["role"], "admin");
        assert_eq!(sign_in.identity.auth_time, Some(now()));
        assert_eq!(sign_in.ttl, Some(Duration::from_secs(60)));
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place_and_without_its_value() {
    for (name, value, expected) in [
        (SET, "{", "no JSON"),
        (SET, "{}", "missing field `subject`"),
        (SET, r#"{"subject":""}"#, "`subject`"),
        (
            SET,
            r#"{"subject":"u","role":"admin"}"#,
            "a member that is not known",
        ),
        (
            SET,
            r#"{"subject":"u","subject":"v"}"#,
            "duplicate field `subject`",
        ),
        (SET, r#"{"subject":["secret"]}"#, "expected a string"),
        (SET, r#"{"subject":"SECRET/u1"}"#, "`subject`"),
        (SET, r#"{"subject":"secret, expected/u1"}"#, "`subject`"),
        (
            SET,
            r#"{"subject":"u","claims":"secret"}"#,
            "expected a map",
        ),
        (
            SET,
            r#"{"subject":"u","claims":"secret, expected secret"}"#,
            "expected a map",
        ),
        (SET, r#"{"subject":"u","ttl":"secret"}"#, "expected u64"),
        (SET, r#"{"subject":"u","ttl":-71077345}"#, "expected u64"),
        (SET, "not base64!", "base64url"),
        (PATCH, "[1]", "base64url"),
        // "secret", in base64url.
        (PATCH, "InNlY3JldCI", "expected a map"),
        (CLEAR, "", "`this`"),
        (CLEAR, "everything", "`this`"),
    ] {
        let error = asked(&[(name.clone(), value), (CALL, &echo())]).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains(expected) && text.contains(name.as_str()),
            "{text}"
        );
        let is_told = text.to_lowercase().contains("secret") || text.contains("71077345");
        assert!(!is_told, "{text}");
    }
}

#[test]
fn a_patch_merges_as_rfc_7396_says() {
    // The cases of its appendix A, below one member.
    for (present, patch, expected) in [
        (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
        (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
        (json!({"a":"b"}), json!({"a":null}), json!({})),
        (
            json!({"a":"b","b":"c"}),
            json!({"a":null}),
            json!({"b":"c"}),
        ),
        (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
        (
            json!({"a":{"b":"c"}}),
            json!({"a":{"b":"d","c":null}}),
            json!({"a":{"b":"d"}}),
        ),
        (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
        (json!({"a":"foo"}), json!("bar"), json!("bar")),
        (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
        (
            json!({}),
            json!({"a":{"bb":{"ccc":null}}}),
            json!({"a":{"bb":{}}}),
        ),
    ] {
        assert_eq!(
            merged(Some(&present), &patch),
            expected,
            "{present} {patch}"
        );
    }
}

#[test]
fn nothing_secret_of_an_answer_is_in_its_debug() {
    let secret = "c2VjcmV0";
    let call = Bytes::from_static(secret.as_bytes());
    let mut headers = HeaderMap::new();
    headers.insert(SET, HeaderValue::from_static(secret));
    let answered = Answered {
        headers: &headers,
        issued: Some(&call),
        request_id: "r1",
        failed: false,
    };
    let written = Written {
        call: Some(call.clone()),
        ..Written::default()
    };
    let shown = format!("{answered:?} {written:?}");
    assert!(
        shown.contains("r1") && !shown.contains(secret) && !shown.contains("99, 50"),
        "{shown}"
    );
}
