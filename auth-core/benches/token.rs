//! P-10: a JWT that was seen before, beside the check of its signature alone.
//! Run: `cargo bench -p sidegate-auth-core --bench token`.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench reports by its figures"
)]

use auth_core::clock::Timestamp;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use criterion::{Criterion, criterion_group, criterion_main};

#[path = "../tests/jwt_attacks/kit.rs"]
#[allow(dead_code, reason = "the attacks need more of it")]
mod kit;

use kit::{A, NOW, claims, kit};

fn tokens(criterion: &mut Criterion) {
    let token = kit().es256(r#"{"alg":"ES256","typ":"at+jwt"}"#, claims(A));
    let now = Timestamp::from_seconds(NOW);
    let verify = || {
        let verifier = &kit().verifier;
        verifier.verify_with_keys_at_hand(token.as_bytes(), now)
    };
    verify().unwrap();
    let mut group = criterion.benchmark_group("P-10 a JWT of ES256");
    group.bench_function("seen before", |bench| bench.iter(verify));
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, kit().ec.public_key().as_ref());
    group.bench_function("its signature alone", |bench| {
        bench.iter(|| key.verify(signed.as_bytes(), &signature).unwrap());
    });
    group.finish();
}

criterion_group!(benches, tokens);
criterion_main!(benches);
