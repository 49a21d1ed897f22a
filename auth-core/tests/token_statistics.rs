//! Tokens look like what they are: 32 random bytes (S-01, S-02).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "in a test a panic is the report"
)]

use std::collections::HashSet;

use auth_core::{
    random::{Random, RandomError, SystemRandom},
    session::SessionToken,
};

/// 200,000 tokens; ten million with `SIDEGATE_RELEASE_SIZE` set.
fn sample() -> usize {
    match std::env::var_os("SIDEGATE_RELEASE_SIZE") {
        Some(_) => 10_000_000,
        None => 200_000,
    }
}

const SHARD: [u8; 2] = [0xa5, 0x5a];

#[test]
fn s01_no_token_repeats_and_every_bit_is_balanced_within_five_sigma() {
    let count = sample();
    let mut seen = HashSet::with_capacity(count);
    let mut ones = [[0_u32; 8]; SessionToken::BYTES];
    for _ in 0..count {
        let token = SessionToken::generate(&SystemRandom, SHARD).unwrap();
        for (byte, ones) in token.as_bytes().iter().zip(&mut ones) {
            for (bit, ones) in ones.iter_mut().enumerate() {
                *ones += u32::from(byte >> bit & 1);
            }
        }
        let random: [u8; 32] = token.as_bytes()[SHARD.len()..].try_into().unwrap();
        assert!(seen.insert(random), "a token came twice");
    }
    let (mean, sigma) = (count as f64 / 2.0, (count as f64).sqrt() / 2.0);
    for (place, ones) in ones.iter().enumerate().skip(SHARD.len()) {
        for (bit, ones) in ones.iter().enumerate() {
            let off = (f64::from(*ones) - mean).abs() / sigma;
            assert!(off < 5.0, "bit {bit} of byte {place} is {off:.1} sigma off");
        }
    }
}

#[test]
fn s02_tokens_of_one_shard_share_its_two_bytes_and_no_more() {
    let token = || SessionToken::generate(&SystemRandom, SHARD).unwrap();
    let (first, second) = (token(), token());
    let (first, second) = (first.as_bytes(), second.as_bytes());
    assert_eq!(first[..2], SHARD);
    assert_eq!(second[..2], SHARD);
    let equal = first[2..].iter().zip(&second[2..]).filter(|(a, b)| a == b);
    assert!(equal.count() < 8);
}

/// A generator that is out of order.
#[derive(Debug)]
struct Broken;

impl Random for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), RandomError> {
        Err(RandomError)
    }
}

#[test]
fn s01_without_randomness_there_is_no_token() {
    assert!(SessionToken::generate(&Broken, SHARD).is_err());
}
