//! Traefik, of the version in `tests/servers/requirements.txt`.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::server::{Configuration, Kind, Launch, Place, Probe, Server};

const TRAEFIK: Kind = Kind {
    program: "traefik",
    main: "traefik.yaml",
    complete,
    launch,
};

/// Starts Traefik on a static configuration in YAML, whose entry points are on `place.http()` and
/// `place.https()`. What is routed belongs into a file beside it, named by `providers.file`:
/// `Configuration::from(fixed).file("dynamic.yaml", routes)`. An API on `place.admin()` is added
/// here, by which the routes are awaited.
///
/// `None` where Traefik is not installed: `what` is then left out, which is said.
///
/// # Panics
///
/// Panics with the log when it does not start, and under `tests/run` when it is not installed.
pub async fn start<C: Into<Configuration>>(
    what: &str,
    configuration: impl Fn(&Place) -> C,
) -> Option<Server> {
    Server::start(&TRAEFIK, what, configuration).await
}

/// JSON is YAML too.
fn complete(place: &Place, text: String) -> String {
    let mut fixed: Value = serde_saphyr::from_str(&text).expect("the static configuration is YAML");
    fixed["api"] = json!({ "insecure": true, "dashboard": false });
    fixed["entryPoints"]["traefik"] = json!({ "address": format!("127.0.0.1:{}", place.admin()) });
    // It must not look for a newer one.
    fixed["global"] = json!({ "checkNewVersion": false, "sendAnonymousUsage": false });
    fixed.to_string()
}

fn launch(place: &Place) -> Launch {
    Launch {
        arguments: vec!["--configFile=traefik.yaml".to_owned()],
        environment: Vec::new(),
        probes: vec![Probe::Answers(
            (Ipv4Addr::LOCALHOST, place.admin()).into(),
            "/api/http/routers",
            r#""provider":"file""#,
        )],
    }
}
