//! Configurations for proxies that ask by forward-auth.

use super::{
    facts::{Facts, IDENTITY, OTHERS, OVERRIDES},
    tls::AskedTls,
};
use crate::failure::Failure;

const NGINX: &str = include_str!("nginx.conf");
const CADDY: &str = include_str!("Caddyfile");
const TRAEFIK: &str = include_str!("traefik.yaml");
const TRAEFIK_ROUTES: &str = include_str!("traefik-dynamic.yaml");

/// nginx, by `auth_request`.
pub(super) fn nginx(facts: &Facts) -> Result<String, Failure> {
    let (sidegate, tls) = facts.forward_auth()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let variable = |name: &str| format!("$upstream_http_{}", snake(name));
    let asked = IDENTITY.iter().chain(OTHERS.iter().take(4)).copied();
    let ask = asked
        .map(|name| format!("auth_request_set ${} {};", snake(name), variable(name)))
        .chain([
            "auth_request_set $sidegate_retry_after $upstream_http_retry_after;".to_owned(),
            "auth_request_set $sidegate_status $upstream_status;".to_owned(),
        ]);
    let cleared = |names: &[&str]| {
        let lines = names.iter();
        lines
            .map(|name| format!("proxy_set_header {name} \"\";"))
            .collect::<Vec<_>>()
    };
    let mut identity: Vec<_> = IDENTITY
        .iter()
        .map(|name| format!("proxy_set_header {name} ${};", snake(name)))
        .collect();
    identity.extend(cleared(&OTHERS));
    let ours: Vec<_> = IDENTITY.iter().chain(&OTHERS).copied().collect();
    let hidden = ours.iter().map(|name| format!("proxy_hide_header {name};"));
    let indent = 12;
    Ok(filled(
        NGINX,
        &[
            ("@SIDEGATE@", sidegate.to_string()),
            ("@SCHEME@", scheme.to_owned()),
            ("@TLS@", lines(indent, tls.iter().flat_map(nginx_tls))),
            ("@UPSTREAM@", facts.upstream.clone()),
            ("@LISTEN@", facts.listen.to_string()),
            ("@ASK@", lines(indent, ask)),
            ("@OVERRIDES@", lines(indent, cleared(&OVERRIDES))),
            ("@IDENTITY@", lines(indent, identity)),
            ("@HIDDEN@", lines(indent, hidden)),
            ("@CLEARED@", lines(indent, cleared(&ours))),
        ],
    ))
}

fn nginx_tls(tls: &AskedTls) -> Vec<String> {
    let mut lines = vec![
        format!("proxy_ssl_trusted_certificate {};", tls.ca),
        "proxy_ssl_verify on;".to_owned(),
        "proxy_ssl_verify_depth 4;".to_owned(),
        format!("proxy_ssl_name {};", tls.name),
        "proxy_ssl_server_name on;".to_owned(),
    ];
    if let Some((certificate, key)) = &tls.identity {
        lines.push(format!("proxy_ssl_certificate {certificate};"));
        lines.push(format!("proxy_ssl_certificate_key {key};"));
    }
    lines
}

fn caddy_tls(tls: &AskedTls) -> Vec<String> {
    let mut lines = vec![
        "transport http {".to_owned(),
        format!("\ttls_trust_pool file {}", tls.ca),
        format!("\ttls_server_name {}", tls.name),
    ];
    if let Some((certificate, key)) = &tls.identity {
        lines.push(format!("\ttls_client_auth {certificate} {key}"));
    }
    lines.push("}".to_owned());
    lines
}

fn traefik_tls(tls: &AskedTls) -> String {
    let own = match &tls.identity {
        None => String::new(),
        Some((certificate, key)) => format!(", cert: \"{certificate}\", key: \"{key}\""),
    };
    format!("tls: {{ ca: \"{}\"{own} }}", tls.ca)
}

/// Caddy. Its file is indented with tabs.
pub(super) fn caddy(facts: &Facts) -> Result<String, Failure> {
    let (sidegate, tls) = facts.forward_auth()?;
    let scheme = if tls.is_some() { "https://" } else { "" };
    let tabs = |depth: usize, lines: Vec<String>| {
        let indent = "\t".repeat(depth);
        let lines: Vec<_> = lines.iter().map(|line| format!("{indent}{line}")).collect();
        lines.join("\n")
    };
    let overrides = OVERRIDES.map(|name| format!("request_header -{name}"));
    let kept = IDENTITY.iter().chain(OTHERS.iter().skip(2).take(2));
    let vars = kept.map(|name| format!("vars {} {{rp.header.{name}}}", snake(name)));
    let identity = IDENTITY.map(|name| format!("header_up {name} {{vars.{}}}", snake(name)));
    Ok(filled(
        CADDY,
        &[
            ("@SIDEGATE@", format!("{scheme}{sidegate}")),
            ("@TLS@", tabs(3, tls.iter().flat_map(caddy_tls).collect())),
            ("@UPSTREAM@", facts.upstream.clone()),
            ("@PORT@", facts.listen.port().to_string()),
            ("@IP@", facts.listen.ip().to_string()),
            ("@OVERRIDES@", tabs(1, overrides.to_vec())),
            ("@VARS@", tabs(4, vars.collect())),
            ("@IDENTITY@", tabs(3, identity.to_vec())),
        ],
    ))
}

/// What Traefik reads at its start.
pub(super) fn traefik_static(facts: &Facts) -> String {
    filled(TRAEFIK, &[("@LISTEN@", facts.listen.to_string())])
}

/// Traefik's routes.
pub(super) fn traefik_dynamic(facts: &Facts) -> Result<String, Failure> {
    let empty = |name: &&str| format!("{name}: \"\"");
    let ours = || IDENTITY.iter().chain(&OTHERS);
    let (sidegate, tls) = facts.forward_auth()?;
    // Traefik knows no other name of a certificate than that of the host.
    let sidegate = match &tls {
        Some(tls) => format!("https://{}:{}", tls.name, sidegate.port()),
        None => format!("http://{sidegate}"),
    };
    let names = facts.cookies();
    let cookies = match names.is_empty() {
        true => Vec::new(),
        false => {
            let quoted: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
            vec![format!(
                "addAuthCookiesToResponse: [ {} ]",
                quoted.join(", ")
            )]
        }
    };
    Ok(filled(
        TRAEFIK_ROUTES,
        &[
            ("@SIDEGATE@", sidegate),
            ("@TLS@", lines(8, tls.as_ref().map(traefik_tls))),
            ("@UPSTREAM@", format!("http://{}", facts.upstream)),
            ("@CLEARED@", lines(10, ours().chain(&OVERRIDES).map(empty))),
            ("@HIDDEN@", lines(10, ours().map(empty))),
            ("@COOKIES@", lines(8, cookies)),
        ],
    ))
}

/// A header's name as nginx and our variables have it.
fn snake(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

fn lines(indent: usize, lines: impl IntoIterator<Item = String>) -> String {
    let lines: Vec<_> = lines
        .into_iter()
        .map(|line| format!("{:indent$}{line}", ""))
        .collect();
    lines.join("\n")
}

/// A template with its places filled in; a place that stands for no line takes its line with it.
fn filled(template: &str, places: &[(&str, String)]) -> String {
    places
        .iter()
        .fold(template.to_owned(), |text, (place, value)| {
            if value.is_empty() {
                text.replace(&format!("{place}\n"), "")
            } else {
                text.replace(place, value)
            }
        })
}
