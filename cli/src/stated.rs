//! Reading the session that `--session` states.

use auth_core::stated::StatedSession;

use crate::failure::Failure;

/// Reads the JSON of `--session`.
///
/// # Errors
///
/// Returns [`Failure`] when it is not a session.
pub(crate) fn parse(json: &str) -> Result<StatedSession, Failure> {
    serde_json::from_str(json).map_err(|err| {
        Failure::usage(format!("`--session` is no session: {err}")).next(
            "write it as `{\"subject\": \"u1\", \"claims\": {\"role\": \"user\"}, \"scopes\": []}`",
        )
    })
}
