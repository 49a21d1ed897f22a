//! Who guesses tokens is slowed down and seen, and nobody else is (S-21).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proto::v1::{self, Outcome};

use crate::visitors::*;

/// How many guesses are made; beyond the limit, each is refused without the store.
const GUESSES: u64 = 20_000;
/// How many go out together.
const AT_ONCE: u64 = 100;
/// How many refusals an address may collect in a minute.
const LIMIT: u64 = auth_core::throttle::MAX_REFUSALS as u64;

/// A token that could be one of ours, by its form.
fn guess(number: u64) -> String {
    let mut bytes = [0x5a; 34];
    bytes[2..10].copy_from_slice(&number.to_be_bytes());
    format!("Bearer sg1_{}", URL_SAFE_NO_PAD.encode(bytes))
}

fn from(address: &str, credential: Option<(&str, &str)>) -> v1::AuthorizeRequest {
    let mut request = asked("GET", "/me", credential);
    request.wire.as_mut().unwrap().peer = Some(v1::Peer {
        address: address.into(),
        ..v1::Peer::default()
    });
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s21_who_guesses_is_throttled_and_counted_and_nobody_else_is() {
    let shop = std::sync::Arc::new(shop("memory: {}", "").await);
    let (_, token) = shop.bearer("u1").await.unwrap();
    let good = format!("Bearer {token}");
    let mut limited = 0;
    for first in (0..GUESSES).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let mut tasks = Vec::new();
        for number in first..first + AT_ONCE {
            let shop = shop.clone();
            tasks.push(tokio::spawn(async move {
                let value = guess(number);
                let request = from("192.0.2.7", Some(("authorization", &value)));
                shop.ask(request).await.outcome()
            }));
        }
        for task in tasks {
            match task.await.unwrap() {
                Outcome::Limited => limited += 1,
                outcome => assert_eq!(outcome, Outcome::Unauthenticated),
            }
        }
    }
    // Those that were under way together when the limit was reached may have passed it.
    let passed = GUESSES - limited;
    assert!((LIMIT..=LIMIT + AT_ONCE).contains(&passed), "{passed}");
    let refused = |why: &str| format!("sidegate_credentials_refused_total{{why=\"{why}\"}}");
    assert_eq!(shop.metric(&refused("throttled")).await, limited);
    assert_eq!(shop.metric(&refused("unknown")).await, passed);
    let loads = "sidegate_store_duration_seconds_count{verb=\"load\"}";
    assert_eq!(
        shop.metric(loads).await,
        passed,
        "the store is left in peace"
    );
    let outcome = async |address| {
        let request = from(address, Some(("authorization", &good)));
        shop.ask(request).await.outcome()
    };
    assert_eq!(outcome("192.0.2.7").await, Outcome::Limited);
    assert_eq!(outcome("192.0.2.8").await, Outcome::Allow, "another peer");
}
