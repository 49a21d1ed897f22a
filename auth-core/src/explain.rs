//! How a decision came about: every requirement, key and check with its value.
//!
//! For operators and tests. An explanation works out also what the decision did not need.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    decision::Answer,
    evaluation::Evaluation,
    live::Session,
    operation::{App, Attached, Operation},
    requirement::{Class, Key, Slot, Truth},
    wire::Call,
};

/// The whole tree of a decision.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// The app, where one was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<Arc<str>>,
    /// The canonical path or name that was matched.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub target: String,
    /// What became of the credential.
    pub credential: CredentialFate,
    /// The scopes that the operation needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Scopes>,
    /// What had to hold, in the order in which refusals are named.
    pub requirements: Vec<ExplainedRequirement>,
    /// What failed, when something could not be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// What became of the credential.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CredentialFate {
    /// `absent`, `rejected`, `valid` or `undetermined`; `stated` when the asker said who calls.
    pub state: String,
    /// The strategy that found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<String>,
    /// Who it stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// Why it was refused, which is never told outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The scopes of an operation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scopes {
    /// All that are needed.
    pub needed: Vec<String>,
    /// Whether the session has them.
    pub held: bool,
}

/// A requirement and its value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedRequirement {
    /// Its name.
    pub name: Arc<str>,
    /// Where the policy says so, as `file:line`.
    pub place: String,
    /// Whether it applies to this call.
    pub applies: bool,
    /// `true`, `false` or `undetermined`.
    pub value: &'static str,
    /// Its keys: one is enough.
    pub keys: Vec<ExplainedKey>,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedKey {
    /// Its name.
    pub name: Arc<str>,
    /// `true`, `false` or `undetermined`.
    pub value: &'static str,
    /// Its checks: all must hold.
    pub checks: Vec<ExplainedCheck>,
}

/// A check and its value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExplainedCheck {
    /// Its name.
    pub name: Arc<str>,
    /// `true`, `false` or `undetermined`.
    pub value: &'static str,
    /// What it needs: `session`, `data` or `lookup`.
    pub needs: &'static str,
    /// Why its expression has no value, where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The requirements of an operation, with what an evaluation has worked out.
pub(crate) fn requirements(
    operation: &Operation,
    call: &Call,
    path: &str,
    evaluation: &mut Evaluation<'_>,
) -> Vec<ExplainedRequirement> {
    let explain = |attached: &Attached| {
        let keys: Vec<ExplainedKey> = attached
            .requirement
            .keys()
            .iter()
            .map(|k| key(k, evaluation))
            .collect();
        ExplainedRequirement {
            name: attached.requirement.name().clone(),
            place: format!("{}:{}", attached.place.file, attached.place.line),
            applies: attached.applies.to(&call.kind, path),
            value: any(keys.iter().map(|key| key.value)),
            keys,
        }
    };
    operation.requirements.iter().map(explain).collect()
}

fn key(key: &Key, evaluation: &mut Evaluation<'_>) -> ExplainedKey {
    let checks: Vec<_> = key
        .checks()
        .filter_map(|slot| check(slot, evaluation))
        .collect();
    ExplainedKey {
        name: key.name().clone(),
        value: all(checks.iter().map(|check| check.value)),
        checks,
    }
}

fn check(slot: Slot, evaluation: &mut Evaluation<'_>) -> Option<ExplainedCheck> {
    let value = evaluation.work_out(slot);
    let check = evaluation.check(slot)?;
    let error = check.error(&evaluation.facts()).map(|err| err.to_string());
    Some(ExplainedCheck {
        name: check.name().clone(),
        value: value.map_or("undetermined", word),
        needs: match check.class() {
            Class::Session => "session",
            Class::Data => "data",
            Class::Lookup => "lookup",
        },
        error,
    })
}

const fn word(truth: Truth) -> &'static str {
    match truth {
        Truth::True => "true",
        Truth::False => "false",
        Truth::Undetermined => "undetermined",
    }
}

fn any(mut values: impl Iterator<Item = &'static str> + Clone) -> &'static str {
    if values.clone().any(|value| value == "true") {
        "true"
    } else if values.any(|value| value == "undetermined") {
        "undetermined"
    } else {
        "false"
    }
}

fn all(mut values: impl Iterator<Item = &'static str> + Clone) -> &'static str {
    if values.clone().any(|value| value == "false") {
        "false"
    } else if values.any(|value| value == "undetermined") {
        "undetermined"
    } else {
        "true"
    }
}

impl Explanation {
    /// The explanation of a call that reached no operation.
    pub(crate) fn unreached(answer: &Answer) -> Self {
        let credential = CredentialFate {
            state: answer.credential.as_str().to_owned(),
            ..Default::default()
        };
        Self {
            credential,
            ..Self::default()
        }
    }

    /// The explanation of a call that reached an operation, but for its requirements.
    pub(crate) fn reached(
        app: &App,
        path: &str,
        session: Option<&Session>,
        needed: &[String],
    ) -> Self {
        let scopes = (!needed.is_empty()).then(|| Scopes {
            needed: needed.to_vec(),
            held: session.is_some_and(|session| session.covers(needed)),
        });
        Self {
            app: Some(app.name.clone()),
            target: path.to_owned(),
            scopes,
            ..Self::default()
        }
    }
}
