//! `sidegate proxy`: the proxies that people already run.

use clap::{Args, Subcommand};

use crate::{exit::Exit, failure::Failure};

mod envoy;
mod facts;
mod forward_auth;
pub mod print;

const EXAMPLES: &str = "\
Examples:
  sidegate proxy print nginx --upstream http://127.0.0.1:3000 > nginx.conf
  sidegate proxy print envoy --config sidegate.yaml > envoy.yaml";

/// Arguments of `proxy`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct ProxyArgs {
    /// What to do.
    #[command(subcommand)]
    command: ProxyCommand,
}

/// What to do with proxies.
#[derive(Debug, Subcommand)]
enum ProxyCommand {
    /// Prints a whole configuration with which a proxy asks Sidegate before it asks the app.
    Print(print::PrintArgs),
}

/// Does what was asked.
///
/// # Errors
///
/// Returns [`Failure`] with the exit code when it was not done.
pub fn run(args: &ProxyArgs) -> Result<Exit, Failure> {
    match &args.command {
        ProxyCommand::Print(args) => print::run(args),
    }
}
