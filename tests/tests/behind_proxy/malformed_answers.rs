//! H-14: what an app answers that HTTP/2 does not have breaks nothing for the client: neither its
//! connection nor its next request.

use harness::recorder::{App, Reply};
use http::HeaderMap;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::{
    frames::{
        ACK, DATA, END_HEADERS, END_STREAM, End, Field, Frames, GO_AWAY, HEADERS, PREFACE, RESET,
        SETTINGS, block, frame, take_frame,
    },
    http2,
    scene::Scene,
};

/// Asks over HTTP/2 for what an app of HTTP/1.1 answers so.
async fn asked_of(scene: &Scene, answer: &'static str) -> (End, End) {
    let mut client = Frames::open(scene.proxy).await;
    scene.app.answer(move |_| Reply::bytes(answer));
    let end = get(&mut client).await;
    scene.app.answer(|_| Reply::status(200).body("ok"));
    (end, get(&mut client).await)
}

async fn get(client: &mut Frames) -> End {
    let stream = client.stream();
    let fields: [Field<'_>; 4] = [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"books.example"),
        (b":path", b"/public/x"),
    ];
    let asked = frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&fields));
    client.send(&[asked]).await;
    client.end(stream).await
}

#[tokio::test]
async fn h14_what_an_app_says_of_its_connection_stays_with_us() {
    let scene = Scene::start().await;
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: x-a, close\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nKeep-Alive: timeout=5\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nProxy-Connection: close\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTE: gzip\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    ] {
        let (end, next) = asked_of(&scene, answer).await;
        assert_eq!(end, End::Answered(200), "{answer:?}");
        assert_eq!(next, End::Answered(200), "after {answer:?}");
    }
}

#[tokio::test]
async fn h14_trailers_that_speak_of_a_connection_do_not_break_an_answer() {
    let scene = Scene::start().await;
    for answer in [
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nKeep-Alive: timeout=5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nProxy-Connection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nUpgrade: h2c\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nTE: gzip\r\n\r\n",
    ] {
        let (end, next) = asked_of(&scene, answer).await;
        assert_eq!(end, End::Answered(200), "{answer:?}");
        assert_eq!(next, End::Answered(200), "after {answer:?}");
    }
}

#[tokio::test]
async fn h14_an_answer_that_makes_no_sense_is_a_bad_gateway() {
    let scene = Scene::start().await;
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nX-A: a\0b\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nX A: b\r\n\r\nab",
        "HTTP/1.1 2000 OK\r\n\r\nab",
        "nonsense\r\n\r\n",
        "",
    ] {
        let (end, next) = asked_of(&scene, answer).await;
        assert_eq!(end, End::Answered(502), "{answer:?}");
        assert_eq!(next, End::Answered(200), "after {answer:?}");
    }
}

const STATUS: Field<'_> = (b":status", b"200");
const GRPC: Field<'_> = (b"content-type", b"application/grpc");
const OK: Field<'_> = (b"grpc-status", b"0");

/// The frames of an answer on a stream.
type Answer = fn(u32) -> Vec<Vec<u8>>;

