//! `sidegate dev`: a running demo shop, or the files of a directory, with decisions live.

use std::path::{Path, PathBuf};

use auth_core::policy::{settings::Address, source::Document};
use clap::Args;
use sidecar::{Sidecar, StartError, builder::SidecarBuilder, drain, runtime, server::Addresses};
use tokio::sync::broadcast::error::RecvError;

use super::serve;
use crate::{
    exit::Exit,
    failure::Failure,
    output::{self, Format, Output},
};

mod app;
mod greeting;
mod live;
mod own;
mod shop;

use app::App;
use greeting::Greeting;
use own::Callers;

const EXAMPLES: &str = "\
Examples:
  sidegate dev              the book shop in a temporary directory
  sidegate dev shop         the book shop in `shop`, kept; or the files that are there
  sidegate dev . --port 0   your files, on free ports
  sidegate dev --config books.yaml
                            this file of yours; edits are seen at once";

/// What is logged beside the decisions, which are shown in a form of their own.
const LOG_FILTER: &str = "warn,decision=off,audit=off";

/// Arguments of `dev`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct DevArgs {
    /// The directory; with a `sidegate.yaml` in it that file is used, else the shop is put there.
    /// Default: a temporary one.
    #[arg(conflicts_with = "config")]
    dir: Option<PathBuf>,
    /// A policy file of yours, of any name. It is only read; edits are seen at once.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where sockets and sessions are kept. Default: what the file says, else `.sidegate` beside
    /// it. Alone: as DIR.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The port for gRPC; HTTP, telemetry, proxy and the shop's app take the next four. 0 takes free ones. Default: what
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

/// Where the shop's app listens, as the shop's file says.
const APP_PORT: u16 = 7484;

/// What is run.
struct Project {
    place: Place,
    file: PathBuf,
    callers: Callers,
    is_shop: bool,
    port: Option<u16>,
}

