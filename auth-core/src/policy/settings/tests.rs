use std::{path::Path, sync::Arc, time::Duration};

use super::*;
use crate::{caller::Grant, store::BeyondLimit};

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Settings, PolicyError> {
    let document = Document::parse(Path::new("/etc/shop/sidegate.yaml"), text.to_owned())?;
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Settings::from_documents(&[document], None, environment)
}

/// What is wrong with the text, as people read it.
fn faults(text: &str, environment: &[(&str, &str)]) -> String {
    match read(text, environment) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_empty_file_has_defaults() {
    let settings = read("", &[]).unwrap();
    let data = Path::new("/etc/shop/.sidegate");
    assert_eq!(settings.data_dir, data);
    assert_eq!(settings.listen.admin, data.join("admin.sock"));
    assert_eq!(
        settings.listen.grpc[0],
        Address::Unix(data.join("sidegate.sock"))
    );
    assert_eq!(settings.store, StoreChoice::Embedded(data.to_owned()));
    assert_eq!(settings.sessions, SessionLimits::default());
    assert_eq!(settings.keys.dir, data.join("keys"));
}

#[test]
fn paths_are_relative_to_the_main_file() {
    let text = "listen: { grpc: unix:./s.sock, admin: unix:/run/admin.sock }\n\
                store: { embedded: { path: data } }\n\
                keys: { dir: ../keys }\n\
                callers: { shop: { token_file: shop.token, may: [authorize] } }";
    let settings = read(text, &[]).unwrap();
    assert_eq!(
        settings.listen.grpc,
        [Address::Unix("/etc/shop/s.sock".into())]
    );
    assert_eq!(settings.listen.admin, Path::new("/run/admin.sock"));
    assert_eq!(settings.data_dir, Path::new("/etc/shop/data"));
    assert_eq!(settings.keys.dir, Path::new("/etc/shop/../keys"));
    assert_eq!(
        settings.callers[0].token_file.as_deref(),
        Some(Path::new("/etc/shop/shop.token"))
    );
}

#[test]
fn a_given_data_directory_takes_the_place_of_the_files() {
    let text = "store: { embedded: { path: data } }".to_owned();
    let document = Document::parse(Path::new("sidegate.yaml"), text).unwrap();
    let settings = Settings::from_documents(&[document], Some(Path::new("/tmp/x")), []).unwrap();
    assert_eq!(settings.store, StoreChoice::Embedded("/tmp/x".into()));
}

#[test]
fn each_fault_has_its_place_and_help() {
    for (text, place, message, help) in [
        (
            "listen:\n  grpc: 0.0.0.0:7480",
            "sidegate.yaml:2:9",
            "can be reached from other machines",
            "loopback",
        ),
        (
            "listen: { http: nowhere }",
            ":1:17",
            "is no address",
            "unix:PATH",
        ),
        (
            "listen: { admin: 127.0.0.1:1 }",
            ":1:18",
            "unix socket only",
            "admin.sock",
        ),
        (
            "listen: { grpc: 127.0.0.1:1, http: 127.0.0.1:1 }",
            ":1:36",
            "is taken by `listen.grpc`",
            "of its own",
        ),
        (
            "sessions: { lifetime: 31d }",
            ":1:23",
            "out of range",
            "30d",
        ),
        (
            "sessions: { lifetime: 1h, idle: 2h }",
            ":1:33",
            "longer than the lifetime",
            "at most `1h`",
        ),
        ("sessions: { idle: 0s }", ":1:19", "of no use", "longer"),
        (
            "sessions: { max_per_subject: 0 }",
            ":1:30",
            "nobody could sign in",
            "at least `1`",
        ),
        (
            "telemetry: { log_one_allow_in: 0 }",
            ":1:32",
            "cannot be logged",
            "write `1`",
        ),
        (
            "callers:\n  shop: { may: [authorize] }",
            ":2:9",
            "nothing tells caller `shop`",
            "`uid`",
        ),
        (
            "callers: { ops: { token_file: t, may: [session.manage] } }",
            ":1:40",
            "with a client certificate",
            "`identity`",
        ),
        (
            "callers: { a: { uid: 7, may: [] }, b: { uid: 7, may: [] } }",
            ":1:46",
            "names caller `a` already",
            "one user id",
        ),
        (
            "callers: { a: { uid: 7, may: [], wires: [HTTP] } }",
            ":1:42",
            "no kind of wire",
            "`http`",
        ),
        (
            "listen: { forward_auth: { address: 127.0.0.1:1, trusted_proxies: [::1], caller: x } }",
            ":1:81",
            "there is no caller `x`",
            "callers",
        ),
        (
            "listen: { forward_auth: { address: 127.0.0.1:1, trusted_proxies: [], caller: x } }\n\
             callers: { x: { uid: 7, may: [authorize] } }",
            ":1:36",
            "nobody may ask",
            "127.0.0.1",
        ),
        (
            "listen: { forward_auth: { address: 127.0.0.1:1, trusted_proxies: [0.0.0.0/0], \
             caller: x } }\ncallers: { x: { uid: 7, may: [authorize] } }",
            ":1:67",
            "takes in every address",
            "10.0.0.0/8",
        ),
        (
            "listen: { forward_auth: { address: 127.0.0.1:1, trusted_proxies: ['::/0'], \
             caller: x } }\ncallers: { x: { uid: 7, may: [authorize] } }",
            ":1:67",
            "takes in every address",
            "name the proxies",
        ),
        (
            "listen: { forward_auth: { address: 127.0.0.1:1, trusted_proxies: [::1], caller: x, \
             login: //evil } }\ncallers: { x: { uid: 7, may: [authorize] } }",
            ":1:91",
            "no place to sign in",
            "/login",
        ),
        (
            "listen: { envoy: { address: 127.0.0.1:1, caller: x } }\n\
             callers: { x: { uid: 7, may: [session.self] } }",
            ":1:50",
            "caller `x` lacks the grant `authorize`",
            "`may`",
        ),
        (
            "listen: { envoy: { address: 0.0.0.0:1, caller: x } }\n\
             callers: { x: { uid: 7, may: [authorize] } }",
            ":1:29",
            "can be reached from other machines",
            "to `listen`",
        ),
        (
            "listen: { proxy: { address: 127.0.0.1:1, upstream: \"https://a\", caller: x } }\n\
             callers: { x: { uid: 7, may: [authorize] } }",
            ":1:52",
            "plain HTTP to the app",
            "`http://127.0.0.1:3000`",
        ),
        (
            "listen: { proxy: { address: 127.0.0.1:1, upstream: \"http://a/x\", caller: x } }\n\
             callers: { x: { uid: 7, may: [authorize] } }",
            ":1:52",
            "names no app",
            "`http://127.0.0.1:3000`",
        ),
        (
            "listen: { proxy: { address: 127.0.0.1:1, upstream: \"http://a\", caller: x, \
             login: //evil.example } }\ncallers: { x: { uid: 7, may: [authorize] } }",
            ":1:82",
            "no place to sign in",
            "`/login`",
        ),
        (
            "listen: { proxy: { address: 127.0.0.1:1, upstream: \"http://a\", caller: x, \
             assertion: { audience: b, ttl: 1h } } }\ncallers: { x: { uid: 7, may: [authorize] } }",
            ":1:106",
            "an assertion is good",
            "from `1s` to `5m`",
        ),
        (
            "decide: { remote: { address: 127.0.0.1:1 } }",
            ":1:30",
            "knows nobody without a token",
            "`token_file`",
        ),
        (
            "decide: { remote: { address: \"unix:./s\" } }\noperations: { a: { http: GET / } }",
            ":1:30",
            "`operations` is for the other Sidegate",
            "move `operations`",
        ),
        (
            "decide: { remote: { address: 10.0.0.1:1, token_file: ./t } }",
            ":1:30",
            "is on another machine",
            "`https://HOST:PORT`",
        ),
        (
            "listen:\n  proxy: { address: 0.0.0.0:1, upstream: \"http://a\", caller: x }\n  \
             tls: { certificate: c, key: k }\ncallers: { x: { uid: 7, may: [authorize] } }",
            ":2:21",
            "can be reached from other machines",
            "to `listen.proxy`",
        ),
        (
            "listen: { proxy: { address: unix:p.sock, upstream: \"http://a\", caller: x, \
             tls: { certificate: c, key: k } } }\ncallers: { x: { uid: 7, may: [authorize] } }",
            ":1:29",
            "not spoken on a unix socket",
            "remove `tls`",
        ),
        (
            "listen: { telemetry: 0.0.0.0:1, tls: { certificate: c, key: k } }",
            ":1:22",
            "can be reached from other machines",
            "to this machine only",
        ),
        (
            "listen: { tls: { certificate: c, key: '' } }",
            ":1:39",
            "name is empty",
            "",
        ),
        (
            "listen: { grpc: unix:g.sock, http: [], tls: { certificate: c, key: k } }",
            ":1:60",
            "no listener would speak TLS",
            "remove `tls`",
        ),
        (
            "listen: { envoy: { address: 0.0.0.0:1, caller: x }, tls: { certificate: c, key: k } }\n\
             callers: { x: { uid: 7, may: [authorize] } }",
            ":1:29",
            "nothing tells Envoy from others",
            "`identity`",
        ),
        (
            "listen: { tls: { certificate: c, key: k } }\n\
             callers: { x: { identity: a.example, may: [authorize] } }",
            ":2:27",
            "no client is asked for a certificate",
            "`client_ca: FILE`",
        ),
        (
            "listen: { tls: { certificate: c, key: k, client_ca: a } }\n\
             callers: { x: { identity: \"https://a\", may: [authorize] } }",
            ":2:27",
            "nothing that a certificate names",
            "`spiffe://shop.example/checkout`",
        ),
        (
            "listen: { tls: { certificate: c, key: k, client_ca: a } }\n\
             callers: { x: { identity: a.example, may: [] }, y: { identity: A.Example, may: [] } }",
            ":2:64",
            "`a.example` names caller `x` already",
            "one identity",
        ),
        (
            "decide: { remote: { address: \"https://a:1\", token_file: t } }",
            ":1:30",
            "nothing tells the other Sidegate from somebody else",
            "`ca: FILE`",
        ),
        (
            "decide: { remote: { address: \"https://a:1\", token_file: t, ca: c, key: k } }",
            ":1:72",
            "of use together only",
            "both",
        ),
        (
            "decide: { remote: { address: \"https://a:1\", ca: c } }",
            ":1:30",
            "knows nobody without a token",
            "`token_file`",
        ),
        (
            "decide: { remote: { address: \"unix:s\", ca: c } }",
            ":1:44",
            "for an address with TLS",
            "https://HOST:PORT",
        ),
        (
            "listen: { origins: [ https://a.example/x ] }",
            ":1:22",
            "is no origin",
            "without a path",
        ),
    ] {
        let shown = faults(text, &[]);
        for part in [place, message, help] {
            assert!(shown.contains(part), "{text}: `{part}` not in\n{shown}");
        }
    }
}

#[test]
fn platform_keys_stand_in_the_main_file_only() {
    let main = Document::parse(Path::new("main.yaml"), String::new()).unwrap();
    let text = "app: shop\nsessions: { idle: 1h }\n".to_owned();
    let other = Document::parse(Path::new("apps/shop.yaml"), text).unwrap();
    let error = Settings::from_documents(&[main, other], None, []).unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains("apps/shop.yaml:2:1"), "{shown}");
    assert!(
        shown.contains("`sessions` belongs to the platform"),
        "{shown}"
    );
}

