//! A short-lived signed statement for the app: who calls, by which decision, for which request.
//!
//! An app that cannot be sure that every request of its came through Sidegate verifies it (RFC 7519,
//! RFC 8725) with the keys that Sidegate publishes (RFC 7517). The keys are derived from the master
//! keys, so that replicas which share those speak with one voice, and an old key stays published for
//! as long as it is kept.

use std::{fmt, time::Duration};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    clock::Timestamp, decision::Answer, keys::MasterKey, live::Origin, session::JsonObject,
};

/// What tells an assertion from every other token (RFC 8725 section 3.11).
pub const TYPE: &str = "sidegate-assertion+jwt";
/// How long one is good where nothing else is said.
pub const DEFAULT_TTL: Duration = Duration::from_secs(60);
/// The longest that one may be good.
pub const MAX_TTL: Duration = Duration::from_secs(300);
/// The largest claims that are carried, in bytes of JSON; larger ones are left out.
const MAX_CLAIMS_BYTES: usize = 2048;
/// An Ed25519 key as PKCS #8 has it, up to its 32 bytes (RFC 8410 section 7).
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// What assertions say of themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionSettings {
    /// Who issues them.
    pub issuer: String,
    /// Whom they are for.
    pub audience: String,
    /// How long they are good.
    pub ttl: Duration,
}

/// A key that signs assertions.
pub struct AssertionKey {
    id: String,
    public: String,
    encoding: EncodingKey,
}

impl AssertionKey {
    /// The key of a master key.
    pub(crate) fn of(master: &MasterKey) -> Option<Self> {
        let seed = master.derive("sidegate assertion v1");
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        // RFC 7638, with the members that RFC 8037 section 2 requires.
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}"#);
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()));
        let pkcs8 = [&PKCS8[..], &seed].concat();
        Some(Self {
            id,
            public,
            encoding: EncodingKey::from_ed_der(&pkcs8),
        })
    }

    /// The public key as a JWK (RFC 8037).
    #[must_use]
    pub fn jwk(&self) -> Value {
        json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "x": self.public,
            "kid": self.id,
            "alg": "EdDSA",
            "use": "sig",
        })
    }

    /// An assertion of the decision about a request; `None` when it cannot be signed.
    #[must_use]
    pub fn sign(
        &self,
        settings: &AssertionSettings,
        answer: &Answer,
        request: (&str, &str),
        now: Timestamp,
    ) -> Option<String> {
        let header = Header {
            typ: Some(TYPE.to_owned()),
            kid: Some(self.id.clone()),
            ..Header::new(Algorithm::EdDSA)
        };
        let claims = Claims::of(settings, answer, request, now);
        jsonwebtoken::encode(&header, &claims, &self.encoding).ok()
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AssertionKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What an assertion says. Without `sub`, nobody is signed in.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    iat: i64,
    nbf: i64,
    exp: i64,
    /// The decision.
    jti: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<Value>,
    /// The session, where it is a stored one.
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'a JsonObject>,
    operation: &'a str,
    /// The request's method and target, as RFC 9449 names the first.
    htm: &'a str,
    target: &'a str,
}

impl<'a> Claims<'a> {
    fn of(
        settings: &'a AssertionSettings,
        answer: &'a Answer,
        (method, target): (&'a str, &'a str),
        now: Timestamp,
    ) -> Self {
        let session = answer.session.as_deref();
        let identity = session.map(|session| &session.identity);
        let seconds = now.as_micros().div_euclid(1_000_000);
        let ttl = i64::try_from(settings.ttl.as_secs()).unwrap_or_default();
        let actor = identity.and_then(|identity| identity.actor.as_ref());
        let claims = identity.map(|identity| &identity.claims);
        Self {
            iss: &settings.issuer,
            aud: &settings.audience,
            iat: seconds,
            nbf: seconds,
            exp: seconds.saturating_add(ttl),
            jti: &answer.decision_id,
            sub: identity
                .and_then(|i| i.subject.as_ref())
                .map(ToString::to_string),
            act: actor.map(|actor| json!({ "sub": actor.to_string() })),
            sid: session.and_then(|session| match &session.origin {
                Origin::Stored(record) => Some(record.id.to_string()),
                _ => None,
            }),
            scope: identity.map(|i| i.scopes.join(" ")).unwrap_or_default(),
            claims: claims.filter(|claims| is_small(claims)),
            operation: answer.operation.as_deref().unwrap_or_default(),
            htm: method,
            target,
        }
    }
}

