//! A decision and how it came about, as they are printed.

use proto::v1;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{non_empty, principal};
use crate::{output, style};

mod tree;

/// A decision.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DecisionView {
    /// The row of the table, as `deny`.
    pub outcome: String,
    /// The operation that the call reaches; null when it reaches none.
    pub operation: Option<String>,
    /// Why.
    pub reason: ReasonView,
    /// Each requirement with its keys and checks.
    pub requirements: Value,
    /// What became of the presented credential.
    pub credential: Value,
    /// Who the call was decided for; null for nobody.
    pub subject: Option<String>,
    /// What the client is told to do about it.
    pub challenges: Vec<String>,
    /// The policy that decided.
    pub policy_version: String,
    /// What else the explanation says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Why a decision came out as it did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReasonView {
    /// The reason, as `requirement_failed`.
    pub code: String,
    /// The first requirement that refused.
    pub requirement: Option<String>,
    /// Its checks that did not hold.
    pub checks: Vec<String>,
    /// All scopes that the operation needs, when one is missing.
    pub required_scopes: Vec<String>,
    /// What was wrong, in words.
    pub detail: Option<String>,
}

/// The name of an enum's value without the enum's: `OUTCOME_DENY` is `deny`.
fn word(name: &str, of: &str) -> String {
    name.strip_prefix(of).unwrap_or(name).to_lowercase()
}

impl DecisionView {
    /// The view of a decision and its explanation, a JSON object.
    #[must_use]
    pub fn new(decision: v1::AuthorizeResponse, explanation: &[u8]) -> Self {
        let mut more: Map<String, Value> = serde_json::from_slice(explanation).unwrap_or_default();
        let requirements = more
            .remove("requirements")
            .unwrap_or_else(|| Value::Array(Vec::new()));
        let credential = more.remove("credential").unwrap_or_else(|| {
            let state = decision.credential_state().as_str_name();
            json!({ "state": word(state, "CREDENTIAL_STATE_") })
        });
        // What the decision itself says is said once.
        for name in [
            "outcome",
            "operation",
            "reason",
            "subject",
            "challenges",
            "policy_version",
        ] {
            more.remove(name);
        }
        let outcome = word(decision.outcome().as_str_name(), "OUTCOME_");
        let reason = decision.reason.unwrap_or_default();
        Self {
            outcome,
            operation: non_empty(decision.operation),
            reason: ReasonView {
                code: word(reason.code().as_str_name(), "REASON_CODE_"),
                requirement: non_empty(reason.requirement),
                checks: reason.checks,
                required_scopes: reason.required_scopes,
                detail: non_empty(reason.detail),
            },
            requirements,
            credential,
            subject: decision
                .session
                .and_then(|session| principal(session.subject)),
            challenges: decision.challenges,
            policy_version: decision.policy_version,
            more,
        }
    }
}

impl DecisionView {
    /// The decision for people: one line, and with `explain` how it came about.
    #[must_use]
    pub fn people(&self, explain: bool) -> String {
        let operation = self.operation.as_deref().unwrap_or("(no operation)");
        let line = format!(
            "{}  {operation}  {}",
            style::outcome(&self.outcome),
            self.reason.line()
        );
        if !explain {
            return line;
        }
        let tree = tree::render(&self.credential, &self.requirements, &self.more);
        format!("{line}\n{tree}").trim_end().to_owned()
    }
}

impl ReasonView {
    /// The reason in a line.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = self.code.clone();
        if let Some(requirement) = &self.requirement {
            line = format!("{line}: {requirement}");
        }
        if !self.checks.is_empty() {
            line = format!("{line} ({})", self.checks.join(", "));
        }
        if !self.required_scopes.is_empty() {
            line = format!("{line}, needs {}", self.required_scopes.join(" "));
        }
        if let Some(detail) = &self.detail {
            line = format!("{line}: {detail}");
        }
        output::printable(&line)
    }
}
