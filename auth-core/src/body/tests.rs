use proptest::prelude::*;

use super::*;

const JSON: &[u8] = b"application/json";
const FORM: &[u8] = b"application/x-www-form-urlencoded";
const FIELDS: &[Declared<'_>] = &[
    text("id", "id"),
    text("inner", "payload.id"),
    text("deep", "payload.more.n"),
    text("all", "payload.list"),
];

const fn text<'p>(field: &'p str, path: &'p str) -> Declared<'p> {
    Declared {
        field,
        path,
        text: TextType::String,
    }
}

fn json_of(body: &str) -> Result<String, BodyError> {
    let data = data_json(body.as_bytes(), JSON, FIELDS)?;
    Ok(String::from_utf8(data.to_vec()).unwrap())
}

fn form_of(body: &str) -> Result<String, BodyError> {
    let data = data_json(body.as_bytes(), FORM, FIELDS)?;
    Ok(String::from_utf8(data.to_vec()).unwrap())
}

#[test]
fn only_declared_members_are_taken() {
    for (body, data) in [
        ("", ""),
        ("{}", "{}"),
        ("null", "{}"),
        (r#"{"x":1}"#, "{}"),
        (r#"{"id":"b1","x":{"id":2}}"#, r#"{"id":"b1"}"#),
        (r#"{"id":null}"#, r#"{"id":null}"#),
        (r#"{"payload":null}"#, "{}"),
        (r#"{"payload":{"id":7}}"#, r#"{"inner":7}"#),
        (r#"{"payload":{"more":{"n":1,"m":2}}}"#, r#"{"deep":1}"#),
        (
            r#"{"payload":{"list":[1,{"a":[]}]}}"#,
            r#"{"all":[1,{"a":[]}]}"#,
        ),
        (r#"{"i\u0064":"b1"}"#, r#"{"id":"b1"}"#),
        (" {\"id\" : 1}\n", r#"{"id":1}"#),
    ] {
        assert_eq!(json_of(body).as_deref(), Ok(data), "{body}");
    }
}

#[test]
fn a_field_may_hold_another() {
    let fields = [
        text("all", "payload"),
        text("id", "payload.id"),
        text("same", "payload"),
    ];
    let data = data_json(br#"{"payload":{"id":7}}"#, JSON, &fields).unwrap();
    assert_eq!(&*data, br#"{"all":{"id":7},"id":7,"same":{"id":7}}"#);
}

#[test]
fn what_is_not_declared_may_be_odd() {
    for body in [
        r#"{"x":1,"x":2,"X":3}"#,
        r#"{"x":123456789012345678901234567890}"#,
        r#"{"x":{"id":1,"id":2}}"#,
        &format!(r#"{{"x":{}{}}}"#, "[".repeat(100), "]".repeat(100)),
    ] {
        assert_eq!(json_of(body).as_deref(), Ok("{}"), "{body}");
    }
}

#[test]
fn what_two_parsers_could_read_differently_is_invalid() {
    for body in [
        r#"{"id":1,"id":1}"#,
        r#"{"id":1,"ID":2}"#,
        r#"{"Id":2}"#,
        r#"{"\u0131d":2,"payload":{},"payload":{}}"#,
        r#"{"payload":{"id":1,"iD":1}}"#,
        r#"{"payload":{"id":1},"payload":{}}"#,
        r#"{"payload":[{"id":1}]}"#,
        r#"{"payload":"x"}"#,
        r#"{"id":12345678901234567890}"#,
        r#"{"id":1e400}"#,
        r#"{"id":{"a":1,"a":2}}"#,
        r#"[{"id":1}]"#,
        r#"{"id":1}{"id":2}"#,
        r#"{"id":1} x"#,
        r#"{"id":1"#,
        r#"{id:1}"#,
        "\u{feff}{}",
        "1",
        " ",
    ] {
        let read = json_of(body);
        assert!(
            matches!(read, Err(BodyError::Invalid(_))),
            "{body} {read:?}"
        );
    }
    let broken = data_json(b"{\"x\":\"\xff\"}", JSON, FIELDS);
    assert!(matches!(broken, Err(BodyError::Invalid(_))));
}

#[test]
fn a_name_that_folds_to_a_declared_one_is_that_name() {
    let fields = [text("k", "kind"), text("s", "size")];
    for body in ["{\"\u{212a}ind\":1}", "{\"\u{17f}ize\":1}"] {
        let read = data_json(body.as_bytes(), JSON, &fields);
        assert!(matches!(read, Err(BodyError::Invalid(_))), "{body}");
    }
}

#[test]
fn a_form_is_read_as_texts() {
    for (body, data) in [
        ("id=b1", r#"{"id":"b1"}"#),
        ("x=1&id=b1&y", r#"{"id":"b1"}"#),
        ("id", r#"{"id":""}"#),
        ("id=a+b%26c", r#"{"id":"a b&c"}"#),
        ("%69d=7", r#"{"id":"7"}"#),
        ("id=a%0Ab", r#"{"id":"a\nb"}"#),
        ("payload.id=7", r#"{"inner":"7"}"#),
        ("x=1&x=2", "{}"),
        ("id=%C3%BC", r#"{"id":"ü"}"#),
    ] {
        assert_eq!(form_of(body).as_deref(), Ok(data), "{body}");
    }
}

#[test]
fn a_form_gives_a_value_of_the_declared_type_where_it_fits() {
    let typed = |text| Declared {
        text,
        ..super::tests::text("n", "n")
    };
    for (kind, body, data) in [
        (TextType::Int, "n=7", r#"{"n":7}"#),
        (
            TextType::Int,
            "n=-9223372036854775808",
            r#"{"n":-9223372036854775808}"#,
        ),
        (TextType::Int, "n=07", r#"{"n":"07"}"#),
        (TextType::Int, "n=", r#"{"n":""}"#),
        (TextType::Double, "n=1.5", r#"{"n":1.5}"#),
        (TextType::Double, "n=nan", r#"{"n":"nan"}"#),
        (TextType::Bool, "n=true", r#"{"n":true}"#),
        (TextType::Bool, "n=on", r#"{"n":"on"}"#),
        (TextType::String, "n=7", r#"{"n":"7"}"#),
    ] {
        let read = data_json(body.as_bytes(), FORM, &[typed(kind)]).unwrap();
        assert_eq!(read, data, "{kind:?} {body}");
    }
}

#[test]
fn a_form_with_two_readings_is_invalid() {
    for body in [
        "id=1&id=1",
        "id=1&%69d=2",
        "id=1&ID=2",
        "Id=1",
        "id=%",
        "id=%zz",
        "%zz=1",
        "id=%ff",
        "id=%00",
        "x=1;id=2",
    ] {
        let read = form_of(body);
        assert!(
            matches!(read, Err(BodyError::Invalid(_))),
            "{body} {read:?}"
        );
    }
}

#[test]
fn a_media_type_says_whether_a_body_is_read() {
    for (content_type, is_read) in [
        ("application/json", true),
        ("Application/JSON; charset=UTF-8", true),
        ("application/json;charset=\"utf-8\"", true),
        ("application/merge-patch+json", true),
        ("application/x-www-form-urlencoded; charset=utf-8", true),
        ("application/json; charset=utf-16", false),
        ("text/json", false),
        ("text/plain", false),
        ("multipart/form-data; boundary=x", false),
        ("application/jsonp", false),
        ("a/b/c+json", false),
        ("+json", false),
        ("", false),
        ("application/json, text/plain", false),
    ] {
        let content_type = content_type.as_bytes();
        assert_eq!(is_readable(content_type), is_read, "{content_type:?}");
        let unread = data_json(b"x", content_type, FIELDS) == Err(BodyError::Unreadable);
        assert_eq!(unread, !is_read);
    }
}

#[test]
fn declared_data_has_a_bound_and_the_rest_has_none() {
    let text = "x".repeat(MAX_DATA_BYTES);
    assert!(json_of(&format!(r#"{{"x":"{text}","id":1}}"#)).is_ok());
    assert!(json_of(&format!(r#"{{"id":"{text}"}}"#)).is_err());
}

/// JSON texts, some of them with declared members.
fn bodies() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "\\PC{0,8}".prop_map(Into::into),
    ];
    let name = prop_oneof!["id", "payload", "more", "n", "[a-z]{1,3}"];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
            prop::collection::btree_map(name.clone(), inner, 0..5)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_read_is_what_stands_there(body in bodies()) {
        let fields = [text("id", "id"), text("inner", "payload.id"), text("deep", "payload.more.n")];
        if let Ok(data) = data_json(body.to_string().as_bytes(), JSON, &fields) {
            let data: serde_json::Value = serde_json::from_slice(&data).unwrap();
            for (field, pointer) in
                [("id", "/id"), ("inner", "/payload/id"), ("deep", "/payload/more/n")]
            {
                prop_assert_eq!(data.get(field), body.pointer(pointer), "{}", field);
            }
        }
    }

    #[test]
    fn whatever_the_bytes_are_reading_ends(body in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = data_json(&body, JSON, FIELDS);
        let _ = data_json(&body, FORM, FIELDS);
    }
}
