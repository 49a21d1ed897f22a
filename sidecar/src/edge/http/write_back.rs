//! How an app without a library of ours changes the session: by headers of its response, which
//! echo the `Sidegate-Call` of the request that they answer (R11, R26).
//!
//! `Sidegate-Session-Set` signs in, `Sidegate-Session-Patch` changes attributes (RFC 7396) and
//! `Sidegate-Session-Clear` logs out: `this` session, the `others` of the subject, or `all`. The
//! first two hold JSON, as it is or in base64url; non-ASCII text is escaped as `\u00e9` or encoded.

use std::{fmt, time::Duration};

use auth_core::{
    caller::Caller,
    clock::Timestamp,
    decision_point::{
        ClearScope, DecisionPoint, SessionChange, SessionError, SessionWrite, SetSession, SignIn,
    },
    principal::{Principal, PrincipalError},
    session::{Identity, JsonObject},
    wire_update::WireUpdate,
};
use aws_lc_rs::constant_time;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::identity::CALL;

/// Signs in.
pub const SET: HeaderName = HeaderName::from_static("sidegate-session-set");
/// Changes attributes.
pub const PATCH: HeaderName = HeaderName::from_static("sidegate-session-patch");
/// Logs out.
pub const CLEAR: HeaderName = HeaderName::from_static("sidegate-session-clear");

/// How often a nested patch is tried anew when the session changed in between.
const PATCH_TRIES: u32 = 5;

/// A change that an app asks for.
#[derive(Clone, Debug)]
pub enum Change {
    /// A new session takes the place of the present one.
    SignIn(Box<SignIn>),
    /// Attributes change, as RFC 7396 has it.
    Patch(JsonObject),
    /// It ends.
    Clear(ClearScope),
}

/// Why a change is not made. Says no value of the session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The request got no handle: nothing may be written by its response.
    #[error("no `sidegate-call` was issued for this request, so that nothing may be written")]
    NothingIssued,
    /// The handle is missing or another one.
    #[error(
        "the response does not echo the `sidegate-call` of its request: copy that header from the \
         request"
    )]
    NotEchoed,
    /// More than one change.
    #[error("the response asks for more than one change of the session")]
    Several,
    /// It cannot be read.
    #[error("`{header}`: {problem}")]
    Malformed {
        /// The header.
        header: HeaderName,
        /// What is wrong with it.
        problem: String,
    },
    /// The session API refused.
    #[error(transparent)]
    Session(#[from] SessionError),
}

/// The change that a response asks for, if any.
///
/// `issued` is the handle of the request, and `now` the time of a sign-in that states none.
///
/// # Errors
///
/// Returns [`WriteError`] when there is a change that must not be made.
pub fn read(
    headers: &HeaderMap,
    issued: Option<&[u8]>,
    now: Timestamp,
) -> Result<Option<Change>, WriteError> {
    let asked = |name| {
        headers
            .get_all(name)
            .iter()
            .map(http::HeaderValue::as_bytes)
    };
    let (mut set, mut patch, mut clear) = (asked(SET), asked(PATCH), asked(CLEAR));
    let found = [
        (SET, set.next()),
        (PATCH, patch.next()),
        (CLEAR, clear.next()),
    ];
    let mut found = found
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let Some((name, value)) = found.next() else {
        return Ok(None);
    };
    check_echo(headers, issued)?;
    let repeated = set.next().or(patch.next()).or(clear.next()).is_some();
    if repeated || found.next().is_some() {
        return Err(WriteError::Several);
    }
    let change = if name == SET {
        sign_in(value, now).map(Box::new).map(Change::SignIn)
    } else if name == PATCH {
        json(value).map(Change::Patch)
    } else {
        clear_scope(value).map(Change::Clear)
    };
    let change = change.map_err(|problem| WriteError::Malformed {
        header: name,
        problem,
    })?;
    Ok(Some(change))
}

/// What was relayed from elsewhere, or cached, does not know the handle of this request.
fn check_echo(headers: &HeaderMap, issued: Option<&[u8]>) -> Result<(), WriteError> {
    let issued = issued.ok_or(WriteError::NothingIssued)?;
    let mut echoes = headers.get_all(CALL).iter();
    let (Some(echo), None) = (echoes.next(), echoes.next()) else {
        return Err(WriteError::NotEchoed);
    };
    let echo = URL_SAFE_NO_PAD.decode(echo.as_bytes());
    let echo = echo.map_err(|_| WriteError::NotEchoed)?;
    constant_time::verify_slices_are_equal(&echo, issued).map_err(|_| WriteError::NotEchoed)
}

