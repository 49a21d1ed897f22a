//! `sidegate proxy attack` finds what a real proxy lets through, and says what mends it.

use std::path::Path;

use harness::{
    hostile::command::{PROOF, Ran, Typed, text},
    real::{caddy, nginx, ports::Port, server::Server},
    recorder::{App, Reply},
};

/// Attacks a proxy; the command is the app behind it where `app` says where.
async fn attack(proxy: &Server, app: Option<&Port>) -> Ran {
    let typed = Typed {
        program: Path::new(env!("CARGO_BIN_EXE_sidegate-under-test")),
        url: &format!("http://{}", proxy.http()),
        app: app.map(Port::address),
        token: None,
        more: &[],
    };
    let ran = typed.run().await;
    assert_eq!(ran.code, Some(10), "{}", ran.said);
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_nginx_is_found_out_and_its_fix_is_named() {
    let app = Port::free();
    let upstream = app.address();
    let server = nginx::start("proxy attack through an open nginx", |place| {
        format!(
            "underscores_in_headers on; server {{ listen 127.0.0.1:{}; \
             location / {{ proxy_pass http://{upstream}; }} }}",
            place.http()
        )
    });
    let Some(server) = server.await else {
        return;
    };
    let ran = attack(&server, Some(&app)).await;
    let report = ran.report();
    assert!(report["says_it_is"][0].as_str().unwrap().contains("nginx"));
    assert_eq!(report["not_judged"].as_array().unwrap().len(), 0);
    for (name, what, fix) in [
        ("dot-segment/up", "reached the app as", "proxy print"),
        (
            "identity/subject",
            "brought `Sidegate-Subject: evil/root`",
            "set or remove every",
        ),
        (
            "identity/subject-underscore",
            "brought `Sidegate_Subject: evil/root`",
            "underscores_in_headers off",
        ),
    ] {
        let found = ran.finding(name, what);
        assert!(text(&found["fix"]).contains(fix), "{found}");
        assert_ne!(found["why"], "", "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_caddy_that_passes_aliases_is_told_which_version_does_not() {
    let app = Port::free();
    let upstream = app.address();
    let start = caddy::start(
        caddy::Version::Debian,
        "proxy attack through an old Caddy",
        |place| {
            format!(
                "http://127.0.0.1:{} {{\n  reverse_proxy {upstream} {{\n    header_up -Sidegate-*\n  }}\n}}\n",
                place.http()
            )
        },
    );
    let Some(server) = start.await else {
        return;
    };
    let ran = attack(&server, Some(&app)).await;
    for (name, what) in [
        ("identity/subject-underscore", "brought `Sidegate_subject"),
        ("alias/caddy", "is Caddy before 2.11.4"),
    ] {
        let found = ran.finding(name, what);
        let fix = text(&found["fix"]);
        assert!(fix.starts_with("Caddy: 2.11.4 or newer"), "{found}");
    }
}

/// A policy may open its target for `GET` alone; then nobody is told that all is well.
#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_post_is_not_judged_where_none_passes() {
    let app = Port::free();
    let upstream = app.address();
    let server = nginx::start("proxy attack through a proxy for GET", |place| {
        format!(
            "server {{ listen 127.0.0.1:{}; \
             location / {{ limit_except GET {{ deny all; }} proxy_pass http://{upstream}; }} }}",
            place.http()
        )
    });
    let Some(server) = server.await else {
        return;
    };
    let report = attack(&server, Some(&app)).await.report();
    let left_out = report["not_judged"].as_array().unwrap();
    let is_it = |it: &serde_json::Value| it["name"] == "framing/lengths-differ";
    assert!(left_out.iter().any(is_it), "{left_out:?}");
    let why = |it: &serde_json::Value| text(&it["why"]).contains("`POST` to the open target");
    assert!(left_out.iter().all(why), "{left_out:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_being_the_app_it_judges_by_the_proof_in_answers() {
    let app = App::start(|_| Reply::status(200).body(PROOF)).await;
    let upstream = app.address();
    let server = nginx::start("proxy attack by answers", |place| {
        format!(
            "server {{ listen 127.0.0.1:{}; location / {{ proxy_pass http://{upstream}; }} }}",
            place.http()
        )
    });
    let Some(server) = server.await else {
        return;
    };
    let ran = attack(&server, None).await;
    ran.finding("dot-segment/up", "reached the app as");
    ran.finding("identity/subject", "on a closed target");
    assert_ne!(ran.report()["not_judged"].as_array().unwrap().len(), 0);
}
