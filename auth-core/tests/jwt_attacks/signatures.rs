//! Group sig: signatures that are none, and one that has a twin.

use std::sync::Arc;

use auth_core::{
    clock::Timestamp,
    jwt::{Rejection, VerifiedToken},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proptest::prelude::*;

use crate::{
    kit::{A, B, H, NOW, b64, claims, ecdsa, kit},
    table::{Row, refuse_all, row},
};

const HEADER: &str = r#"{"alg":"ES256","typ":"at+jwt","kid":"a1"}"#;

/// The order of P-256, big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn good() -> String {
    kit().es256(HEADER, claims(A))
}

fn parts(token: &str) -> (String, Vec<u8>) {
    let (input, signature) = token.rsplit_once('.').unwrap();
    (input.to_owned(), URL_SAFE_NO_PAD.decode(signature).unwrap())
}

/// A good token with another signature under it.
fn with_signature(signature: &[u8]) -> String {
    format!("{}.{}", parts(&good()).0, b64(signature))
}

/// `left - right`, of numbers of 32 bytes, `left` the larger.
fn difference(left: &[u8], right: &[u8]) -> [u8; 32] {
    let mut result = [0; 32];
    let mut borrow = 0_i16;
    for at in (0..32).rev() {
        let digit = i16::from(left[at]) - i16::from(right[at]) - borrow;
        borrow = i16::from(digit < 0);
        result[at] = u8::try_from(digit + 256 * borrow).unwrap();
    }
    result
}

#[test]
fn a_damaged_or_foreign_signature_is_refused() {
    let signature = parts(&good()).1;
    let mut longer = signature.clone();
    longer.push(0);
    let mut flipped = signature.clone();
    flipped[40] ^= 1;
    let mut swapped = signature[32..].to_vec();
    swapped.extend_from_slice(&signature[..32]);
    let other_claims = kit().es256(HEADER, claims(B));
    let (input, _) = parts(&kit().es256(HEADER, claims(A)));
    let mac = kit().hs256(
        &kit().secret,
        r#"{"alg":"HS256","typ":"at+jwt","kid":"h1"}"#,
        &claims(H),
    );
    let (mac_input, mac) = parts(&mac);
    let rows = [
        row("empty", with_signature(&[]), Rejection::Signature),
        row(
            "one byte",
            with_signature(&signature[..1]),
            Rejection::Signature,
        ),
        row(
            "last byte cut",
            with_signature(&signature[..63]),
            Rejection::Signature,
        ),
        row(
            "half",
            with_signature(&signature[..32]),
            Rejection::Signature,
        ),
        row(
            "one byte more",
            with_signature(&longer),
            Rejection::Signature,
        ),
        row(
            "one bit flipped",
            with_signature(&flipped),
            Rejection::Signature,
        ),
        row(
            "halves swapped",
            with_signature(&swapped),
            Rejection::Signature,
        ),
        row(
            "of another token",
            format!("{input}.{}", b64(parts(&other_claims).1)),
            Rejection::Signature,
        ),
        row(
            "of another key",
            kit().foreign(HEADER, &claims(A)),
            Rejection::Signature,
        ),
        row(
            "MAC cut to half",
            format!("{mac_input}.{}", b64(&mac[..16])),
            Rejection::Signature,
        ),
        row("MAC empty", format!("{mac_input}."), Rejection::Signature),
    ];
    refuse_all("sig damaged", "T-01", 7, &rows);
}

#[test]
fn psychic_and_misformed_ecdsa_is_refused() {
    let number = |last: u8| {
        let mut bytes = [0; 32];
        bytes[31] = last;
        bytes
    };
    let (zero, one, max) = (number(0), number(1), [0xff; 32]);
    let less = difference(&ORDER, &one);
    let mut rows: Vec<Row> = [
        ("0, 0", zero, zero),
        ("0, 1", zero, one),
        ("1, 0", one, zero),
        ("1, 1", one, one),
        ("n, 0", ORDER, zero),
        ("0, n", zero, ORDER),
        ("n, n", ORDER, ORDER),
        ("n, 1", ORDER, one),
        ("1, n", one, ORDER),
        ("n-1, n-1", less, less),
        ("n-1, 1", less, one),
        ("all ones", max, max),
    ]
    .into_iter()
    .map(|(name, r, s)| row(name, with_signature(&[r, s].concat()), Rejection::Signature))
    .collect();
    let token = good();
    let (input, signature) = parts(&token);
    let retold = |signature: Vec<u8>| format!("{input}.{}", b64(signature));
    rows.push(row("DER", retold(der(&signature)), Rejection::Signature));
    let padded = [&[0][..], &signature[..32], &[0], &signature[32..]].concat();
    rows.push(row(
        "each half a byte longer",
        retold(padded),
        Rejection::Signature,
    ));
    let text = signature
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<String>();
    rows.push(row("hex", retold(text.into_bytes()), Rejection::Signature));
    refuse_all("sig ECDSA", "T-01", 12, &rows);
}

/// A signature as X.509 has it: two DER integers in a sequence.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let sign = if half[0] > 0x7f { &[0][..] } else { &[] };
        let length = u8::try_from(half.len() + sign.len()).unwrap();
        [&[2, length], sign, half].concat()
    };
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat()
}

