//! A running `sidegate dev`.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

use crate::run::{Ran, binary, finish, run};

/// A running `sidegate dev`; killed when dropped.
pub(crate) struct Dev {
    pub(crate) dir: tempfile::TempDir,
    child: Child,
    stdout: BufReader<ChildStdout>,
    pub(crate) ready: Value,
}

impl Dev {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self::start_in(
            dir,
            &["dev", "--data-dir", ".", "--port", "0", "-o", "json"],
        )
    }

    pub(crate) fn start_in(dir: tempfile::TempDir, args: &[&str]) -> Self {
        let mut command = binary(dir.path());
        let mut child = command.args(args).stderr(Stdio::inherit()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let ready: Value =
            serde_json::from_str(&line).unwrap_or_else(|err| panic!("{err}: {line}"));
        assert_eq!(ready["event"], "ready", "{line}");
        Self {
            dir,
            child,
            stdout,
            ready,
        }
    }

    /// Runs a command that finds this one by the data directory.
    pub(crate) fn ask(&self, args: &[&str]) -> Ran {
        run(
            self.dir.path(),
            &[args, &["--data-dir", ".", "-o", "json"]].concat(),
        )
    }

    /// Runs one of the scripts that `dev` wrote.
    pub(crate) fn script(&self, name: &str) -> Ran {
        let mut command = Command::new("sh");
        command
            .arg(self.path(name))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        finish(&mut command, "")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Ends it by a signal, and gives the exit code and what was left on stdout.
    pub(crate) fn stop(mut self, signal: &str) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &pid])
                .status()
                .unwrap()
                .success()
        );
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
