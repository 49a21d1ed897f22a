//! Envoy's configuration.

use auth_core::policy::settings::Address;

use super::{
    bodies,
    facts::{Facts, OVERRIDES},
    tls::AskedTls,
};
use crate::failure::Failure;

const ENVOY: &str = include_str!("envoy.yaml");

/// gRPC is HTTP/2 all the way to the app.
const GRPC_ROUTE: &str = r#"              - match: { prefix: "/", grpc: {} }
                route: { cluster: app_grpc, timeout: 0s }
"#;

/// What stands before the routes whose bodies are read.
const BODY_COMMENT: &str = r"              # Checks read the body of these. Envoy keeps its beginning until the answer is there, and
              # Sidegate refuses what is longer (413) and what states no length (411), since Envoy calls
              # the beginning of such a body whole. Every other body passes as it comes. Where a body is
              # not handed over, a check that reads it does not hold.
";

const GRPC_CLUSTER: &str = r#"  - name: app_grpc
    type: STRICT_DNS
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: { http2_protocol_options: {} }
    load_assignment:
      cluster_name: app_grpc
      endpoints: [ { lb_endpoints: [ { endpoint: { address: { socket_address: { address: "@APP_HOST@", port_value: @APP_PORT@ } } } } ] } ]
"#;

/// Envoy, by `ext_authz` and `ext_proc`.
pub(super) fn configuration(facts: &Facts) -> Result<String, Failure> {
    let (address, tls) = facts.envoy()?;
    let sidegate = match address {
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
    let (route, cluster) = match facts.has_grpc() {
        true => (GRPC_ROUTE, GRPC_CLUSTER),
        false => ("", ""),
    };
    let bodies = bodies::routes(&facts.policy);
    let runtime = bodies::runtime(&bodies);
    let bodies = match bodies.is_empty() {
        true => bodies,
        false => format!("{BODY_COMMENT}{bodies}"),
    };
    Ok(ENVOY
        .replace("@GRPC_ROUTE@\n", route)
        .replace("@GRPC_CLUSTER@\n", cluster)
        .replace("@BODY_ROUTES@\n", &bodies)
        .replace("@RUNTIME@\n", &runtime)
        .replace("@LISTEN_HOST@", &facts.listen.ip().to_string())
        .replace("@LISTEN_PORT@", &facts.listen.port().to_string())
        .replace("@APP_HOST@", host.trim_matches(['[', ']']))
        .replace("@APP_PORT@", port)
        .replace("@SIDEGATE@", &sidegate)
        .replace("@TLS@\n", &tls.as_ref().map_or_else(String::new, transport))
        .replace("@OVERRIDES@", &overrides.join("\n")))
}

/// How Envoy asks over TLS.
fn transport(tls: &AskedTls) -> String {
    let AskedTls { name, ca, identity } = tls;
    let own = match identity {
        None => String::new(),
        Some((certificate, key)) => format!(
            "          tls_certificates: [ {{ certificate_chain: {{ filename: \"{certificate}\" }}, \
             private_key: {{ filename: \"{key}\" }} }} ]\n"
        ),
    };
    format!(
        "    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        sni: \"{name}\"
        common_tls_context:
          alpn_protocols: [ h2 ]
          validation_context:
            trusted_ca: {{ filename: \"{ca}\" }}
            match_typed_subject_alt_names: [ {{ san_type: DNS, matcher: {{ exact: \"{name}\" }} }} ]
{own}"
    )
}
