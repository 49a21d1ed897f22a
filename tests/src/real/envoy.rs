//! Envoy, of the version in `tests/servers/requirements.txt`.

use super::server::{Configuration, Kind, Launch, Place, Probe, Server};

const ENVOY: Kind = Kind {
    program: "envoy",
    main: "envoy.yaml",
    complete: |_, text| text,
    launch,
};

/// Starts Envoy on a bootstrap in YAML, which names its listeners on `place.http()` and
/// `place.https()`. The administration interface is added here, on `place.admin()`.
///
/// `None` where Envoy is not installed: `what` is then left out, which is said.
///
/// # Panics
///
/// Panics with the log when it does not start, and under `tests/run` when it is not installed.
pub async fn start<C: Into<Configuration>>(
    what: &str,
    configuration: impl Fn(&Place) -> C,
) -> Option<Server> {
    Server::start(&ENVOY, what, configuration).await
}

fn launch(place: &Place) -> Launch {
    let admin = format!(
        "admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }} }}",
        place.admin()
    );
    let arguments = [
        "--config-path",
        "envoy.yaml",
        "--config-yaml",
        &admin,
        "--disable-hot-restart",
        "--concurrency",
        "1",
        "--log-level",
        "warning",
    ];
    Launch {
        arguments: arguments.map(str::to_owned).to_vec(),
        environment: Vec::new(),
        probes: vec![Probe::Answers(
            (std::net::Ipv4Addr::LOCALHOST, place.admin()).into(),
            "/ready",
            "LIVE",
        )],
    }
}
