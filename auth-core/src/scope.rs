//! OAuth scopes: what is granted, and whether it covers what is asked for (R21).

/// How granted scopes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeMatching {
    /// A scope covers itself only: for scopes that an issuer gave.
    Exact,
    /// A scope covers its children too: `admin` and `admin:*` cover `admin:invoices`; a child never
    /// covers its parent.
    Hierarchical,
}

impl ScopeMatching {
    /// Whether `granted` covers `needed`.
    #[must_use]
    pub fn covers(self, granted: &str, needed: &str) -> bool {
        match self {
            Self::Exact => granted == needed,
            Self::Hierarchical => {
                let parent = granted.strip_suffix(":*").unwrap_or(granted);
                let is_child = needed
                    .strip_prefix(parent)
                    .is_some_and(|rest| rest.starts_with(':') && rest.len() > 1);
                granted == needed || (!parent.is_empty() && is_child)
            }
        }
    }

    /// Whether one of `granted` covers each of `needed`.
    #[must_use]
    pub fn all_covered(self, granted: &[String], needed: &[String]) -> bool {
        needed
            .iter()
            .all(|needed| granted.iter().any(|granted| self.covers(granted, needed)))
    }
}

/// Whether `text` is one scope (RFC 6749 section 3.3).
#[must_use]
pub fn is_scope(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 256
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_scopes_cover_their_children_and_never_their_parents() {
        for (granted, needed, covered) in [
            ("admin", "admin", true),
            ("admin", "admin:invoices", true),
            ("admin:*", "admin:invoices", true),
            ("admin:*", "admin:invoices:read", true),
            ("admin:invoices", "admin", false),
            ("admin:*", "admin", false),
            ("admin", "administrator", false),
            ("admin", "admin:", false),
            ("*", "admin", false),
            (":*", ":x", false),
        ] {
            assert_eq!(
                ScopeMatching::Hierarchical.covers(granted, needed),
                covered,
                "{granted} over {needed}"
            );
        }
    }

    #[test]
    fn scopes_of_an_issuer_are_exact() {
        assert!(!ScopeMatching::Exact.covers("admin", "admin:invoices"));
        assert!(ScopeMatching::Exact.covers("admin", "admin"));
    }
}
