//! Runs the binary and keeps what it said.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

/// A finished run.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code.
    pub(crate) code: i32,
    /// What went to stdout.
    pub(crate) stdout: String,
    /// What went to stderr.
    pub(crate) stderr: String,
}

impl Ran {
    /// The JSON on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|err| panic!("{err}: {self:?}"))
    }
}

/// The binary, in `dir`, with nothing of this environment that could change what it does.
pub(crate) fn binary(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidegate"));
    command
        .current_dir(dir)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the binary in `dir` to its end.
pub(crate) fn run(dir: &Path, args: &[&str]) -> Ran {
    run_with(dir, args, "")
}

/// Runs the binary in `dir` to its end, with `input` on stdin.
pub(crate) fn run_with(dir: &Path, args: &[&str], input: &str) -> Ran {
    finish(binary(dir).args(args), input)
}

/// Runs a command to its end, with `input` on stdin.
pub(crate) fn finish(command: &mut Command, input: &str) -> Ran {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // A command that refuses its arguments reads nothing, and that is well.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A new directory with a policy file in it.
pub(crate) fn shop(policy: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("f.yaml"), policy).unwrap();
    dir
}
