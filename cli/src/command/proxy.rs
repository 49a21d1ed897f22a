//! `sidegate proxy`: the proxies that people already run.

use clap::{Args, Subcommand};

use crate::{exit::Exit, failure::Failure, output::Output};

mod advice;
pub mod attack;
mod bodies;
mod envoy;
mod facts;
mod forward_auth;
pub mod print;
mod tls;

const EXAMPLES: &str = "\
Examples:
  sidegate proxy print nginx --upstream http://127.0.0.1:3000 > nginx.conf
  sidegate proxy print envoy --config sidegate.yaml > envoy.yaml
  sidegate proxy attack http://127.0.0.1:8080 --proof proof.txt --app 127.0.0.1:3000";

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
    /// Sends hostile requests through a proxy of yours, and tells what reached the app behind it.
    Attack(attack::AttackArgs),
}

/// Does what was asked.
///
/// # Errors
///
/// Returns [`Failure`] with the exit code when it was not done.
pub fn run(args: &ProxyArgs, output: &Output) -> Result<Exit, Failure> {
    match &args.command {
        ProxyCommand::Print(args) => print::run(args),
        ProxyCommand::Attack(args) => attack::run(args, output),
    }
}
