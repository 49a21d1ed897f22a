//! `sidegate proxy print`: what it needs, and what it says of what a proxy cannot do. That the
//! configurations work is shown behind the real proxies.

use tempfile::TempDir;

use crate::run::{Ran, run};

const CALLERS: &str = r#"
callers: { edge: { uid: 4711, may: [ authorize, session.self ] } }
strategies: [ { cookie: { name: __Host-own } } ]
app: shop
"#;

const FORWARD_AUTH: &str =
    "forward_auth: { address: 127.0.0.1:7483, trusted_proxies: [ 127.0.0.1 ], caller: edge }";

fn shop(listen: &str, operations: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let policy = format!(
        "listen: {{ grpc: 127.0.0.1:7480, {listen} }}\n{CALLERS}operations: {{ {operations} }}\n"
    );
    std::fs::write(dir.path().join("sidegate.yaml"), policy).unwrap();
    dir
}

fn print(dir: &TempDir, words: &[&str]) -> Ran {
    run(dir.path(), &[&["proxy", "print"], words].concat())
}

#[test]
fn a_configuration_names_where_it_listens_where_it_asks_and_the_app() {
    let envoy = "envoy: { address: 127.0.0.1:7484, caller: edge }";
    let dir = shop(&format!("{FORWARD_AUTH}, {envoy}"), "me: { http: GET /me }");
    for (proxy, asks) in [
        ("nginx", "127.0.0.1:7483"),
        ("caddy", "127.0.0.1:7483"),
        ("traefik", "127.0.0.1:7483"),
        ("envoy", "port_value: 7484"),
    ] {
        let places = [
            "--listen=127.0.0.1:8123",
            "--upstream=http://127.0.0.1:3123",
        ];
        let ran = print(&dir, &[&[proxy], &places[..]].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{proxy}");
        for part in [asks, "8123", "3123"] {
            assert!(ran.stdout.contains(part), "{proxy}: {part}\n{}", ran.stdout);
        }
        let is_filled = !ran.stdout.contains("@LISTEN@") && !ran.stdout.contains("@SIDEGATE@");
        assert!(is_filled, "{proxy}:\n{}", ran.stdout);
    }
}

/// Those that cannot keep a client's spellings from the app.
#[test]
fn versions_that_a_configuration_is_not_for_are_named_in_it() {
    let dir = shop(FORWARD_AUTH, "me: { http: GET /me }");
    let rows: [(&[&str], &str); 3] = [
        (&["caddy"], "Caddy before 2.11.4"),
        (
            &["traefik", "--part=static"],
            "For Traefik 3.7.12 and newer",
        ),
        (
            &["traefik", "--part=dynamic"],
            "For Traefik 3.7.12 and newer",
        ),
    ];
    for (words, refused) in rows {
        let printed = print(&dir, words).stdout;
        for part in [refused, "NOT for older ones"] {
            assert!(printed.contains(part), "{words:?}: {part}\n{printed}");
        }
    }
}

#[test]
fn traefik_is_told_which_cookies_are_ours() {
    let dir = shop(FORWARD_AUTH, "me: { http: GET /me }");
    let ran = print(&dir, &["traefik", "--part=dynamic"]);
    let cookies = r#"addAuthCookiesToResponse: [ "__Host-own" ]"#;
    assert!(ran.stdout.contains(cookies), "{}", ran.stdout);
}

#[test]
fn what_is_missing_is_named_with_what_to_write() {
    let socket = "forward_auth: { address: \"unix:./f.sock\", trusted_proxies: [ 127.0.0.1 ], caller: edge }";
    let any_port =
        "forward_auth: { address: 127.0.0.1:0, trusted_proxies: [ 127.0.0.1 ], caller: edge }";
    let rows: [(&str, &[&str], i32, &[&str]); 7] = [
        (
            "",
            &["nginx"],
            3,
            &["`listen.forward_auth`", "add `forward_auth:"],
        ),
        (
            FORWARD_AUTH,
            &["envoy"],
            3,
            &["`listen.envoy`", "add `envoy:"],
        ),
        (any_port, &["caddy"], 3, &["any free port", "write a port"]),
        (
            socket,
            &["nginx"],
            3,
            &["unix socket", "write an IP address"],
        ),
        (
            FORWARD_AUTH,
            &["nginx", "--part=static"],
            2,
            &["leave `--part` out"],
        ),
        (
            FORWARD_AUTH,
            &["nginx", "--upstream=http://a/b"],
            2,
            &["names no app"],
        ),
        (
            FORWARD_AUTH,
            &["nginx", "--upstream=http://a;b"],
            2,
            &["names no app"],
        ),
    ];
    for (listen, words, code, says) in rows {
        let ran = print(&shop(listen, "me: { http: GET /me }"), words);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (code, ""),
            "{words:?}: {ran:?}"
        );
        for part in says {
            assert!(
                ran.stderr.contains(part),
                "{words:?}: {part}\n{}",
                ran.stderr
            );
        }
    }
}

