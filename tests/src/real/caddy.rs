//! Caddy: the pinned version, and the one that Debian ships.

use super::server::{Configuration, Kind, Launch, Place, Probe, Server};

/// Which Caddy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 2.11, of the version in `tests/servers/requirements.txt`.
    Pinned,
    /// 2.6, as Debian 12 has it; its `forward_auth` lets a client's copy of a header through.
    Debian,
}

/// Starts Caddy on a Caddyfile whose sites listen on `place.http()` and `place.https()`, such as
/// `http://127.0.0.1:{port}`. Global options need none; where there are some, they come first, and
/// leave `admin` alone: it is added here, on `place.admin()`.
///
/// `None` where that Caddy is not installed: `what` is then left out, which is said.
///
/// # Panics
///
/// Panics with the log when it does not start, and under `tests/run` when it is not installed.
pub async fn start<C: Into<Configuration>>(
    version: Version,
    what: &str,
    configuration: impl Fn(&Place) -> C,
) -> Option<Server> {
    let kind = Kind {
        program: match version {
            Version::Pinned => "caddy",
            Version::Debian => "caddy-2.6",
        },
        main: "Caddyfile",
        complete,
        launch,
    };
    Server::start(&kind, what, configuration).await
}

/// Starts Caddy as nothing but an end of TLS, with a certificate of its own making: what arrives
/// on `https()` for the hosts goes on in plain HTTP to `upstream`.
///
/// `None` where Caddy is not installed.
///
/// # Panics
///
/// As [`start`].
pub async fn tls_front(
    what: &str,
    hosts: &[&str],
    upstream: std::net::SocketAddr,
) -> Option<Server> {
    start(Version::Pinned, what, |place| {
        let port = place.https();
        let sites: Vec<_> = hosts
            .iter()
            .map(|host| format!("https://{host}:{port}"))
            .collect();
        format!(
            "{{\n\tauto_https disable_redirects\n\tskip_install_trust\n}}\n{} {{\n\ttls internal\n\
             \treverse_proxy {upstream}\n}}\n",
            sites.join(", ")
        )
    })
    .await
}

/// The environment names the address of the administration to new Caddys only, a global option to
/// every one.
fn complete(place: &Place, text: String) -> String {
    let admin = format!("\tadmin 127.0.0.1:{}\n", place.admin());
    match text.trim_start().strip_prefix("{\n") {
        Some(options) => format!("{{\n{admin}{options}"),
        None => format!("{{\n{admin}}}\n{text}"),
    }
}

fn launch(place: &Place) -> Launch {
    let folder = place.folder().display().to_string();
    let arguments = ["run", "--config", "Caddyfile", "--adapter", "caddyfile"];
    Launch {
        arguments: arguments.map(str::to_owned).to_vec(),
        environment: vec![
            ("HOME", folder.clone()),
            ("XDG_CONFIG_HOME", folder.clone()),
            ("XDG_DATA_HOME", folder),
        ],
        probes: vec![Probe::Logged("serving initial configuration")],
    }
}
