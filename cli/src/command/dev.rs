//! `sidegate dev`: a running demo shop, or the files of a directory, with decisions live.

use std::path::PathBuf;

use clap::Args;
use sidecar::{Sidecar, StartError, builder::SidecarBuilder, drain, runtime};
use tokio::sync::broadcast::error::RecvError;

use super::serve;
use crate::{
    exit::Exit,
    failure::Failure,
    output::{self, Format, Output},
};

mod greeting;
mod live;
mod own;
mod shop;

use greeting::Greeting;

const EXAMPLES: &str = "\
Examples:
  sidegate dev              the book shop in a temporary directory
  sidegate dev shop         the book shop in `shop`, kept; or the files that are there
  sidegate dev . --port 0   your files, on free ports";

/// What is logged beside the decisions, which are shown in a form of their own.
const LOG_FILTER: &str = "warn,decision=off,audit=off";

/// Arguments of `dev`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct DevArgs {
    /// The directory; with a `sidegate.yaml` in it that file is used, else the shop is put there.
    /// Default: a temporary one.
    dir: Option<PathBuf>,
    /// Where sockets and sessions are kept. Alone: as DIR.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The port for gRPC; HTTP and telemetry take the next two. 0 takes free ones. Default: what
    /// the file says.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
}

/// Where the files are, kept until the end when the directory is a temporary one.
struct Place {
    dir: PathBuf,
    data_dir: Option<PathBuf>,
    /// Removed with everything in it when this is dropped.
    temporary: Option<tempfile::TempDir>,
}

impl DevArgs {
    fn place(&self) -> Result<Place, Failure> {
        let (dir, data_dir) = match (&self.dir, &self.data_dir) {
            (Some(dir), data_dir) => (dir.clone(), data_dir.clone()),
            (None, Some(dir)) => (dir.clone(), None),
            (None, None) => {
                let made = tempfile::Builder::new().prefix("sidegate-").tempdir();
                let temporary = made.map_err(|err| {
                    Failure::new(Exit::Unexpected, format!("no temporary directory: {err}"))
                        .next("name a directory: `sidegate dev DIR`")
                })?;
                return Ok(Place {
                    dir: temporary.path().to_owned(),
                    data_dir: None,
                    temporary: Some(temporary),
                });
            }
        };
        std::fs::create_dir_all(&dir).map_err(|err| Failure::file(Exit::Unexpected, &dir, &err))?;
        // Absolute, so that what is printed can be pasted anywhere.
        let dir = dir
            .canonicalize()
            .map_err(|err| Failure::file(Exit::Unexpected, &dir, &err))?;
        Ok(Place {
            dir,
            data_dir,
            temporary: None,
        })
    }
}

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
///
/// Returns [`Failure`] when it does not start.
pub fn run(args: DevArgs, output: &Output) -> Result<Exit, Failure> {
    let place = args.place()?;
    let file = place.dir.join("sidegate.yaml");
    let (builder, token_file, is_shop) = if file.exists() {
        let (builder, token_file) = own::builder(&file, place.data_dir.as_deref())?;
        (builder, token_file, shop::is_here(&place.dir))
    } else {
        let token_file = shop::write(&place.dir)?;
        (Sidecar::builder(&file), Some(token_file), true)
    };
    let mut builder = builder
        .environment(overrides(args.port))
        .reload_on_hangup(true);
    if let Some(data_dir) = &place.data_dir {
        builder = builder.data_dir(data_dir);
    }
    let served = runtime::block_on(serve(builder, &place, token_file, is_shop, output));
    drop(place.temporary);
    serve::finished(served)
}

async fn serve(
    builder: SidecarBuilder,
    place: &Place,
    token_file: Option<PathBuf>,
    is_shop: bool,
    output: &Output,
) -> Result<(), StartError> {
    serve::start_logs(&builder.settings()?, Some(LOG_FILTER));
    // Listened for before anything is served, so that no signal is missed.
    let shutdown = drain::signals()?;
    let bound = builder.bind().await?;
    let greeting = Greeting::new(
        &bound.addresses,
        &place.dir,
        token_file,
        place.temporary.is_some(),
    );
    if is_shop && let Err(err) = greeting.write_files() {
        output::say(&err.render());
    }
    greet(&greeting, is_shop, output);
    let show = tokio::spawn(show(bound.decisions(), *output));
    let ended = bound.run(shutdown).await;
    show.abort();
    ended
}

fn greet(greeting: &Greeting, is_shop: bool, output: &Output) {
    if output.format == Format::Table {
        output::say(&greeting.people(is_shop));
    } else {
        // A reader that went away is no reason to stop.
        let _ = output.item(greeting, |_| String::new());
    }
}

type Decisions = tokio::sync::broadcast::Receiver<std::sync::Arc<sidecar::telemetry::DecisionSeen>>;

/// Shows each decision as it is made.
async fn show(mut decisions: Decisions, output: Output) {
    loop {
        match decisions.recv().await {
            Ok(seen) => {
                let _ = output.item(&live::Line::of(&seen), live::Line::people);
            }
            Err(RecvError::Lagged(missed)) => {
                output::say(&format!("{missed} decisions came too fast to be shown"));
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// The environment, and the ports that were asked for, which go before it.
fn overrides(port: Option<u16>) -> Vec<(String, String)> {
    let mut variables: Vec<_> = serve::environment().collect();
    let Some(port) = port else { return variables };
    let next = |by: u16| {
        if port == 0 {
            0
        } else {
            port.saturating_add(by)
        }
    };
    let ports = [
        ("SIDEGATE__LISTEN__GRPC", next(0)),
        ("SIDEGATE__LISTEN__HTTP", next(1)),
        ("SIDEGATE__LISTEN__TELEMETRY", next(2)),
    ];
    for (name, port) in ports {
        variables.retain(|(known, _)| known != name);
        variables.push((name.to_owned(), format!("127.0.0.1:{port}")));
    }
    variables
}