#[test]
fn a_short_lifetime_shortens_the_defaults() {
    let settings = read("sessions: { lifetime: 10m }", &[]).unwrap();
    assert_eq!(settings.sessions.idle, Duration::from_secs(600));
    assert_eq!(settings.sessions.renew, Some(Duration::from_secs(600)));
}

#[test]
fn renewal_can_be_turned_off() {
    let settings = read("sessions: { renew: 0s }", &[]).unwrap();
    assert_eq!(settings.sessions.renew, None);
}

#[test]
fn a_caller_may_do_what_the_file_says() {
    let text = "callers:\n  shop: { uid: 7, may: [authorize], sign_in: [local], \
                claims: [role], tenant: books, wires: [http] }";
    let settings = read(text, &[]).unwrap();
    let shop = &settings.callers[0];
    assert_eq!(shop.uid, Some(7));
    assert!(shop.caller.may(Grant::Authorize) && !shop.caller.may(Grant::SessionSelf));
    assert!(shop.caller.may_claim("role") && !shop.caller.may_claim("admin"));
    assert!(shop.caller.may_speak(&crate::wire::WireKind::Http));
    assert!(!shop.caller.may_speak(&crate::wire::WireKind::Grpc));
    assert_eq!(shop.caller.tenant.as_str(), "books");
}

