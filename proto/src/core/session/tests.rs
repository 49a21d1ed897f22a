use auth_core::session::Tenant;

use super::*;

fn identity() -> Identity {
    let claims = serde_json::json!({ "role": "admin" });
    Identity {
        subject: Some(Principal::local("u1").unwrap()),
        actor: Some(Principal::new("idp", "support").unwrap()),
        claims: claims.as_object().unwrap().clone(),
        scopes: vec!["books:read".into()],
        all_scopes: false,
        auth_time: Some(Timestamp::from_seconds(100)),
        acr: Some("2".into()),
        amr: vec!["pwd".into()],
    }
}

fn session(origin: Origin) -> Session {
    let attributes = serde_json::json!({ "theme": "dark" });
    Session::new(
        origin,
        "cookie".into(),
        identity(),
        attributes.as_object().unwrap().clone(),
        ScopeMatching::Hierarchical,
    )
}

fn stored() -> Origin {
    Origin::Stored(Arc::new(SessionRecord {
        id: SessionId::from_bytes([3; 16]),
        tenant: Tenant::new("acme").unwrap(),
        identity: identity(),
        attributes: JsonObject::new(),
        kind: TokenKind::Cookie,
        strategy: None,
        created_at: Timestamp::from_seconds(100),
        expires_at: Timestamp::from_seconds(9000),
        idle: Duration::from_secs(600),
        last_seen: Timestamp::from_seconds(200),
        token_issued_at: Timestamp::from_seconds(100),
        version: 7,
    }))
}

fn sign_in() -> v1::SignIn {
    SignIn {
        identity: identity(),
        attributes: JsonObject::new(),
        ttl: Some(Duration::from_secs(60)),
    }
    .into()
}

#[test]
fn a_session_comes_back_with_what_a_client_sees_of_it() {
    let external = Origin::External {
        session: ForeignSession {
            issuer: "https://id.example".into(),
            subject: "u1".into(),
            discriminator: "s".into(),
        },
        token_id: Some("t".into()),
        issued_at: None,
        expires_at: Timestamp::from_seconds(5),
        version: 3,
    };
    let key = Origin::ApiKey {
        id: SessionId::from_bytes([9; 16]),
        expires_at: None,
    };
    for origin in [
        stored(),
        external,
        Origin::Static,
        key,
        Origin::Peer { expires_at: None },
        Origin::Peer {
            expires_at: Some(Timestamp::from_seconds(5)),
        },
        Origin::Stated,
    ] {
        let original = session(origin);
        let back = from_message(v1::Session::from(&original)).unwrap();
        assert_eq!(back.identity, original.identity);
        assert_eq!(back.attributes, original.attributes);
        assert_eq!(back.id(), original.id());
        assert_eq!(back.etag(), original.etag());
        assert_eq!(back.expires_at(), original.expires_at());
        assert_eq!(back.idle_expires_at(), original.idle_expires_at());
        assert_eq!(v1::Session::from(&back), v1::Session::from(&original));
    }
}

#[test]
fn a_view_shows_what_it_is_for() {
    let session = session(stored());
    assert_eq!(view(&session, SessionView::None), None);
    let basic = view(&session, SessionView::Basic).unwrap();
    assert!(basic.claims_json.is_empty() && basic.attributes_json.is_empty());
    assert_eq!(basic.subject.unwrap().id, "u1");
    let full = view(&session, SessionView::Full).unwrap();
    assert_eq!(&full.claims_json[..], br#"{"role":"admin"}"#);
}

#[test]
fn a_sign_in_comes_back_as_it_was() {
    let back = SignIn::try_from(sign_in()).unwrap();
    assert_eq!(back.identity, identity());
    assert_eq!(back.ttl, Some(Duration::from_secs(60)));
}

#[test]
fn each_bad_field_of_a_sign_in_is_named() {
    let long: Vec<String> = vec!["s".into(); 257];
    for (message, field) in [
        (
            v1::SignIn {
                subject: None,
                ..sign_in()
            },
            "sign_in.subject",
        ),
        (
            v1::SignIn {
                actor: Some(v1::Principal::default()),
                ..sign_in()
            },
            "sign_in.actor",
        ),
        (
            v1::SignIn {
                claims_json: "[]".into(),
                ..sign_in()
            },
            "sign_in.claims_json",
        ),
        (
            v1::SignIn {
                attributes_json: "{".into(),
                ..sign_in()
            },
            "sign_in.attributes_json",
        ),
        (
            v1::SignIn {
                scopes: vec!["a b".into()],
                ..sign_in()
            },
            "sign_in.scopes[0]",
        ),
        (
            v1::SignIn {
                scopes: long,
                ..sign_in()
            },
            "sign_in.scopes",
        ),
        (
            v1::SignIn {
                ttl: Some(prost_types::Duration::default()),
                ..sign_in()
            },
            "sign_in.ttl",
        ),
    ] {
        let request = v1::SetSessionRequest {
            change: Some(v1::set_session_request::Change::SignIn(message)),
            ..Default::default()
        };
        let error = SetSession::try_from(request).unwrap_err();
        assert_eq!(error.field, field);
    }
}

#[test]
fn a_request_to_set_names_what_it_lacks() {
    let patch = |set_json: &'static str, remove: &[&str]| v1::SetSessionRequest {
        change: Some(v1::set_session_request::Change::Patch(v1::SessionPatch {
            set_json: set_json.into(),
            remove: remove.iter().map(ToString::to_string).collect(),
        })),
        ..Default::default()
    };
    for (request, field) in [
        (v1::SetSessionRequest::default(), "change"),
        (patch("1", &[]), "patch.set_json"),
        (patch(r#"{"a":1}"#, &["b", "a"]), "patch.remove[1]"),
        (
            v1::SetSessionRequest {
                request_id: "x".repeat(129),
                ..patch("", &[])
            },
            "request_id",
        ),
    ] {
        assert_eq!(SetSession::try_from(request).unwrap_err().field, field);
    }
}

#[test]
fn a_request_to_set_comes_back_as_it_was() {
    let request = v1::SetSessionRequest {
        call: "sealed".into(),
        change: Some(v1::set_session_request::Change::Patch(v1::SessionPatch {
            set_json: r#"{"a":1}"#.into(),
            remove: vec!["b".into()],
        })),
        etag: "\"3\"".into(),
        request_id: "r1".into(),
    };
    let core = SetSession::try_from(request.clone()).unwrap();
    assert!(v1::SetSessionRequest::from(core) == request);
}

#[test]
fn an_unspecified_clear_scope_is_refused() {
    for scope in [ClearScope::This, ClearScope::Others, ClearScope::All] {
        assert_eq!(clear_scope(v1::ClearScope::from(scope).into()), Ok(scope));
    }
    assert!(clear_scope(0).is_err());
    assert!(clear_scope(4).is_err());
}

#[test]
fn an_etag_is_a_quoted_version() {
    assert_eq!(version("\"7\""), Ok(7));
    for etag in ["", "7", "\"\"", "\"+7\"", "W/\"7\"", "\"x\""] {
        assert!(version(etag).is_err(), "{etag}");
    }
}
