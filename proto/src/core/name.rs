//! Resource names: `tenants/{tenant}/sessions/{id}`. They hold no token and may stand in logs.

use auth_core::session::{SessionId, Tenant};

use super::ConvertError;

/// The name of a session.
#[must_use]
pub fn session(tenant: &Tenant, id: &SessionId) -> String {
    format!("tenants/{tenant}/sessions/{id}")
}

/// The name of a tenant, as lists have it for `parent`.
#[must_use]
pub fn tenant(tenant: &Tenant) -> String {
    format!("tenants/{tenant}")
}

/// Reads the name of a session.
///
/// # Errors
///
/// Returns [`ConvertError`] for `field` when it is not the name of a session.
pub fn parse_session(field: &str, name: &str) -> Result<(Tenant, SessionId), ConvertError> {
    let malformed = || ConvertError::new(field, "is not `tenants/{tenant}/sessions/{id}`");
    let rest = name.strip_prefix("tenants/").ok_or_else(malformed)?;
    let (tenant, id) = rest.split_once("/sessions/").ok_or_else(malformed)?;
    let tenant =
        Tenant::new(tenant).ok_or_else(|| ConvertError::new(field, "names a malformed tenant"))?;
    // Other spellings of the same UUID are refused, so that one session has one name.
    let id = SessionId::parse(id)
        .filter(|parsed| parsed.to_string() == id)
        .ok_or_else(|| {
            let problem = "names a malformed session id: a lower-case UUID is wanted";
            ConvertError::new(field, problem)
        })?;
    Ok((tenant, id))
}

/// Reads `tenants/{tenant}`; an empty text is the tenant `own`.
///
/// # Errors
///
/// Returns [`ConvertError`] for `field` when it is not the name of a tenant.
pub fn parse_parent(field: &str, parent: &str, own: &Tenant) -> Result<Tenant, ConvertError> {
    if parent.is_empty() {
        return Ok(own.clone());
    }
    parent
        .strip_prefix("tenants/")
        .and_then(Tenant::new)
        .ok_or_else(|| ConvertError::new(field, "is not `tenants/{tenant}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    #[test]
    fn a_name_comes_back_as_it_was() {
        let text = format!("tenants/acme/sessions/{ID}");
        let (tenant, id) = parse_session("name", &text).unwrap();
        assert_eq!(session(&tenant, &id), text);
    }

    #[test]
    fn a_malformed_name_is_refused() {
        for name in [
            String::new(),
            ID.to_owned(),
            format!("sessions/{ID}"),
            format!("tenants//sessions/{ID}"),
            format!("tenants/Acme/sessions/{ID}"),
            format!("tenants/acme/sessions/{}", ID.to_uppercase()),
            format!("tenants/acme/sessions/{{{ID}}}"),
            format!("tenants/acme/sessions/{ID}/"),
            "tenants/acme/sessions/sg1_token".to_owned(),
        ] {
            assert!(parse_session("name", &name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_empty_parent_is_the_callers_own() {
        let own = Tenant::new("acme").unwrap();
        assert_eq!(parse_parent("parent", "", &own), Ok(own.clone()));
        assert_eq!(
            parse_parent("parent", "tenants/other", &own),
            Ok(Tenant::new("other").unwrap())
        );
        assert!(parse_parent("parent", "other", &own).is_err());
    }
}
