//! Keys, issuers and a signer that signs whatever it is given.

use std::{fmt::Write as _, sync::OnceLock};

use auth_core::{
    clock::Timestamp,
    jwt::{
        Algorithm, Issuer, KeySet, KeySource, Rejection, VerificationKey, Verifier, VerifyError,
    },
};
use aws_lc_rs::{
    encoding::AsDer as _,
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

/// The time of every case, in seconds.
pub const NOW: i64 = 1_800_000_000;

pub const A: &str = "https://a.example";
pub const B: &str = "https://b.example";
pub const H: &str = "https://h.example";
pub const E: &str = "https://e.example";
/// Allows all RSA algorithms; its key is for RS256.
pub const M: &str = "https://m.example";
/// As A, but ignores keys that tokens bring along.
pub const L: &str = "https://l.example";

pub struct Kit {
    pub ec: EcdsaKeyPair,
    /// Another P-256 key: the attacker's.
    pub foreign: EcdsaKeyPair,
    pub rsa: RsaKeyPair,
    pub ed: Ed25519KeyPair,
    pub secret: [u8; 32],
    pub verifier: Verifier,
}

pub fn kit() -> &'static Kit {
    static KIT: OnceLock<Kit> = OnceLock::new();
    KIT.get_or_init(Kit::new)
}

fn ec_pair() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()
}

impl Kit {
    fn new() -> Self {
        let (ec, foreign) = (ec_pair(), ec_pair());
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let ed = Ed25519KeyPair::generate().unwrap();
        let mut secret = [0; 32];
        aws_lc_rs::rand::fill(&mut secret).unwrap();
        let verifier = Verifier::new(issuers(&ec, &rsa, &ed, &secret), 1_000).unwrap();
        Self {
            ec,
            foreign,
            rsa,
            ed,
            secret,
            verifier,
        }
    }

    /// What the verifier says at [`NOW`].
    pub fn verdict(&self, token: &str) -> Result<(), Rejection> {
        self.verdict_at(token, NOW)
    }

    pub fn verdict_at(&self, token: &str, now: i64) -> Result<(), Rejection> {
        let now = Timestamp::from_seconds(now);
        match self
            .verifier
            .verify_with_keys_at_hand(token.as_bytes(), now)
        {
            Ok(_) => Ok(()),
            Err(VerifyError::Rejected(rejection)) => Err(rejection),
            Err(other) => panic!("{other}"),
        }
    }

    /// Header and payload as they are, signed with A's key.
    pub fn es256(&self, header: &str, payload: impl AsRef<[u8]>) -> String {
        self.signed(header.as_bytes(), payload.as_ref(), |input| {
            ecdsa(&self.ec, input)
        })
    }

    /// Header and payload as they are, signed with the attacker's key.
    pub fn foreign(&self, header: &str, payload: &str) -> String {
        self.signed(header.as_bytes(), payload.as_bytes(), |input| {
            ecdsa(&self.foreign, input)
        })
    }

    pub fn hs256(&self, secret: &[u8], header: &str, payload: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        self.signed(header.as_bytes(), payload.as_bytes(), |input| {
            hmac::sign(&key, input).as_ref().to_vec()
        })
    }

    pub fn ed(&self, header: &str, payload: &str) -> String {
        self.signed(header.as_bytes(), payload.as_bytes(), |input| {
            self.ed.sign(input).as_ref().to_vec()
        })
    }

    /// Signed with the RSA key by the algorithm of that name.
    pub fn rsa(&self, name: &str, header: &str, payload: &str) -> String {
        let encoding: &'static dyn signature::RsaEncoding = match name {
            "RS256" => &signature::RSA_PKCS1_SHA256,
            "RS384" => &signature::RSA_PKCS1_SHA384,
            "RS512" => &signature::RSA_PKCS1_SHA512,
            "PS256" => &signature::RSA_PSS_SHA256,
            "PS384" => &signature::RSA_PSS_SHA384,
            _ => &signature::RSA_PSS_SHA512,
        };
        self.signed(header.as_bytes(), payload.as_bytes(), |input| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa
                .sign(encoding, &SystemRandom::new(), input, &mut signature)
                .unwrap();
            signature
        })
    }

    pub fn signed(
        &self,
        header: &[u8],
        payload: &[u8],
        sign: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> String {
        let input = format!("{}.{}", b64(header), b64(payload));
        let signature = sign(input.as_bytes());
        format!("{input}.{}", b64(&signature))
    }

    /// The RSA public key as an attacker may spell it when taking it for an HMAC secret.
    pub fn rsa_spellings(&self) -> Vec<(&'static str, Vec<u8>)> {
        let spki = self.rsa.public_key().as_der().unwrap().as_ref().to_vec();
        let pkcs1 = self.rsa.public_key().as_ref().to_vec();
        let modulus = self
            .rsa
            .public_key()
            .modulus()
            .big_endian_without_leading_zero();
        let pem = pem("PUBLIC KEY", &spki);
        vec![
            ("PEM", pem.clone().into_bytes()),
            (
                "PEM without its last line end",
                pem.trim_end().as_bytes().to_vec(),
            ),
            ("PEM with a blank in front", format!(" {pem}").into_bytes()),
            (
                "PEM with a line end in front",
                format!("\n{pem}").into_bytes(),
            ),
            ("PEM with CRLF", pem.replace('\n', "\r\n").into_bytes()),
            (
                "PKCS#1 PEM",
                self::pem("RSA PUBLIC KEY", &pkcs1).into_bytes(),
            ),
            ("DER", spki.clone()),
            ("PKCS#1 DER", pkcs1),
            ("base64 of the DER", STANDARD.encode(&spki).into_bytes()),
            ("JWK", rsa_jwk(&self.rsa, "b1", Some("RS256")).into_bytes()),
            ("modulus", modulus.to_vec()),
        ]
    }
}