#[test]
fn forward_auth_asks_on_behalf_of_a_declared_caller() {
    let text = "listen: { forward_auth: { address: 127.0.0.1:0, \
                trusted_proxies: [127.0.0.1, 10.0.0.0/8], caller: proxy } }\n\
                callers: { proxy: { uid: 7, may: [authorize] } }";
    let settings = read(text, &[]).unwrap();
    let forward_auth = settings.listen.forward_auth.unwrap();
    assert!(Arc::ptr_eq(
        &forward_auth.caller,
        &settings.callers[0].caller
    ));
    assert!(forward_auth.trusted_proxies[1].contains([10, 1, 2, 3].into()));
}

#[test]
fn envoy_asks_on_behalf_of_a_declared_caller_and_fails_closed_unless_told() {
    for (more, error_response) in [("", false), (", error_response: true", true)] {
        let text = format!(
            "listen: {{ envoy: {{ address: 'unix:envoy.sock', caller: edge{more} }} }}\n\
             callers: {{ edge: {{ uid: 7, may: [authorize] }} }}"
        );
        let settings = read(&text, &[]).unwrap();
        let envoy = settings.listen.envoy.unwrap();
        assert!(Arc::ptr_eq(&envoy.caller, &settings.callers[0].caller));
        assert_eq!(envoy.address, Address::Unix("/etc/shop/envoy.sock".into()));
        assert_eq!(envoy.error_response, error_response);
    }
}

