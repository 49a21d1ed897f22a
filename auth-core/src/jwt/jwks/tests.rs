use std::sync::{
    Mutex as StdMutex,
    atomic::{AtomicUsize, Ordering},
};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::FutureExt as _;

use super::*;
use crate::jwt::{Issuer, KeySource, Rejection, Step, Verification, Verifier, VerifyError};

const NAME: &str = "https://id.example";
const T0: i64 = 1_800_000_000;
const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

/// Answers what the test put there and counts.
#[derive(Debug, Default)]
struct Fetcher {
    fetches: AtomicUsize,
    urls: StdMutex<Vec<String>>,
    answers: StdMutex<Vec<(String, Vec<u8>)>>,
    /// Yields that many times before it answers.
    delay: usize,
}

impl Fetcher {
    fn serving(url: &str, body: impl Into<Vec<u8>>) -> Self {
        let fetcher = Self::default();
        fetcher.serve(url, body);
        fetcher
    }

    fn serve(&self, url: &str, body: impl Into<Vec<u8>>) {
        let mut answers = self.answers.lock().unwrap();
        answers.retain(|(known, _)| known != url);
        answers.push((url.to_owned(), body.into()));
    }

    fn fail(&self) {
        self.answers.lock().unwrap().clear();
    }

    fn count(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl JwksFetcher for Fetcher {
    async fn fetch(&self, url: &str) -> Result<Vec<u8>, FetchError> {
        self.fetches.fetch_add(1, Ordering::SeqCst);
        self.urls.lock().unwrap().push(url.to_owned());
        for _ in 0..self.delay {
            tokio::task::yield_now().await;
        }
        let answers = self.answers.lock().unwrap();
        let answer = answers.iter().find(|(known, _)| known == url);
        answer
            .map(|(_, body)| body.clone())
            .ok_or_else(|| FetchError("refused".to_owned()))
    }
}

fn pair() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn jwk(key: &EcdsaKeyPair, id: &str) -> String {
    let point = key.public_key().as_ref();
    let (x, y) = (b64(&point[1..33]), b64(&point[33..]));
    format!(r#"{{"kty":"EC","crv":"P-256","use":"sig","kid":"{id}","x":"{x}","y":"{y}"}}"#)
}

fn jwks(keys: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn token(key: &EcdsaKeyPair, id: &str) -> String {
    let header = format!(r#"{{"alg":"ES256","typ":"at+jwt","kid":"{id}"}}"#);
    let claims = format!(
        r#"{{"iss":"{NAME}","aud":"api","sub":"alice","exp":{}}}"#,
        T0 + 30 * DAY
    );
    let input = format!("{}.{}", b64(header), b64(claims));
    let signature = key.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{}", b64(signature))
}

const KEYS: &str = "https://id.example/keys";

fn verifier_at(location: JwksLocation) -> Verifier {
    let keys = KeySource::Remote(location, JwksSettings::default());
    Verifier::new(
        vec![Issuer::builder(NAME, "api", keys).build().unwrap()],
        100,
    )
    .unwrap()
}

fn verifier() -> Verifier {
    verifier_at(JwksLocation::Url(KEYS.to_owned()))
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(T0 + seconds)
}

async fn verify(verifier: &Verifier, token: &str, seconds: i64, fetcher: &Fetcher) -> Verification {
    verifier
        .verify_with_fetch(token.as_bytes(), at(seconds), fetcher)
        .await
}

const UNAVAILABLE: VerifyError = VerifyError::KeysUnavailable { issuer: 0 };
const UNKNOWN: VerifyError = VerifyError::Rejected(Rejection::UnknownKey);

#[tokio::test]
async fn ten_thousand_unknown_keys_cost_a_fetch_a_minute() {
    let key = pair();
    let fetcher = Fetcher::serving(KEYS, jwks(&[jwk(&key, "k")]));
    let verifier = verifier();
    for number in 0..10_000 {
        let token = token(&key, &format!("random-{number}"));
        let verdict = verify(&verifier, &token, number / 1_000, &fetcher).await;
        assert_eq!(verdict.unwrap_err(), UNKNOWN);
    }
    assert_eq!(fetcher.count(), 1);
    let _ = verify(&verifier, &token(&key, "another"), MINUTE - 1, &fetcher).await;
    assert_eq!(fetcher.count(), 1, "one second before the floor");
    let _ = verify(&verifier, &token(&key, "another"), MINUTE, &fetcher).await;
    assert_eq!(fetcher.count(), 2, "at the floor");
    assert!(
        verify(&verifier, &token(&key, "k"), MINUTE, &fetcher)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn callers_at_once_share_one_flight() {
    let key = pair();
    let fetcher = Fetcher {
        delay: 20,
        ..Fetcher::default()
    };
    fetcher.serve(KEYS, jwks(&[jwk(&key, "k")]));
    let (verifier, token) = (verifier(), token(&key, "k"));
    let calls = (0..100).map(|_| verify(&verifier, &token, 0, &fetcher));
    let verdicts = futures_util::future::join_all(calls).await;
    assert!(
        verdicts.iter().all(Result::is_ok),
        "{:?}",
        verdicts.iter().find(|it| it.is_err())
    );
    assert_eq!(fetcher.count(), 1);
}

#[tokio::test]
async fn a_new_set_replaces_the_old_one_and_the_cache() {
    let (old, new) = (pair(), pair());
    let fetcher = Fetcher::serving(KEYS, jwks(&[jwk(&old, "old")]));
    let verifier = verifier();
    let (old_token, new_token) = (token(&old, "old"), token(&new, "new"));
    assert!(verify(&verifier, &old_token, 0, &fetcher).await.is_ok());
    fetcher.serve(KEYS, jwks(&[jwk(&new, "new")]));
    assert!(
        verify(&verifier, &old_token, 9 * MINUTE, &fetcher)
            .await
            .is_ok(),
        "not due yet"
    );
    assert!(
        verify(&verifier, &new_token, 9 * MINUTE, &fetcher)
            .await
            .is_ok(),
        "unknown key"
    );
    let verdict = verify(&verifier, &old_token, 9 * MINUTE, &fetcher).await;
    assert_eq!(
        verdict.unwrap_err(),
        UNKNOWN,
        "remembered, but its key is gone"
    );
}

#[tokio::test]
async fn a_remembered_token_does_not_keep_keys_from_being_looked_at() {
    let (key, other) = (pair(), pair());
    let fetcher = Fetcher::serving(KEYS, jwks(&[jwk(&key, "k")]));
    let (verifier, token) = (verifier(), token(&key, "k"));
    assert!(verify(&verifier, &token, 0, &fetcher).await.is_ok());
    fetcher.serve(KEYS, jwks(&[jwk(&other, "k")]));
    assert!(
        verify(&verifier, &token, 10 * MINUTE - 1, &fetcher)
            .await
            .is_ok()
    );
    let verdict = verify(&verifier, &token, 10 * MINUTE, &fetcher).await;
    assert_eq!(
        verdict.unwrap_err(),
        VerifyError::Rejected(Rejection::Signature)
    );
}

#[tokio::test]
async fn the_last_good_set_is_kept_for_a_day_and_no_longer() {
    let key = pair();
    let fetcher = Fetcher::serving(KEYS, jwks(&[jwk(&key, "k")]));
    let (verifier, token) = (verifier(), token(&key, "k"));
    assert!(verify(&verifier, &token, 0, &fetcher).await.is_ok());
    fetcher.fail();
    for seconds in [10 * MINUTE, DAY / 2, DAY - 1] {
        assert!(
            verify(&verifier, &token, seconds, &fetcher).await.is_ok(),
            "{seconds}"
        );
    }
    assert_eq!(
        verify(&verifier, &token, DAY, &fetcher).await.unwrap_err(),
        UNAVAILABLE
    );
    fetcher.serve(KEYS, jwks(&[jwk(&key, "k")]));
    assert!(
        verify(&verifier, &token, DAY + 5, &fetcher).await.is_ok(),
        "it recovers by itself"
    );
}

#[tokio::test]
async fn a_bad_set_leaves_the_good_one() {
    let key = pair();
    let fetcher = Fetcher::serving(KEYS, jwks(&[jwk(&key, "k")]));
    let (verifier, token) = (verifier(), token(&key, "k"));
    assert!(verify(&verifier, &token, 0, &fetcher).await.is_ok());
    let oct = r#"{"kty":"oct","k":"AAAA"}"#.to_owned();
    let mut seconds = 0;
    for (case, body) in [
        ("not JSON", "<html>".to_owned()),
        ("no set", "{}".to_owned()),
        ("empty", jwks(&[])),
        ("mixed", jwks(&[jwk(&key, "k"), oct])),
        ("duplicate id", jwks(&[jwk(&key, "k"), jwk(&pair(), "k")])),
        (
            "too long",
            jwks(&[jwk(&key, "k")]) + &" ".repeat(MAX_DOCUMENT_BYTES),
        ),
        ("duplicate member", r#"{"keys":[],"keys":[]}"#.to_owned()),
    ] {
        fetcher.serve(KEYS, body);
        seconds += 10 * MINUTE;
        assert!(
            verify(&verifier, &token, seconds, &fetcher).await.is_ok(),
            "{case}"
        );
        let status = verifier.keys_status(0).unwrap();
        assert!(status.last_error.is_some(), "{case}");
        assert_eq!((status.generation, status.keys), (1, 1), "{case}");
    }
}

#[tokio::test]
async fn keys_that_are_not_for_us_are_skipped() {
    let key = pair();
    let odd = [
        jwk(&key, "k"),
        r#"{"kty":"new","kid":"n"}"#.to_owned(),
        r#"{"kty":"EC","crv":"P-521","kid":"p"}"#.to_owned(),
        jwk(&pair(), "enc").replace(r#""use":"sig""#, r#""use":"enc""#),
        r#"{"kty":"RSA","kid":"weak","n":"AQAB","e":"AQAB"}"#.to_owned(),
        jwk(&pair(), "private").replace(r#""use":"sig""#, r#""d":"AQAB""#),
    ];
    let set = KeySet::from_published_jwks(jwks(&odd).as_bytes(), &Algorithm::ASYMMETRIC).unwrap();
    assert_eq!(set.keys().len(), 1);
    let errors: Vec<&KeyError> = set.skipped().iter().map(|skipped| &skipped.error).collect();
    let expected = [
        KeyError::KeyType("new".into()),
        KeyError::Curve("P-521".into()),
        KeyError::Use("enc".into()),
        KeyError::RsaBits(17),
        KeyError::PrivateKey,
    ];
    assert_eq!(errors, expected.iter().collect::<Vec<_>>());
}

#[tokio::test]
async fn discovery_believes_only_the_issuers_own_document() {
    const DOCUMENT: &str = "https://id.example/.well-known/openid-configuration";
    let key = pair();
    let token = token(&key, "k");
    for (case, document, good) in [
        (
            "own",
            format!(r#"{{"issuer":"{NAME}","jwks_uri":"{KEYS}"}}"#),
            true,
        ),
        (
            "another's",
            format!(r#"{{"issuer":"{NAME}/","jwks_uri":"{KEYS}"}}"#),
            false,
        ),
        ("nobody's", format!(r#"{{"jwks_uri":"{KEYS}"}}"#), false),
        ("no set", format!(r#"{{"issuer":"{NAME}"}}"#), false),
        (
            "inwards",
            format!(r#"{{"issuer":"{NAME}","jwks_uri":"http://localhost/keys"}}"#),
            false,
        ),
        (
            "no TLS",
            format!(r#"{{"issuer":"{NAME}","jwks_uri":"http://id.example/keys"}}"#),
            false,
        ),
        (
            "a file",
            format!(r#"{{"issuer":"{NAME}","jwks_uri":"file:///keys"}}"#),
            false,
        ),
    ] {
        let fetcher = Fetcher::serving(DOCUMENT, document);
        fetcher.serve(KEYS, jwks(&[jwk(&key, "k")]));
        let verifier = verifier_at(JwksLocation::OpenIdDiscovery);
        let verdict = verify(&verifier, &token, 0, &fetcher).await;
        assert_eq!(verdict.is_ok(), good, "{case}: {verdict:?}");
        let urls = fetcher.urls.lock().unwrap().clone();
        let asked: &[&str] = if good { &[DOCUMENT, KEYS] } else { &[DOCUMENT] };
        assert_eq!(urls, asked, "{case}");
    }
}

#[tokio::test]
async fn an_outage_is_retried_every_five_seconds() {
    let key = pair();
    let (fetcher, verifier, token) = (Fetcher::default(), verifier(), token(&key, "k"));
    for seconds in [0, 1, 4, 5, 9] {
        assert_eq!(
            verify(&verifier, &token, seconds, &fetcher)
                .await
                .unwrap_err(),
            UNAVAILABLE
        );
    }
    assert_eq!(fetcher.count(), 2);
}

#[tokio::test]
async fn a_clock_that_jumps_back_does_not_freeze_the_keys() {
    let (key, new) = (pair(), pair());
    let fetcher = Fetcher::serving(KEYS, jwks(&[jwk(&key, "k")]));
    let verifier = verifier();
    assert!(
        verify(&verifier, &token(&key, "k"), 0, &fetcher)
            .await
            .is_ok()
    );
    fetcher.serve(KEYS, jwks(&[jwk(&new, "new")]));
    let long_ago = -3_650 * DAY;
    assert!(
        verify(&verifier, &token(&new, "new"), long_ago, &fetcher)
            .await
            .is_ok()
    );
    let verdict = verify(&verifier, &token(&key, "k"), long_ago, &fetcher).await;
    assert_eq!(verdict.unwrap_err(), UNKNOWN);
}

/// A caller that goes away in the middle of a fetch leaves no lock and no mark behind.
#[tokio::test]
async fn an_abandoned_fetch_blocks_nobody() {
    let key = pair();
    let fetcher = Fetcher {
        delay: 1_000,
        ..Fetcher::default()
    };
    fetcher.serve(KEYS, jwks(&[jwk(&key, "k")]));
    let (verifier, token) = (verifier(), token(&key, "k"));
    assert!(
        verify(&verifier, &token, 0, &fetcher)
            .now_or_never()
            .is_none()
    );
    assert!(matches!(
        verifier.verify(token.as_bytes(), at(4)),
        Step::Done(Err(VerifyError::KeysUnavailable { .. }))
    ));
    assert!(verify(&verifier, &token, 5, &fetcher).await.is_ok());
    assert_eq!(fetcher.count(), 2);
}

#[tokio::test]
async fn keys_can_be_fetched_ahead_of_calls() {
    let key = pair();
    let fetcher = Fetcher::serving(KEYS, jwks(&[jwk(&key, "k")]));
    let (verifier, token) = (verifier(), token(&key, "k"));
    for wanted in verifier.keys_due(at(0)) {
        verifier.fetch_keys(wanted, at(0), &fetcher).await;
    }
    assert!(verifier.keys_due(at(0)).is_empty());
    assert!(
        verifier
            .verify_with_keys_at_hand(token.as_bytes(), at(0))
            .is_ok()
    );
}
