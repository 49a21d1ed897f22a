//! `sidegate can` from a file.

use crate::run::{run, run_with, shop};

const SHOP: &str = r#"
app: shop
hosts: [ books.example ]
claims: { role: string }
checks:
  is_admin: session.claims.role == "admin"
  is_owner: data.book_id == session.subject
operations:
  list_books: { session: optional, http: GET /books }
  delete_book:
    require_any: { admin: is_admin, owner: is_owner }
    data: { book_id: string }
    http: "DELETE /books/{book_id}"
    grpc: books.v1.BookService/DeleteBook
    queue: deletions
"#;

fn shop_text() -> String {
    SHOP.replace("book_id: string", "book_id: { type: string }")
}

const ADMIN: &str = r#"{"subject":"u1","claims":{"role":"admin"},"scopes":[]}"#;
const USER: &str = r#"{"subject":"u1","claims":{"role":"user"},"scopes":[]}"#;

#[test]
fn the_exit_code_is_the_outcomes() {
    let dir = shop(&shop_text());
    for (args, outcome, code) in [
        (&["DELETE /books/b1", "--session", ADMIN][..], "allow", 0),
        (&["DELETE /books/b1", "--session", USER], "deny", 10),
        (&["DELETE /books/b1"], "unauthenticated", 11),
        (&["GET /books"], "allow", 0),
        (&["GET /books", "--host", "other.example"], "deny", 10),
        (&["GET /none"], "deny", 10),
        (&["DELETE /books/%2e%2e/x", "--as", "u1"], "invalid", 12),
        (
            &[
                "DELETE /books/b1",
                "--as",
                "u1",
                "--data",
                "{\"book_id\":\"b2\"}",
            ],
            "invalid",
            12,
        ),
        (
            &[
                "books.v1.BookService/DeleteBook",
                "--wire",
                "grpc",
                "--as",
                "b1",
                "--data",
                "{\"book_id\":\"b1\"}",
            ],
            "allow",
            0,
        ),
        (
            &[
                "/books.v1.BookService/DeleteBook",
                "--wire",
                "grpc",
                "--session",
                ADMIN,
            ],
            "allow",
            0,
        ),
        (
            &[
                "deletions",
                "--wire",
                "queue",
                "--as",
                "u2",
                "--data",
                "{\"book_id\":\"b1\"}",
            ],
            "deny",
            10,
        ),
    ] {
        let all = [&["can"], args, &["--config", "f.yaml", "-o", "json"]].concat();
        let ran = run(dir.path(), &all);
        assert_eq!(
            (ran.json()["outcome"].as_str(), ran.code),
            (Some(outcome), code),
            "{args:?} {ran:?}"
        );
    }
}

#[test]
fn the_answer_is_one_object_that_names_operation_reason_and_requirements() {
    let dir = shop(&shop_text());
    let args = [
        "can",
        "DELETE /books/b1",
        "--wire",
        "http",
        "--config",
        "f.yaml",
        "--session",
        USER,
        "--data",
        "{\"book_id\":\"b1\"}",
        "-o",
        "json",
    ];
    let ran = run(dir.path(), &args);
    let answer = ran.json();
    assert_eq!(answer["operation"], "delete_book");
    assert_eq!(answer["reason"]["code"], "requirement_failed");
    assert_eq!(answer["reason"]["requirement"], "operation delete_book");
    let requirement = &answer["requirements"][0];
    assert_eq!(requirement["value"], "false");
    let keys: Vec<_> = requirement["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["name"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["admin", "owner"]);
    assert_eq!(requirement["keys"][0]["checks"][0]["name"], "is_admin");
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_session_and_data_may_come_from_a_file_or_stdin() {
    let dir = shop(&shop_text());
    std::fs::write(dir.path().join("s.json"), ADMIN).unwrap();
    for (session, input) in [("@s.json", ""), ("-", ADMIN)] {
        let args = [
            "can",
            "DELETE /books/b1",
            "--config",
            "f.yaml",
            "--session",
            session,
        ];
        let ran = run_with(dir.path(), &args, input);
        assert_eq!(ran.code, 0, "{session}: {ran:?}");
    }
}

#[test]
fn a_token_that_nobody_issued_is_unauthenticated_and_not_repeated() {
    let dir = shop(&shop_text());
    let args = [
        "can",
        "DELETE /books/b1",
        "--config",
        "f.yaml",
        "--token",
        "-",
        "--explain",
    ];
    let ran = run_with(dir.path(), &args, "sg1_topsecret");
    assert_eq!(ran.code, 11, "{ran:?}");
    assert!(!format!("{ran:?}").contains("topsecret"), "{ran:?}");
}

#[test]
fn explain_shows_each_check_with_its_value_and_line() {
    let dir = shop(&shop_text());
    let args = [
        "can",
        "DELETE /books/u1",
        "--config",
        "f.yaml",
        "--session",
        USER,
        "--explain",
    ];
    let ran = run(dir.path(), &args);
    for line in [
        "yes operation delete_book  f.yaml:11",
        "    no  admin",
        "        no  is_admin",
        "        yes is_owner",
    ] {
        assert!(
            ran.stdout.contains(line),
            "{line:?} is not in {}",
            ran.stdout
        );
    }
}

#[test]
fn a_file_that_does_not_load_ends_with_3_and_its_faults_on_stderr() {
    let dir = shop(&shop_text().replace("admin: is_admin", "admin: is_admn"));
    let ran = run(
        dir.path(),
        &["can", "GET /books", "--config", "f.yaml", "-o", "json"],
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    for words in ["f.yaml:", "is_admn", "did you mean `is_admin`?"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
}

#[test]
fn a_secret_comes_from_stdin_or_a_file_once_and_never_from_an_argument() {
    let dir = shop(&shop_text());
    std::fs::write(dir.path().join("secret"), "topsecret").unwrap();
    for (args, code, words) in [
        (&["--cookie", "-"][..], 11, ""),
        (&["--api-key", "-"], 11, ""),
        (&["--cookie", "@secret"], 11, ""),
        (&["--cookie", "topsecret"], 2, "`--cookie -`"),
        (&["--api-key", "topsecret"], 2, "`--api-key @FILE`"),
        (
            &["--api-key", "@secret", "--cookie", "@secret"],
            2,
            "cannot be used with",
        ),
        (&["--cookie", "-", "--data", "-"], 2, "write `@FILE`"),
    ] {
        let call = ["can", "DELETE /books/b1", "--config", "f.yaml"];
        let ran = run_with(dir.path(), &[&call[..], args].concat(), "topsecret");
        assert_eq!(ran.code, code, "{args:?} {ran:?}");
        assert!(ran.stderr.contains(words), "{args:?} {ran:?}");
        assert!(
            !format!("{ran:?}").contains("topsecret"),
            "{args:?} {ran:?}"
        );
    }
}
