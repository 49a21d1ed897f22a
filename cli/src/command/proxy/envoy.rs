//! Envoy's configuration.

use auth_core::policy::settings::Address;

use super::facts::{Facts, OVERRIDES};
use crate::failure::Failure;

const ENVOY: &str = include_str!("envoy.yaml");

/// Envoy, by `ext_authz` and `ext_proc`.
pub(super) fn configuration(facts: &Facts) -> Result<String, Failure> {
    let sidegate = match facts.envoy()? {
        Address::Unix(path) => format!("{{ pipe: {{ path: \"{}\" }} }}", path.display()),
        Address::Tcp(tcp) => format!(
            "{{ socket_address: {{ address: \"{}\", port_value: {} }} }}",
            tcp.ip(),
            tcp.port()
        ),
    };
    let authority = facts.upstream.trim_start_matches("http://");
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, "80"));
    let overrides: Vec<_> = OVERRIDES
        .iter()
        .map(|name| {
            format!(
                "                - {{ remove: \"{}\" }}",
                name.to_lowercase()
            )
        })
        .collect();
    Ok(ENVOY
        .replace("@LISTEN_HOST@", &facts.listen.ip().to_string())
        .replace("@LISTEN_PORT@", &facts.listen.port().to_string())
        .replace("@APP_HOST@", host.trim_matches(['[', ']']))
        .replace("@APP_PORT@", port)
        .replace("@SIDEGATE@", &sidegate)
        .replace("@OVERRIDES@", &overrides.join("\n")))
}
