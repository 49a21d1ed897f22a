//! Sessions and what is asked of the session of a call.

use std::{sync::Arc, time::Duration};

use auth_core::{
    clock::Timestamp,
    decision_point::{ClearScope, SessionWrite, SetSession, SignIn},
    live::{Origin, Session},
    principal::Principal,
    scope::ScopeMatching,
    session::{Identity, JsonObject, MAX_RECORD_BYTES, SessionId, SessionRecord, TokenKind},
    store::ForeignSession,
    text::is_hidden,
    wire::SessionView,
};

use super::{ConvertError, at_most, json, known, name, text, time, unspecified};
use crate::v1;

/// The longest request id accepted, in bytes.
pub const MAX_REQUEST_ID_BYTES: usize = 128;
/// The most scopes, methods of authentication, or keys to remove accepted.
pub const MAX_LIST: usize = 256;
/// The longest scope, `acr`, entry of `amr` or etag accepted, in bytes.
pub const MAX_WORD_BYTES: usize = 255;

/// As much of the session as `view` says.
#[must_use]
pub fn view(session: &Session, view: SessionView) -> Option<v1::Session> {
    match view {
        SessionView::None => None,
        SessionView::Basic => Some(basic(session)),
        SessionView::Full => Some(v1::Session {
            claims_json: json::bytes(&session.identity.claims),
            attributes_json: json::bytes(&session.attributes),
            ..basic(session)
        }),
    }
}

/// All of the session.
impl From<&Session> for v1::Session {
    fn from(session: &Session) -> Self {
        Self {
            claims_json: json::bytes(&session.identity.claims),
            attributes_json: json::bytes(&session.attributes),
            ..basic(session)
        }
    }
}

/// Everything but claims and attributes.
fn basic(session: &Session) -> v1::Session {
    let (name, origin) = match &session.origin {
        Origin::Stored(record) => (
            name::session(&record.tenant, &record.id),
            v1::SessionOrigin::Stored,
        ),
        Origin::External { .. } => (String::new(), v1::SessionOrigin::External),
        Origin::Static => (String::new(), v1::SessionOrigin::Static),
        Origin::ApiKey { .. } => (String::new(), v1::SessionOrigin::ApiKey),
        Origin::Peer { .. } => (String::new(), v1::SessionOrigin::Peer),
        Origin::Stated => (String::new(), v1::SessionOrigin::Unspecified),
    };
    v1::Session {
        name,
        origin: origin.into(),
        etag: session.etag(),
        expire_time: session.expires_at().map(time::to_message),
        idle_expire_time: session.idle_expires_at().map(time::to_message),
        strategy: session.strategy.as_ref().to_owned(),
        ..identity_to_message(&session.identity)
    }
}

/// The facts of sign-in, without claims.
pub(super) fn identity_to_message(identity: &Identity) -> v1::Session {
    v1::Session {
        subject: identity.subject.as_ref().map(Into::into),
        actor: identity.actor.as_ref().map(Into::into),
        scopes: identity.scopes.clone(),
        all_scopes: identity.all_scopes,
        auth_time: identity.auth_time.map(time::to_message),
        acr: identity.acr.clone().unwrap_or_default(),
        amr: identity.amr.clone(),
        ..Default::default()
    }
}

/// Reads a session that a decision point sent. It holds what the message showed: how the session
/// is kept comes back as far as it decides name, etag and ends, and no further.
///
/// # Errors
///
/// Returns [`ConvertError`] when a field is malformed.
pub fn from_message(message: v1::Session) -> Result<Session, ConvertError> {
    let origin = origin(&message)?;
    // Only an issuer's scopes may be exact; where that is not said, they are taken to be.
    let matching = match &origin {
        Origin::External { .. } => ScopeMatching::Exact,
        Origin::Stored(_)
        | Origin::Static
        | Origin::Peer { .. }
        | Origin::ApiKey { .. }
        | Origin::Stated => ScopeMatching::Hierarchical,
    };
    let identity = Identity {
        subject: principal("subject", message.subject.as_ref())?,
        actor: principal("actor", message.actor.as_ref())?,
        claims: json::object("claims_json", &message.claims_json, usize::MAX)?,
        scopes: message.scopes,
        all_scopes: message.all_scopes,
        auth_time: instant("auth_time", message.auth_time)?,
        acr: (!message.acr.is_empty()).then_some(message.acr),
        amr: message.amr,
    };
    let attributes = json::object("attributes_json", &message.attributes_json, usize::MAX)?;
    let strategy = message.strategy.into();
    Ok(Session::new(
        origin, strategy, identity, attributes, matching,
    ))
}

