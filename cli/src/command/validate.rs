//! `sidegate validate`.

use std::path::PathBuf;

use auth_core::policy::diagnostic::{Diagnostic, PolicyError};
use clap::Args;
use serde::Serialize;

use crate::{
    decide,
    exit::Exit,
    failure::Failure,
    output::{Format, Output},
    style,
};

const EXAMPLES: &str = "\
Examples:
  sidegate validate sidegate.yaml
  sidegate validate sidegate.yaml -o json | jq '.diagnostics[].message'";

/// Arguments of `validate`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct ValidateArgs {
    /// The policy file.
    #[arg(default_value = "sidegate.yaml")]
    file: PathBuf,
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

/// Says everything that is wrong with a policy file: as data where data is asked for, else in
/// words.
///
/// # Errors
///
/// Returns [`Failure`] with exit code 3 when the file does not load.
pub fn run(args: &ValidateArgs, output: &Output) -> Result<Exit, Failure> {
    let fault = decide::load(&args.file).err();
    if let (Some(err), Format::Table) = (&fault, output.format) {
        return Err(Failure::policy(err));
    }
    let faults = fault
        .as_ref()
        .map_or(&[][..], |PolicyError { diagnostics }| diagnostics);
    let verdict = Verdict {
        file: args.file.display().to_string(),
        valid: fault.is_none(),
        diagnostics: faults.iter().map(DiagnosticView::from).collect(),
    };
    output.data(&verdict, |verdict| {
        format!("{}: {}", verdict.file, style::good("valid"))
    })?;
    Ok(if verdict.valid {
        Exit::Ok
    } else {
        Exit::BadFile
    })
}
