//! Health, reflection and metrics, which anybody on this machine may ask for.

use std::collections::{BTreeMap, BTreeSet};

use proto::admin::v1::GetStatusRequest;
use tokio_stream::StreamExt as _;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::{v1, v1alpha};

use crate::harness::*;

#[tokio::test]
async fn health_is_told_for_each_service() {
    let sidecar = start().await;
    for channel in [
        tcp_channel(&sidecar.tcp()).await,
        unix_channel(&sidecar.admin()).await,
    ] {
        let mut client = HealthClient::new(channel);
        for service in [
            "",
            "sidegate.v1.AuthorizationService",
            "sidegate.v1.SessionService",
        ] {
            let service = service.to_owned();
            let request = HealthCheckRequest { service };
            let answer = client.check(request).await.unwrap().into_inner();
            assert_eq!(answer.status(), ServingStatus::Serving);
        }
    }
}

#[tokio::test]
async fn reflection_names_our_services_in_both_versions() {
    let sidecar = start().await;
    let channel = tcp_channel(&sidecar.tcp()).await;
    let expected = "sidegate.v1.AuthorizationService";

    let request = v1::ServerReflectionRequest {
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
        ..Default::default()
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(tokio_stream::once(request));
    let answer = answers.await.unwrap().into_inner().next().await.unwrap();
    assert!(format!("{answer:?}").contains(expected));

    let request = v1alpha::ServerReflectionRequest {
        message_request: Some(
            v1alpha::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
        ..Default::default()
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(tokio_stream::once(request));
    let answer = answers.await.unwrap().into_inner().next().await.unwrap();
    assert!(format!("{answer:?}").contains(expected));
}

#[tokio::test]
async fn readiness_lists_its_checks_when_asked() {
    let sidecar = start().await;
    let telemetry = sidecar.telemetry();
    assert_eq!(get(&telemetry, "/livez", "").await, (200, "ok\n".into()));
    assert_eq!(get(&telemetry, "/readyz", "").await, (200, "ok\n".into()));
    let (status, body) = get(&telemetry, "/readyz?verbose", "").await;
    assert_eq!(status, 200);
    assert_eq!(body, "[+]serving ok\n[+]store ok\nok\n");
}

/// The families of a text in the format of Prometheus, by name; panics where it is malformed.
fn families(text: &str) -> BTreeMap<String, String> {
    let mut families = BTreeMap::new();
    let mut helped = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, words) = rest.split_once(' ').unwrap();
            assert!(!words.is_empty(), "{line}");
            assert!(helped.insert(name.to_owned()), "twice: {line}");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(helped.contains(name), "no help: {line}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            families.insert(name.to_owned(), kind.to_owned());
        } else {
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = sample.split('{').next().unwrap();
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .filter(|family| families.contains_key(*family))
                .unwrap_or(name);
            assert!(families.contains_key(family), "no type: {line}");
        }
    }
    families
}

#[tokio::test]
async fn metrics_parse_and_count_what_happened() {
    let sidecar = start().await;
    sidecar.decide("/hello").await;
    sidecar.decide("/nothing").await;
    let mut admin = sidecar.admin_client().await;
    admin.get_status(GetStatusRequest {}).await.unwrap();
    let (_, text) = get(&sidecar.telemetry(), "/metrics", "").await;
    let families = families(&text);
    for (name, kind) in [
        ("sidegate_decisions_total", "counter"),
        ("sidegate_decision_duration_seconds", "histogram"),
        ("sidegate_sessions_created_total", "counter"),
        ("sidegate_store_duration_seconds", "histogram"),
        ("sidegate_session_cache_hits_total", "counter"),
        ("sidegate_config_last_reload_success", "gauge"),
        ("sidegate_build_info", "gauge"),
    ] {
        assert_eq!(families.get(name).map(String::as_str), Some(kind), "{name}");
    }
    for line in [
        "sidegate_decisions_total{outcome=\"allow\",reason=\"allowed\",wire=\"http\"} 1",
        "sidegate_decisions_total{outcome=\"deny\",reason=\"unknown_operation\",wire=\"http\"} 1",
        "sidegate_config_last_reload_success 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}
