//! No secret is in any log, metric, error, `{:?}` or database (F-24, A-08, A-12, S-14).
//!
//! Each secret is looked for in every form that it may be written in. That the look is sharp is
//! shown too: what is no secret is found in the same heaps, and a secret thrown into them is.

use std::{collections::BTreeSet, path::Path};

use auth_core::grammar::{ApiKeyText, TokenText};
use proto::v1;
use rusqlite::Connection;

use crate::{daemon::Daemon, harness::get, shop};

mod app;
mod behind_envoy;
mod behind_proxy;
mod elsewhere;
mod scan;
mod traffic;

use app::App;
use scan::{Net, Secret, find};
use traffic::{SUBJECT, Secrets, Traffic};

/// Where a secret may have got to.
struct Heap {
    name: &'static str,
    bytes: Vec<u8>,
}

/// Runs all of the traffic with logs like these, and answers where it left traces and what of it
/// was secret.
async fn traces(telemetry: &str) -> (Vec<Heap>, Secrets) {
    let app = App::start().await;
    let folder = shop::folder_before(app.address, telemetry);
    let daemon = Daemon::start(folder.path()).await;
    let mut traffic = Traffic::new(&daemon).await;
    traffic.run(app).await;
    let (seen, mut secrets) = (traffic.seen, traffic.secrets);
    secrets.keys = vec![files(&folder.path().join("data/keys"))];
    assert_eq!(seen.methods, methods(), "each method was asked");
    let (_, metrics) = get(&daemon.tcp("telemetry"), "/metrics", "").await;
    // Before the end, when the log of writes is emptied, and after it.
    let mut store = files(&folder.path().join("data"));
    let ended = daemon.stop().await;
    assert!(ended.status.success(), "{}", ended.written);
    store.extend(files(&folder.path().join("data")));
    let heap = |name, bytes| Heap { name, bytes };
    let heaps = vec![
        heap("logs", ended.written.into_bytes()),
        heap("metrics", metrics.into_bytes()),
        heap("errors", seen.errors),
        heap("debug", seen.debug.into_bytes()),
        heap("store", store),
    ];
    (heaps, secrets)
}

/// The methods of our services, from the contract itself.
fn methods() -> BTreeSet<String> {
    let pool = prost_reflect::DescriptorPool::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let services = pool.services();
    let ours = services.filter(|service| service.full_name().starts_with("sidegate."));
    ours.flat_map(|service| service.methods().collect::<Vec<_>>())
        .map(|method| method.name().to_owned())
        .collect()
}

/// All files of the store: the database, the log of writes to it, and its index.
fn files(data: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            all.extend(std::fs::read(path).unwrap());
        }
    }
    all
}

/// The secrets, each in all the pieces that it could be recognised by.
fn sharpened(secrets: &Secrets) -> Vec<Secret> {
    let texts = secrets.texts.iter();
    let calls = secrets.calls.iter();
    let keys = secrets.keys.iter();
    texts
        .flat_map(|(name, text)| Secret::token(name, text))
        .chain(calls.map(|call| Secret::bytes("a sealed call", call)))
        .chain(keys.map(|key| Secret::bytes("a key of ours", key)))
        .collect()
}

/// Every place where a secret was found.
fn leaks(heaps: &[Heap], net: &Net<'_>) -> Vec<String> {
    let mut leaks = Vec::new();
    for heap in heaps {
        let caught = net.caught_in(&heap.bytes);
        leaks.extend(caught.iter().map(|what| format!("{}: {what}", heap.name)));
        // Whatever was planted begins like this, however much of it is left.
        if let Some(at) = find(&heap.bytes, b"SECRET") {
            let around = &heap.bytes[at.saturating_sub(100)..heap.bytes.len().min(at + 50)];
            let around = String::from_utf8_lossy(around);
            leaks.push(format!("{}: a planted secret in `{around}`", heap.name));
        }
    }
    leaks
}

