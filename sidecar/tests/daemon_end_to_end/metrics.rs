//! What `/metrics` says after traffic of which every count is known.

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use auth_core::grammar::TokenText;
use proto::{admin::v1 as admin, v1};

use crate::{
    client::Client,
    daemon::Daemon,
    harness::get,
    shop::{self, call, cookie},
};

/// The samples of `/metrics`, by name and labels.
struct Samples {
    text: String,
    values: BTreeMap<String, f64>,
}

impl Samples {
    async fn of(daemon: &Daemon) -> Self {
        let (status, text) = get(&daemon.tcp("telemetry"), "/metrics", "").await;
        assert_eq!(status, 200);
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let values = samples
            .map(|line| {
                let (name, value) = line.rsplit_once(' ').unwrap();
                (name.to_owned(), value.parse().unwrap())
            })
            .collect();
        Self { text, values }
    }

    /// The value of a sample; zero when there is none, as a counter begins.
    fn value(&self, name: &str) -> f64 {
        self.values.get(name).copied().unwrap_or(0.0)
    }

    /// The values of a family, by their labels.
    fn family(&self, name: &str) -> BTreeMap<&str, f64> {
        let samples = self.values.iter();
        samples
            .filter_map(|(sample, value)| {
                let labels = sample.strip_prefix(name)?.strip_prefix('{')?;
                Some((labels.strip_suffix('}')?, *value))
            })
            .collect()
    }
}

