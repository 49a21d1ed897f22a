//! H-14: requests of HTTP/2 that RFC 9113 section 8 calls malformed, as frames. None reaches the app
//! as something that it would read, each is refused, and whoever comes next is served.

use harness::recorder::Request;

use crate::{
    frames::{
        self, CONTINUATION, DATA, END_HEADERS, END_STREAM, End, Field, Frames, HEADERS, block,
        frame,
    },
    scene::{Scene, TOKENS},
};

/// A target that anyone may ask for, and one that only an administrator may.
const OPEN: &str = "/public/x";
const CLOSED: &str = "/admin/users";

/// What may become of a request for an open target. For a closed one there is a single answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum OnOpen {
    /// A refusal, and nothing for the app.
    Refused,
    /// The same, or the request without what is odd about it.
    Harmless,
    /// A refusal; the app may have begun with the request, and sees that it breaks off.
    BreaksOff,
}

/// The frames of a request, for a stream and a path.
type Asked<'a> = dyn Fn(u32, &str) -> Vec<Vec<u8>> + 'a;

/// A request of a name.
struct Row<'a> {
    name: String,
    frames: Box<Asked<'a>>,
    on_open: OnOpen,
}

/// What a request begins with.
fn pseudo<'a>(method: &'a str, path: &'a str) -> Vec<Field<'a>> {
    vec![
        (b":method", method.as_bytes()),
        (b":scheme", b"http"),
        (b":authority", b"books.example"),
        (b":path", path.as_bytes()),
    ]
}

/// A header that ends its request or leaves it open.
fn headers(stream: u32, ends: bool, fields: &[Field<'_>]) -> Vec<u8> {
    let end = if ends { END_STREAM } else { 0 };
    frame(HEADERS, END_HEADERS | end, stream, &block(fields))
}

fn data(stream: u32, ends: bool, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, if ends { END_STREAM } else { 0 }, stream, bytes)
}

/// A `GET` with these further fields.
fn with<'a>(fields: &'a [(&'a str, &'a str)], on_open: OnOpen) -> Row<'a> {
    Row {
        name: format!("{fields:?}"),
        frames: Box::new(move |stream, path| {
            let more = fields
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            let all: Vec<_> = pseudo("GET", path).into_iter().chain(more).collect();
            vec![headers(stream, true, &all)]
        }),
        on_open,
    }
}

/// A request of exactly these fields, where `PATH` is the path.
fn exactly<'a>(fields: &'a [(&'a str, &'a str)], on_open: OnOpen) -> Row<'a> {
    Row {
        name: format!("{fields:?}"),
        frames: Box::new(move |stream, path| {
            let fields = fields.iter().map(|(name, value)| {
                let value = if *value == "PATH" { path } else { value };
                (name.as_bytes(), value.as_bytes())
            });
            vec![headers(stream, true, &fields.collect::<Vec<_>>())]
        }),
        on_open,
    }
}

