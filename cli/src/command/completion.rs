//! `sidegate completion`.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{args::Cli, exit::Exit, failure::Failure};

const EXAMPLES: &str = "\
Examples:
  sidegate completion bash > ~/.local/share/bash-completion/completions/sidegate
  sidegate completion fish > ~/.config/fish/completions/sidegate.fish";

/// Arguments of `completion`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct CompletionArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the completions.
///
/// # Errors
///
/// Returns [`Failure`] when stdout cannot be written.
pub fn run(args: &CompletionArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sidegate", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(Exit::Ok)
}
