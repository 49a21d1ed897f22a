//! Cases: calls with the answers that a policy should give, as data beside the policy.

use std::path::Path;

use auth_core::{outcome::Outcome, policy::scalar::At, principal::Principal, wire::WireKind};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    command::can::{Question, Who, split_target},
    decide::Decider,
    exit::Exit,
    failure::Failure,
    stated::StatedSession,
    view::decision::DecisionView,
};

/// A file of cases.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    cases: Vec<At<Case>>,
}

/// One call and its answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// What is called, as `sidegate can` takes it.
    can: String,
    /// How; `http` where nothing is said.
    wire: Option<String>,
    /// The host called.
    host: Option<String>,
    /// Somebody with no claims.
    #[serde(rename = "as")]
    subject: Option<Principal>,
    /// A session.
    session: Option<StatedSession>,
    /// What the call is about.
    data: Option<serde_json::Map<String, serde_json::Value>>,
    /// What should come out.
    expect: Expected,
}

/// What should come out; what is left out may be anything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedParts {
    outcome: Option<String>,
    operation: Option<String>,
    reason: Option<String>,
    requirement: Option<String>,
}

/// An outcome alone, or parts of the answer.
#[derive(Debug)]
struct Expected(ExpectedParts);

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = ExpectedParts;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an outcome, or a map with outcome, operation, reason, requirement")
            }

            fn visit_str<E: de::Error>(self, outcome: &str) -> Result<ExpectedParts, E> {
                Ok(ExpectedParts {
                    outcome: Some(outcome.to_owned()),
                    ..ExpectedParts::default()
                })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<ExpectedParts, A::Error> {
                ExpectedParts::deserialize(de::value::MapAccessDeserializer::new(map))
            }
        }

        let parts = deserializer.deserialize_any(Visitor)?;
        let known = |word: &String| Outcome::ALL.iter().any(|outcome| outcome.as_str() == word);
        match &parts.outcome {
            Some(word) if !known(word) => {
                let all = Outcome::ALL.map(Outcome::as_str).join(", ");
                Err(de::Error::custom(format_args!(
                    "`{}` is no outcome; it is one of {all}",
                    word.escape_debug()
                )))
            }
            _ => Ok(Self(parts)),
        }
    }
}

/// How a case came out.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// Its line in the file.
    pub line: usize,
    /// What is called.
    pub can: String,
    /// Whether it came out as it says.
    pub passed: bool,
    /// The outcome.
    pub outcome: String,
    /// Each part that came out otherwise, in words.
    pub differences: Vec<String>,
}

/// Runs the cases of a file against a policy.
///
/// # Errors
///
/// Returns [`Failure`] when either file does not load.
pub async fn run(policy: &Path, cases: &Path) -> Result<Vec<CaseResult>, Failure> {
    let file = read(cases)?;
    let decider = Decider::load(policy)?;
    let mut results = Vec::new();
    for At {
        value: case, line, ..
    } in file.cases
    {
        let can = case.can.clone();
        let at = |failure: Failure| {
            let message = format!("{}:{line}: {}", cases.display(), failure.message);
            Failure::new(Exit::BadFile, message)
        };
        let (question, Expected(expected)) = case.read().map_err(at)?;
        let decision = decider.decide(question).await;
        let differences = expected.differences(&decision);
        results.push(CaseResult {
            line,
            can,
            passed: differences.is_empty(),
            outcome: decision.outcome,
            differences,
        });
    }
    Ok(results)
}

fn read(path: &Path) -> Result<CaseFile, Failure> {
    let text =
        std::fs::read_to_string(path).map_err(|err| Failure::file(Exit::BadFile, path, &err))?;
    serde_saphyr::from_str(&text)
        .map_err(|err| Failure::new(Exit::BadFile, format!("`{}`: {err}", path.display())))
}

impl Case {
    fn read(self) -> Result<(Question, Expected), Failure> {
        let kind = match &self.wire {
            None => WireKind::Http,
            Some(name) => WireKind::parse(name)
                .ok_or_else(|| Failure::usage(format!("`{}` is no wire", name.escape_debug())))?,
        };
        let (method, target) = split_target(&kind, &self.can)?;
        let who = match (self.subject, self.session) {
            (Some(_), Some(_)) => {
                return Err(Failure::usage("`as` and `session` say both who calls"));
            }
            (Some(subject), None) => Who::stated(StatedSession::of(subject)),
            (None, Some(session)) => Who::stated(session),
            (None, None) => Who::Nobody,
        };
        let data = self.data.as_ref().map(serde_json::to_string).transpose();
        let question = Question {
            kind,
            host: self.host,
            method,
            target,
            data: data.unwrap_or_default().unwrap_or_default(),
            who,
        };
        Ok((question, self.expect))
    }
}

impl ExpectedParts {
    fn differences(&self, decision: &DecisionView) -> Vec<String> {
        let reason = &decision.reason;
        let operation = decision.operation.as_deref();
        let parts = [
            ("outcome", &self.outcome, Some(decision.outcome.as_str())),
            ("operation", &self.operation, operation),
            ("reason", &self.reason, Some(reason.code.as_str())),
            (
                "requirement",
                &self.requirement,
                reason.requirement.as_deref(),
            ),
        ];
        let differs = parts.into_iter().filter_map(|(part, expected, got)| {
            let expected = expected.as_deref()?;
            let got_words = got.unwrap_or("none");
            (Some(expected) != got).then(|| format!("{part} is {got_words}, not {expected}"))
        });
        differs.collect()
    }
}