fn is_small(claims: &JsonObject) -> bool {
    !claims.is_empty()
        && serde_json::to_vec(claims).is_ok_and(|json| json.len() <= MAX_CLAIMS_BYTES)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jsonwebtoken::{DecodingKey, Validation, jwk::Jwk};

    use super::*;
    use crate::{
        decision::{CredentialState, Reason, ReasonCode},
        keys::Keyring,
        live::Session,
        scope::ScopeMatching,
        session::Identity,
    };

    fn settings() -> AssertionSettings {
        AssertionSettings {
            issuer: "sidegate".to_owned(),
            audience: "books".to_owned(),
            ttl: DEFAULT_TTL,
        }
    }

    fn answer(subject: Option<&str>) -> Answer {
        let identity = Identity {
            subject: subject.map(|subject| subject.parse().unwrap()),
            claims: JsonObject::from_iter([("role".to_owned(), "admin".into())]),
            scopes: vec!["a".to_owned(), "b".to_owned()],
            ..Identity::default()
        };
        let session = Session::new(
            Origin::Static,
            "bearer".into(),
            identity,
            JsonObject::new(),
            ScopeMatching::Hierarchical,
        );
        Answer {
            reason: Reason::new(ReasonCode::Allowed),
            operation: Some("get_profile".into()),
            session: subject.map(|_| Arc::new(session)),
            workload: None,
            updates: Vec::new(),
            call: None,
            decision_id: "d1".into(),
            policy_version: "p1".into(),
            credential: CredentialState::Valid,
            challenges: Vec::new(),
            response_headers: Vec::new(),
        }
    }

    fn ring(byte: u8, previous: &[u8]) -> Keyring {
        let key = |byte| MasterKey::from_bytes([byte; 32]);
        let previous: Vec<_> = previous.iter().map(|byte| key(*byte)).collect();
        Keyring::new(&key(byte), &previous)
    }

    fn signed(ring: &Keyring, answer: &Answer) -> String {
        let now = Timestamp::from_seconds(1_000);
        let key = ring.assertion_key().unwrap();
        key.sign(&settings(), answer, ("GET", "/me"), now).unwrap()
    }

    /// Verifies with the published key of its id, as an app would.
    fn verified(ring: &Keyring, token: &str) -> Option<Value> {
        let header = jsonwebtoken::decode_header(token).unwrap();
        assert_eq!(header.typ.as_deref(), Some(TYPE));
        let jwks = ring.assertion_jwks(Timestamp::from_seconds(1_000));
        let keys = jwks["keys"].as_array().unwrap();
        let jwk = keys
            .iter()
            .find(|key| key["kid"] == *header.kid.as_deref().unwrap())?;
        let jwk: Jwk = serde_json::from_value(jwk.clone()).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.set_audience(&["books"]);
        validation.set_issuer(&["sidegate"]);
        let key = DecodingKey::from_jwk(&jwk).unwrap();
        let decoded = jsonwebtoken::decode::<Value>(token, &key, &validation);
        decoded.ok().map(|decoded| decoded.claims)
    }

    #[test]
    fn an_app_verifies_it_with_the_published_keys() {
        let ring = ring(1, &[]);
        let claims = verified(&ring, &signed(&ring, &answer(Some("idp/u1")))).unwrap();
        for (name, value) in [
            ("sub", json!("idp/u1")),
            ("scope", json!("a b")),
            ("claims", json!({ "role": "admin" })),
            ("operation", json!("get_profile")),
            ("htm", json!("GET")),
            ("target", json!("/me")),
            ("jti", json!("d1")),
            ("iat", json!(1_000)),
            ("exp", json!(1_060)),
        ] {
            assert_eq!(claims[name], value, "{name}");
        }
    }

    #[test]
    fn nobody_has_no_subject() {
        let ring = ring(1, &[]);
        let claims = verified(&ring, &signed(&ring, &answer(None))).unwrap();
        assert_eq!(claims.get("sub"), None);
        assert_eq!(claims["operation"], "get_profile");
    }

    #[test]
    fn what_an_old_key_signed_verifies_while_it_is_kept() {
        let old = signed(&ring(1, &[]), &answer(Some("u1")));
        assert!(verified(&ring(2, &[1]), &old).is_some());
        assert!(verified(&ring(2, &[]), &old).is_none());
    }

    #[test]
    fn a_changed_one_does_not_verify() {
        let ring = ring(1, &[]);
        let token = signed(&ring, &answer(Some("u1")));
        let other = signed(&ring, &answer(Some("root")));
        let (head, signature) = token.rsplit_once('.').unwrap();
        let (other_head, _) = other.rsplit_once('.').unwrap();
        assert_ne!(head, other_head);
        assert!(verified(&ring, &format!("{other_head}.{signature}")).is_none());
    }

    #[test]
    fn large_claims_are_left_out() {
        let ring = ring(1, &[]);
        let mut answer = answer(Some("u1"));
        let mut session = Session::clone(answer.session.as_ref().unwrap());
        session
            .identity
            .claims
            .insert("big".to_owned(), "x".repeat(3_000).into());
        answer.session = Some(Arc::new(session));
        let claims = verified(&ring, &signed(&ring, &answer)).unwrap();
        assert_eq!(claims.get("claims"), None);
        assert_eq!(claims["sub"], "local/u1");
    }
}