#[test]
fn what_a_proxy_cannot_do_is_said_beside_the_configuration() {
    let elsewhere =
        "forward_auth: { address: 127.0.0.1:7483, trusted_proxies: [ 192.0.2.1 ], caller: edge }";
    let grpc = "get: { grpc: books.v1.Books/Get }";
    let cors = "items: { http: GET /items, cors: { origins: [ \"https://web.example\" ] } }";
    for (listen, operations, says) in [
        (
            elsewhere,
            "me: { http: GET /me }",
            "does not name 127.0.0.1",
        ),
        (FORWARD_AUTH, cors, "`cors` of `items` has no effect here"),
        (FORWARD_AUTH, grpc, "`grpc` are out of reach here"),
    ] {
        for proxy in ["nginx", "caddy", "traefik"] {
            let ran = print(&shop(listen, operations), &[proxy]);
            assert_eq!(ran.code, 0, "{proxy}: {ran:?}");
            assert!(ran.stderr.contains(says), "{proxy}: {}", ran.stderr);
            assert!(!ran.stdout.contains(says), "{proxy}");
        }
    }
}

#[test]
fn where_sidegate_speaks_tls_the_proxy_is_told_whom_to_believe() {
    let tls = "tls: { certificate: s.pem, key: s.key, client_ca: c.pem }";
    let envoy = "envoy: { address: 127.0.0.1:7484, caller: front }";
    let with_tls = shop(
        &format!("{FORWARD_AUTH}, {envoy}, {tls}"),
        "me: { http: GET /me }",
    );
    let policy = with_tls.path().join("sidegate.yaml");
    let text = std::fs::read_to_string(&policy).unwrap();
    let front = "callers: { front: { identity: front.example, may: [ authorize ] }, ";
    std::fs::write(&policy, text.replace("callers: { ", front)).unwrap();
    let without = shop(FORWARD_AUTH, "me: { http: GET /me }");
    let own = ["--cert-file=/x/f.pem", "--key-file=/x/f.key"];
    let rows: [(&TempDir, &[&str], i32, &str); 7] = [
        (&with_tls, &["nginx"], 2, "--ca-file FILE"),
        (&with_tls, &["nginx", "--ca-file=/x/ca.pem"], 0, ""),
        (
            &with_tls,
            &["envoy", "--ca-file=/x/ca.pem"],
            2,
            "--cert-file FILE",
        ),
        (
            &with_tls,
            &["caddy", "--ca-file=/x/ca.pem;"],
            2,
            "letters, digits",
        ),
        (
            &with_tls,
            &["caddy", "--ca-file=a", "--server-name=a b"],
            2,
            "no host name",
        ),
        (
            &with_tls,
            &["nginx", "--ca-file=a", own[0]],
            2,
            "--key-file",
        ),
        (
            &without,
            &["nginx", "--ca-file=/x/ca.pem"],
            2,
            "speaks no TLS",
        ),
    ];
    for (dir, words, code, says) in rows {
        let ran = print(dir, words);
        assert_eq!(ran.code, code, "{words:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{words:?}: {}", ran.stderr);
    }
    for proxy in ["nginx", "caddy", "traefik", "envoy"] {
        let words = [&[proxy, "--ca-file=/x/ca.pem"], &own[..]].concat();
        let ran = print(&with_tls, &words);
        for part in ["/x/ca.pem", "/x/f.pem", "/x/f.key", "localhost"] {
            assert!(ran.stdout.contains(part), "{proxy}: {part}\n{}", ran.stdout);
        }
        assert!(!ran.stdout.contains("@TLS@"), "{proxy}\n{}", ran.stdout);
    }
}

