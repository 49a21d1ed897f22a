//! Tokens which show that a page may read what the app's own pages may (SECURITY C-07; the signed
//! double-submit cookie of the OWASP CSRF Prevention Cheat Sheet).
//!
//! Beside the session's cookie stands another one that scripts can read. An own page sends its value
//! back in a header, which no other site can: it cannot read the cookie, and a header of that name
//! is one that a browser asks about first. The value is a keyed hash of the session's token, so that
//! one from elsewhere, or from before a new token, is of no use. It comes on top of the same-origin
//! proof of [`cross_site`] and replaces none: two that fail for different reasons.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    clock::Timestamp,
    cross_site::{self, Told},
    grammar::{Cookies, cookie_values},
    keys::Keyring,
    operation::Operation,
    session::Tenant,
    strategy::{CookieStrategy, Strategies},
    wire::{Call, CredentialSource, WireKind},
    wire_update::WireUpdate,
};

impl CookieStrategy {
    /// What hands out the token that belongs to this value of the session's cookie, where one is
    /// asked for.
    pub(crate) fn csrf_update(
        &self,
        keys: &Keyring,
        tenant: &Tenant,
        value: &str,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Option<WireUpdate> {
        let cookie = &self.csrf.as_ref()?.cookie;
        let token = self.token(keys, tenant, value)?;
        Some(WireUpdate::SetCookie {
            name: cookie.name.clone(),
            header_value: cookie.set(&token, now, expires_at),
        })
    }

    /// The token that belongs to this value of the session's cookie, by the present key.
    fn token(&self, keys: &Keyring, tenant: &Tenant, value: &str) -> Option<String> {
        let tag = keys.csrf_tag(&self.message(tenant, value.as_bytes()))?;
        Some(URL_SAFE_NO_PAD.encode(tag))
    }

    /// Whether `text` is the token that belongs to this value of the session's cookie.
    fn takes(
        &self,
        (keys, now): (&Keyring, Timestamp),
        tenant: &Tenant,
        value: &[u8],
        text: &[u8],
    ) -> bool {
        let tag = URL_SAFE_NO_PAD.decode(text);
        tag.is_ok_and(|tag| keys.is_csrf_tag(&self.message(tenant, value), &tag, now))
    }

    /// What is signed: each field behind its length, so that no two sets of fields look alike.
    fn message(&self, tenant: &Tenant, value: &[u8]) -> Vec<u8> {
        let tenant = tenant.to_string();
        let mut message = Vec::new();
        for field in [tenant.as_bytes(), self.cookie.name.as_bytes(), value] {
            message.extend_from_slice(&field.len().to_be_bytes());
            message.extend_from_slice(field);
        }
        message
    }

    /// The session's cookie in a call.
    fn value<'c>(&self, call: &'c Call) -> Cookies<'c> {
        cookie_values(lines(call), &self.sought)
    }

    /// Hands out the token of a session whose call came without one of the present key: the session
    /// began before tokens were asked for, or by a service, or the keys are others since.
    pub(crate) fn csrf_repair(
        &self,
        keys: &Keyring,
        call: &Call,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Option<WireUpdate> {
        let csrf = self.csrf.as_ref()?;
        let Cookies::One(value) = self.value(call) else {
            return None;
        };
        match cookie_values(lines(call), &csrf.sought) {
            Cookies::One(text) if self.token(keys, &call.tenant, value)? == text => None,
            _ => self.csrf_update(keys, &call.tenant, value, now, expires_at),
        }
    }
}

fn lines(call: &Call) -> impl Iterator<Item = &[u8]> {
    let credentials = call.credentials.iter();
    credentials
        .filter(|credential| credential.source == CredentialSource::Cookie)
        .map(|credential| &*credential.value)
}

