//! Commands about files: `init`, `validate`, `schema`, `completion`.

use std::fs;

use crate::run::{binary, finish, run, shop};

#[test]
fn init_writes_a_file_that_is_short_and_loads() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(dir.path(), &["init", "new/shop", "-o", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["files"][0], "new/shop/sidegate.yaml");
    let text = fs::read_to_string(dir.path().join("new/shop/sidegate.yaml")).unwrap();
    assert!(text.lines().count() <= 12, "{text}");
    let ran = run(
        dir.path(),
        &["validate", "new/shop/sidegate.yaml", "-o", "json"],
    );
    assert_eq!(
        (ran.code, &ran.json()["valid"]),
        (0, &true.into()),
        "{ran:?}"
    );
}

#[test]
fn init_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sidegate.yaml");
    fs::write(&path, "mine").unwrap();
    let ran = run(dir.path(), &["init"]);
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(ran.stderr.contains("is there already; nothing was written"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "not even the other file"
    );
}

#[test]
fn init_does_not_write_through_a_dangling_link() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("elsewhere", dir.path().join("sidegate.yaml")).unwrap();
    assert_eq!(run(dir.path(), &["init"]).code, 8);
    assert!(!dir.path().join("elsewhere").exists());
}

#[test]
fn the_cases_of_init_pass_and_one_that_is_wrong_fails_with_4() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["init"]);
    let args = ["validate", "sidegate.yaml", "--cases", "sidegate.test.yaml"];
    let ran = run(dir.path(), &args);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("5 of 5 cases passed"), "{ran:?}");
    let path = dir.path().join("sidegate.test.yaml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("expect: allow", "expect: deny", 1)).unwrap();
    let ran = run(dir.path(), &args);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(
        ran.stdout
            .contains("line 3: anybody may look: outcome is allow, not deny"),
        "{ran:?}"
    );
    let ran = run(dir.path(), &[&args[..], &["-o", "json"]].concat());
    assert_eq!(
        (ran.code, &ran.json()["cases"][0]["passed"]),
        (4, &false.into())
    );
}

#[test]
fn a_case_that_makes_no_sense_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &["init"]);
    for (case, words) in [
        (
            "{ call: { http: /books }, expect: allow }",
            "bad.yaml:2: `/books` is no HTTP call",
        ),
        (
            "{ call: { http: GET /books }, expect: alow }",
            "`alow` is no outcome",
        ),
        ("{ call: { http: GET /books }, exspect: allow }", "exspect"),
        (
            "{ call: { http: GET /x, as: u1, session: {} }, expect: allow }",
            "say both who calls",
        ),
        (
            "{ call: { http: GET /x, cli: x }, expect: allow }",
            "names one wire",
        ),
    ] {
        fs::write(dir.path().join("bad.yaml"), format!("cases:\n  - {case}\n")).unwrap();
        let ran = run(
            dir.path(),
            &["validate", "sidegate.yaml", "--cases", "bad.yaml"],
        );
        assert_eq!(ran.code, 3, "{case}: {ran:?}");
        assert!(ran.stderr.contains(words), "{case}: {ran:?}");
    }
}

const FAULTY: &str = "app: shop\nchecks: { a: sesion.subject == \"u1\" }\noperations:\n  x: { require: b, http: GET /x }\n";

#[test]
fn validate_gives_every_fault_with_its_place() {
    let dir = shop(FAULTY);
    let ran = run(dir.path(), &["validate", "f.yaml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""));
    assert!(
        ran.stderr.contains("f.yaml:2:") && ran.stderr.contains("f.yaml:4:"),
        "{}",
        ran.stderr
    );
}

#[test]
fn validate_gives_faults_as_data_where_asked() {
    let dir = shop(FAULTY);
    let ran = run(dir.path(), &["validate", "f.yaml", "-o", "json"]);
    let verdict = ran.json();
    assert_eq!((ran.code, &verdict["valid"]), (3, &false.into()));
    let fault = &verdict["diagnostics"][0];
    assert_eq!(fault["line"], 2, "{verdict}");
    assert!(
        fault["column"].is_u64()
            && fault["message"].is_string()
            && fault["source_line"].is_string()
    );
}

#[test]
fn a_keyword_of_later_builds_is_refused_as_such() {
    let dir =
        shop("app: shop\nstore: { redis: { url: x } }\noperations: { x: { http: GET /x } }\n");
    let ran = run(dir.path(), &["validate", "f.yaml"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("not in this build"), "{}", ran.stderr);
}

#[test]
fn the_schema_is_json_that_knows_the_files_keys() {
    let dir = tempfile::tempdir().unwrap();
    for form in ["table", "json"] {
        let schema = run(dir.path(), &["schema", "-o", form]).json();
        assert!(schema["properties"]["operations"].is_object(), "{form}");
    }
}

#[test]
fn completions_name_the_commands() {
    let dir = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = run(dir.path(), &["completion", shell]);
        assert_eq!(ran.code, 0, "{shell}");
        assert!(
            ran.stdout.contains("session") && ran.stdout.contains("revoke"),
            "{shell}"
        );
    }
}

#[test]
fn yaml_says_what_json_says() {
    let dir = shop(FAULTY);
    let ran = run(dir.path(), &["validate", "f.yaml", "-o", "yaml"]);
    assert!(ran.stdout.contains("valid: false"), "{ran:?}");
}

#[test]
fn colours_come_only_where_they_are_wanted() {
    let dir = shop(FAULTY);
    for (flags, env, coloured) in [
        (&[][..], None, false),
        (&["--color", "always"], None, true),
        (&["--color", "always"], Some(("NO_COLOR", "1")), true),
        (&[], Some(("CLICOLOR_FORCE", "1")), true),
        (&["--color", "never"], Some(("CLICOLOR_FORCE", "1")), false),
        (&[], Some(("TERM", "dumb")), false),
    ] {
        let mut command = binary(dir.path());
        command.args(["validate", "f.yaml"]).args(flags).envs(env);
        let ran = finish(&mut command, "");
        assert_eq!(
            ran.stderr.contains('\u{1b}'),
            coloured,
            "{flags:?} {env:?}: {ran:?}"
        );
    }
}