#[test]
fn a_signature_covers_header_and_payload() {
    let token = good();
    let (_, signature) = parts(&token);
    let retold = |header: &str, payload: &str| {
        format!("{}.{}.{}", b64(header), b64(payload), b64(&signature))
    };
    let spaced = HEADER.replace(',', ", ");
    let rows = [
        row(
            "header with spaces",
            retold(&spaced, &claims(A)),
            Rejection::Signature,
        ),
        row(
            "admin",
            retold(HEADER, &claims(A).replace("alice", "admin")),
            Rejection::Signature,
        ),
        row(
            "claims with a space",
            retold(HEADER, &claims(A).replace(',', ", ")),
            Rejection::Signature,
        ),
    ];
    refuse_all("sig coverage", "T-01", 1, &rows);
}

fn verified(token: &str) -> Arc<VerifiedToken> {
    let now = Timestamp::from_seconds(NOW);
    kit()
        .verifier
        .verify_with_keys_at_hand(token.as_bytes(), now)
        .unwrap()
}

/// T-13: (r, s) and (r, n - s) are both good, so the text of a token is no key to revoke it by.
#[test]
fn malleable_twins_are_one_token() {
    let token = good();
    let (input, signature) = parts(&token);
    let other_half = difference(&ORDER, &signature[32..]);
    let twin = format!("{input}.{}", b64([&signature[..32], &other_half].concat()));
    assert_ne!(token, twin);
    let (token, twin) = (verified(&token), verified(&twin));
    assert_eq!((token.issuer, &token.jti), (twin.issuer, &twin.jti));
    assert_eq!(token.jti.as_deref(), Some("t1"));
    assert_eq!(token, twin);
}

/// T-01: on a bad signature the claims are not read. Claims that would be refused for another
/// reason are refused for the signature.
#[test]
fn claims_are_not_reached_on_a_bad_signature() {
    for payload in [
        claims(A).replace("\"api\"", "7"),
        claims(A).replace(&(NOW + 300).to_string(), "\"never\""),
        claims(A).replace("\"sub\"", "\"cnf\""),
        claims(A).replace("\"alice\"", "\"\\u0000\""),
        format!(
            "{}{}",
            &claims(A)[..claims(A).len() - 1],
            r#","a":1,"a":2}"#
        ),
    ] {
        let token = kit().foreign(HEADER, &payload);
        assert_eq!(
            kit().verdict(&token),
            Err(Rejection::Signature),
            "{payload}"
        );
        let token = kit().es256(HEADER, &payload);
        let verdict = kit().verdict(&token);
        assert!(
            !matches!(verdict, Ok(()) | Err(Rejection::Signature)),
            "{payload}: {verdict:?}"
        );
    }
}

#[derive(Clone, Debug)]
enum Edit {
    Flip(usize, u8),
    Insert(usize, u8),
    Delete(usize),
    Cut(usize),
    Swap(usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = 0..2_000_usize;
    prop_oneof![
        (at.clone(), 1..=255_u8).prop_map(|(at, mask)| Edit::Flip(at, mask)),
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        at.clone().prop_map(Edit::Delete),
        at.clone().prop_map(Edit::Cut),
        (at.clone(), at).prop_map(|(left, right)| Edit::Swap(left, right)),
    ]
}

fn apply(token: &mut Vec<u8>, edit: &Edit) {
    let length = token.len().max(1);
    match *edit {
        _ if token.is_empty() => {}
        Edit::Flip(at, mask) => token[at % length] ^= mask,
        Edit::Insert(at, byte) => token.insert(at % length, byte),
        Edit::Delete(at) => {
            token.remove(at % length);
        }
        Edit::Cut(at) => token.truncate(at % length),
        Edit::Swap(left, right) => token.swap(left % length, right % length),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_token_never_verifies(edits in prop::collection::vec(edit(), 1..4)) {
        let token = kit().signed(HEADER.as_bytes(), claims(A).as_bytes(), |input| ecdsa(&kit().ec, input));
        let mut changed = token.clone().into_bytes();
        for edit in &edits {
            apply(&mut changed, edit);
        }
        prop_assume!(changed != token.as_bytes());
        let now = Timestamp::from_seconds(NOW);
        prop_assert!(kit().verifier.verify_with_keys_at_hand(&changed, now).is_err());
    }

    #[test]
    fn random_bytes_never_verify(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let now = Timestamp::from_seconds(NOW);
        prop_assert!(kit().verifier.verify_with_keys_at_hand(&bytes, now).is_err());
    }

    /// F-01 in small: signed nonsense reaches every parser and none of them panics.
    #[test]
    fn signed_nonsense_never_panics(header in "\\PC{0,60}", payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let token = kit().es256(&header, &payload);
        let now = Timestamp::from_seconds(NOW);
        prop_assert!(kit().verifier.verify_with_keys_at_hand(token.as_bytes(), now).is_err());
        let token = kit().es256(HEADER, &payload);
        prop_assert!(kit().verifier.verify_with_keys_at_hand(token.as_bytes(), now).is_err());
    }
}