fn origin(message: &v1::Session) -> Result<Origin, ConvertError> {
    let expires_at = instant("expire_time", message.expire_time)?;
    let kind = v1::SessionOrigin::try_from(message.origin)
        .map_err(|_| unspecified("origin", message.origin))?;
    Ok(match kind {
        v1::SessionOrigin::Unspecified => Origin::Stated,
        v1::SessionOrigin::Static => Origin::Static,
        v1::SessionOrigin::Peer => Origin::Peer { expires_at },
        v1::SessionOrigin::ApiKey => Origin::ApiKey {
            id: SessionId::from_bytes([0; 16]),
            expires_at,
        },
        v1::SessionOrigin::External => Origin::External {
            session: ForeignSession {
                issuer: String::new(),
                subject: String::new(),
                discriminator: String::new(),
            },
            token_id: None,
            issued_at: None,
            expires_at: expires_at.unwrap_or(Timestamp::MAX),
            version: version(&message.etag)?,
        },
        v1::SessionOrigin::Stored => Origin::Stored(Arc::new(record(message, expires_at)?)),
    })
}

/// A record that has the name, etag and ends of the message.
fn record(
    message: &v1::Session,
    expires_at: Option<Timestamp>,
) -> Result<SessionRecord, ConvertError> {
    let (tenant, id) = name::parse_session("name", &message.name)?;
    let expires_at = expires_at.ok_or_else(|| ConvertError::new("expire_time", "is required"))?;
    let idle_end = instant("idle_expire_time", message.idle_expire_time)?.unwrap_or(expires_at);
    Ok(SessionRecord {
        id,
        tenant,
        identity: Identity::default(),
        attributes: JsonObject::new(),
        kind: TokenKind::Bearer,
        strategy: None,
        created_at: Timestamp::EPOCH,
        expires_at,
        idle: Duration::ZERO,
        last_seen: idle_end,
        token_issued_at: Timestamp::EPOCH,
        version: version(&message.etag)?,
    })
}

/// The version that an etag stands for.
///
/// # Errors
///
/// Returns [`ConvertError`] for the field `etag` when it is none of ours.
pub fn version(etag: &str) -> Result<u64, ConvertError> {
    etag.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| ConvertError::new("etag", "is not an etag that was given out"))
}

fn instant(
    field: &str,
    at: Option<prost_types::Timestamp>,
) -> Result<Option<Timestamp>, ConvertError> {
    at.map(|at| time::from_message(field, at)).transpose()
}

pub(super) fn principal(
    field: &str,
    message: Option<&v1::Principal>,
) -> Result<Option<Principal>, ConvertError> {
    message
        .map(Principal::try_from)
        .transpose()
        .map_err(|error| error.under(field))
}

impl TryFrom<v1::SetSessionRequest> for SetSession {
    type Error = ConvertError;

    fn try_from(message: v1::SetSessionRequest) -> Result<Self, ConvertError> {
        use v1::set_session_request::Change;
        let change = match message.change {
            Some(Change::SignIn(sign_in)) => SessionWrite::SignIn(
                SignIn::try_from(sign_in).map_err(|error| error.under("sign_in"))?,
            ),
            Some(Change::Patch(patch)) => {
                let (set, remove) =
                    patch_from_message(patch).map_err(|error| error.under("patch"))?;
                SessionWrite::Patch { set, remove }
            }
            None => {
                let problem = "one of `sign_in` and `patch` is required";
                return Err(ConvertError::new("change", problem));
            }
        };
        Ok(Self {
            call: message.call,
            change,
            etag: text("etag", message.etag, MAX_WORD_BYTES)?,
            request_id: request_id(message.request_id)?,
        })
    }
}

impl From<SetSession> for v1::SetSessionRequest {
    fn from(request: SetSession) -> Self {
        use v1::set_session_request::Change;
        Self {
            call: request.call,
            change: Some(match request.change {
                SessionWrite::SignIn(sign_in) => Change::SignIn(sign_in.into()),
                SessionWrite::Patch { set, remove } => Change::Patch(v1::SessionPatch {
                    set_json: json::bytes(&set),
                    remove,
                }),
            }),
            etag: request.etag,
            request_id: request.request_id,
        }
    }
}

/// Checks the id of a request.
///
/// # Errors
///
/// Returns [`ConvertError`] when it is longer than [`MAX_REQUEST_ID_BYTES`] or holds control
/// characters.
pub fn request_id(id: String) -> Result<String, ConvertError> {
    text("request_id", id, MAX_REQUEST_ID_BYTES)
}

