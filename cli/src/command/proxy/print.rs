//! `sidegate proxy print`.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
};

use clap::{Args, ValueEnum};

use super::{envoy, facts::Facts, forward_auth, tls::TlsArgs};
use crate::{exit::Exit, failure::Failure};

const EXAMPLES: &str = "\
Examples:
  sidegate proxy print nginx --upstream http://127.0.0.1:3000 > nginx.conf
  sidegate proxy print caddy --listen 127.0.0.1:8443 > Caddyfile
  sidegate proxy print traefik --part static > traefik.yaml
  sidegate proxy print traefik --part dynamic > dynamic.yaml
  sidegate proxy print envoy --config sidegate.yaml > envoy.yaml";

/// Arguments of `proxy print`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct PrintArgs {
    /// The proxy.
    proxy: Kind,
    /// The policy file. nginx, Caddy and Traefik need its `listen.forward_auth`, Envoy its
    /// `listen.envoy`.
    #[arg(long, value_name = "FILE", default_value = "sidegate.yaml")]
    config: PathBuf,
    /// The policy file of the Sidegate that decides, where `--config` is that of an edge which asks
    /// it (`decide.remote`).
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The app, as `http://HOST:PORT`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000")]
    upstream: String,
    /// Where the proxy listens.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Which of Traefik's two files; both, one after the other, when this is left out.
    #[arg(long, value_name = "PART")]
    part: Option<Part>,
    #[command(flatten)]
    tls: TlsArgs,
}

/// A proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// By `auth_request`.
    Nginx,
    /// By `ext_authz`, and `ext_proc` where the app writes sessions.
    Envoy,
    /// By `forward_auth`; 2.11.4 and newer.
    Caddy,
    /// By ForwardAuth; 3.7.12 and newer.
    Traefik,
}

/// A file of Traefik's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// What it reads at its start.
    Static,
    /// The routes.
    Dynamic,
}

/// Prints the configuration.
///
/// # Errors
///
/// Returns [`Failure`] when the policy file does not load, or the proxy has nowhere to ask.
pub fn run(args: &PrintArgs) -> Result<Exit, Failure> {
    if args.part.is_some() && args.proxy != Kind::Traefik {
        let failure = Failure::usage("only Traefik's configuration has parts");
        return Err(failure.next("leave `--part` out"));
    }
    let facts = Facts::read(
        &args.config,
        args.policy.as_deref(),
        &args.upstream,
        args.listen,
        args.tls.clone(),
    )?;
    let text = match args.proxy {
        Kind::Nginx => forward_auth::nginx(&facts)?,
        Kind::Caddy => forward_auth::caddy(&facts)?,
        Kind::Traefik => traefik(&facts, args.part)?,
        Kind::Envoy => envoy::configuration(&facts)?,
    };
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(Exit::Ok)
}

fn traefik(facts: &Facts, part: Option<Part>) -> Result<String, Failure> {
    let fixed = || forward_auth::traefik_static(facts);
    let routes = forward_auth::traefik_dynamic(facts)?;
    Ok(match part {
        Some(Part::Static) => fixed(),
        Some(Part::Dynamic) => routes,
        None => format!(
            "# File: traefik.yaml\n{}---\n# File: dynamic.yaml\n{routes}",
            fixed()
        ),
    })
}
