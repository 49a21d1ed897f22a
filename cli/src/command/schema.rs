//! `sidegate schema`.

use auth_core::policy::file::PolicyFile;
use clap::Args;

use crate::{
    exit::Exit,
    failure::Failure,
    output::{Format, Output},
};

const EXAMPLES: &str = "\
Examples:
  sidegate schema > sidegate.schema.json
  # then, first line of the policy file:
  # yaml-language-server: $schema=./sidegate.schema.json";

/// Arguments of `schema`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct SchemaArgs {}

/// Prints the JSON Schema of the policy file; for people it is JSON too.
///
/// # Errors
///
/// Returns [`Failure`] when stdout cannot be written.
pub fn run(_: &SchemaArgs, output: &Output) -> Result<Exit, Failure> {
    let schema = schemars::schema_for!(PolicyFile);
    let format = match output.format {
        Format::Table | Format::Json => Format::Json,
        Format::Yaml => Format::Yaml,
    };
    Output::new(format).data(&schema, |_| String::new())?;
    Ok(Exit::Ok)
}
