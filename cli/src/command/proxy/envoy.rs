//! Envoy's configuration.

use super::facts::Facts;
use crate::failure::Failure;

/// Envoy, by `ext_authz`.
pub(super) fn configuration(facts: &Facts) -> Result<String, Failure> {
    Ok(facts.envoy()?.to_string())
}
