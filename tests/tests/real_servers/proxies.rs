//! Each proxy with the least configuration that passes everything on.

use harness::{
    raw,
    real::{
        caddy,
        caddy::Version,
        envoy, nginx,
        server::{Configuration, Place, Server},
        traefik,
    },
    recorder::App,
};

/// A request through the proxy reaches the app, and the answer comes back.
async fn assert_passes_on(server: Server, app: &App) {
    let asked = raw::request(
        "GET",
        "/books/1?x=y",
        "books.example",
        &[("X-Own", "1")],
        b"",
    );
    let answer = raw::exchange(server.http(), &asked, raw::DEADLINE)
        .await
        .unwrap();
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "ok"),
        "{}",
        server.log()
    );
    let requests = app.take();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].target, "/books/1?x=y");
    assert_eq!(requests[0].header("x-own"), Some("1"));
    let (pid, address) = (server.pid(), server.http());
    drop(server);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(matches!(
        raw::get(address, "/").await,
        Err(raw::NoAnswer::Refused(_))
    ));
}

#[tokio::test]
async fn nginx_passes_on() {
    let app = App::ok().await;
    let upstream = app.address();
    let server = nginx::start("nginx as a proxy", |place| {
        format!(
            "server {{ listen 127.0.0.1:{}; location / {{ proxy_pass http://{upstream}; }} }}",
            place.http()
        )
    });
    if let Some(server) = server.await {
        assert_passes_on(server, &app).await;
    }
}

#[tokio::test]
async fn nginx_takes_a_whole_configuration() {
    let app = App::ok().await;
    let upstream = app.address();
    let server = nginx::start("nginx with a whole configuration", |place| {
        format!(
            "worker_processes 1;\nevents {{}}\nhttp {{\n  server {{ listen 127.0.0.1:{}; \
             location / {{ proxy_pass http://{upstream}; }} }}\n}}\n",
            place.http()
        )
    });
    if let Some(server) = server.await {
        assert_passes_on(server, &app).await;
    }
}

#[tokio::test]
async fn both_caddies_pass_on() {
    for version in [Version::Pinned, Version::Debian] {
        let app = App::ok().await;
        let upstream = app.address();
        let server = caddy::start(version, "Caddy as a proxy", |place| {
            format!(
                "http://:{} {{\n\treverse_proxy {upstream}\n}}\n",
                place.http()
            )
        });
        if let Some(server) = server.await {
            assert_passes_on(server, &app).await;
        }
    }
}

#[tokio::test]
async fn traefik_passes_on() {
    let app = App::ok().await;
    let upstream = app.url();
    let server = traefik::start("Traefik as a proxy", |place| {
        let fixed = format!(
            "entryPoints: {{ web: {{ address: \"127.0.0.1:{}\" }} }}\n\
             providers: {{ file: {{ filename: dynamic.yaml }} }}\n",
            place.http()
        );
        Configuration::from(fixed).file(
            "dynamic.yaml",
            format!(
                "http:\n  routers: {{ app: {{ rule: \"PathPrefix(`/`)\", service: app }} }}\n  \
                 services: {{ app: {{ loadBalancer: {{ servers: [ {{ url: \"{upstream}\" }} ] }} }} }}\n"
            ),
        )
    });
    if let Some(server) = server.await {
        assert_passes_on(server, &app).await;
    }
}

#[tokio::test]
async fn envoy_passes_on() {
    let app = App::ok().await;
    let port = app.address().port();
    let server = envoy::start("Envoy as a proxy", |place| envoy_to(place, port)).await;
    if let Some(server) = server {
        assert_passes_on(server, &app).await;
    }
}

fn envoy_to(place: &Place, upstream: u16) -> String {
    format!(
        r#"
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: edge
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [ {{ match: {{ prefix: "/" }}, route: {{ cluster: app }} }} ]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }}
  clusters:
  - name: app
    load_assignment:
      cluster_name: app
      endpoints:
      - lb_endpoints:
        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {upstream} }} }} }}
"#,
        place.http()
    )
}
