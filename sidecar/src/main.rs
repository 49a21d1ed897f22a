//! `sidegated`: the sidecar as a daemon. Flags, configuration, signals, exit code; nothing else.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use sidecar::{Sidecar, StartError, drain, runtime, telemetry};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a process exits with whose policy file is bad.
const BAD_FILE: u8 = 3;

/// Runs Sidegate beside a service.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// The policy file.
    #[arg(long, env = "SIDEGATE_CONFIG", default_value = "sidegate.yaml")]
    config: PathBuf,
    /// Where sockets, keys and sessions are kept. Default: what the file says, else `.sidegate`
    /// beside it.
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    match runtime::block_on(run(flags)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            report(&error);
            match error {
                StartError::Config(_) => ExitCode::from(BAD_FILE),
                _ => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(flags: Flags) -> Result<(), StartError> {
    let variables = std::env::vars_os();
    let variables = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut builder = Sidecar::builder(flags.config)
        .environment(variables)
        .workers(runtime::cores())
        .reload_on_hangup(true);
    if let Some(data_dir) = flags.data_dir {
        builder = builder.data_dir(data_dir);
    }
    let settings = builder.settings()?;
    let logs = telemetry::start_logs(settings.telemetry.log, &settings.telemetry.log_filter);
    if let Err(problem) = logs {
        eprintln!("error: `telemetry.log_filter`: {problem}");
    }
    // Listened for before anything is served, so that no signal is missed.
    let shutdown = drain::signals()?;
    builder.bind().await?.run(shutdown).await
}

/// Says what went wrong, with every cause.
fn report(error: &dyn std::error::Error) {
    let text = error.to_string();
    let prefix = if text.starts_with("error") {
        ""
    } else {
        "error: "
    };
    eprintln!("{prefix}{text}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprintln!("  because {error}");
        cause = error.source();
    }
}
