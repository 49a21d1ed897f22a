//! The command line of Sidegate: a client of its API, and a reader of policy files.
//!
//! - [`args`]: what may be typed.
//! - [`command`]: what each command does, one file a noun.
//! - [`output`]: data on stdout as table, JSON or YAML; words on stderr.
//! - [`exit`]: the exit codes, which are API.
//! - [`connect`]: how a running Sidegate is found.
//! - [`cases`]: calls with the answers that a policy should give.
//! - [`decide`]: deciding from a file, with no server.
//! - [`attack`]: hostile requests through a deployed proxy.

#![forbid(unsafe_code)]

use std::{
    ffi::OsString,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{CommandFactory as _, FromArgMatches as _};

pub mod args;
pub mod attack;
pub mod cases;
pub mod command;
pub mod connect;
pub mod decide;
pub mod exit;
pub mod failure;
pub mod input;
pub mod output;
pub mod stated;
pub mod style;
pub mod view;

use crate::{args::Cli, exit::Exit, failure::Failure, output::Output};

/// Parses the arguments, does what they say, and gives the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    style::choose(style::from_args(&args));
    let parsed = Cli::command()
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(err) => {
            // Help and version are data and go to stdout with 0; the rest is usage.
            let exit = if err.use_stderr() {
                Exit::Usage
            } else {
                Exit::Ok
            };
            let printed = err.print().and_then(|()| io::stdout().flush());
            return printed.map_or_else(|err| failed(&err.into()), |()| exit.into());
        }
    };
    let output = Output::new(cli.output);
    match command::run(cli.command, &output) {
        Ok(exit) => exit.into(),
        Err(failure) => failed(&failure),
    }
}

fn failed(failure: &Failure) -> ExitCode {
    output::say(&failure.render());
    failure.exit.into()
}
