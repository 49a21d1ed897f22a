//! What people get wrong, and what they are told.

use crate::run::{run_with, shop};

const SHOP: &str = r#"
app: shop
claims: { role: string }
checks:
  is_admin: session.claims.role == "admin"
operations:
  delete_book: { require: is_admin, http: "DELETE /books/{book_id}" }
"#;

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// A mistake: what was typed, the exit code, and what stderr says among other things.
type Row<'a> = (&'a [&'a str], i32, &'a [&'a str]);

fn hold(rows: &[Row<'_>]) {
    let dir = shop(SHOP);
    for (args, code, says) in rows {
        let ran = run_with(dir.path(), args, "");
        assert_eq!(ran.code, *code, "{args:?}: {ran:?}");
        assert_eq!(ran.stdout, "", "{args:?}: words belong on stderr");
        for words in *says {
            assert!(
                ran.stderr.contains(words),
                "{args:?}: {words:?} is not in {}",
                ran.stderr
            );
        }
    }
}

#[test]
fn a_word_that_is_no_command_gets_the_nearest_one() {
    hold(&[
        (&[], 2, &["Examples:", "sidegate dev", "Commands:"]),
        (&["session"], 2, &["Examples:", "revoke"]),
        (&["key"], 2, &["Examples:", "revoke"]),
        (
            &["sesion"],
            2,
            &["unrecognized subcommand 'sesion'", "'session'"],
        ),
        (&["session", "lst"], 2, &["'list'"]),
        (&["key", "revok", ID], 2, &["'revoke'"]),
        (
            &["session", "list", "--state", "revokd"],
            2,
            &["'revoked'", "idle_expired"],
        ),
        (&["-o", "jsn", "status"], 2, &["'json'"]),
        (&["completion", "bsh"], 2, &["'bash'"]),
    ]);
}

#[test]
fn a_policy_file_that_cannot_be_read_is_named_before_the_help() {
    hold(&[
        (
            &["validate", "none.yaml"],
            3,
            &["--> none.yaml", "help: `sidegate init`"],
        ),
        (&["can", "GET /x", "--config", "."], 3, &["--> ."]),
    ]);
}

#[test]
fn a_token_in_an_argument_is_refused_with_a_word_about_ps() {
    let token = "sg1_AAAAtopsecret";
    let dir = shop(SHOP);
    for args in [
        &["can", "GET /x", "--config", "f.yaml", "--token", token][..],
        &["session", "get", token],
        &["session", "why", token],
        &["session", "revoke", token],
        &["session", "revoke", "--subject", "u1", "--except", token],
    ] {
        let ran = run_with(dir.path(), args, "");
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("`ps`"), "{args:?}: {ran:?}");
        assert!(!ran.stderr.contains("topsecret"), "{args:?}: {ran:?}");
    }
}

#[test]
fn a_target_that_is_none_says_how_to_write_it() {
    hold(&[
        (
            &["can", "/books", "--config", "f.yaml"],
            2,
            &["a method and a path", "sidegate can \"GET /books\""],
        ),
        (
            &["can", "GET /x", "--wire", "HTTP", "--config", "f.yaml"],
            2,
            &["lower-case name"],
        ),
    ]);
}

#[test]
fn who_calls_is_said_once_and_well() {
    hold(&[
        (
            &[
                "can",
                "GET /x",
                "--config",
                "f.yaml",
                "--as",
                "u1",
                "--session",
                "{}",
            ],
            2,
            &["cannot be used with"],
        ),
        (
            &[
                "can",
                "GET /x",
                "--config",
                "f.yaml",
                "--session",
                "{\"subjct\":\"u1\"}",
            ],
            2,
            &["unknown field `subjct`", "next: "],
        ),
        (
            &["can", "GET /x", "--config", "f.yaml", "--session", "u1"],
            2,
            &["`--session` is no session"],
        ),
        (
            &["can", "GET /x", "--config", "f.yaml", "--as", "IDP/u1"],
            2,
            &["is no namespace"],
        ),
        (
            &["can", "GET /x", "--config", "f.yaml", "--token", "-"],
            2,
            &["there is nothing to read"],
        ),
        (
            &[
                "can",
                "GET /x",
                "--config",
                "f.yaml",
                "--session",
                "-",
                "--data",
                "-",
            ],
            2,
            &["only one value can be read from stdin"],
        ),
    ]);
}

#[test]
fn data_that_is_no_object_is_named() {
    hold(&[
        (
            &["can", "GET /x", "--config", "f.yaml", "--data", "[]"],
            2,
            &["this is a list"],
        ),
        (
            &[
                "can",
                "GET /x",
                "--config",
                "f.yaml",
                "--data",
                "{book_id: 1}",
            ],
            2,
            &["takes a JSON object", "quote it"],
        ),
        (
            &[
                "can",
                "GET /x",
                "--config",
                "f.yaml",
                "--data",
                "@none.json",
            ],
            2,
            &["none.json"],
        ),
        (
            &["session", "create", "--subject", "u1", "--claims", "admin"],
            2,
            &["`--claims` takes a JSON object"],
        ),
    ]);
}

#[test]
fn a_file_that_is_not_there_says_how_to_make_one() {
    hold(&[
        (
            &["validate", "none.yaml"],
            3,
            &["none.yaml", "sidegate init"],
        ),
        (
            &["can", "GET /x", "--config", "none.yaml"],
            3,
            &["none.yaml"],
        ),
    ]);
}

#[test]
fn where_no_sidegate_answers_the_next_step_is_named() {
    hold(&[
        (
            &["status"],
            7,
            &[
                "no sidegate answers at unix:.sidegate/admin.sock",
                "sidegate dev",
            ],
        ),
        (
            &["health", "--addr", "unix:none.sock"],
            7,
            &["unix:none.sock"],
        ),
        (
            &["session", "list", "--data-dir", "none"],
            7,
            &["unix:none/admin.sock"],
        ),
        (
            &["can", "GET /x", "--addr", "http://127.0.0.1:1"],
            7,
            &["http://127.0.0.1:1"],
        ),
        (
            &["status", "--addr", "127.0.0.1:7480"],
            2,
            &["write `unix:PATH`, `http://127.0.0.1:PORT` or `https://HOST:PORT`"],
        ),
        (
            &[
                "status",
                "--addr",
                "http://127.0.0.1:1",
                "--token-file",
                "none.token",
            ],
            6,
            &["none.token", "SIDEGATE_TOKEN_FILE"],
        ),
    ]);
}

#[test]
fn what_ends_everyones_sessions_needs_their_number() {
    hold(&[
        (
            &["session", "revoke", "--all"],
            2,
            &["needs `--expect N`", "--dry-run"],
        ),
        (
            &["session", "revoke", "--all", "--expect", "-1"],
            2,
            &["-1"],
        ),
        (&["session", "revoke"], 2, &["required"]),
        (
            &["session", "revoke", ID, "--all", "--expect", "1"],
            2,
            &["cannot be used with"],
        ),
        (&["session", "revoke", ID, "--except", ID], 2, &["--except"]),
        (
            &["session", "revoke", "--subject", "u1", "--expect", "1"],
            2,
            &["--expect"],
        ),
    ]);
}

#[test]
fn an_id_or_a_span_that_is_none_is_named() {
    hold(&[
        (
            &["session", "why", "4711"],
            2,
            &["`4711` is no id", "sidegate session list"],
        ),
        (&["key", "revoke", "4711"], 2, &["sidegate key list"]),
        (
            &["session", "create", "--subject", "u1", "--ttl", "5"],
            2,
            &["`90s`, `15m`"],
        ),
    ]);
}
