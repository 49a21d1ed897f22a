use prost_reflect::DescriptorPool;
use proto::v1;
use serde_json::json;

use super::*;

fn shape(name: &str) -> MessageDescriptor {
    let pool = DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    pool.get_message_by_name(&format!("sidegate.v1.{name}"))
        .unwrap()
}

fn authorize(json: &Value) -> Result<v1::AuthorizeRequest, ConvertError> {
    let encoded = from_json(&shape("AuthorizeRequest"), json.to_string().as_bytes())?;
    Ok(v1::AuthorizeRequest::decode(&*encoded).unwrap())
}

#[test]
fn a_body_reads_with_either_spelling_of_names() {
    for (view, complete) in [
        ("sessionView", "dataComplete"),
        ("session_view", "data_complete"),
    ] {
        let body = json!({
            "wire": { "kind": "WIRE_KIND_HTTP", "method": "GET", "target": "/" },
            view: "SESSION_VIEW_FULL",
            complete: true,
        });
        let request = authorize(&body).unwrap();
        assert_eq!(request.session_view(), v1::SessionView::Full);
        assert!(request.data_complete);
    }
}

#[test]
fn json_may_be_given_as_it_is_or_in_base64() {
    let expected = r#"{"book_id":9007199254740993}"#;
    for body in [
        json!({ "data": { "book_id": 9_007_199_254_740_993_u64 } }),
        json!({ "dataJson": STANDARD.encode(expected) }),
        json!({ "data_json": URL_SAFE_NO_PAD.encode(expected) }),
    ] {
        assert_eq!(authorize(&body).unwrap().data_json, expected, "{body}");
    }
}

#[test]
fn a_credential_may_be_given_as_text_or_in_base64() {
    for (key, value) in [
        ("text", "Bearer x".to_owned()),
        ("value", STANDARD.encode("Bearer x")),
    ] {
        let credential = json!({ "source": "CREDENTIAL_SOURCE_AUTHORIZATION", key: value });
        let body = json!({ "wire": { "credentials": [credential] } });
        let wire = authorize(&body).unwrap().wire.unwrap();
        assert_eq!(wire.credentials[0].value, "Bearer x");
    }
}

#[test]
fn each_bad_field_is_named_and_its_value_is_not() {
    let secret = "s3cret";
    for (body, field) in [
        (json!({ "wires": {} }), "wires"),
        (json!({ "wire": secret }), "wire"),
        (json!({ "wire": { "kind": secret } }), "wire.kind"),
        (json!({ "wire": { "target": 1 } }), "wire.target"),
        (json!({ "wire": { "credentials": {} } }), "wire.credentials"),
        (
            json!({ "wire": { "credentials": [{}, { "value": "$" }] } }),
            "wire.credentials[1].value",
        ),
        (
            json!({ "wire": { "credentials": [{ "text": 1 }] } }),
            "wire.credentials[0].text",
        ),
        (
            json!({ "wire": { "credentials": [{ "text": secret, "value": "" }] } }),
            "wire.credentials[0].value",
        ),
        (
            json!({ "wire": { "acceptedUpdates": ["WIRE_UPDATE_KIND_COOKIE", secret] } }),
            "wire.acceptedUpdates[1]",
        ),
        (json!({ "data": [secret] }), "data"),
        (json!({ "data": {}, "dataJson": "" }), "dataJson"),
        (json!({ "advisory": secret }), "advisory"),
        (json!([secret]), "body"),
    ] {
        let error = authorize(&body).unwrap_err();
        assert_eq!(error.field, field, "{error}");
        assert!(!error.to_string().contains(secret), "{error}");
    }
}

#[test]
fn what_is_no_json_is_refused_with_its_place() {
    let shape = shape("AuthorizeRequest");
    for (body, problem) in [
        ("", "is not well-formed JSON, at line 1 column 0"),
        ("{}x", "is not well-formed JSON, at line 1 column 3"),
        (r#"{"tenant":"a","tenant":"b"}"#, "has a key twice"),
    ] {
        let error = from_json(&shape, body.as_bytes()).unwrap_err();
        assert!(error.problem.starts_with(problem), "{error}");
    }
}

#[test]
fn only_one_change_may_be_asked_for() {
    let body = json!({ "call": "", "signIn": {}, "patch": {} });
    let encoded = from_json(&shape("SetSessionRequest"), body.to_string().as_bytes());
    let error = encoded.unwrap_err();
    assert!(["signIn", "patch"].contains(&&*error.field), "{error}");
}

#[test]
fn a_sign_in_reads_times_and_objects() {
    let body = json!({ "signIn": {
        "subject": { "namespace": "local", "id": "u1" },
        "claims": { "role": "admin" },
        "authTime": "2026-01-01T00:00:00Z",
        "ttl": "60s",
    } });
    let encoded = from_json(&shape("SetSessionRequest"), body.to_string().as_bytes()).unwrap();
    let request = v1::SetSessionRequest::decode(&*encoded).unwrap();
    let Some(v1::set_session_request::Change::SignIn(sign_in)) = request.change else {
        panic!("no sign-in");
    };
    assert_eq!(sign_in.claims_json, r#"{"role":"admin"}"#);
    assert_eq!(sign_in.auth_time.unwrap().seconds, 1_767_225_600);
    assert_eq!(sign_in.ttl.unwrap().seconds, 60);
}

#[test]
fn an_answer_has_its_json_as_objects() {
    let response = v1::GetSessionResponse {
        session: Some(v1::Session {
            name: "tenants/default/sessions/x".into(),
            claims_json: r#"{"role":"admin"}"#.into(),
            attributes_json: "{}".into(),
            origin: v1::SessionOrigin::Stored.into(),
            expire_time: Some(prost_types::Timestamp {
                seconds: 1_767_225_600,
                nanos: 0,
            }),
            ..Default::default()
        }),
    };
    let json = to_json(&shape("GetSessionResponse"), &response.encode_to_vec()).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        json,
        json!({ "session": {
            "name": "tenants/default/sessions/x",
            "origin": "SESSION_ORIGIN_STORED",
            "claims": { "role": "admin" },
            "attributes": {},
            "expireTime": "2026-01-01T00:00:00Z",
        } })
    );
}