#[test]
fn on_another_machine_sidegate_has_no_name_but_what_is_said() {
    let dir = shop(
        "forward_auth: { address: \"192.0.2.7:7483\", trusted_proxies: [ 192.0.2.9 ], caller: edge }, \
         envoy: { address: \"192.0.2.7:7484\", caller: front }, \
         tls: { certificate: s.pem, key: s.key, client_ca: c.pem }",
        "me: { http: GET /me }",
    );
    let policy = dir.path().join("sidegate.yaml");
    let text = std::fs::read_to_string(&policy).unwrap();
    let front = "callers: { front: { identity: front.example, may: [ authorize ] }, ";
    std::fs::write(&policy, text.replace("callers: { ", front)).unwrap();
    let own = [
        "--ca-file=/x/ca.pem",
        "--cert-file=/x/f.pem",
        "--key-file=/x/f.key",
    ];
    for proxy in ["nginx", "caddy", "traefik", "envoy"] {
        let words = [&[proxy], &own[..]].concat();
        let ran = print(&dir, &words);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{proxy}: {ran:?}");
        assert!(ran.stderr.contains("--server-name NAME"), "{}", ran.stderr);
        let named = [&words[..], &["--server-name=gate.example"]].concat();
        let ran = print(&dir, &named);
        assert_eq!(ran.code, 0, "{proxy}: {}", ran.stderr);
        assert!(
            ran.stdout.contains("gate.example"),
            "{proxy}\n{}",
            ran.stdout
        );
        assert!(!ran.stdout.contains("localhost"), "{proxy}\n{}", ran.stdout);
    }
}

#[test]
fn r24_for_an_edge_it_is_printed_from_the_file_that_decides() {
    let dir = shop(
        "envoy: { address: 127.0.0.1:7484, caller: edge }",
        "me: { grpc: shop.v1.Users/Me }",
    );
    let remote = r#"
decide: { remote: { address: "unix:./other.sock" } }
listen: { envoy: { address: 127.0.0.1:7484, caller: edge }, EDGE }
callers: { edge: { uid: 4711, may: [ authorize, session.self ] } }
"#;
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    write("edge.yaml", &remote.replace("EDGE", FORWARD_AUTH));
    let ran = print(&dir, &["envoy", "--config=edge.yaml"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("`--policy FILE`"), "{}", ran.stderr);

    let both = ["--config=edge.yaml", "--policy=sidegate.yaml"];
    let ran = print(&dir, &[&["envoy"], &both[..]].concat());
    let own = print(&dir, &["envoy"]);
    assert_eq!((ran.code, &ran.stdout), (0, &own.stdout), "{}", ran.stderr);

    let ran = print(&dir, &["envoy", "--policy=sidegate.yaml"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);

    let body = format!(
        "{CALLERS}checks: {{ is_small: data.amount < 10 }}\noperations:\n  pay: {{ require: \
         is_small, data: {{ amount: {{ type: int }} }}, http: POST /pay }}\n"
    );
    write("sidegate.yaml", &body);
    let ran = print(&dir, &[&["nginx"], &both[..]].concat());
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    for part in ["sidegate.yaml:", "`listen.forward_auth` is never given"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    let knowing = FORWARD_AUTH.replace("caller: edge", "caller: edge, without_body: [ pay ]");
    write("edge.yaml", &remote.replace("EDGE", &knowing));
    let ran = print(&dir, &[&["nginx"], &both[..]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    write(
        "edge.yaml",
        &remote
            .replace("EDGE", &knowing)
            .replace("[ pay ]", "[ pay, pya ]"),
    );
    let ran = print(&dir, &[&["nginx"], &both[..]].concat());
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("lists `pya`"), "{}", ran.stderr);
}
