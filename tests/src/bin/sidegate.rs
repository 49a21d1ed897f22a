//! The command `sidegate`, built with the tests so that they never run a stale one.

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run(std::env::args_os())
}
