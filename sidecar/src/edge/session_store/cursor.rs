//! Page tokens and positions: places in a list or stream that clients carry around.
//!
//! Each is signed together with what it belongs to, so that nobody can make one or use it for
//! another tenant, filter or verb.

use auth_core::{
    keys::Keyring,
    session::{SessionId, Tenant},
    store::{Position, SessionFilter},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use proto::core::ConvertError;

/// How many bytes a signature takes.
const SIGNATURE: usize = 32;

/// What a page token is bound to: everything else that the request says.
pub(super) fn list_scope(tenant: &Tenant, filter: &SessionFilter, limit: usize) -> String {
    // The subject stands last, since its id may hold any character that does not control.
    format!(
        "list\0{tenant}\0{limit}\0{}\0{}",
        filter.include_ended,
        filter
            .subject
            .as_ref()
            .map_or_else(String::new, ToString::to_string)
    )
}

fn watch_scope(tenant: &Tenant) -> String {
    format!("watch\0{tenant}")
}

/// Where the page after `id` starts.
pub(super) fn write_page(keys: &Keyring, scope: &str, id: &SessionId) -> String {
    write(keys, scope, id.as_bytes())
}

/// Reads what [`write_page`] wrote for the same scope.
pub(super) fn read_page(
    keys: &Keyring,
    scope: &str,
    token: &str,
) -> Result<SessionId, ConvertError> {
    read(keys, scope, token)
        .map(SessionId::from_bytes)
        .ok_or_else(|| {
            let problem = "is no page token of a request with these fields";
            ConvertError::new("page_token", problem)
        })
}

/// The place in the stream of a tenant.
pub(super) fn write_position(keys: &Keyring, tenant: &Tenant, position: Position) -> String {
    write(keys, &watch_scope(tenant), &position.0.to_be_bytes())
}

/// Reads what [`write_position`] wrote for the same tenant.
pub(super) fn read_position(
    keys: &Keyring,
    tenant: &Tenant,
    position: &str,
) -> Result<Position, ConvertError> {
    read(keys, &watch_scope(tenant), position)
        .map(|bytes| Position(u64::from_be_bytes(bytes)))
        .ok_or_else(|| ConvertError::new("position", "is no position of this tenant's stream"))
}

fn message(scope: &str, place: &[u8]) -> Vec<u8> {
    [place, scope.as_bytes()].concat()
}

fn write(keys: &Keyring, scope: &str, place: &[u8]) -> String {
    let signature = keys.sign(&message(scope, place));
    URL_SAFE_NO_PAD.encode([place, &signature].concat())
}

fn read<const N: usize>(keys: &Keyring, scope: &str, text: &str) -> Option<[u8; N]> {
    if text.len() > 128 {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (place, signature) = bytes.split_at_checked(N)?;
    let good = signature.len() == SIGNATURE && keys.verify(&message(scope, place), signature);
    good.then(|| place.try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use auth_core::{keys::MasterKey, principal::Principal};

    use super::*;

    fn keys(seed: u8) -> Keyring {
        Keyring::new(&MasterKey::from_bytes([seed; 32]), &[])
    }

    fn scope() -> String {
        list_scope(&Tenant::default(), &SessionFilter::default(), 50)
    }

    #[test]
    fn a_page_token_comes_back_for_the_same_request_only() {
        let id = SessionId::from_bytes([7; 16]);
        let token = write_page(&keys(1), &scope(), &id);
        assert_eq!(read_page(&keys(1), &scope(), &token), Ok(id));
        let tenant = Tenant::new("other").unwrap();
        let filter = SessionFilter {
            subject: Some(Principal::local("u1").unwrap()),
            include_ended: false,
        };
        let ended = SessionFilter {
            include_ended: true,
            ..SessionFilter::default()
        };
        for other in [
            list_scope(&tenant, &SessionFilter::default(), 50),
            list_scope(&Tenant::default(), &filter, 50),
            list_scope(&Tenant::default(), &ended, 50),
            list_scope(&Tenant::default(), &SessionFilter::default(), 51),
        ] {
            assert!(read_page(&keys(1), &other, &token).is_err(), "{other:?}");
        }
        assert!(read_page(&keys(2), &scope(), &token).is_err());
    }

    #[test]
    fn a_changed_token_is_refused() {
        let token = write_page(&keys(1), &scope(), &SessionId::from_bytes([7; 16]));
        for index in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(read_page(&keys(1), &scope(), &changed).is_err(), "{index}");
        }
        for other in ["", "x", &token[1..], &format!("{token}AA")] {
            assert!(read_page(&keys(1), &scope(), other).is_err(), "{other}");
        }
    }

    #[test]
    fn a_position_is_the_tenants_and_no_page_token() {
        let tenant = Tenant::default();
        let text = write_position(&keys(1), &tenant, Position(42));
        assert_eq!(read_position(&keys(1), &tenant, &text), Ok(Position(42)));
        let other = Tenant::new("other").unwrap();
        assert!(read_position(&keys(1), &other, &text).is_err());
        assert!(read_page(&keys(1), &scope(), &text).is_err());
    }
}
