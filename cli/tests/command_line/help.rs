//! Help, which starts with examples.

use crate::run::run;

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
