//! The headers by which an app, or the proxy before it, learns who calls.

use auth_core::{decision::Answer, live::Session, principal::Principal, session::JsonObject};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header::InvalidHeaderValue};
use serde::Serialize;

/// The largest `Sidegate-Session`, in bytes.
pub const MAX_SESSION_BYTES: usize = 4096;

/// Room for a session of the usual size, in bytes of JSON.
const USUAL_SESSION_BYTES: usize = 512;

/// The subject's id; empty when there is none, or one of another namespace.
pub const SUBJECT: HeaderName = HeaderName::from_static("sidegate-subject");
/// The session as base64url of JSON; empty when there is none.
pub const SESSION: HeaderName = HeaderName::from_static("sidegate-session");
/// The operation.
pub const OPERATION: HeaderName = HeaderName::from_static("sidegate-operation");
/// Names the decision in logs.
pub const DECISION_ID: HeaderName = HeaderName::from_static("sidegate-decision-id");
/// The handle of the call, as base64url.
pub const CALL: HeaderName = HeaderName::from_static("sidegate-call");
/// A signed statement of the same, where one is asked for.
pub const ASSERTION: HeaderName = HeaderName::from_static("sidegate-assertion");
/// The outcome, with every answer of ours to a proxy.
pub const OUTCOME: HeaderName = HeaderName::from_static("sidegate-outcome");

/// The headers that every allow writes.
pub const WRITTEN: [HeaderName; 5] = [SUBJECT, SESSION, OPERATION, DECISION_ID, CALL];

/// Where a browser may sign in, for a proxy that cannot relay a redirect.
pub const LOGIN: HeaderName = HeaderName::from_static("sidegate-login");
/// One cookie each, for proxies that cannot relay several `Set-Cookie`.
pub const COOKIES: [HeaderName; 2] = [
    HeaderName::from_static("sidegate-cookie-1"),
    HeaderName::from_static("sidegate-cookie-2"),
];

/// What all names of ours begin with.
const PREFIX: &str = "sidegate";

/// Whether a header has a name of ours, or one that some server takes for it: in any case, with
/// any other mark in place of the hyphen (SECURITY H-06).
#[must_use]
pub fn is_ours(name: &str) -> bool {
    let Some((prefix, rest)) = name.split_at_checked(PREFIX.len()) else {
        return false;
    };
    let ends = rest
        .bytes()
        .next()
        .is_none_or(|mark| !mark.is_ascii_alphanumeric());
    ends && prefix.eq_ignore_ascii_case(PREFIX)
}

/// The headers of an allow. Every one is there, empty where it says nothing (H-05).
///
/// # Errors
///
/// Returns an error when one cannot be written; the request must then not pass.
pub fn headers(answer: &Answer) -> Result<[(HeaderName, HeaderValue); 5], InvalidHeaderValue> {
    let session = answer.session.as_deref();
    let call = answer.call.as_deref().map(encoded_call);
    let mut call = HeaderValue::try_from(call.unwrap_or_default())?;
    call.set_sensitive(true);
    let operation = answer.operation.as_deref().unwrap_or_default();
    let subject = session.map(subject).unwrap_or_default();
    let session = session.map(session_header).unwrap_or_default();
    Ok([
        (SUBJECT, HeaderValue::try_from(subject)?),
        (SESSION, HeaderValue::try_from(session)?),
        (OPERATION, HeaderValue::try_from(escaped(operation))?),
        (
            DECISION_ID,
            HeaderValue::try_from(escaped(&answer.decision_id))?,
        ),
        (CALL, call),
    ])
}

/// A handle as `Sidegate-Call` has it.
#[must_use]
pub fn encoded_call(call: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(call)
}

/// The handle that `Sidegate-Call` has; `None` when it is none.
#[must_use]
pub fn decoded_call(call: &[u8]) -> Option<Bytes> {
    URL_SAFE_NO_PAD.decode(call).ok().map(Bytes::from)
}

/// The subject's id, for principals of the default namespace only (R23): a header that held the id
/// alone could not tell two namespaces apart. `Sidegate-Session` names every principal in full.
fn subject(session: &Session) -> String {
    let subject = session.identity.subject.as_ref();
    subject
        .filter(|subject| subject.is_local())
        .map_or_else(String::new, |subject| escaped(subject.id()))
}

/// Percent-encodes what a header would change or a proxy could take for something else: blanks
/// (trimmed), commas (lists) and everything outside visible ASCII.
fn escaped(text: &str) -> String {
    let is_plain = |byte: u8| !matches!(byte, b'%' | b',' | 0..=0x20 | 0x7f..);
    if text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match is_plain(byte) {
            true => out.push(char::from(byte)),
            false => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What an app learns of a session.
#[derive(Serialize)]
struct Shown<'a> {
    subject: Option<&'a str>,
    principal: Option<String>,
    actor: Option<String>,
    strategy: &'a str,
    etag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<&'a JsonObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a JsonObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<&'a [String]>,
    all_scopes: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl Shown<'_> {
    /// In base64url; `None` when it has more than `max` bytes.
    fn encoded(&self, max: usize) -> Option<String> {
        let mut text = Vec::with_capacity(USUAL_SESSION_BYTES);
        serde_json::to_writer(&mut text, self).ok()?;
        let length = base64::encoded_len(text.len(), false)?;
        (length <= max).then(|| URL_SAFE_NO_PAD.encode(&text))
    }
}

/// The session as base64url of JSON. What makes it too large is left out, attributes before claims,
/// and `truncated` says so.
fn session_header(session: &Session) -> String {
    let identity = &session.identity;
    let name = |principal: &Principal| [principal.namespace(), "/", principal.id()].concat();
    let mut shown = Shown {
        subject: identity
            .subject
            .as_ref()
            .filter(|subject| subject.is_local())
            .map(Principal::id),
        principal: identity.subject.as_ref().map(name),
        actor: identity.actor.as_ref().map(name),
        strategy: &session.strategy,
        etag: session.etag(),
        claims: Some(&identity.claims),
        attributes: Some(&session.attributes),
        scopes: Some(&identity.scopes),
        all_scopes: identity.all_scopes,
        truncated: false,
    };
    for leave_out in [
        |shown: &mut Shown<'_>| shown.attributes = None,
        |shown: &mut Shown<'_>| shown.claims = None,
        |shown: &mut Shown<'_>| shown.scopes = None,
    ] {
        if let Some(encoded) = shown.encoded(MAX_SESSION_BYTES) {
            return encoded;
        }
        leave_out(&mut shown);
        shown.truncated = true;
    }
    shown.encoded(usize::MAX).unwrap_or_default()
}

#[cfg(test)]
mod tests;
