//! Answers that lack what Sidegate always says (H-05): nothing that a client made up takes its place.
//! And why the configuration for Caddy says that it is not for old ones, and not in short form.

use harness::{
    raw,
    real::{
        caddy::{self, Version},
        printed::Proxy,
    },
    recorder::{App, Reply, Request},
};

use crate::scripted::Scripted;

const EVIL: [(&str, &str); 3] = [
    ("Sidegate-Subject", "evil"),
    ("Sidegate_Subject", "evil"),
    ("Sidegate-Call", "evil"),
];

/// What reaches the app when the answer is an allow that says nothing.
async fn reached(proxy: Proxy, caddy: Version) -> Option<Request> {
    let silent = |_: &_| Reply::status(200);
    let scene = Scripted::on(proxy, caddy, silent).await?;
    let request = raw::request("GET", "/public/a", "books.example", &EVIL, b"");
    let (answer, mut requests) = scene.ask(&request).await;
    assert_eq!((answer.status, requests.len()), (200, 1), "{proxy:?}");
    requests.pop()
}

#[tokio::test]
async fn h05_what_an_answer_lacks_is_not_the_clients_to_say() {
    let all = Proxy::FORWARD_AUTH.map(|proxy| (proxy, Version::Pinned));
    for (proxy, caddy) in all.into_iter().chain([(Proxy::Caddy, Version::Debian)]) {
        let Some(request) = reached(proxy, caddy).await else {
            continue;
        };
        assert!(!request.mentions("evil"), "{proxy:?} {request:?}");
        let subject = request.headers.all("sidegate-subject").concat();
        assert_eq!(subject, "", "{proxy:?} {caddy:?}");
    }
}

/// What Caddy itself makes of `forward_auth`, which the printed configuration does not use: an old
/// one tells the app the name of a placeholder, for a subject.
#[tokio::test]
async fn h05_the_short_form_of_an_old_caddy_makes_up_a_subject() {
    let rows = [
        (
            Version::Debian,
            "{http.reverse_proxy.header.Sidegate-Subject}",
        ),
        (Version::Pinned, ""),
    ];
    for (version, subject) in rows {
        let app = App::ok().await;
        let sidecar = App::ok().await;
        let (upstream, asks) = (app.address(), sidecar.address());
        let server = caddy::start(version, "the short form of forward_auth", |place| {
            format!(
                "http://:{} {{\n\tforward_auth {asks} {{\n\t\turi /forward-auth/caddy\n\t\t\
                 copy_headers Sidegate-Subject\n\t}}\n\treverse_proxy {upstream}\n}}\n",
                place.http()
            )
        });
        let Some(server) = server.await else {
            continue;
        };
        let request = raw::request("GET", "/", "books.example", &EVIL, b"");
        let answer = raw::exchange(server.http(), &request, raw::DEADLINE).await;
        assert_eq!(answer.unwrap().status, 200, "{version:?}");
        let said = app.take()[0].headers.all("sidegate-subject").concat();
        assert_eq!(said, subject, "{version:?}");
    }
}
