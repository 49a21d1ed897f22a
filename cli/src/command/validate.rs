//! `sidegate validate`.

use std::path::PathBuf;

use auth_core::policy::diagnostic::{Diagnostic, PolicyError};
use clap::Args;
use serde::Serialize;

use super::converse;
use crate::{
    cases::{self, CaseResult},
    decide,
    exit::Exit,
    failure::Failure,
    output::{self, Format, Output},
    style,
};

const EXAMPLES: &str = "\
Examples:
  sidegate validate sidegate.yaml
  sidegate validate sidegate.yaml --cases sidegate.test.yaml
  sidegate validate sidegate.yaml -o json | jq '.diagnostics[].message'";

/// Arguments of `validate`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct ValidateArgs {
    /// The policy file.
    #[arg(default_value = "sidegate.yaml")]
    file: PathBuf,
    /// Calls with the answers that the policy should give; exit 4 when one comes out otherwise.
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
}

/// What became of the file.
#[derive(Debug, Serialize)]
struct Verdict {
    /// The file.
    file: String,
    /// Whether it loads.
    valid: bool,
    /// Everything that is wrong with it.
    diagnostics: Vec<DiagnosticView>,
    /// What is allowed but deserves a word.
    warnings: Vec<DiagnosticView>,
    /// How the cases came out.
    #[serde(skip_serializing_if = "Option::is_none")]
    cases: Option<Vec<CaseResult>>,
}

/// One thing that is wrong.
#[derive(Debug, Serialize)]
struct DiagnosticView {
    file: String,
    line: usize,
    column: usize,
    length: usize,
    message: String,
    help: Option<String>,
    source_line: String,
}

impl From<&Diagnostic> for DiagnosticView {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            file: diagnostic.file.clone(),
            line: diagnostic.line,
            column: diagnostic.column,
            length: diagnostic.length,
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone(),
            source_line: diagnostic.source_line.clone(),
        }
    }
}

/// Says everything that is wrong with a policy file, as data where data is asked for, else in
/// words; then runs the cases, where there are any.
///
/// # Errors
///
/// Returns [`Failure`] with exit code 3 when a file does not load.
pub fn run(args: &ValidateArgs, output: &Output) -> Result<Exit, Failure> {
    let loaded = decide::load(&args.file);
    if let (Err(err), Format::Table) = (&loaded, output.format) {
        return Err(Failure::policy(err));
    }
    let (diagnostics, warnings) = match &loaded {
        Ok(policy) => (&[][..], policy.warnings.as_slice()),
        Err(PolicyError { diagnostics }) => (diagnostics.as_slice(), &[][..]),
    };
    let mut verdict = Verdict {
        file: args.file.display().to_string(),
        valid: loaded.is_ok(),
        diagnostics: diagnostics.iter().map(DiagnosticView::from).collect(),
        warnings: warnings.iter().map(DiagnosticView::from).collect(),
        cases: None,
    };
    if output.format == Format::Table {
        for warning in warnings {
            output::say(&warning.render(true));
        }
    }
    if let (true, Some(cases)) = (verdict.valid, &args.cases) {
        converse(async {
            verdict.cases = Some(cases::run(&args.file, cases).await?);
            Ok(Exit::Ok)
        })?;
    }
    output.data(&verdict, Verdict::people)?;
    Ok(verdict.exit())
}

impl Verdict {
    fn exit(&self) -> Exit {
        let failed = |cases: &Vec<CaseResult>| cases.iter().any(|case| !case.passed);
        if !self.valid {
            Exit::BadFile
        } else if self.cases.as_ref().is_some_and(failed) {
            Exit::CasesFailed
        } else {
            Exit::Ok
        }
    }

    fn people(&self) -> String {
        let mut lines = vec![format!("{}: {}", self.file, style::good("valid"))];
        let cases = self.cases.as_deref().unwrap_or_default();
        for case in cases.iter().filter(|case| !case.passed) {
            let words = case.differences.join("; ");
            let what = if case.name.is_empty() {
                &case.call
            } else {
                &case.name
            };
            let what = output::printable(what);
            lines.push(format!(
                "{} line {}: {what}: {words}",
                style::bad("failed"),
                case.line
            ));
        }
        if self.cases.is_some() {
            let passed = cases.iter().filter(|case| case.passed).count();
            lines.push(format!("{passed} of {} cases passed", cases.len()));
        }
        lines.join("\n")
    }
}
