//! Checks that read the body, behind the one proxy that hands it over (R24).

use std::net::SocketAddr;

use auth_core::wire::MAX_DATA_BYTES;
use harness::{
    raw::{self, Answer, Connection},
    real::printed::Proxy,
    recorder::Request,
};

use crate::scene::{Scene, Setup, ok};

const JSON: &str = "application/json";

async fn scene() -> Option<Scene> {
    let setup = Setup {
        reads_bodies: true,
        ..Setup::default()
    };
    Scene::with(Proxy::Envoy, setup).await
}

/// JSON of this many bytes, with blanks at its end.
fn padded(length: usize) -> Vec<u8> {
    let mut body = br#"{ "note" : "abc" }"#.to_vec();
    body.resize(length, b' ');
    body
}

/// What a proxy answers, with what reached the app.
async fn posted(
    scene: &Scene,
    proxy: SocketAddr,
    target: &str,
    kind: &str,
    body: &[u8],
) -> (Answer, Vec<Request>) {
    let kind = [("Content-Type", kind)];
    let request = raw::request("POST", target, "books.example", &kind, body);
    let answer = raw::exchange(proxy, &request, raw::DEADLINE).await;
    (answer.unwrap(), scene.app.take())
}

/// What a client is told, but for what is another each time.
fn told(answer: &Answer) -> serde_json::Value {
    let mut told = answer.json();
    if let Some(told) = told.as_object_mut() {
        told.remove("decision_id");
    }
    told
}

#[tokio::test]
async fn r24_a_body_is_judged_as_over_our_own_proxy_and_reaches_the_app_as_it_came() {
    let Some(scene) = scene().await else {
        return;
    };
    let own = scene.own_proxy.unwrap();
    for (target, kind, body, status) in [
        (
            "/notes/b1",
            JSON,
            &br#" {"more":[1.0], "note":"abc"} "#[..],
            200,
        ),
        ("/notes/b1?x=1", JSON, br#"{"note":"abc"}"#, 200),
        // The same path in another spelling, and one in which it must be written so.
        ("/note%73/b1", JSON, br#"{"note":"abc"}"#, 200),
        ("/notes/caf%C3%A9", JSON, br#"{"note":"abc"}"#, 200),
        (
            "/notes/b1",
            "application/x-www-form-urlencoded",
            b"note=abc&more=1",
            200,
        ),
        ("/notes/b1", JSON, &padded(MAX_DATA_BYTES), 200),
        ("/notes/b1", JSON, br#"{"note":"too long"}"#, 403),
        ("/notes/b1", "text/plain", b"note=abc", 403),
        ("/notes/b1", JSON, br#"{"note":"a","note":"b"}"#, 400),
        ("/notes/b1", JSON, br#"{"note":"#, 400),
        ("/notes/b1", JSON, &padded(MAX_DATA_BYTES + 1), 413),
        ("/notes/b1", JSON, &padded(1_000_000), 413),
        // Who calls is asked first.
        ("/own/note", JSON, br#"{"note":"abc"}"#, 401),
        ("/own/note", JSON, &padded(MAX_DATA_BYTES + 1), 401),
    ] {
        let shown = format!("{target} {kind} {} bytes", body.len());
        let expected: &[&[u8]] = if status == 200 { &[body] } else { &[] };
        let mut answers = Vec::new();
        for proxy in [scene.server.http(), own] {
            let (answer, reached) = posted(&scene, proxy, target, kind, body).await;
            assert_eq!(answer.status, status, "{shown}: {}", answer.text());
            let passed: Vec<_> = reached.iter().map(|request| &*request.body).collect();
            assert!(passed == expected, "{shown}");
            if status != 200 {
                answers.push(told(&answer));
            }
        }
        assert!(
            answers.windows(2).all(|both| both[0] == both[1]),
            "{shown}: {answers:?}"
        );
    }
}

/// When the piece comes that fills its buffer, Envoy calls those before it the whole.
#[tokio::test]
async fn r24_a_body_without_a_length_is_not_judged_by_its_beginning() {
    let Some(scene) = scene().await else {
        return;
    };
    let head = format!(
        "POST /notes/b1 HTTP/1.1\r\nHost: books.example\r\nContent-Type: {JSON}\r\n\
         Connection: close\r\nTransfer-Encoding: chunked\r\n"
    );
    let whole = padded(MAX_DATA_BYTES);
    for (more, pieces) in [
        ("", [&whole[..10], &whole[10..20]]),
        ("", [&whole, br#"{"note":"another"}"#]),
        ("", [&whole[..20], &padded(500_000)]),
        // What a client says of it itself does not count.
        ("X-Envoy-Auth-Partial-Body: false\r\n", [&whole, b" "]),
    ] {
        let mut client = Connection::open(scene.server.http(), raw::DEADLINE)
            .await
            .unwrap();
        client
            .send(format!("{head}{more}\r\n").as_bytes())
            .await
            .unwrap();
        for piece in pieces {
            let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
            chunk.extend(piece);
            chunk.extend(b"\r\n");
            client.send(&chunk).await.unwrap();
            // By the time that this is answered, Envoy has seen the piece.
            let (answer, _) = scene.ask("GET", "/nowhere", &[]).await;
            assert_eq!(answer.status, 403);
        }
        // Who was refused already is not read any more.
        let _ = client.send(b"0\r\n\r\n").await;
        let answer = client.answer(false).await.unwrap();
        let shown = format!("{more} {} {}", pieces[0].len(), pieces[1].len());
        let refused = matches!(answer.status, 411 | 413);
        assert!(refused, "{shown}: {} {}", answer.status, answer.text());
        assert!(scene.app.take().is_empty(), "{shown}");
    }
}

#[tokio::test]
async fn a_body_that_no_check_reads_is_neither_kept_nor_bounded() {
    let Some(scene) = scene().await else {
        return;
    };
    // An open connection is then a request that has begun.
    scene.app.answer(|_| ok().header("Connection", "close"));
    let body = vec![b'x'; 3 * 1024 * 1024];
    for target in ["/notes/upload", "/public/upload"] {
        let (answer, reached) = posted(&scene, scene.server.http(), target, JSON, &body).await;
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        assert_eq!(reached[0].body_length, body.len() as u64, "{target}");
        scene.app.open_connections(0).await;
        let mut client = Connection::open(scene.server.http(), raw::DEADLINE)
            .await
            .unwrap();
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: books.example\r\nConnection: close\r\n\
             Content-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        );
        client.send(head.as_bytes()).await.unwrap();
        scene.app.open_connections(1).await;
        client.send(b"2\r\nde\r\n0\r\n\r\n").await.unwrap();
        assert_eq!(client.answer(false).await.unwrap().status, 200, "{target}");
        assert_eq!(scene.app.take()[0].text(), "abcde", "{target}");
    }
}
