//! The hostile requests find what is wrong, and find nothing where nothing is.

use harness::{
    hostile::attack::{Attack, names},
    real::nginx,
    recorder::App,
};

fn attack(edge: std::net::SocketAddr, app: &App) -> Attack<'_> {
    Attack {
        edge,
        app,
        session: "sg1_nobody",
        open: "/public/ok",
        closed: "/admin/users",
    }
}

/// One exact path is open, and no header of the client's goes through: nothing is found but what
/// such a proxy cannot know.
#[tokio::test]
async fn a_closed_proxy_survives() {
    let app = App::ok().await;
    let upstream = app.address();
    let server = nginx::start("hostile requests through a closed nginx", |place| {
        format!(
            "server {{ listen 127.0.0.1:{}; location / {{ return 403; }}\n\
             location = /public/ok {{ proxy_pass_request_headers off; proxy_pass http://{upstream}; }} }}",
            place.http()
        )
    });
    let Some(server) = server.await else {
        return;
    };
    let attack = attack(server.http(), &app);
    let findings = attack.targets().await;
    assert!(findings.is_empty(), "{findings:#?}");
    let findings = attack.header_sets().await;
    let credentials = [
        "credentials/api-key-twice",
        "credentials/authorization-joined",
        "credentials/bearer-and-api-key",
    ];
    assert_eq!(names(&findings), credentials.into(), "{findings:#?}");
}

#[tokio::test]
async fn an_open_proxy_is_found_out() {
    let app = App::ok().await;
    let upstream = app.address();
    let server = nginx::start("hostile requests through an open nginx", |place| {
        format!(
            "server {{ listen 127.0.0.1:{}; location / {{ proxy_pass http://{upstream}; }} }}",
            place.http()
        )
    });
    let Some(server) = server.await else {
        return;
    };
    let attack = attack(server.http(), &app);
    let targets = attack.targets().await;
    for name in [
        "dot-segment/up",
        "semicolon/bare",
        "query/open-path",
        "letters/encoded-letter",
    ] {
        assert!(names(&targets).contains(name), "{name} in {targets:#?}");
    }
    let sets = attack.header_sets().await;
    for name in [
        "identity/subject",
        "identity/session",
        "write-back/set-as-request",
        "forwarded/uri",
    ] {
        assert!(names(&sets).contains(name), "{name} in {sets:#?}");
    }
    let brought = "brought `Sidegate-Subject: evil/root` to the app";
    assert!(
        sets.iter().any(|finding| finding.what == brought),
        "{sets:#?}"
    );
    assert!(!names(&sets).contains("honest"));
}

/// A proxy that nobody knows is judged by what it takes away under the plain name.
#[tokio::test]
async fn what_is_taken_away_must_not_come_back_under_another_name() {
    let app = App::ok().await;
    let upstream = app.address();
    let rows = [
        ("", &[][..]),
        (
            "proxy_set_header X-HTTP-Method-Override \"\";",
            &["alias/another-spelling"],
        ),
    ];
    for (taken_away, expected) in rows {
        let server = nginx::start("aliases of what nginx takes away", |place| {
            format!(
                "underscores_in_headers on; server {{ listen 127.0.0.1:{}; \
                 location / {{ {taken_away} proxy_pass http://{upstream}; }} }}",
                place.http()
            )
        });
        let Some(server) = server.await else {
            return;
        };
        let findings = attack(server.http(), &app).aliases().await;
        let expected = expected.iter().copied().collect();
        assert_eq!(names(&findings), expected, "{taken_away}: {findings:#?}");
    }
}

#[tokio::test]
async fn the_app_alone_takes_every_target_as_it_is() {
    let app = App::ok().await;
    let findings = attack(app.address(), &app).targets().await;
    assert_eq!(names(&findings).len(), harness::hostile::targets().len());
}
