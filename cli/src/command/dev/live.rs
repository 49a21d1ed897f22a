//! Decisions as they are made, one line each.

use serde::Serialize;
use sidecar::telemetry::DecisionSeen;

use crate::{output, style};

/// A decision that was made.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// Tells it from the greeting.
    event: &'static str,
    /// The outcome, as `deny`.
    outcome: &'static str,
    /// The kind of wire.
    wire: String,
    /// The method and target as matched, without the query.
    target: String,
    /// The operation; empty when none was reached.
    operation: String,
    /// The reason, as `requirement_failed`.
    reason: &'static str,
    /// The first requirement that refused.
    requirement: String,
    /// The subject; empty when there is none.
    subject: String,
    /// Names the decision in logs.
    decision_id: String,
    /// How long it took, in microseconds.
    micros: u64,
}

impl Line {
    pub(super) fn of(seen: &DecisionSeen) -> Self {
        Self {
            event: "decision",
            outcome: seen.outcome,
            wire: seen.wire.clone(),
            target: seen.target.clone(),
            operation: seen.operation.clone(),
            reason: seen.reason,
            requirement: seen.requirement.clone(),
            subject: seen.subject.clone(),
            decision_id: seen.decision_id.clone(),
            micros: u64::try_from(seen.duration.as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// The decision as a line for people.
    pub(super) fn people(&self) -> String {
        // Padded before it is styled: the codes of a style have no width.
        let outcome = format!("{:15}", self.outcome);
        let outcome = style::outcome(self.outcome).replace(self.outcome, &outcome);
        let operation = match self.operation.as_str() {
            "" => "-",
            operation => operation,
        };
        let subject = match self.subject.as_str() {
            "" => "nobody",
            subject => subject,
        };
        let why = match self.requirement.as_str() {
            "" => self.reason.to_owned(),
            requirement => format!("{}: {requirement}", self.reason),
        };
        let facts = output::printable(&format!(
            "{} {}  {operation}  {subject}",
            self.wire, self.target
        ));
        let cost = format!("{}  {} µs", output::printable(&why), self.micros);
        format!("{outcome} {facts}  {}", style::dim(&cost))
    }
}