/// A `POST` with this header and these pieces of body, the last of which ends it.
fn post<'a>(lengths: &'a [&'a str], pieces: &'a [&'a str], on_open: OnOpen) -> Row<'a> {
    Row {
        name: format!("content-length {lengths:?} of {pieces:?}"),
        frames: Box::new(move |stream, path| {
            let length = |length: &&'a str| (&b"content-length"[..], length.as_bytes());
            let all: Vec<_> = pseudo("POST", path)
                .into_iter()
                .chain(lengths.iter().map(length))
                .collect();
            let body = pieces.iter().enumerate().map(|(index, piece)| {
                let is_last = index + 1 == pieces.len();
                data(stream, is_last, piece.as_bytes())
            });
            let head = headers(stream, pieces.is_empty(), &all);
            std::iter::once(head).chain(body).collect()
        }),
        on_open,
    }
}

/// Sends every row to both targets; tells what went wrong.
async fn wrong(scene: &Scene, rows: &[Row<'_>]) -> Vec<String> {
    let mut told = Vec::new();
    let mut client = Frames::open(scene.proxy).await;
    for row in rows {
        for path in [OPEN, CLOSED] {
            let stream = client.stream();
            client.send(&(row.frames)(stream, path)).await;
            let end = client.end(stream).await;
            let next = if let End::GoneAway(_) | End::Closed = end {
                client = Frames::open(scene.proxy).await;
                served(&mut client).await
            } else {
                served(&mut client).await
            };
            let reached = after(scene).await;
            let is_so = match (path == OPEN, row.on_open) {
                (true, OnOpen::Harmless) => is_harmless(end, &reached),
                (true, OnOpen::BreaksOff) => {
                    end.is_refusal() && reached.iter().all(|request| !request.complete)
                }
                (true, OnOpen::Refused) | (false, _) => end.is_refusal() && reached.is_empty(),
            };
            if !is_so || next != End::Answered(200) {
                told.push(format!(
                    "{} to {path}: {end:?}, the next one {next:?}, the app saw {reached:?}",
                    row.name
                ));
            }
        }
    }
    told
}

/// How a plain request ends on this connection.
async fn served(client: &mut Frames) -> End {
    let stream = client.stream();
    let asked = headers(stream, true, &pseudo("GET", "/public/next"));
    client.send(&[asked]).await;
    client.end(stream).await
}

/// What reached the app before the plain request, which it has read whole.
async fn after(scene: &Scene) -> Vec<Request> {
    let reached = scene.app.take();
    let is_next = |request: &Request| request.target == "/public/next";
    let (next, others): (Vec<_>, Vec<_>) = reached.into_iter().partition(is_next);
    assert!(
        next.iter()
            .all(|next| next.complete && next.body.is_empty())
    );
    others
}

/// Nothing of what is odd has reached the app: what such a row would smuggle in says `evil`.
fn is_harmless(end: End, reached: &[Request]) -> bool {
    match (end, reached) {
        (end, []) => end.is_refusal(),
        (End::Answered(200), [one]) => {
            let head = one.head.iter().flatten().copied().collect::<Vec<_>>();
            let says_evil = String::from_utf8_lossy(&head).contains("evil");
            one.complete && one.target == OPEN && !says_evil && !one.mentions("evil")
        }
        _ => false,
    }
}

async fn none_is_wrong(rows: &[Row<'_>]) {
    let told = wrong(&Scene::start().await, rows).await;
    assert!(told.is_empty(), "{}", told.join("\n"));
}

#[tokio::test]
async fn h14_fields_of_one_connection_are_refused() {
    let fields = [
        ("connection", "close"),
        ("connection", "x-forwarded-for"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", ""),
        ("upgrade", "h2c"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("te", "trailers, gzip"),
        ("te", ""),
    ];
    let rows = fields.each_ref().map(std::slice::from_ref);
    none_is_wrong(&rows.map(|fields| with(fields, OnOpen::Refused))).await;
}

#[tokio::test]
async fn h14_names_that_http2_does_not_have_are_refused() {
    let names = [
        "X-Upper",
        "Cookie",
        "sidegatE-subject",
        "",
        " ",
        "x y",
        " x",
        "x ",
        "x:",
        "x:y",
        "x\r",
        "x\n",
        "x: 1\r\ny",
        "x\0",
        "x\x7f",
        "x\u{e9}",
        "x(",
        ":",
        ":evil",
        ":status",
        ":Path",
    ];
    let fields = names.map(|name| (name, "200"));
    let rows = fields.each_ref().map(std::slice::from_ref);
    none_is_wrong(&rows.map(|fields| with(fields, OnOpen::Refused))).await;
}

#[tokio::test]
async fn h14_values_that_http2_does_not_have_are_refused() {
    let values = [
        "a\r\nsidegate-subject: evil",
        "a\r",
        "a\n",
        "\nb",
        "a\0b",
        "a\x01b",
        "a\x7fb",
        " a",
        "a ",
        "\ta",
        "a\t",
        " ",
    ];
    for name in [
        "x-odd",
        "cookie",
        "authorization",
        "x-api-key",
        "origin",
        "sidegate-call",
    ] {
        let fields = values.map(|value| (name, value));
        let rows = fields.each_ref().map(std::slice::from_ref);
        none_is_wrong(&rows.map(|fields| with(fields, OnOpen::Refused))).await;
    }
}

#[tokio::test]
async fn h14_a_request_says_once_and_at_its_beginning_what_it_is() {
    const METHOD: (&str, &str) = (":method", "GET");
    const SCHEME: (&str, &str) = (":scheme", "http");
    const HOST: (&str, &str) = (":authority", "books.example");
    const PATH: (&str, &str) = (":path", "PATH");
    let rows: [&[(&str, &str)]; 21] = [
        &[],
        &[SCHEME, HOST, PATH],
        &[METHOD, HOST, PATH],
        &[METHOD, SCHEME, HOST],
        &[METHOD, SCHEME, PATH],
        &[METHOD, METHOD, SCHEME, HOST, PATH],
        &[METHOD, (":method", "POST"), SCHEME, HOST, PATH],
        &[METHOD, SCHEME, SCHEME, HOST, PATH],
        &[METHOD, SCHEME, HOST, HOST, PATH],
        &[METHOD, SCHEME, HOST, (":authority", "evil.example"), PATH],
        &[METHOD, SCHEME, HOST, PATH, PATH],
        &[METHOD, SCHEME, HOST, PATH, (":path", "/open")],
        &[METHOD, SCHEME, HOST, (":path", "/open"), PATH],
        &[METHOD, SCHEME, HOST, ("x-a", "1"), PATH],
        &[METHOD, SCHEME, HOST, PATH, ("x-a", "1"), (":path", "/open")],
        &[METHOD, SCHEME, PATH, ("x-a", "1"), HOST],
        &[SCHEME, HOST, PATH, ("x-a", "1"), METHOD],
        &[METHOD, SCHEME, HOST, PATH, (":status", "200")],
        &[METHOD, SCHEME, HOST, PATH, (":evil", "1")],
        &[(":status", "200"), HOST, PATH],
        &[METHOD, SCHEME, HOST, PATH, (":protocol", "websocket")],
    ];
    none_is_wrong(&rows.map(|fields| exactly(fields, OnOpen::Refused))).await;
}

#[tokio::test]
async fn h14_what_makes_no_request_line_is_refused() {
    let mut odd = Vec::new();
    for path in [
        "",
        "public/x",
        "*",
        "http://books.example/public/x",
        "//public/x",
        "/public/../admin",
        "/public/x HTTP/1.1\r\nsidegate-subject: evil",
        "/public/x\r",
        "/public/x\0",
        "/public/ x",
        "/public/x ",
        " /public/x",
        "/public/\u{e9}",
        "?/public/x",
        "#/public/x",
    ] {
        odd.push([
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "books.example"),
            (":path", path),
        ]);
    }
    for method in [
        "",
        "GET ",
        " GET",
        "G T",
        "GET\r\n",
        "GET /open HTTP/1.1\r\nx:",
        "G\0T",
        "G:T",
    ] {
        odd.push([
            (":method", method),
            (":scheme", "http"),
            (":authority", "books.example"),
            (":path", "PATH"),
        ]);
    }
    for scheme in [
        " http", "http ", "ht tp", "http:", "http://", "http\r\n", "http\0",
    ] {
        odd.push([
            (":method", "GET"),
            (":scheme", scheme),
            (":authority", "books.example"),
            (":path", "PATH"),
        ]);
    }
    for authority in [
        "",
        " ",
        "books.example ",
        " books.example",
        "books.example\r\nx: y",
        "books.example\0",
        "evil@books.example",
        "books.example/open",
        "books.example?x",
        "books.example#x",
        "books.example,evil.example",
        "books.example:",
        "books.example:x",
        "books.example:99999",
        "http://books.example",
        "[books.example]",
        "books..example",
    ] {
        odd.push([
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", authority),
            (":path", "PATH"),
        ]);
    }
    let rows: Vec<_> = odd
        .iter()
        .map(|fields| exactly(fields, OnOpen::Refused))
        .collect();
    none_is_wrong(&rows).await;
}

#[tokio::test]
async fn h14_another_scheme_or_spelling_of_it_changes_nothing() {
    let schemes = ["https", "HTTP", "ftp", "evil", "ws", "", "1http"];
    let fields = schemes.map(|scheme| {
        let [a, b, c] = [
            (":method", "GET"),
            (":authority", "books.example"),
            (":path", "PATH"),
        ];
        [a, (":scheme", scheme), b, c]
    });
    let rows = fields
        .each_ref()
        .map(|fields| exactly(fields, OnOpen::Harmless));
    none_is_wrong(&rows).await;
}

#[tokio::test]
async fn h14_two_hosts_that_differ_are_refused() {
    let rows: [&[(&str, &str)]; 8] = [
        &[("host", "evil.example")],
        &[("host", "books.example:81")],
        &[("host", "books.example.")],
        &[("host", "")],
        &[("host", "books.example"), ("host", "evil.example")],
        &[("host", "books.example"), ("host", "books.example")],
        &[("host", "books.example, evil.example")],
        &[("host", "evil@books.example")],
    ];
    none_is_wrong(&rows.map(|fields| with(fields, OnOpen::Refused))).await;
}

#[tokio::test]
async fn h14_no_connect_makes_a_tunnel() {
    const METHOD: (&str, &str) = (":method", "CONNECT");
    const HOST: (&str, &str) = (":authority", "books.example");
    const PROTOCOL: (&str, &str) = (":protocol", "websocket");
    let rows: [&[(&str, &str)]; 9] = [
        &[METHOD, HOST],
        &[METHOD, (":authority", "books.example:443")],
        &[METHOD, (":authority", "127.0.0.1:80")],
        &[METHOD],
        &[METHOD, (":scheme", "http"), HOST, (":path", "PATH")],
        &[METHOD, HOST, (":path", "PATH")],
        &[METHOD, HOST, ("content-length", "5")],
        &[
            METHOD,
            PROTOCOL,
            (":scheme", "http"),
            HOST,
            (":path", "PATH"),
        ],
        &[METHOD, PROTOCOL, HOST],
    ];
    none_is_wrong(&rows.map(|fields| exactly(fields, OnOpen::Refused))).await;
}

#[tokio::test]
async fn h14_a_length_is_one_number_and_that_of_the_body() {
    use OnOpen::{BreaksOff, Refused};
    let rows = [
        // Who sends no body says no other length than 0.
        post(&["5"], &[], Refused),
        post(&["0", "5"], &[], Refused),
        post(&["5", "0"], &[], Refused),
        post(&["0", "0"], &[], Refused),
        post(&[""], &[], Refused),
        post(&["", "5"], &[], Refused),
        // A length that is none.
        post(&["+2"], &["ab"], Refused),
        post(&["-2"], &["ab"], Refused),
        post(&["0x2"], &["ab"], Refused),
        post(&["2 "], &["ab"], Refused),
        post(&["two"], &["ab"], Refused),
        post(&["2, 2"], &["ab"], Refused),
        post(&["2.0"], &["ab"], Refused),
        post(&[""], &["ab"], Refused),
        post(&["99999999999999999999999"], &["ab"], Refused),
        post(&["18446744073709551618"], &["ab"], Refused),
        // Several.
        post(&["2", "2"], &["ab"], Refused),
        post(&["2", "3"], &["ab"], Refused),
        post(&["3", "2"], &["ab"], Refused),
        // One that is not that of what comes.
        post(&["3"], &["ab"], BreaksOff),
        post(&["1"], &["ab"], BreaksOff),
        post(&["3"], &["a", "b"], BreaksOff),
        post(&["1"], &["a", "b"], BreaksOff),
        post(&["0"], &["a"], BreaksOff),
        post(&["2"], &[""], BreaksOff),
    ];
    none_is_wrong(&rows).await;
}

#[tokio::test]
async fn h14_nothing_comes_after_the_end() {
    let row = |name: &str, frames: fn(u32, &str) -> Vec<Vec<u8>>, on_open| Row {
        name: name.to_owned(),
        frames: Box::new(frames),
        on_open,
    };
    let rows = [
        row(
            "trailers without an end",
            |stream, path| {
                let trailers = headers(stream, false, &[(b"x-a", b"evil")]);
                vec![
                    headers(stream, false, &pseudo("POST", path)),
                    data(stream, false, b"ab"),
                    trailers,
                ]
            },
            OnOpen::BreaksOff,
        ),
        row(
            "trailers that are a second header",
            |stream, path| {
                let again = headers(stream, true, &pseudo("GET", "/evil"));
                vec![
                    headers(stream, false, &pseudo("POST", path)),
                    data(stream, false, b"ab"),
                    again,
                ]
            },
            OnOpen::Harmless,
        ),
        row(
            "trailers with a path after a field",
            |stream, path| {
                let trailers = headers(stream, true, &[(b"x-a", b"1"), (b":path", b"/evil")]);
                vec![
                    headers(stream, false, &pseudo("POST", path)),
                    data(stream, false, b"ab"),
                    trailers,
                ]
            },
            OnOpen::BreaksOff,
        ),
        row(
            "trailers of one connection",
            |stream, path| {
                let trailers = headers(stream, true, &[(b"transfer-encoding", b"evil")]);
                vec![
                    headers(stream, false, &pseudo("POST", path)),
                    data(stream, false, b"ab"),
                    trailers,
                ]
            },
            OnOpen::BreaksOff,
        ),
        row(
            "trailers before a body of a stated length",
            |stream, path| {
                let mut head = pseudo("POST", path);
                head.push((b"content-length", b"2"));
                let trailers = headers(stream, true, &[(b"x-a", b"evil")]);
                vec![headers(stream, false, &head), trailers]
            },
            OnOpen::BreaksOff,
        ),
        row(
            "a field in a frame of its own that is no continuation",
            |stream, path| {
                let start = frame(HEADERS, END_STREAM, stream, &block(&pseudo("GET", path)));
                vec![start, data(stream, true, b"evil")]
            },
            OnOpen::Refused,
        ),
        row(
            "a continuation of another stream",
            |stream, path| {
                let start = frame(HEADERS, END_STREAM, stream, &block(&pseudo("GET", path)));
                let more = frame(
                    CONTINUATION,
                    END_HEADERS,
                    stream + 2,
                    &block(&[(b"x", b"evil")]),
                );
                vec![start, more]
            },
            OnOpen::Refused,
        ),
        row(
            "a continuation of nothing",
            |stream, _| {
                vec![frame(
                    CONTINUATION,
                    END_HEADERS,
                    stream,
                    &block(&[(b"x", b"evil")]),
                )]
            },
            OnOpen::Refused,
        ),
        row(
            "a header on the stream of the connection",
            |_, path| vec![headers(0, true, &pseudo("GET", path))],
            OnOpen::Refused,
        ),
        row(
            "a header on a stream of ours",
            |stream, path| vec![headers(stream + 1, true, &pseudo("GET", path))],
            OnOpen::Refused,
        ),
        row(
            "a header that ends in the middle of a field",
            |stream, path| {
                let mut fields = block(&pseudo("GET", path));
                fields.pop();
                vec![frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields)]
            },
            OnOpen::Refused,
        ),
        row(
            "a body before any header",
            |stream, _| vec![data(stream, true, b"evil")],
            OnOpen::Refused,
        ),
    ];
    none_is_wrong(&rows).await;
}

#[tokio::test]
async fn h14_data_after_the_end_of_a_request_is_no_part_of_it() {
    let scene = Scene::start().await;
    for path in [OPEN, CLOSED] {
        let mut client = Frames::open(scene.proxy).await;
        let stream = client.stream();
        let asked = headers(stream, true, &pseudo("POST", path));
        let more = data(stream, true, b"GET /evil HTTP/1.1\r\n\r\n");
        client.send(&[asked, more]).await;
        let end = client.end(stream).await;
        let mut next = Frames::open(scene.proxy).await;
        assert_eq!(
            served(&mut next).await,
            End::Answered(200),
            "{path}, {end:?}"
        );
        let reached = after(&scene).await;
        let is_plain = |request: &Request| path == OPEN && request.body.is_empty();
        assert!(reached.iter().all(is_plain), "{path}, {end:?}: {reached:?}");
    }
}

#[tokio::test]
async fn h14_crumbs_of_cookies_make_one_line_and_hide_nothing() {
    let scene = Scene::start().await;
    let own = scene.sign_in().await;
    let token = own.split_once('=').unwrap().1.to_owned();
    drop(scene.app.take());
    // What is sent beside the session's cookie, and what the app sees; none where it sees nothing.
    for (crumbs, seen) in [
        (&["a=1"][..], Some("a=1")),
        (&["a=1;"], Some("a=1")),
        (&["a=1;b=2"], Some("a=1; b=2")),
        (&["a=\"x; b=2", "c=3\""], Some("a=\"x; b=2; c=3\"")),
        (&["a=\u{e9}"], Some("a=\u{e9}")),
        (&["a=1, b=2"], Some("a=1, b=2")),
        (&["a=1\tb"], Some("a=1\tb")),
        (&["", "a=1"], Some("a=1")),
        (&[";;"], None),
        (&["="], Some("=")),
    ] {
        for own_at in 0..=crumbs.len() {
            let mut lines = crumbs.to_vec();
            lines.insert(own_at, &own);
            let cookies = lines.iter().map(|line| (&b"cookie"[..], line.as_bytes()));
            let all: Vec<_> = pseudo("GET", "/me").into_iter().chain(cookies).collect();
            let mut client = Frames::open(scene.proxy).await;
            let stream = client.stream();
            client.send(&[headers(stream, true, &all)]).await;
            assert_eq!(
                client.end(stream).await,
                End::Answered(200),
                "{crumbs:?} {own_at}"
            );
            let reached = scene.app.take();
            assert_eq!(reached[0].headers.all("sidegate-subject"), ["u1"]);
            let line = reached[0]
                .head
                .iter()
                .find(|line| line.starts_with(b"cookie:"));
            let line = line.map(|line| String::from_utf8_lossy(&line[b"cookie: ".len()..]));
            assert_eq!(line.as_deref(), seen, "{crumbs:?} {own_at}");
            assert!(!reached[0].mentions(&token), "{crumbs:?} {own_at}");
        }
    }
}

#[tokio::test]
async fn h14_a_body_of_no_stated_length_reaches_the_app_whatever_the_method() {
    let scene = Scene::start().await;
    for method in ["GET", "POST"] {
        let mut client = Frames::open(scene.proxy).await;
        let stream = client.stream();
        let asked = headers(stream, false, &pseudo(method, OPEN));
        client.send(&[asked, data(stream, true, b"ab")]).await;
        assert_eq!(client.end(stream).await, End::Answered(200), "{method}");
        let reached = scene.app.take();
        assert_eq!(reached[0].text(), "ab", "{method}");
        assert!(reached[0].complete, "{method}");
        assert_eq!(served(&mut client).await, End::Answered(200), "{method}");
        let plain = scene.app.take();
        assert_eq!(plain[0].header("transfer-encoding"), None, "no body");
    }
}

#[tokio::test]
async fn h14_a_long_field_in_pieces_is_one() {
    let scene = Scene::start().await;
    let mut client = Frames::open(scene.proxy).await;
    let stream = client.stream();
    let long = "b".repeat(4000);
    let mut fields = pseudo("GET", OPEN);
    fields.push((b"x-long", long.as_bytes()));
    let bytes = frames::block(&fields);
    let mut sent = vec![frame(HEADERS, END_STREAM, stream, &bytes[..9])];
    let pieces: Vec<_> = bytes[9..].chunks(1000).collect();
    for (index, piece) in pieces.iter().enumerate() {
        let end = if index + 1 == pieces.len() {
            END_HEADERS
        } else {
            0
        };
        sent.push(frame(CONTINUATION, end, stream, piece));
    }
    client.send(&sent).await;
    assert_eq!(client.end(stream).await, End::Answered(200));
    let reached = scene.app.take();
    assert_eq!(reached[0].headers.all("x-long"), [long]);
}

#[tokio::test]
async fn h11_our_own_api_has_no_method_without_its_slash() {
    const METHOD: &str = "sidegate.v1.AuthorizationService/Authorize";
    let scene = Scene::start().await;
    let token = format!("Bearer {}", TOKENS[0].1);
    for (path, is_reached) in [
        (format!("/{METHOD}"), true),
        (METHOD.to_owned(), false),
        (format!("{METHOD}/"), false),
        (format!("./{METHOD}"), false),
        (format!("http://localhost/{METHOD}"), false),
        (String::new(), false),
    ] {
        let mut client = Frames::open(scene.grpc).await;
        let stream = client.stream();
        let mut asked = pseudo("POST", &path);
        asked.push((b"content-type", b"application/grpc"));
        asked.push((b"te", b"trailers"));
        asked.push((b"authorization", token.as_bytes()));
        // A message of nothing.
        let message = frame(DATA, END_STREAM, stream, &[0; 5]);
        client
            .send(&[headers(stream, false, &asked), message])
            .await;
        let end = client.end(stream).await;
        assert_eq!(end == End::Answered(200), is_reached, "{path}: {end:?}");
        assert!(is_reached || end.is_refusal(), "{path}: {end:?}");
    }
}
