//! `sidegate proxy attack`: what it refuses before it sends anything. What it finds is shown behind
//! real proxies.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
};

use crate::run::run;

const PROOF: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn what_is_no_proxy_or_no_proof_is_refused_with_the_next_step() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("proof"), PROOF).unwrap();
    std::fs::write(dir.path().join("short"), "guess").unwrap();
    for (url, proof, code, says) in [
        ("ftp://localhost", "proof", 2, "http://HOST:PORT"),
        ("https://a_b..c:1", "proof", 7, "is not known"),
        ("http://localhost/path", "proof", 2, "and no more"),
        ("http://", "proof", 2, "must hold a host"),
        ("http://localhost:1", "absent", 2, "openssl rand"),
        ("http://localhost:1", "short", 2, "has 5 bytes"),
        ("http://no.such.host.invalid", "proof", 7, "is not known"),
    ] {
        let ran = run(dir.path(), &["proxy", "attack", url, "--proof", proof]);
        assert_eq!((ran.code, &*ran.stdout), (code, ""), "{url} {ran:?}");
        assert!(ran.stderr.contains(says), "{url}: {}", ran.stderr);
    }
}

/// Whoever has not put the proof behind the proxy may not attack it.
#[test]
fn nothing_hostile_is_sent_to_who_does_not_serve_the_proof() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("proof"), PROOF).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let stranger = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let read = stream.read(&mut request).unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
        stream.write_all(answer).unwrap();
        drop(stream);
        listener.set_nonblocking(true).unwrap();
        (
            String::from_utf8_lossy(&request[..read]).into_owned(),
            listener,
        )
    });
    let ran = run(dir.path(), &["proxy", "attack", &url, "--proof", "proof"]);
    assert_eq!(ran.code, 7, "{ran:?}");
    assert!(ran.stderr.contains("nothing hostile was sent"), "{ran:?}");
    assert!(!ran.stderr.contains(PROOF), "{ran:?}");
    let (request, listener) = stranger.join().unwrap();
    assert!(
        request.starts_with("GET /public/ok HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        !request.to_ascii_lowercase().contains("sidegate"),
        "{request}"
    );
    assert!(listener.accept().is_err(), "there was one request only");
}

/// With `session: none` nobody would look at the credentials that are sent, and without `POST` at
/// the bodies.
#[test]
fn the_operation_to_add_for_an_attack_is_one() {
    let dir = tempfile::tempdir().unwrap();
    let help = run(dir.path(), &["proxy", "attack", "--help"]).stdout;
    let mut lines = help.lines().map(str::trim);
    let operation = lines.find(|line| line.starts_with("attack_open:")).unwrap();
    let readme = include_str!("../../../README.md");
    assert!(readme.contains(&format!("`{operation}`")), "{operation}");
    let policy = format!("app: shop\noperations:\n  {operation}\n");
    std::fs::write(dir.path().join("sidegate.yaml"), policy).unwrap();
    for call in ["GET /public/ok", "POST /public/ok"] {
        let ran = run(dir.path(), &["can", call, "--config", "sidegate.yaml"]);
        assert_eq!(ran.code, 0, "{call}: {ran:?}");
    }
}
