//! `sidegate serve`: the sidecar in process.

use std::path::PathBuf;

use auth_core::policy::settings::Settings;
use clap::Args;
use sidecar::{StartError, drain, runtime, store::sqlite::OpenError, telemetry};

use crate::{exit::Exit, failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  sidegate serve --config /etc/sidegate/sidegate.yaml
  SIDEGATE__LISTEN__HTTP=127.0.0.1:9000 sidegate serve";

const OTHER_USERS: &str = "\
Services of other users: the data directory is open to its owner alone, and so are the sockets in
it. Either give gRPC a socket elsewhere, and name each service by its user id:
  listen: { grpc: [ \"unix:/run/sidegate/sidegate.sock\" ] }
  callers: { shop: { uid: 1001, may: [ authorize, session.self ] } }
or name it by a token in a file of mode 0600 that it has a copy of, and let it call by TCP:
  listen: { grpc: [ \"127.0.0.1:7480\" ] }
  callers: { shop: { token_file: shop.token, may: [ authorize, session.self ] } }";

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES, after_help = OTHER_USERS)]
pub struct ServeArgs {
    /// The policy file.
    #[arg(
        long,
        env = "SIDEGATE_CONFIG",
        value_name = "FILE",
        default_value = "sidegate.yaml"
    )]
    config: PathBuf,
    /// Where sockets, keys and sessions are kept. Default: what the file says, else `.sidegate`
    /// beside it.
    #[arg(long, env = "SIDEGATE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Runs Sidegate until SIGTERM or SIGINT, then drains.
///
/// # Errors
///
/// Returns [`Failure`] when it does not start.
pub fn run(args: ServeArgs) -> Result<Exit, Failure> {
    let served = runtime::block_on(serve(args));
    finished(served)
}

async fn serve(args: ServeArgs) -> Result<(), Failure> {
    let mut builder = sidecar::Sidecar::builder(args.config)
        .environment(environment())
        .workers(runtime::cores())
        .reload_on_hangup(true);
    if let Some(data_dir) = args.data_dir {
        builder = builder.data_dir(data_dir);
    }
    start_logs(&builder.settings()?, None);
    // Listened for before anything is served, so that no signal is missed.
    let shutdown = drain::signals().map_err(StartError::from)?;
    Ok(builder.bind().await?.run(shutdown).await?)
}

/// How a sidecar's run ended, as the command's end.
pub(super) fn finished(
    served: Result<Result<(), Failure>, std::io::Error>,
) -> Result<Exit, Failure> {
    match served {
        Ok(Ok(())) => Ok(Exit::Ok),
        Ok(Err(failure)) => Err(failure),
        Err(err) => Err(Failure::new(
            Exit::Unexpected,
            format!("the runtime cannot start: {err}"),
        )),
    }
}

impl From<StartError> for Failure {
    fn from(err: StartError) -> Self {
        failure(&err)
    }
}

/// Why a sidecar does not start, with every cause.
pub(super) fn failure(err: &StartError) -> Failure {
    let exit = match err {
        StartError::Config(policy) => return Failure::policy(policy),
        StartError::Bind(_) | StartError::Store(OpenError::Held(_)) => Exit::Conflict,
        _ => Exit::Unexpected,
    };
    let mut message = err.to_string();
    let mut cause = std::error::Error::source(err);
    while let Some(err) = cause {
        message = format!("{message}: {err}");
        cause = err.source();
    }
    let failure = Failure::new(exit, message);
    match err {
        StartError::Bind(_) => failure.next(
            "take other ports: `sidegate dev --port 0`, or `SIDEGATE__LISTEN__HTTP=127.0.0.1:PORT`",
        ),
        StartError::Store(OpenError::Held(dir)) => failure.next(format!(
            "`sidegate status --data-dir {}` shows what runs there",
            dir.display()
        )),
        _ => failure,
    }
}

/// The environment, as far as it is text.
pub(super) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Starts logging as the settings say, or by another filter.
pub(super) fn start_logs(settings: &Settings, filter: Option<&str>) {
    let telemetry = &settings.telemetry;
    let filter = filter.unwrap_or(&telemetry.log_filter);
    if let Err(problem) = telemetry::start_logs(telemetry.log, filter) {
        output::say(&format!("`telemetry.log_filter`: {problem}"));
    }
}
