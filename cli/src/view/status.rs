//! What is running, as it is printed.

use proto::admin::v1;
use serde::Serialize;

use super::{non_empty, short_time, time};
use crate::{output, style};

/// What is running.
#[derive(Clone, Debug, Serialize)]
pub struct StatusView {
    /// The version of the program.
    pub version: String,
    /// When it started.
    pub start_time: Option<String>,
    /// Where it listens.
    pub listeners: Vec<String>,
    /// The store and what it promises.
    pub store: String,
    /// Whether the store answers.
    pub store_ready: bool,
    /// The policy in force.
    pub policy: PolicyView,
    /// How many sessions live.
    pub live_session_count: i64,
}

/// The policy in force.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyView {
    /// Its version.
    pub version: String,
    /// Its main file.
    pub file: String,
    /// When it came into force.
    pub load_time: Option<String>,
    /// How many operations it declares.
    pub operation_count: i32,
    /// What was wrong with the file when it was last read.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_time: Option<String>,
}

impl From<v1::PolicyStatus> for PolicyView {
    fn from(policy: v1::PolicyStatus) -> Self {
        Self {
            version: policy.version,
            file: policy.file,
            load_time: time(policy.load_time),
            operation_count: policy.operation_count,
            last_error: non_empty(policy.last_error),
            last_error_time: time(policy.last_error_time),
        }
    }
}

impl From<v1::GetStatusResponse> for StatusView {
    fn from(status: v1::GetStatusResponse) -> Self {
        Self {
            version: status.version,
            start_time: time(status.start_time),
            listeners: status.listeners,
            store: status.store,
            store_ready: status.store_ready,
            policy: status.policy.unwrap_or_default().into(),
            live_session_count: status.live_session_count,
        }
    }
}

impl StatusView {
    /// The status for people.
    #[must_use]
    pub fn people(&self) -> String {
        let store = match self.store_ready {
            true => self.store.clone(),
            false => format!("{} (does not answer)", self.store),
        };
        let head = [
            ("version", self.version.clone()),
            ("started", short_time(self.start_time.as_ref())),
            ("listens", self.listeners.join(", ")),
            ("store", store),
            ("sessions", format!("{} live", self.live_session_count)),
        ];
        let pairs = output::pairs(head.into_iter().chain(self.policy.pairs()));
        format!("{pairs}{}", self.policy.refusal())
    }
}

impl PolicyView {
    /// The policy for people; a file that was refused is shown in full.
    #[must_use]
    pub fn people(&self) -> String {
        format!("{}{}", output::pairs(self.pairs()), self.refusal())
    }

    fn pairs(&self) -> [(&'static str, String); 3] {
        [
            ("policy", format!("{} from {}", self.version, self.file)),
            ("loaded", short_time(self.load_time.as_ref())),
            ("operations", self.operation_count.to_string()),
        ]
    }

    /// What was wrong with the file when it was last read; empty for nothing.
    fn refusal(&self) -> String {
        let Some(error) = &self.last_error else {
            return String::new();
        };
        let at = short_time(self.last_error_time.as_ref());
        let title = style::bad(&format!(
            "the file was read again at {at} and refused; the policy above stays in force:"
        ));
        format!("\n\n{title}\n{error}")
    }
}