/// What is no secret, and where it must be found, or the heaps are not what they seem.
const MARKED: [(&str, &str); 17] = [
    ("logs", SUBJECT),
    ("logs", "no answer of the app"),
    ("logs", "the proxy refused"),
    ("logs", "Envoy's request was refused"),
    ("logs", "`sidegate-session-set`: "),
    ("logs", "`sidegate-session-patch`: "),
    ("logs", "reindex"),
    ("logs", "marked-reason"),
    ("metrics", "requirement_failed"),
    ("metrics", "credential_rejected"),
    ("errors", "clerk"),
    ("errors", "CALLER_UNKNOWN"),
    ("debug", SUBJECT),
    ("debug", "reindex"),
    ("store", SUBJECT),
    ("store", "marked-attribute"),
    ("store", "marked-key"),
];

async fn no_secret_is_left(telemetry: &str, debug_line: &str) {
    let (heaps, secrets) = traces(telemetry).await;
    for (name, marked) in MARKED.into_iter().chain([("logs", debug_line)]) {
        let heap = heaps.iter().find(|heap| heap.name == name).unwrap();
        let found = find(&heap.bytes, marked.as_bytes());
        assert!(found.is_some(), "{marked} in {name}");
    }
    let secrets = sharpened(&secrets);
    let net = Net::new(&secrets);
    assert_eq!(leaks(&heaps, &net), Vec::<String>::new());

    // Had any of them been left anywhere, in any form, it would have been found.
    for form in secrets.iter().flat_map(Secret::forms) {
        for heap in &heaps {
            let kept = heap.bytes.len().saturating_sub(100);
            let end = [&heap.bytes[kept..], form, b" and so on"].concat();
            assert!(!net.caught_in(&end).is_empty(), "{form:?} in {}", heap.name);
        }
    }
}

#[tokio::test]
async fn no_secret_is_in_text_logs_or_anywhere_else() {
    no_secret_is_left("{ log: text, log_filter: trace }", "TRACE h").await;
}

#[tokio::test]
async fn no_secret_is_in_json_logs_or_anywhere_else() {
    no_secret_is_left("{ log: json, log_filter: debug }", r#""level":"DEBUG""#).await;
}

/// The back door of Rack (CVE-2019-16782): a dump of the store lets nobody in.
#[tokio::test]
async fn what_the_store_keeps_of_a_token_is_no_token() {
    let folder = shop::folder("{}", "{}");
    let daemon = Daemon::start(folder.path()).await;
    let mut traffic = Traffic::new(&daemon).await;
    traffic.managed().await;
    traffic.administered().await;
    let file = Connection::open(folder.path().join("data/sidegate.db")).unwrap();
    let hashes = |table: &str| -> Vec<[u8; 32]> {
        let mut all = file.prepare(&format!("SELECT hash FROM {table}")).unwrap();
        let rows = all.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let mut tried = 0;
    for hash in hashes("tokens").iter().chain(&hashes("api_keys")) {
        let padded: Vec<u8> = [0, 0].iter().chain(hash).copied().collect();
        let token = TokenText::new(padded.as_slice().try_into().unwrap());
        let key = ApiKeyText::new(hash);
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        for credential in [
            shop::bearer(token.as_str()),
            shop::cookie(&format!("__Host-session={}", token.as_str())),
            shop::api_key(key.as_str()),
            shop::bearer(&hex),
        ] {
            let request = shop::call("GET", "/books", &[credential]);
            let answer = traffic.authorize(request).await;
            assert_eq!(answer.outcome(), v1::Outcome::Unauthenticated);
            tried += 1;
        }
    }
    assert!(tried >= 16, "{tried}");
}

#[test]
fn a_secret_is_found_however_it_is_written() {
    let secrets = Secret::token("a token", "sg1_SECRETmarkedAECAwQFBgcICQoLDA0ODxAREhMU");
    let others = [Secret::bytes("another", b"SECRETbut another one")];
    let (net, other) = (Net::new(&secrets), Net::new(&others));
    for form in secrets.iter().flat_map(Secret::forms) {
        let heap = [b"before ", form, b" after"].concat();
        assert!(!net.caught_in(&heap).is_empty());
        assert!(other.caught_in(&heap).is_empty());
    }
}

#[test]
fn a_secret_is_found_within_a_longer_text_in_base64() {
    let secrets = [Secret::bytes("a key", b"SECRETof twenty bytes")];
    let net = Net::new(&secrets);
    for before in ["", "a", "ab", "abc", "Basic user:"] {
        let text = format!("{before}SECRETof twenty bytes and more");
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
        assert!(!net.caught_in(encoded.as_bytes()).is_empty(), "{encoded}");
    }
}