impl DevArgs {
    fn place(&self) -> Result<Place, Failure> {
        if let Some(file) = &self.config {
            return self.place_of(file);
        }
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

    /// The place of a policy file, which must be there. A link stays one: what it points to may
    /// change.
    fn place_of(&self, file: &Path) -> Result<Place, Failure> {
        let failed = |err: std::io::Error| {
            Failure::file(Exit::BadFile, file, &err)
                .next("`sidegate init` writes a first one, `sidegate dev` alone runs a demo")
        };
        if file.metadata().map_err(failed)?.is_dir() {
            let shown = file.display();
            return Err(Failure::usage(format!("`{shown}` is a directory"))
                .next(format!("`sidegate dev {shown}` runs the files in it")));
        }
        let file = std::path::absolute(file).map_err(failed)?;
        let folder = file.parent().unwrap_or(Path::new("/"));
        Ok(Place {
            dir: folder.to_owned(),
            data_dir: self.data_dir.clone(),
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
    let project = Project::open(args)?;
    let served = runtime::block_on(serve(&project, output));
    // A temporary directory goes only now, when nothing uses it any more.
    drop(project);
    serve::finished(served)
}

impl Project {
    fn open(args: DevArgs) -> Result<Self, Failure> {
        let place = args.place()?;
        let name = args.config.as_ref().and_then(|file| file.file_name());
        let file = place.dir.join(name.unwrap_or("sidegate.yaml".as_ref()));
        let (callers, is_shop) = if file.exists() {
            let is_shop = args.config.is_none() && shop::is_here(&place.dir);
            (own::callers(&file, place.data_dir.as_deref())?, is_shop)
        } else {
            (Callers::Named(Some(shop::write(&place.dir)?)), true)
        };
        Ok(Self {
            place,
            file,
            callers,
            is_shop,
            port: args.port,
        })
    }

    /// The shop's app, where the shop is run.
    async fn app(&self) -> Result<Option<App>, Failure> {
        if !self.is_shop {
            return Ok(None);
        }
        let port = match self.port {
            None => APP_PORT,
            Some(0) => 0,
            Some(port) => port.saturating_add(4),
        };
        App::bind(port).await.map(Some)
    }

    fn builder(&self, app: Option<&App>) -> Result<SidecarBuilder, StartError> {
        let mut builder = Sidecar::builder(&self.file)
            .environment(serve::environment())
            .reload_on_hangup(true);
        if let Callers::Made(token_file) = &self.callers {
            let token_file = token_file.clone();
            builder = builder.amend(move |documents| own::add_caller(documents, &token_file));
        }
        if let Some(app) = app {
            let (port, upstream) = (self.port, format!("http://{}", app.address));
            builder = builder.amend(move |documents| behind_proxy(documents, port, &upstream));
        }
        if let Some(data_dir) = &self.place.data_dir {
            builder = builder.data_dir(data_dir);
        }
        if let Some(port) = self.port {
            let grpc = builder.settings()?.listen.grpc;
            builder = builder.environment(overrides(port, &grpc));
        }
        Ok(builder)
    }

    fn greeting(&self, addresses: &Addresses) -> Greeting {
        let is_temporary = self.place.temporary.is_some();
        let token_file = self.callers.token_file().map(Path::to_owned);
        Greeting::new(addresses, &self.place.dir, token_file, is_temporary)
    }
}

async fn serve(project: &Project, output: &Output) -> Result<(), Failure> {
    let app = project.app().await?;
    let builder = project.builder(app.as_ref())?.workers(runtime::cores());
    serve::start_logs(&builder.settings()?, Some(LOG_FILTER));
    // Listened for before anything is served, so that no signal is missed.
    let shutdown = drain::signals().map_err(StartError::from)?;
    let bound = builder.bind().await?;
    let greeting = project.greeting(&bound.addresses);
    if project.is_shop
        && let Err(err) = greeting.write_files()
    {
        output::say(&err.render());
    }
    greet(&greeting, project.is_shop, output);
    let show = tokio::spawn(show(bound.decisions(), *output));
    let app = app.map(|app| tokio::spawn(app.run()));
    let ended = bound.run(shutdown).await;
    show.abort();
    if let Some(app) = app {
        app.abort();
    }
    Ok(ended?)
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

/// Puts the proxy of the shop in front of its app, on the port that was asked for.
fn behind_proxy(documents: &mut [Document], port: Option<u16>, upstream: &str) {
    let listen = documents
        .first_mut()
        .and_then(|main| main.file.listen.as_mut());
    let Some(proxy) = listen.and_then(|listen| listen.proxy.as_mut()) else {
        return;
    };
    upstream.clone_into(&mut proxy.upstream.value);
    match port {
        None => {}
        Some(0) => "127.0.0.1:0".clone_into(&mut proxy.address.value),
        Some(port) => proxy.address.value = format!("127.0.0.1:{}", port.saturating_add(3)),
    }
}

/// The environment, and the ports that were asked for, which go before it. Unix sockets stay.
fn overrides(port: u16, grpc: &[Address]) -> Vec<(String, String)> {
    let tcp = |by: u16| match port {
        0 => "127.0.0.1:0".to_owned(),
        port => format!("127.0.0.1:{}", port.saturating_add(by)),
    };
    let is_unix = |address: &&Address| matches!(address, Address::Unix(_));
    let sockets = grpc.iter().filter(is_unix).map(ToString::to_string);
    let grpc: Vec<String> = sockets.chain([tcp(0)]).collect();
    let ours = [
        ("SIDEGATE__LISTEN__GRPC", grpc.join(",")),
        ("SIDEGATE__LISTEN__HTTP", tcp(1)),
        ("SIDEGATE__LISTEN__TELEMETRY", tcp(2)),
    ];
    let kept = serve::environment().filter(|(name, _)| ours.iter().all(|(our, _)| our != name));
    let ours = ours
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    kept.chain(ours).collect()
}