/// Why a call with a cookie of ours is refused for want of its token; `None` where it is not. What
/// signs in has no session to have one of, and a WebSocket's handshake has no header of a page's own:
/// for both, the same-origin proof stands alone. Pages of another origin that `cors` lists cannot
/// read the cookie. A question that says nothing is about permissions alone.
pub(crate) fn refusal(
    keys: (&Keyring, Timestamp),
    strategies: &Strategies,
    operation: &Operation,
    call: &Call,
    is_question: bool,
) -> Option<&'static str> {
    let is_meant = call.kind == WireKind::Http
        && cross_site::is_unsafe(&call.method)
        && !operation.signs_in
        && !operation.admits_cross_site
        && strategies.ask_csrf();
    if !is_meant {
        return None;
    }
    // The first that is presented decides (R8), so that it is the one whose token counts.
    let presented = strategies
        .cookies()
        .map(|strategy| (strategy, strategy.value(call)))
        .find(|(_, value)| *value != Cookies::Absent);
    // What is not one value is refused later.
    let Some((strategy, Cookies::One(value))) = presented else {
        return None;
    };
    let csrf = strategy.csrf.as_ref()?;
    if cross_site::is_listed(operation, call) {
        return None;
    }
    match cross_site::told(call, &csrf.header) {
        Told::Nothing if is_question => None,
        Told::Nothing => Some("the header with its CSRF token is missing"),
        Told::Often => Some("the header with its CSRF token stands twice"),
        Told::Once(text) => (!strategy.takes(keys, &call.tenant, value.as_bytes(), text))
            .then_some("its CSRF token is not that of the session"),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::{cookie::Cookie, keys::MasterKey, policy::file::ScopesOf, strategy::Csrf};

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn strategy(name: &str) -> CookieStrategy {
        let cookie = Cookie {
            name: name.to_owned(),
            ..Cookie::default()
        };
        let csrf = Cookie {
            name: "__Host-csrf".to_owned(),
            http_only: false,
            ..Cookie::default()
        };
        let mut strategy = CookieStrategy::new(Arc::from("cookie"), cookie, ScopesOf::None);
        strategy.csrf = Some(Box::new(Csrf::new(csrf, "X-CSRF-Token")));
        strategy
    }

    fn keys(current: u8) -> Keyring {
        Keyring::new(&MasterKey::from_bytes([current; 32]), &[])
    }

    /// The token that is handed out with this value of the session's cookie.
    fn token(keys: &Keyring, strategy: &CookieStrategy, tenant: &Tenant, value: &str) -> String {
        let update = strategy.csrf_update(keys, tenant, value, NOW, NOW);
        let Some(WireUpdate::SetCookie { header_value, .. }) = update else {
            panic!("no cookie: {update:?}");
        };
        assert!(!header_value.contains("HttpOnly"), "{header_value}");
        let pair = header_value.split(';').next().unwrap();
        pair.split_once('=').unwrap().1.to_owned()
    }

    #[test]
    fn c07_a_token_is_good_with_its_own_session_alone() {
        let (keys, home) = (keys(1), Tenant::default());
        let own = strategy("__Host-session");
        let good = token(&keys, &own, &home, "sg1_one");
        assert!(own.takes((&keys, NOW), &home, b"sg1_one", good.as_bytes()));
        let elsewhere = Tenant::new("t2").unwrap();
        let (short, long) = (&good[..42], format!("{good}A"));
        for (why, strategy, tenant, value, text) in [
            ("another session", &own, &home, "sg1_two", &*good),
            ("another tenant", &own, &elsewhere, "sg1_one", &good),
            (
                "another cookie",
                &strategy("other"),
                &home,
                "sg1_one",
                &good,
            ),
            ("cut", &own, &home, "sg1_one", short),
            ("longer", &own, &home, "sg1_one", &long),
            ("empty", &own, &home, "sg1_one", ""),
        ] {
            let is_taken = strategy.takes((&keys, NOW), tenant, value.as_bytes(), text.as_bytes());
            assert!(!is_taken, "{why}");
        }
    }

    #[test]
    fn c07_no_two_sets_of_fields_look_alike() {
        let keys = keys(1);
        let [one, two] = ["ab", "a"].map(|name| Tenant::new(name).unwrap());
        let good = token(&keys, &strategy("c"), &one, "d");
        assert!(!strategy("bc").takes((&keys, NOW), &two, b"d", good.as_bytes()));
    }

    #[test]
    fn c07_a_token_of_the_key_before_is_good_while_that_is_known() {
        let (home, own) = (Tenant::default(), strategy("__Host-session"));
        let old = token(&keys(1), &own, &home, "sg1_one");
        let key = |byte: u8| MasterKey::from_bytes([byte; 32]);
        let until = NOW.plus(Duration::from_secs(60));
        let both = Keyring::rotated(&key(2), &[(key(1), until)]);
        for (keys, now, is_good) in [
            (&both, NOW, true),
            (&both, until, false),
            (&keys(2), NOW, false),
        ] {
            let is_taken = own.takes((keys, now), &home, b"sg1_one", old.as_bytes());
            assert_eq!(is_taken, is_good, "{now:?}");
        }
    }
}