/// Decides, signs in and out, revokes, and reloads. Answers how many decisions were made.
async fn traffic(daemon: &Daemon) -> f64 {
    let client = Client::of(daemon).await;
    let token = client.sign_in("u1").await;
    let held = cookie(&format!("__Host-session={token}"));
    let unknown = TokenText::new(&[7; 34]);
    for (method, target, credentials) in [
        ("GET", "/books", vec![held.clone()]),
        ("GET", "/books", vec![held.clone()]),
        ("GET", "/books", vec![]),
        ("GET", "/books", vec![shop::bearer(unknown.as_str())]),
        ("POST", "/admin/reindex", vec![held.clone()]),
        ("GET", "/nowhere", vec![]),
        ("GET", "/a\0b", vec![]),
    ] {
        client.decide(call(method, target, &credentials)).await;
    }
    let mut queued = call("", "jobs", &[]);
    queued.wire.as_mut().unwrap().kind = v1::WireKind::Queue.into();
    client.decide(queued).await;
    // A new sign-in in place of the old one, a log-out, and the use of what is dead.
    let replaced = client.sign_in_again("u1", &token).await;
    client.log_out(&replaced).await;
    let dead = cookie(&format!("__Host-session={replaced}"));
    client.decide(call("GET", "/books", &[dead])).await;
    for _ in 0..2 {
        client.sign_in("u2").await;
    }
    assert_eq!(client.revoke_subject("u2").await, 2);
    let file = daemon.folder().join("sidegate.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, "operatons: {}\n").unwrap();
    let mut admin = admin::admin_service_client::AdminServiceClient::new(daemon.admin().await);
    let request = admin::ReloadPolicyRequest {};
    admin.reload_policy(request).await.unwrap_err();
    // Three sign-ins and one again, one log-out, and those above.
    let decided = 4.0 + 1.0 + 7.0 + 1.0 + 1.0;
    std::fs::write(&file, good).unwrap();
    decided
}

#[tokio::test]
async fn each_family_counts_what_happened() {
    let folder = shop::folder("{}", "{}");
    let daemon = Daemon::start(folder.path()).await;
    let decided = traffic(&daemon).await;
    let samples = Samples::of(&daemon).await;

    let decisions: Vec<_> = samples
        .family("sidegate_decisions_total")
        .into_iter()
        .collect();
    assert_eq!(
        decisions,
        [
            (r#"outcome="allow",reason="allowed",wire="http""#, 7.0),
            (
                r#"outcome="deny",reason="requirement_failed",wire="http""#,
                1.0
            ),
            (
                r#"outcome="deny",reason="unknown_operation",wire="http""#,
                1.0
            ),
            (
                r#"outcome="deny",reason="unknown_operation",wire="queue""#,
                1.0
            ),
            (
                r#"outcome="invalid",reason="target_invalid",wire="http""#,
                1.0
            ),
            (
                r#"outcome="unauthenticated",reason="credential_rejected",wire="http""#,
                2.0
            ),
            (
                r#"outcome="unauthenticated",reason="session_required",wire="http""#,
                1.0
            ),
        ]
    );
    let count = "sidegate_decision_duration_seconds_count";
    assert_eq!(samples.value(count), decided);
    let all = r#"sidegate_decision_duration_seconds_bucket{le="+Inf"}"#;
    assert_eq!(samples.value(all), decided);
    assert!(samples.value("sidegate_decision_duration_seconds_sum") > 0.0);

    assert_eq!(samples.value("sidegate_sessions_created_total"), 4.0);
    let ended: Vec<_> = samples
        .family("sidegate_sessions_ended_total")
        .into_iter()
        .collect();
    assert_eq!(
        ended,
        [
            (r#"cause="logout""#, 1.0),
            (r#"cause="replaced""#, 1.0),
            (r#"cause="subject_revoked""#, 2.0),
        ]
    );
    let refused: Vec<_> = samples
        .family("sidegate_credentials_refused_total")
        .into_iter()
        .collect();
    assert_eq!(
        refused,
        [(r#"why="revoked""#, 1.0), (r#"why="unknown""#, 1.0)]
    );
    for (verb, times) in [("create", 4.0), ("revoke", 1.0), ("revoke_subject", 1.0)] {
        let name = format!("sidegate_store_duration_seconds_count{{verb=\"{verb}\"}}");
        assert_eq!(samples.value(&name), times, "{name}");
    }
    assert_eq!(
        samples.family("sidegate_store_errors_total"),
        BTreeMap::new()
    );
    // Seven calls presented a token that may be one of ours.
    let hits = samples.value("sidegate_session_cache_hits_total");
    let misses = samples.value("sidegate_session_cache_misses_total");
    assert!(hits >= 1.0 && misses >= 1.0, "{hits} {misses}");
    assert_eq!(hits + misses, 7.0);
    // The daemon sees changes of the file by itself too, so that these are bounds.
    assert!(samples.value(r#"sidegate_config_reloads_total{result="success"}"#) >= 1.0);
    assert!(samples.value(r#"sidegate_config_reloads_total{result="failure"}"#) >= 1.0);
    assert!(samples.value("sidegate_config_last_reload_success_timestamp_seconds") > 1e9);
}

#[tokio::test]
async fn prometheus_finds_no_fault() {
    let Some(promtool) = promtool() else {
        // Written to the stream itself: what `eprintln!` writes in a passing test is not shown.
        let line = "LEFT OUT: promtool is not installed (package prometheus)\n";
        let _ = std::io::stderr().write_all(line.as_bytes());
        return;
    };
    let folder = shop::folder("{}", "{}");
    let daemon = Daemon::start(folder.path()).await;
    // A family without a sample has nothing to be found fault with, so each gets some.
    traffic(&daemon).await;
    let text = Samples::of(&daemon).await.text;
    assert_eq!(lint(&promtool, &text), (true, String::new()));
    // It would say so if there were a fault.
    let faulty = text.replace(
        "sidegate_sessions_created_total",
        "sidegate_sessionsCreated",
    );
    let (_, said) = lint(&promtool, &faulty);
    assert!(said.contains("sessionsCreated"), "{said}");
}

/// Whether promtool is content with this text, and what it says.
fn lint(promtool: &PathBuf, text: &str) -> (bool, String) {
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), said)
}

/// The program, in `$SIDEGATE_REAL/bin` or on the path. Where `SIDEGATE_REAL` is set, it must be
/// there, unless `tests/run --fast` says that tools may be missing.
fn promtool() -> Option<PathBuf> {
    let real = std::env::var_os("SIDEGATE_REAL").map(PathBuf::from);
    let own = real.iter().map(|real| real.join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = own.chain(std::env::split_paths(&path));
    let found = folders
        .find_map(|folder| Some(folder.join("promtool")).filter(|program| program.is_file()));
    assert!(
        found.is_some() || real.is_none() || std::env::var_os("SIDEGATE_REAL_OPTIONAL").is_some(),
        "promtool is missing, and whoever set SIDEGATE_REAL should have installed it"
    );
    found
}
