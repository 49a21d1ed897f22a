use auth_core::{clock::Timestamp, session::SessionId};

use super::*;

fn full_call() -> Call {
    Call {
        tenant: Tenant::new("acme").unwrap(),
        authority: "books.example".into(),
        credentials: vec![
            Credential {
                source: CredentialSource::Authorization,
                name: String::new(),
                value: "Bearer x".into(),
            },
            Credential {
                source: CredentialSource::Header,
                name: "x-api-key".into(),
                value: Bytes::from_static(b"\xff"),
            },
        ],
        peer: Peer {
            address: "192.0.2.1".into(),
            identity: "spiffe://example/app".into(),
            certificate_sha256: Bytes::from(vec![7; 32]),
            not_before: Some(auth_core::clock::Timestamp::from_seconds(1_800_000_000)),
            not_after: Some(auth_core::clock::Timestamp::from_seconds(1_900_000_000)),
        },
        connection_id: "c1".into(),
        attributes: vec![Attribute {
            name: "origin".into(),
            value: "https://books.example".into(),
        }],
        deliverable: Deliverable {
            cookie: true,
            token: false,
            connection: true,
        },
        data_json: "{\"book_id\":1}".into(),
        data_complete: false,
        data_pending: true,
        view: SessionView::Full,
        advisory: true,
        ..Call::new(WireKind::Http, "DELETE", "/books/1?x=%2F")
    }
}

/// A request that passes, for a test to spoil.
fn good() -> v1::AuthorizeRequest {
    request(full_call())
}

fn spoil(spoil: impl FnOnce(&mut v1::WireContext)) -> ConvertError {
    let mut request = good();
    spoil(request.wire.as_mut().unwrap());
    call(request, &Tenant::default()).unwrap_err()
}

#[test]
fn a_call_comes_back_as_it_was() {
    let mut kinds = WireKind::BUILT_IN.to_vec();
    kinds.push(WireKind::Custom("fax".into()));
    for kind in kinds {
        let original = Call {
            kind,
            ..full_call()
        };
        let back = call(request(original.clone()), &Tenant::default()).unwrap();
        assert!(back == original, "{:?}", original.kind);
    }
}

#[test]
fn bytes_are_moved_and_not_copied() {
    let request = good();
    let before = request.data_json.as_ptr();
    assert_eq!(
        call(request, &Tenant::default())
            .unwrap()
            .data_json
            .as_ptr(),
        before
    );
}

#[test]
fn a_request_without_a_tenant_is_the_callers() {
    let own = Tenant::new("mine").unwrap();
    let request = v1::AuthorizeRequest {
        tenant: String::new(),
        ..good()
    };
    assert_eq!(call(request, &own).unwrap().tenant, own);
}

#[test]
fn each_bad_field_is_named_by_its_path() {
    let credential = |wire: &mut v1::WireContext| wire.credentials[0].clone();
    for (error, field) in [
        (spoil(|w| w.kind = 0), "wire.kind"),
        (spoil(|w| w.kind = 99), "wire.kind"),
        (spoil(|w| w.custom_kind = "fax".into()), "wire.custom_kind"),
        (spoil(|w| w.kind = 9), "wire.custom_kind"),
        (
            spoil(|w| {
                w.kind = 9;
                w.custom_kind = "http".into();
            }),
            "wire.custom_kind",
        ),
        (spoil(|w| w.authority = "a".repeat(256)), "wire.authority"),
        (spoil(|w| w.target = "a".repeat(8193)), "wire.target"),
        (
            spoil(|w| w.credentials = vec![credential(w); 17]),
            "wire.credentials",
        ),
        (
            spoil(|w| w.credentials[1].source = 0),
            "wire.credentials[1].source",
        ),
        (
            spoil(|w| w.credentials[0].name = "x".into()),
            "wire.credentials[0].name",
        ),
        (
            spoil(|w| w.credentials[1].name = "X-Api-Key".into()),
            "wire.credentials[1].name",
        ),
        (
            spoil(|w| w.credentials[1].value = vec![0; 8193].into()),
            "wire.credentials[1].value",
        ),
        (
            spoil(|w| w.attributes = vec![w.attributes[0].clone(); 33]),
            "wire.attributes",
        ),
        (
            spoil(|w| w.attributes[0].name = String::new()),
            "wire.attributes[0].name",
        ),
        (
            spoil(|w| w.peer.as_mut().unwrap().certificate_sha256 = "x".into()),
            "wire.peer.certificate_sha256",
        ),
    ] {
        assert_eq!(error.field, field, "{error}");
    }
}

#[test]
fn bad_fields_beside_the_wire_are_named_too() {
    for (request, field) in [
        (
            v1::AuthorizeRequest {
                wire: None,
                ..good()
            },
            "wire",
        ),
        (
            v1::AuthorizeRequest {
                data_json: vec![b' '; 65537].into(),
                ..good()
            },
            "data_json",
        ),
        (
            v1::AuthorizeRequest {
                data_complete: true,
                data_pending: true,
                ..good()
            },
            "data_pending",
        ),
        (
            v1::AuthorizeRequest {
                session_view: 9,
                ..good()
            },
            "session_view",
        ),
        (
            v1::AuthorizeRequest {
                tenant: "A B".into(),
                ..good()
            },
            "tenant",
        ),
    ] {
        assert_eq!(call(request, &Tenant::default()).unwrap_err().field, field);
    }
}

#[test]
fn a_batch_shares_the_client_and_is_advisory() {
    let mut client = good().wire.unwrap();
    client.method.clear();
    client.target.clear();
    let item = |target: &str| v1::BatchAuthorizeItem {
        method: "GET".into(),
        target: target.into(),
        ..Default::default()
    };
    let mut request = v1::BatchAuthorizeRequest {
        caller: Some(client),
        items: vec![item("/a"), item("/b")],
        tenant: String::new(),
    };
    let calls = batch(request.clone(), &Tenant::default()).unwrap();
    let targets: Vec<_> = calls.iter().map(|call| &*call.target).collect();
    assert_eq!(targets, ["/a", "/b"]);
    assert!(
        calls
            .iter()
            .all(|call| call.advisory && call.credentials.len() == 2)
    );

    request.items[1].target = "x".repeat(8193);
    let error = batch(request.clone(), &Tenant::default()).unwrap_err();
    assert_eq!(error.field, "items[1].target");
    request.items = vec![item("/a"); 1001];
    let error = batch(request, &Tenant::default()).unwrap_err();
    assert_eq!(error.field, "items");
}

#[test]
fn an_update_comes_back_as_it_was() {
    let tenant = Tenant::default();
    for update in [
        WireUpdate::SetCookie {
            name: "s".into(),
            header_value: "s=1".into(),
        },
        WireUpdate::ExpireCookie {
            name: "s".into(),
            header_value: "s=; Max-Age=0".into(),
        },
        WireUpdate::IssueToken {
            token: "sg1_x".into(),
            expires_at: Timestamp::from_seconds(5),
        },
        WireUpdate::BindConnection {
            connection_id: "c".into(),
            session: Some(SessionId::from_bytes([1; 16])),
        },
        WireUpdate::BindConnection {
            connection_id: "c".into(),
            session: None,
        },
    ] {
        let message = update_to_message(update.clone(), &tenant);
        assert_eq!(WireUpdate::try_from(message), Ok(update));
    }
}
