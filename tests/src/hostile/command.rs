//! The command `sidegate proxy attack`, as somebody types it.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::NamedTempFile;

/// A proof of the form that the command asks for.
pub const PROOF: &str = "0123456789abcdef0123456789abcdef";

/// How the command is typed.
#[derive(Clone, Copy, Debug)]
pub struct Typed<'a> {
    /// The command `sidegate`.
    pub program: &'a Path,
    /// The proxy.
    pub url: &'a str,
    /// Where the command is the app behind it; `None` where somebody else is.
    pub app: Option<SocketAddr>,
    /// The token of an ordinary user's session.
    pub token: Option<&'a str>,
    /// Words more.
    pub more: &'a [&'a str],
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub printed: String,
    /// What it said beside that.
    pub said: String,
}

impl Typed<'_> {
    /// Runs it to its end, for a report in JSON.
    ///
    /// # Panics
    ///
    /// Panics when it cannot be run.
    pub async fn run(&self) -> Ran {
        let proof = file(PROOF);
        let token = self.token.map(file);
        let mut command = Command::new(self.program);
        command.args(["proxy", "attack", self.url, "-o", "json", "--proof"]);
        command.arg(proof.path());
        command.args(self.app.map(|app| format!("--app={app}")));
        let token_file = token.as_ref().map(NamedTempFile::path);
        command.args(token_file.map(|path| format!("--token=@{}", path.display())));
        command.args(self.more);
        let ran = tokio::task::spawn_blocking(move || command.output());
        let Output {
            status,
            stdout,
            stderr,
        } = ran.await.unwrap().unwrap();
        Ran {
            code: status.code(),
            printed: String::from_utf8_lossy(&stdout).into_owned(),
            said: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }
}

impl Ran {
    /// The report; null when there is none.
    #[must_use]
    pub fn report(&self) -> Value {
        serde_json::from_str(&self.printed).unwrap_or_default()
    }

    /// The finding of a case that says this.
    ///
    /// # Panics
    ///
    /// Panics with all findings when there is none such.
    pub fn finding(&self, name: &str, what: &str) -> Value {
        let report = self.report();
        let all = report["findings"].as_array().cloned().unwrap_or_default();
        let says = |it: &&Value| it["name"] == name && text(&it["what"]).contains(what);
        let found = all.iter().find(says).cloned();
        found.unwrap_or_else(|| panic!("{name}: {what} is not in {} {}", self.printed, self.said))
    }
}

/// A text of the report.
#[must_use]
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}
