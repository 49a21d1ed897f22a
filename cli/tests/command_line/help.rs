//! Help, which starts with examples.

use std::{
    fs::File,
    io::{self, Read as _},
    process::Stdio,
};

use crate::run::{binary, run};

#[test]
fn the_help_of_each_command_starts_with_examples() {
    let dir = tempfile::tempdir().unwrap();
    for command in [
        "",
        "dev",
        "serve",
        "init",
        "validate",
        "can",
        "session",
        "session list",
        "session get",
        "session create",
        "session rotate",
        "session revoke",
        "session watch",
        "session why",
        "key",
        "key create",
        "key list",
        "key revoke",
        "proxy",
        "proxy print",
        "status",
        "health",
        "reload",
        "schema",
        "completion",
    ] {
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let ran = run(dir.path(), &args);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{command}");
        let start: Vec<&str> = ran.stdout.lines().take(2).collect();
        assert_eq!(start[0], "Examples:", "{command}");
        let prefix = format!("  sidegate {}", command.split(' ').next().unwrap());
        assert!(
            start[1].starts_with(prefix.trim_end()),
            "{command}: {start:?}"
        );
    }
}

#[test]
fn the_exit_codes_stand_in_the_help() {
    let dir = tempfile::tempdir().unwrap();
    let ran = run(dir.path(), &["--help"]);
    for code in [
        "10 denied",
        "11 unauthenticated",
        "7 undetermined",
        "3 bad file",
    ] {
        assert!(ran.stdout.contains(code), "{code}");
    }
}

/// The exit code and the words of a run whose stdout is `stdout`.
fn run_onto(stdout: impl Into<Stdio>, args: &[&str]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut child = binary(dir.path())
        .args(args)
        .stdout(stdout)
        .spawn()
        .unwrap();
    let mut words = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut words).unwrap();
    (child.wait().unwrap().code(), words)
}

#[test]
fn a_reader_that_went_away_is_no_failure_and_a_full_disk_is_one() {
    for args in [
        &["--help"][..],
        &["can", "--help"],
        &["--version"],
        &["schema"],
        &["completion", "bash"],
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        assert_eq!(run_onto(writer, args), (Some(0), String::new()), "{args:?}");
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (code, words) = run_onto(full, args);
        assert_eq!(code, Some(1), "{args:?}");
        assert!(
            words.contains("stdout cannot be written"),
            "{args:?} {words}"
        );
    }
}
