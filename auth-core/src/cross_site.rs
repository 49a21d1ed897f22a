//! Requests that another site had a browser make (SECURITY C-06, C-08).
//!
//! A browser adds our cookie to a request whoever caused it. So a state-changing request that
//! carries the cookie, or is signed in by the client's certificate, and every request that signs in,
//! must show that it comes from the app's own pages: by Fetch-Metadata, which no page can forge, else
//! by its origin. What has neither, nor a cookie of ours, was made by no browser.
//!
//! The handshake of a WebSocket counts as state-changing, though it is a GET: no policy of origins
//! keeps a page from what then comes over the socket, nor from what it sends there (SECURITY W-01,
//! RFC 6455 section 10.2).

use crate::{
    grammar::{Cookies, cookie_values},
    operation::Operation,
    origin::Origin,
    strategy::Strategies,
    wire::{Call, CredentialSource, WireKind},
};

/// The attributes that tell where a request comes from and what it begins, which every HTTP edge
/// sends.
pub const ATTRIBUTES: [&str; 4] = [ORIGIN, SITE, MODE, HANDSHAKE];

const ORIGIN: &str = "origin";
const SITE: &str = "sec-fetch-site";
const MODE: &str = "sec-fetch-mode";
/// By which every browser says that a request asks for a WebSocket (RFC 6455 section 4.1). It is of
/// no hop, so that proxies keep it, and no page can leave it out.
const HANDSHAKE: &str = "sec-websocket-version";

/// What a call says under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told<'c> {
    Nothing,
    Once(&'c [u8]),
    /// More than once: one of them may be somebody else's.
    Often,
}

/// Why a call is refused as one that another site caused; `None` when it is not. A question that
/// says nothing of where it comes from is about permissions alone.
#[must_use]
pub fn refusal(
    strategies: &Strategies,
    operation: &Operation,
    call: &Call,
    is_question: bool,
) -> Option<&'static str> {
    if call.kind != WireKind::Http || operation.admits_cross_site {
        return None;
    }
    let changes_state = is_unsafe(&call.method) || told(call, HANDSHAKE) != Told::Nothing;
    if !changes_state && !operation.signs_in {
        return None;
    }
    // Most calls come from own pages, whatever else there is to say of them.
    let site = told(call, SITE);
    if site == Told::Once(b"same-origin") {
        return None;
    }
    let has_cookie = carries_cookie(strategies, call);
    let is_ambient = has_cookie || is_known_by_connection(strategies, call);
    if !operation.signs_in && !is_ambient {
        return None;
    }
    let [mode, origin] = [MODE, ORIGIN].map(|name| told(call, name));
    if [site, mode, origin] == [Told::Nothing; 3] {
        let is_browser = has_cookie && !is_question;
        return is_browser.then_some("it says nothing of the page that it comes from");
    }
    // Pages that were named may do what they may; `*` names none.
    if let (Told::Once(origin), Some(cors)) = (origin, &operation.cors)
        && (cors.credentials || !is_ambient)
        && cors.lists(origin)
    {
        return None;
    }
    match (site, mode, origin) {
        // Somebody typed the address, or opened a bookmark.
        (Told::Once(b"none"), Told::Once(b"navigate"), _) => None,
        (Told::Once(_) | Told::Often, ..) => Some("`sec-fetch-site` is not that of an own page"),
        (Told::Nothing, _, Told::Once(origin)) => {
            let is_own = Origin::is_at(origin, call.authority.as_bytes());
            (!is_own).then_some("`origin` is not that of the host called")
        }
        (Told::Nothing, _, Told::Often) => Some("`origin` stands twice"),
        (Told::Nothing, _, Told::Nothing) => Some("it has no `origin`"),
    }
}

/// Whether a method may change something (RFC 9110 section 9.2.1).
pub(crate) fn is_unsafe(method: &str) -> bool {
    !matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}

/// Whether a call comes from a page of another origin that `cors` lists with credentials.
pub(crate) fn is_listed(operation: &Operation, call: &Call) -> bool {
    let cors = operation.cors.as_ref().filter(|cors| cors.credentials);
    match (told(call, ORIGIN), cors) {
        (Told::Once(origin), Some(cors)) => {
            cors.lists(origin) && !Origin::is_at(origin, call.authority.as_bytes())
        }
        _ => false,
    }
}

pub(crate) fn told<'c>(call: &'c Call, name: &str) -> Told<'c> {
    let mut values = call
        .attributes
        .iter()
        .filter(|attribute| attribute.name == name);
    match (values.next(), values.next()) {
        (None, _) => Told::Nothing,
        (Some(one), None) => Told::Once(&one.value),
        (Some(_), Some(_)) => Told::Often,
    }
}

/// Whether the connection alone would sign the caller in: a browser shows its certificate whoever
/// caused the request. An `Authorization` that no strategy reads does not change that: a browser
/// repeats a password that it was given once.
fn is_known_by_connection(strategies: &Strategies, call: &Call) -> bool {
    let is_peer = strategies
        .peer()
        .is_some_and(|peer| peer.find(call).is_some());
    is_peer && !strategies.finds_explicit(call)
}

/// Whether a cookie of ours came along, good or bad.
fn carries_cookie(strategies: &Strategies, call: &Call) -> bool {
    strategies.cookies().any(|strategy| {
        let lines = call
            .credentials
            .iter()
            .filter(|credential| credential.source == CredentialSource::Cookie)
            .map(|credential| &*credential.value);
        cookie_values(lines, &strategy.sought) != Cookies::Absent
    })
}
