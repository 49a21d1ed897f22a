//! What went wrong, with the exit code and the next step.

use std::{fmt, io, path::Path};

use auth_core::policy::diagnostic::PolicyError;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{exit::Exit, style};

/// A command that did not do what it was asked.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What is wrong, in lower case and without a final period; empty says nothing more.
    pub message: String,
    /// What to do next.
    pub next: Option<String>,
}

impl Failure {
    /// A failure with words.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            next: None,
        }
    }

    /// The command makes no sense as typed.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The same failure with the next step.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// A file could not be read or written.
    #[must_use]
    pub fn file(exit: Exit, path: &Path, err: &io::Error) -> Self {
        Self::new(exit, format!("`{}`: {err}", path.display()))
    }

    /// A policy file that does not load, with every diagnostic.
    #[must_use]
    pub fn policy(err: &PolicyError) -> Self {
        let rendered: Vec<String> = err.diagnostics.iter().map(|d| d.render(true)).collect();
        let count = match rendered.len() {
            1 => "1 fault".to_owned(),
            many => format!("{many} faults"),
        };
        Self::new(
            Exit::BadFile,
            format!(
                "the policy file does not load: {count}\n\n{}",
                rendered.join("\n\n")
            ),
        )
    }

    /// The failure as people read it.
    #[must_use]
    pub fn render(&self) -> String {
        use fmt::Write as _;
        let mut text = String::new();
        if !self.message.is_empty() {
            let _ = write!(text, "{}: {}", style::error("error"), self.message);
        }
        if let Some(next) = &self.next {
            let _ = write!(text, "\n{}: {next}", style::help("next"));
        }
        text
    }
}

/// Stdout was closed by its reader: nothing is left to say, and nothing went wrong here.
impl From<io::Error> for Failure {
    fn from(err: io::Error) -> Self {
        if err.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Ok, "");
        }
        Self::new(Exit::Unexpected, format!("stdout cannot be written: {err}"))
    }
}

/// What a running Sidegate said, in one table.
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().map_or("", |info| info.reason.as_str());
        let exit = if reason == "POLICY_INVALID" {
            Exit::BadFile
        } else {
            exit_of(status.code())
        };
        let message = match status.message() {
            "" => format!("the server answered {:?} and no more", status.code()),
            // The server renders faults of files with a word that stands before every message here.
            message => message
                .strip_prefix("error: ")
                .unwrap_or(message)
                .to_owned(),
        };
        let failure = Self::new(exit, message);
        match next_step(reason, status.code()) {
            Some(next) => failure.next(next),
            None => failure,
        }
    }
}

const fn exit_of(code: Code) -> Exit {
    match code {
        Code::Ok => Exit::Ok,
        Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
        Code::NotFound => Exit::NotFound,
        Code::PermissionDenied | Code::Unauthenticated => Exit::NotPermitted,
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Cancelled
        | Code::DataLoss => Exit::Unavailable,
        Code::Aborted | Code::AlreadyExists | Code::FailedPrecondition => Exit::Conflict,
        Code::Unknown | Code::Unimplemented | Code::Internal => Exit::Unexpected,
    }
}

fn next_step(reason: &str, code: Code) -> Option<&'static str> {
    match reason {
        "TRANSPORT_NOT_ALLOWED" => Some(
            "this is served on the admin socket only: `--addr unix:DATA/admin.sock`, or run on \
             the machine of the sidecar with `--data-dir DATA`",
        ),
        "CALLER_UNKNOWN" => Some(
            "use the admin socket (`--data-dir DIR`), or name the file with the caller's token in \
             `SIDEGATE_TOKEN_FILE`",
        ),
        "GRANT_MISSING" => Some("add the grant to the caller's `may` in the policy file"),
        "COUNT_MISMATCH" => {
            Some("count again with `--dry-run`, then give that number to `--expect`")
        }
        "SESSION_NOT_FOUND" => Some("`sidegate session list --state all` shows the sessions kept"),
        "API_KEY_NOT_FOUND" => Some("`sidegate key list` shows the keys kept"),
        "POLICY_INVALID" => {
            Some("the old policy stays in force; `sidegate validate FILE` shows the faults")
        }
        _ if code as i32 == Code::Unimplemented as i32 => {
            Some("this may not be the admin socket: `--addr unix:DATA/admin.sock`")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_the_server_ends_with_the_code_of_the_table() {
        for (code, exit) in [
            (Code::InvalidArgument, 2),
            (Code::NotFound, 5),
            (Code::PermissionDenied, 6),
            (Code::Unauthenticated, 6),
            (Code::Unavailable, 7),
            (Code::DeadlineExceeded, 7),
            (Code::Aborted, 8),
            (Code::FailedPrecondition, 8),
            (Code::Internal, 1),
        ] {
            assert_eq!(exit_of(code).code(), exit, "{code:?}");
        }
    }

    #[test]
    fn a_closed_stdout_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit, failure.render()), (Exit::Ok, String::new()));
    }
}