/// JSON as it is, or in base64url.
fn json<T: serde::de::DeserializeOwned>(value: &[u8]) -> Result<T, String> {
    let decoded;
    let text = if value.first() == Some(&b'{') {
        value
    } else {
        decoded = URL_SAFE_NO_PAD
            .decode(value)
            .map_err(|_| "it is neither a JSON object nor one in base64url".to_owned())?;
        &decoded
    };
    serde_json::from_slice(text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => without_value(&error),
        _ => format!("it is no JSON, at column {}", error.column()),
    })
}

/// Where it is wrong, and not what stands there: serde shows a value that is of another type than
/// it expects.
fn without_value(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(", expected ") {
        Some((found, expected)) if found.starts_with("invalid ") => format!("expected {expected}"),
        // The name of a member is the app's, too.
        Some((found, expected)) if found.starts_with("unknown ") => {
            format!("a member that is not known, expected {expected}")
        }
        _ => text,
    }
}

/// A sign-in as the header has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignInHeader {
    subject: String,
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    claims: JsonObject,
    #[serde(default)]
    attributes: JsonObject,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    all_scopes: bool,
    /// Seconds since 1970. Default: now.
    #[serde(default)]
    auth_time: Option<i64>,
    #[serde(default)]
    acr: Option<String>,
    #[serde(default)]
    amr: Vec<String>,
    /// Seconds.
    #[serde(default)]
    ttl: Option<u64>,
}

fn sign_in(value: &[u8], now: Timestamp) -> Result<SignIn, String> {
    let header: SignInHeader = json(value)?;
    let principal = |field: &str, text: &str| {
        let parsed: Result<Principal, _> = text.parse();
        parsed.map_err(|error| match error {
            PrincipalError::Namespace(_) => format!("`{field}`: no namespace stands before `/`"),
            other => format!("`{field}`: {other}"),
        })
    };
    let actor = header.actor.as_deref();
    Ok(SignIn {
        identity: Identity {
            subject: Some(principal("subject", &header.subject)?),
            actor: actor.map(|actor| principal("actor", actor)).transpose()?,
            claims: header.claims,
            scopes: header.scopes,
            all_scopes: header.all_scopes,
            auth_time: Some(header.auth_time.map_or(now, Timestamp::from_seconds)),
            acr: header.acr,
            amr: header.amr,
        },
        attributes: header.attributes,
        ttl: header.ttl.map(Duration::from_secs),
    })
}

fn clear_scope(value: &[u8]) -> Result<ClearScope, String> {
    match value {
        b"this" => Ok(ClearScope::This),
        b"others" => Ok(ClearScope::Others),
        b"all" => Ok(ClearScope::All),
        _ => Err("it is `this`, `others` or `all`".to_owned()),
    }
}

/// What a browser shall forget of who has logged out.
pub const FORGET: HeaderValue = HeaderValue::from_static("\"cache\", \"storage\"");
/// The header that says so.
pub const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// An app's answer, as far as it may change the session.
#[derive(Clone, Copy)]
pub struct Answered<'a> {
    /// Its header, or its trailers.
    pub headers: &'a HeaderMap,
    /// The handle that was issued for its request.
    pub issued: Option<&'a Bytes>,
    /// Names the request.
    pub request_id: &'a str,
    /// Whether the app failed.
    pub failed: bool,
}

// By hand: headers and the handle hold secrets.
impl fmt::Debug for Answered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answered")
            .field("request_id", &self.request_id)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// What was written of the session.
#[derive(Default)]
pub struct Written {
    /// What must happen on the wire.
    pub updates: Vec<WireUpdate>,
    /// Whether the present session has ended.
    pub logs_out: bool,
    /// The call with the session that it has now, where it was written.
    pub call: Option<Bytes>,
}

// By hand: the handle is secret.
impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written")
            .field("updates", &self.updates)
            .field("logs_out", &self.logs_out)
            .finish_non_exhaustive()
    }
}