/// The keys to set and to remove.
///
/// # Errors
///
/// Returns [`ConvertError`] when `set_json` is no JSON object, or a key is in both.
pub fn patch_from_message(
    patch: v1::SessionPatch,
) -> Result<(JsonObject, Vec<String>), ConvertError> {
    let set = json::object("set_json", &patch.set_json, MAX_RECORD_BYTES)?;
    at_most("remove", patch.remove.len(), MAX_LIST)?;
    for (index, key) in patch.remove.iter().enumerate() {
        if set.contains_key(key) {
            let problem = "is a key of `set_json` as well";
            return Err(ConvertError::new(format!("remove[{index}]"), problem));
        }
    }
    Ok((set, patch.remove))
}

/// Whether `auth_time` is there and not in the future is for the decision point to say, which has
/// the clock.
impl TryFrom<v1::SignIn> for SignIn {
    type Error = ConvertError;

    fn try_from(message: v1::SignIn) -> Result<Self, ConvertError> {
        let subject = principal("subject", message.subject.as_ref())?
            .ok_or_else(|| ConvertError::new("subject", "is required"))?;
        scopes(&message.scopes)?;
        words("amr", &message.amr, is_word)?;
        let acr = text("acr", message.acr, MAX_WORD_BYTES)?;
        Ok(Self {
            identity: Identity {
                subject: Some(subject),
                actor: principal("actor", message.actor.as_ref())?,
                claims: json::object("claims_json", &message.claims_json, MAX_RECORD_BYTES)?,
                scopes: message.scopes,
                all_scopes: message.all_scopes,
                auth_time: instant("auth_time", message.auth_time)?,
                acr: (!acr.is_empty()).then_some(acr),
                amr: message.amr,
            },
            attributes: json::object(
                "attributes_json",
                &message.attributes_json,
                MAX_RECORD_BYTES,
            )?,
            ttl: message
                .ttl
                .map(|ttl| time::span_from_message("ttl", ttl))
                .transpose()?,
        })
    }
}

impl From<SignIn> for v1::SignIn {
    fn from(sign_in: SignIn) -> Self {
        let identity = sign_in.identity;
        Self {
            subject: identity.subject.as_ref().map(Into::into),
            actor: identity.actor.as_ref().map(Into::into),
            claims_json: json::bytes(&identity.claims),
            attributes_json: json::bytes(&sign_in.attributes),
            scopes: identity.scopes,
            all_scopes: identity.all_scopes,
            auth_time: identity.auth_time.map(time::to_message),
            acr: identity.acr.unwrap_or_default(),
            amr: identity.amr,
            ttl: sign_in.ttl.map(time::span_to_message),
        }
    }
}

/// Checks scopes to be granted.
///
/// # Errors
///
/// Returns [`ConvertError`] for the field `scopes` when there are more than [`MAX_LIST`], or one is
/// no `scope-token` (RFC 6749 section 3.3).
pub fn scopes(scopes: &[String]) -> Result<(), ConvertError> {
    words("scopes", scopes, is_scope)
}

fn words(field: &str, words: &[String], good: fn(&str) -> bool) -> Result<(), ConvertError> {
    at_most(field, words.len(), MAX_LIST)?;
    for (index, word) in words.iter().enumerate() {
        if !good(word) {
            let problem = "is empty, too long, or holds a character that has no place here";
            return Err(ConvertError::new(format!("{field}[{index}]"), problem));
        }
    }
    Ok(())
}

fn is_word(word: &str) -> bool {
    !word.is_empty() && word.len() <= MAX_WORD_BYTES && !word.contains(is_hidden)
}

/// A `scope-token` (RFC 6749 section 3.3).
fn is_scope(scope: &str) -> bool {
    is_word(scope)
        && scope
            .bytes()
            .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

/// The scope of this number.
///
/// # Errors
///
/// Returns [`ConvertError`] when it is unspecified or not known here.
pub fn clear_scope(number: i32) -> Result<ClearScope, ConvertError> {
    match known::<v1::ClearScope>(number) {
        Some(v1::ClearScope::This) => Ok(ClearScope::This),
        Some(v1::ClearScope::Others) => Ok(ClearScope::Others),
        Some(v1::ClearScope::All) => Ok(ClearScope::All),
        Some(v1::ClearScope::Unspecified) | None => Err(unspecified("scope", number)),
    }
}

impl From<ClearScope> for v1::ClearScope {
    fn from(scope: ClearScope) -> Self {
        match scope {
            ClearScope::This => Self::This,
            ClearScope::Others => Self::Others,
            ClearScope::All => Self::All,
        }
    }
}

#[cfg(test)]
mod tests;