/// The claims of a good token of `issuer`, as text without the closing brace.
pub fn claims_open(issuer: &str) -> String {
    format!(
        r#"{{"iss":"{issuer}","aud":"api","sub":"alice","jti":"t1","exp":{},"iat":{}"#,
        NOW + 300,
        NOW - 10
    )
}

/// The claims of a good token of `issuer`.
pub fn claims(issuer: &str) -> String {
    claims_open(issuer) + "}"
}

/// Good claims of A with one of them replaced by `value` (JSON text), or left out.
pub fn claims_with(name: &str, value: Option<&str>) -> String {
    let mut members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&claims(A)).unwrap();
    members.remove(name);
    let mut text = serde_json::to_string(&members).unwrap();
    if let Some(value) = value {
        text.pop();
        write!(text, r#","{name}":{value}}}"#).unwrap();
    }
    text
}

pub fn ecdsa(key: &EcdsaKeyPair, input: &[u8]) -> Vec<u8> {
    key.sign(&SystemRandom::new(), input)
        .unwrap()
        .as_ref()
        .to_vec()
}

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text
        .as_bytes()
        .chunks(64)
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

pub fn ec_jwk(key: &EcdsaKeyPair, id: &str) -> String {
    let point = key.public_key().as_ref();
    let (x, y) = (b64(&point[1..33]), b64(&point[33..]));
    format!(r#"{{"kty":"EC","crv":"P-256","alg":"ES256","kid":"{id}","x":"{x}","y":"{y}"}}"#)
}

pub fn rsa_jwk(key: &RsaKeyPair, id: &str, algorithm: Option<&str>) -> String {
    let n = b64(key.public_key().modulus().big_endian_without_leading_zero());
    let e = b64(key
        .public_key()
        .exponent()
        .big_endian_without_leading_zero());
    let algorithm = algorithm
        .map(|name| format!(r#""alg":"{name}","#))
        .unwrap_or_default();
    format!(r#"{{"kty":"RSA",{algorithm}"kid":"{id}","n":"{n}","e":"{e}"}}"#)
}

fn jwk(json: &str, allowed: &[Algorithm]) -> KeySource {
    let key = VerificationKey::from_jwk(json.as_bytes(), allowed).unwrap();
    KeySource::Static(KeySet::new(vec![key]).unwrap())
}

fn issuers(ec: &EcdsaKeyPair, rsa: &RsaKeyPair, ed: &Ed25519KeyPair, secret: &[u8]) -> Vec<Issuer> {
    let es256 = [Algorithm::Es256];
    let all_rsa = Algorithm::ASYMMETRIC
        .into_iter()
        .filter(|it| it.name().starts_with("RS") || it.name().starts_with("PS"));
    let ed = format!(
        r#"{{"kty":"OKP","crv":"Ed25519","kid":"e1","x":"{}"}}"#,
        b64(ed.public_key().as_ref())
    );
    let hmac = VerificationKey::from_secret(secret, Algorithm::Hs256).unwrap();
    let hmac = KeySet::new(vec![hmac.with_id("h1").unwrap()]).unwrap();
    vec![
        Issuer::builder(A, "api", jwk(&ec_jwk(ec, "a1"), &es256)),
        Issuer::builder(
            B,
            "api",
            jwk(&rsa_jwk(rsa, "b1", None), &[Algorithm::Rs256]),
        ),
        Issuer::builder(H, "api", KeySource::Static(hmac)),
        Issuer::builder(E, "api", jwk(&ed, &[Algorithm::EdDsa])),
        Issuer::builder(
            M,
            "api",
            jwk(&rsa_jwk(rsa, "m1", Some("RS256")), &[Algorithm::Rs256]),
        )
        .algorithms(all_rsa),
        Issuer::builder(L, "api", jwk(&ec_jwk(ec, "a1"), &es256)).ignore_embedded_keys(true),
    ]
    .into_iter()
    .map(|issuer| issuer.build().unwrap())
    .collect()
}
