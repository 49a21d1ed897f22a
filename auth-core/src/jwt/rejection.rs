//! Why a token is refused. Inside the reasons are told apart; outside they all look the same (R10).

use super::JsonFault;

/// One of the three parts of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The protected header.
    Header,
    /// The claims.
    Payload,
    /// The signature.
    Signature,
}

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        }
    }
}

/// Why a token was refused. It holds no text of the token beyond the names of claims.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Longer than [`super::MAX_TOKEN_BYTES`].
    #[error("the token is too long")]
    TokenTooLong,
    /// The header is longer than [`super::MAX_HEADER_BYTES`].
    #[error("the token's header is too long")]
    HeaderTooLong,
    /// Not three parts with two dots between.
    #[error("not a token in compact form")]
    NotCompact,
    /// Five parts: a JWE.
    #[error("encrypted tokens are not accepted")]
    Encrypted,
    /// A part is no canonical base64url without padding.
    #[error("the {} is not canonical base64url", part.name())]
    Encoding {
        /// Where.
        part: Part,
    },
    /// A part is no strict JSON object.
    #[error("the {} is refused", part.name())]
    Json {
        /// Where.
        part: Part,
        /// What is wrong with it.
        #[source]
        fault: JsonFault,
    },
    /// A header member that is needed is absent, or one has the wrong type.
    #[error("the header's `{name}` is missing or has the wrong type")]
    HeaderMember {
        /// The member.
        name: &'static str,
    },
    /// `alg` is `none`, in any case.
    #[error("unsigned tokens are not accepted")]
    Unsigned,
    /// `alg` is unknown, misspelt or not on the issuer's list.
    #[error("the token's algorithm is not allowed")]
    AlgorithmNotAllowed,
    /// The header has `crit`.
    #[error("the token needs an extension")]
    Critical,
    /// The header has `b64`.
    #[error("unencoded payloads are not accepted")]
    UnencodedPayload,
    /// The header has `zip`.
    #[error("compressed tokens are not accepted")]
    Compressed,
    /// The payload is said to be a token itself.
    #[error("nested tokens are not accepted")]
    Nested,
    /// The header carries a key, or points to one.
    #[error("the token brings its own key in `{name}`")]
    EmbeddedKey {
        /// The member.
        name: &'static str,
    },
    /// `kid` is empty, too long or holds control characters.
    #[error("the token's key id is malformed")]
    KeyId,
    /// `typ` is not one the issuer's tokens have.
    #[error("the token is of another type")]
    TokenType,
    /// The claims are those of an ID token, logout token or event.
    #[error("the token is of another kind: it has `{name}`")]
    TokenKind {
        /// The claim that gave it away.
        name: &'static str,
    },
    /// `iss` is none of the configured issuers, or not the one whose key signed.
    #[error("the token is from an unknown issuer")]
    Issuer,
    /// The issuer has no key of this id.
    #[error("the issuer has no such key")]
    UnknownKey,
    /// The token names no key and the issuer has several that fit.
    #[error("the token names no key and several fit")]
    AmbiguousKey,
    /// The key is for another algorithm.
    #[error("the key is for another algorithm")]
    KeyAlgorithm,
    /// The signature does not match.
    #[error("the signature does not match")]
    Signature,
    /// A claim that is needed is absent.
    #[error("the claim `{name}` is missing")]
    MissingClaim {
        /// The claim.
        name: String,
    },
    /// A claim has the wrong type, or its text is empty, too long or unclean.
    #[error("the claim `{name}` is malformed")]
    MalformedClaim {
        /// The claim.
        name: &'static str,
    },
    /// `exp` has passed, leeway included.
    #[error("the token has expired")]
    Expired,
    /// `nbf` has not come, leeway included.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` lies in the future, leeway included.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// None of the audiences is ours.
    #[error("the token is for another audience")]
    Audience,
    /// The token is bound to its sender (`cnf`) in a way that cannot be checked, and must not pass
    /// as a plain bearer token (T-26).
    #[error("the token is bound to a key of its sender")]
    SenderConstrained,
    /// The token is bound to a certificate, and its sender has shown none (T-25).
    #[error("the token is bound to a certificate, and its sender has none")]
    CertificateMissing,
    /// The token is bound to another certificate than its sender's (T-25).
    #[error("the token is bound to another certificate than its sender's")]
    CertificateMismatch,
    /// The token is bound to its sender's certificate, which has ended.
    #[error("the token is bound to a certificate that has ended")]
    CertificateExpired,
    /// The token is bound to no certificate, as the issuer's must be.
    #[error("the token is bound to no certificate")]
    CertificateUnbound,
}

impl Rejection {
    /// A short, stable word for logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TokenTooLong => "token_too_long",
            Self::HeaderTooLong => "header_too_long",
            Self::NotCompact => "not_compact",
            Self::Encrypted => "encrypted",
            Self::Encoding { .. } => "encoding",
            Self::Json { .. } => "json",
            Self::HeaderMember { .. } => "header_member",
            Self::Unsigned => "unsigned",
            Self::AlgorithmNotAllowed => "algorithm_not_allowed",
            Self::Critical => "critical",
            Self::UnencodedPayload => "unencoded_payload",
            Self::Compressed => "compressed",
            Self::Nested => "nested",
            Self::EmbeddedKey { .. } => "embedded_key",
            Self::KeyId => "key_id",
            Self::TokenType => "token_type",
            Self::TokenKind { .. } => "token_kind",
            Self::Issuer => "issuer",
            Self::UnknownKey => "unknown_key",
            Self::AmbiguousKey => "ambiguous_key",
            Self::KeyAlgorithm => "key_algorithm",
            Self::Signature => "signature",
            Self::MissingClaim { .. } => "missing_claim",
            Self::MalformedClaim { .. } => "malformed_claim",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::Audience => "audience",
            Self::SenderConstrained => "sender_constrained",
            Self::CertificateMissing => "certificate_missing",
            Self::CertificateMismatch => "certificate_mismatch",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateUnbound => "certificate_unbound",
        }
    }
}