/// Whether an answer asks for a change.
#[must_use]
pub fn asks(headers: &HeaderMap) -> bool {
    [SET, PATCH, CLEAR]
        .iter()
        .any(|name| headers.contains_key(name))
}

/// Makes the change that an answer asks for, if any. An app that failed changes nothing but may log
/// out (R11).
///
/// # Errors
///
/// Returns [`WriteError`]; nothing has then changed, and the client gets nothing of the answer.
pub async fn perform<D: DecisionPoint>(
    point: &D,
    caller: &Caller,
    answered: &Answered<'_>,
    now: Timestamp,
) -> Result<Written, WriteError> {
    let issued = answered.issued.map(|call| &call[..]);
    let Some(change) = read(answered.headers, issued, now)? else {
        return Ok(Written::default());
    };
    if answered.failed && !matches!(change, Change::Clear(_)) {
        tracing::info!(
            decision_id = answered.request_id,
            "the app failed: what it wrote to the session does not apply"
        );
        return Ok(Written::default());
    }
    let logs_out = matches!(change, Change::Clear(ClearScope::This | ClearScope::All));
    let call = answered.issued.cloned().unwrap_or_default();
    // Boxed, so that what is seldom needed takes no room in every request.
    let applied = Box::pin(apply(point, caller, call, change, answered.request_id));
    let (updates, call) = applied.await?;
    Ok(Written {
        updates,
        logs_out,
        call,
    })
}

/// Makes a change: what must happen on the wire, and the call with the session that it has now.
/// `request_id` names the request, so that it is made once.
///
/// # Errors
///
/// Returns [`WriteError::Session`]; nothing has then changed.
pub async fn apply<D: DecisionPoint>(
    point: &D,
    caller: &Caller,
    call: Bytes,
    change: Change,
    request_id: &str,
) -> Result<(Vec<WireUpdate>, Option<Bytes>), WriteError> {
    let changed = match change {
        Change::SignIn(sign_in) => {
            let request = SetSession {
                call,
                change: SessionWrite::SignIn(*sign_in),
                etag: String::new(),
                request_id: request_id.to_owned(),
            };
            point.set(caller, request).await?
        }
        Change::Patch(patch) => apply_patch(point, caller, call, patch).await?,
        Change::Clear(scope) => {
            let cleared = point.clear(caller, &call, scope).await?;
            return Ok((cleared.updates, None));
        }
    };
    Ok((changed.updates, Some(changed.call)))
}

/// Top-level members are set and removed as they stand; those that merge into what is there are
/// merged with what was read, and only written if that has not changed meanwhile.
async fn apply_patch<D: DecisionPoint>(
    point: &D,
    caller: &Caller,
    call: Bytes,
    patch: JsonObject,
) -> Result<SessionChange, SessionError> {
    let merges = patch.values().any(serde_json::Value::is_object);
    let mut tries = PATCH_TRIES;
    loop {
        let (mut set, mut remove, mut etag) = (JsonObject::new(), Vec::new(), String::new());
        let session = match merges {
            true => point.session(caller, &call).await?,
            false => None,
        };
        if let Some(session) = &session {
            etag = session.etag();
        }
        for (name, value) in &patch {
            if value.is_null() {
                remove.push(name.clone());
                continue;
            }
            let present = session.as_ref().and_then(|s| s.attributes.get(name));
            set.insert(name.clone(), merged(present, value));
        }
        let request = SetSession {
            call: call.clone(),
            change: SessionWrite::Patch { set, remove },
            etag,
            request_id: String::new(),
        };
        match point.set(caller, request).await {
            Err(SessionError::EtagMismatch) if merges && tries > 1 => tries -= 1,
            changed => return changed,
        }
    }
}

/// The merge of RFC 7396 section 2.
fn merged(present: Option<&serde_json::Value>, patch: &serde_json::Value) -> serde_json::Value {
    let serde_json::Value::Object(patch) = patch else {
        return patch.clone();
    };
    let mut object = match present {
        Some(serde_json::Value::Object(object)) => object.clone(),
        _ => JsonObject::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            object.remove(name);
        } else {
            let value = merged(object.get(name), value);
            object.insert(name.clone(), value);
        }
    }
    object.into()
}

#[cfg(test)]
mod tests;