#[test]
fn with_tls_other_machines_may_be_served() {
    let text = "listen:\n  grpc: 0.0.0.0:1\n  http: 0.0.0.0:2\n  \
                tls: { certificate: tls/a.pem, key: /run/a.key, client_ca: ca.pem }\n  \
                envoy: { address: 0.0.0.0:3, caller: edge }\n  \
                proxy:\n    address: 0.0.0.0:4\n    upstream: http://127.0.0.1:3000\n    \
                caller: edge\n    tls: { certificate: b.pem, key: b.key }\n\
                callers: { edge: { identity: Edge.Example, may: [authorize] } }";
    let settings = read(text, &[]).unwrap();
    let tls = settings.listen.tls.unwrap();
    assert_eq!(tls.certificate, Path::new("/etc/shop/tls/a.pem"));
    assert_eq!(tls.key, Path::new("/run/a.key"));
    assert_eq!(tls.client_ca.unwrap(), Path::new("/etc/shop/ca.pem"));
    let proxy = settings.listen.proxy.unwrap().tls.unwrap();
    assert_eq!(proxy.certificate, Path::new("/etc/shop/b.pem"));
    assert_eq!(proxy.client_ca, None);
    assert!(settings.listen.envoy.unwrap().needs_certificate);
    let identity = settings.callers[0].identity.as_deref();
    assert_eq!(identity, Some("edge.example"));
}

#[test]
fn another_sidegate_over_tls_may_be_anywhere() {
    let text = "decide:\n  remote:\n    address: https://sidegate.internal:7480\n    ca: ca.pem\n    \
                certificate: a.pem\n    key: a.key\n";
    let remote = read(text, &[]).unwrap().remote.unwrap();
    assert_eq!(
        remote.address,
        RemoteAddress::Tls(RemoteTls {
            authority: "sidegate.internal:7480".to_owned(),
            ca: "/etc/shop/ca.pem".into(),
            identity: Some(("/etc/shop/a.pem".into(), "/etc/shop/a.key".into())),
        })
    );
}

#[test]
fn the_environment_overrides_scalars() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("idle");
    std::fs::write(&file, "5m\n").unwrap();
    let settings = read(
        "sessions: { idle: 1h }",
        &[
            ("HOME", "/root"),
            ("SIDEGATE__LISTEN__GRPC", "unix:/run/s.sock, 127.0.0.1:0"),
            ("SIDEGATE__SESSIONS__IDLE_FILE", file.to_str().unwrap()),
            ("SIDEGATE__SESSIONS__MAX_PER_SUBJECT", "3"),
            ("SIDEGATE__SESSIONS__BEYOND_LIMIT", "refuse"),
            ("SIDEGATE__TELEMETRY__LOG", "json"),
            ("SIDEGATE__STORE__EMBEDDED__PATH", "/var/lib/sidegate"),
        ],
    )
    .unwrap();
    assert_eq!(settings.listen.grpc.len(), 2);
    assert_eq!(settings.sessions.idle, Duration::from_secs(300));
    let limit = settings.sessions.per_subject.unwrap();
    assert_eq!((limit.max, limit.beyond), (3, BeyondLimit::Refuse));
    assert_eq!(settings.telemetry.log, Some(LogFormat::Json));
    assert_eq!(settings.data_dir, Path::new("/var/lib/sidegate"));
}

#[test]
fn a_variable_that_sets_nothing_is_an_error_that_names_it() {
    for (name, value, message) in [
        (
            "SIDEGATE__CHECKS__IS_ADMIN",
            "true",
            "can not be set by environment",
        ),
        (
            "SIDEGATE__SESSIONS__IDEL",
            "1h",
            "can not be set by environment",
        ),
        ("SIDEGATE__SESSIONS__IDLE", "1 hour", "is no span of time"),
        ("SIDEGATE__SESSIONS__LIFETIME", "31d", "out of range"),
        ("SIDEGATE__SESSIONS__MAX_PER_SUBJECT", "-1", "is no number"),
        ("SIDEGATE__TELEMETRY__LOG", "xml", "unknown variant"),
        (
            "SIDEGATE__SESSIONS__IDLE_FILE",
            "/nonexistent/x",
            "cannot be read",
        ),
        ("SIDEGATE__LISTEN__GRPC", "0.0.0.0:1", "other machines"),
    ] {
        let shown = faults("", &[(name, value)]);
        for part in [name, message] {
            assert!(shown.contains(part), "`{part}` not in\n{shown}");
        }
    }
}
