//! Cases: calls with the answers that a policy should give, as data beside the policy.
//!
//! The keys are those of the project's own `tests/cases`, as far as a file can tell without a
//! store: who calls is stated, so `as` names a subject.

use std::{collections::BTreeMap, path::Path};

use auth_core::{
    outcome::Outcome, policy::scalar::At, principal::Principal, session::JsonObject, wire::WireKind,
};
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
    /// What it shows.
    #[serde(default)]
    name: String,
    /// The call.
    call: CallFile,
    /// What should come out.
    expect: Expected,
}

/// A call: the target under the name of its wire, and who calls.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CallFile {
    http: Option<String>,
    grpc: Option<String>,
    websocket: Option<String>,
    cli: Option<String>,
    mcp: Option<String>,
    queue: Option<String>,
    schedule: Option<String>,
    rpc: Option<String>,
    /// The name of a wire of the app's own, and a target on it.
    #[serde(default)]
    custom: BTreeMap<String, String>,
    /// The host called.
    host: Option<String>,
    /// Somebody with no claims.
    #[serde(rename = "as")]
    subject: Option<Principal>,
    /// A session.
    session: Option<StatedSession>,
    /// What the call is about.
    data: Option<JsonObject>,
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
    /// What it shows.
    pub name: String,
    /// What is called.
    pub call: String,
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
        let title = case.call.title();
        let at = |failure: Failure| {
            let message = format!("{}:{line}: {}", cases.display(), failure.message);
            Failure::new(Exit::BadFile, message)
        };
        let question = case.call.question().map_err(at)?;
        let Expected(expected) = case.expect;
        let decision = decider.decide(question).await;
        let differences = expected.differences(&decision);
        results.push(CaseResult {
            line,
            name: case.name,
            call: title,
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

impl CallFile {
    /// The one wire that is named, and the target on it.
    fn target(&self) -> Result<(WireKind, &str), Failure> {
        let built_in = [
            (WireKind::Http, &self.http),
            (WireKind::Grpc, &self.grpc),
            (WireKind::WebSocket, &self.websocket),
            (WireKind::Cli, &self.cli),
            (WireKind::Mcp, &self.mcp),
            (WireKind::Queue, &self.queue),
            (WireKind::Schedule, &self.schedule),
            (WireKind::Rpc, &self.rpc),
        ];
        let built_in = built_in
            .into_iter()
            .filter_map(|(kind, target)| target.as_deref().map(|target| (kind, target)));
        let custom = self
            .custom
            .iter()
            .filter_map(|(name, target)| Some((WireKind::parse(name)?, target.as_str())));
        let mut named = built_in.chain(custom);
        match (named.next(), named.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(Failure::usage(
                "`call` names one wire with a target, as `http: GET /books`",
            )),
        }
    }

    /// The call as people name it.
    fn title(&self) -> String {
        self.target().map_or_else(
            |_| String::new(),
            |(kind, target)| format!("{kind} {target}"),
        )
    }

    fn question(self) -> Result<Question, Failure> {
        let (kind, target) = self.target()?;
        let (method, target) = split_target(&kind, target)?;
        let who = match (self.subject, self.session) {
            (Some(_), Some(_)) => {
                return Err(Failure::usage("`as` and `session` say both who calls"));
            }
            (Some(subject), None) => Who::stated(StatedSession::of(subject)),
            (None, Some(session)) => Who::stated(session),
            (None, None) => Who::Nobody,
        };
        let data = self
            .data
            .map(|data| serde_json::Value::Object(data).to_string());
        Ok(Question {
            kind,
            host: self.host,
            method,
            target,
            data: data.unwrap_or_default(),
            who,
        })
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