fn head(stream: u32, fields: &[Field<'_>]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(fields))
}

fn last(stream: u32, fields: &[Field<'_>]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(fields))
}

fn message(stream: u32) -> Vec<u8> {
    frame(DATA, 0, stream, b"\0\0\0\0\0")
}

fn good(stream: u32) -> Vec<Vec<u8>> {
    vec![
        head(stream, &[STATUS, GRPC]),
        message(stream),
        last(stream, &[OK]),
    ]
}

/// Serves gRPC as frames: the first call of all gets this answer, the others a good one.
async fn serve(listener: TcpListener, answer: Answer) {
    let mut next = Some(answer);
    while let Ok((mut client, _)) = listener.accept().await {
        let mut preface = [0; PREFACE.len()];
        if client.read_exact(&mut preface).await.is_ok() {
            serve_connection(&mut client, &mut next).await;
        }
    }
}

async fn serve_connection(client: &mut TcpStream, next: &mut Option<Answer>) {
    let _ = client.write_all(&frame(SETTINGS, 0, 0, b"")).await;
    while let Some(came) = take_frame(client).await {
        let answer = match came.kind {
            SETTINGS if came.flags & ACK == 0 => vec![frame(SETTINGS, ACK, 0, b"")],
            // Calls come whole in a header and a message; the message ends them.
            DATA | HEADERS if came.flags & END_STREAM != 0 => {
                next.take().unwrap_or(good)(came.stream)
            }
            _ => vec![],
        };
        if client.write_all(&answer.concat()).await.is_err() {
            return;
        }
    }
}

/// How a call ended: the status of gRPC, or `None` where its stream was reset.
async fn call(client: &h2::client::SendRequest<bytes::Bytes>) -> Option<String> {
    let asked = http2::request("POST", "/shop.Books/Buy")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let asked = asked.body(()).unwrap();
    let mut client = client.clone().ready().await.expect("the connection lives");
    let (answer, mut sent) = client.send_request(asked, false).unwrap();
    sent.send_data(bytes::Bytes::from_static(b"\0\0\0\0\0"), true)
        .unwrap();
    let ended = async {
        let (head, mut body) = answer.await?.into_parts();
        while let Some(piece) = body.data().await {
            piece?;
        }
        let trailers = body.trailers().await?.unwrap_or_default();
        let status = |fields: &HeaderMap| fields.get("grpc-status").cloned();
        let status = status(&trailers).or_else(|| status(&head.headers));
        Ok(status.map(|status| status.to_str().unwrap().to_owned()))
    };
    match ended.await {
        Ok(status) => Some(status.expect("a call has a status")),
        Err(error) => {
            let error: h2::Error = error;
            assert!(error.is_reset() && error.is_remote(), "{error:?}");
            None
        }
    }
}

#[tokio::test]
async fn h14_a_grpc_app_that_answers_malformed_breaks_its_own_call_alone() {
    let rows: [(&str, Answer); 16] = [
        ("a header of one connection", |stream| {
            vec![
                head(stream, &[STATUS, GRPC, (b"connection", b"close")]),
                last(stream, &[OK]),
            ]
        }),
        ("an encoding of one connection", |stream| {
            vec![
                head(stream, &[STATUS, (b"transfer-encoding", b"chunked")]),
                last(stream, &[OK]),
            ]
        }),
        ("a name in capitals", |stream| {
            vec![
                head(stream, &[STATUS, GRPC, (b"X-Upper", b"1")]),
                last(stream, &[OK]),
            ]
        }),
        ("an end of line in a value", |stream| {
            vec![
                head(stream, &[STATUS, GRPC, (b"x-a", b"1\r\nx-b: 2")]),
                last(stream, &[OK]),
            ]
        }),
        ("no status", |stream| {
            vec![head(stream, &[GRPC]), last(stream, &[OK])]
        }),
        ("two", |stream| {
            vec![head(stream, &[STATUS, STATUS, GRPC]), last(stream, &[OK])]
        }),
        ("one that is none", |stream| {
            vec![last(stream, &[(b":status", b"2OO"), GRPC, OK])]
        }),
        ("one after a field", |stream| {
            vec![last(stream, &[GRPC, STATUS, OK])]
        }),
        ("a change of protocol", |stream| {
            vec![last(stream, &[(b":status", b"101"), GRPC])]
        }),
        ("a message before the header", |stream| {
            vec![message(stream), last(stream, &[STATUS])]
        }),
        ("trailers of one connection", |stream| {
            let trailers = last(stream, &[OK, (b"connection", b"close")]);
            vec![head(stream, &[STATUS, GRPC]), message(stream), trailers]
        }),
        ("a status in trailers after a field", |stream| {
            let trailers = last(stream, &[OK, STATUS]);
            vec![head(stream, &[STATUS, GRPC]), message(stream), trailers]
        }),
        ("trailers without an end", |stream| {
            vec![
                head(stream, &[STATUS, GRPC]),
                message(stream),
                head(stream, &[OK]),
            ]
        }),
        ("more than its length", |stream| {
            let head = head(stream, &[STATUS, GRPC, (b"content-length", b"2")]);
            vec![head, message(stream), last(stream, &[OK])]
        }),
        ("a reset", |stream| {
            vec![
                head(stream, &[STATUS, GRPC]),
                frame(RESET, 0, stream, &[0, 0, 0, 2]),
            ]
        }),
        ("a farewell", |stream| {
            vec![
                head(stream, &[STATUS, GRPC]),
                frame(GO_AWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 2]),
            ]
        }),
    ];
    for (name, answer) in rows {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap();
        let app = tokio::spawn(serve(listener, answer));
        let scene = Scene::before(App::ok().await, upstream, "timeout: 20s").await;
        let client = http2::connect(&scene).await;
        let ended = call(&client).await;
        assert!(
            matches!(ended.as_deref(), None | Some("14")),
            "{name}: {ended:?}"
        );
        assert_eq!(call(&client).await.as_deref(), Some("0"), "after {name}");
        app.abort();
    }
}
