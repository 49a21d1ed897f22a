//! Conversions between the contract's messages and the types of `auth-core`, both ways.
//!
//! What needs nothing else is a `From` or `TryFrom`. What needs the tenant (names of sessions hold
//! it) or the view asked for is a function. Strings and bytes are moved and not copied.
//!
//! A message that makes no sense is a [`ConvertError`], which names the field; as a
//! [`tonic::Status`] it is INVALID_ARGUMENT with the field in its details. An enum that is
//! unspecified or not known here is an error too, since nothing may be guessed about a call.

use auth_core::text::is_hidden;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

pub mod decision;
pub mod json;
pub mod managed;
pub mod name;
mod profile;
pub mod reason;
pub mod session;
pub mod time;
pub mod wire;

/// A field of a message that makes no sense. Names the field and never a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}`: {problem}")]
pub struct ConvertError {
    /// The path of the field from the message down, as `wire.credentials[2].value`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl ConvertError {
    /// The field has this problem.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// The same, seen from the message that holds this one in its field `parent`.
    #[must_use]
    pub fn under(mut self, parent: &str) -> Self {
        self.field = if self.field.is_empty() {
            parent.to_owned()
        } else {
            format!("{parent}.{}", self.field)
        };
        self
    }
}

impl From<ConvertError> for tonic::Status {
    fn from(error: ConvertError) -> Self {
        let message = error.to_string();
        let mut details = ErrorDetails::new();
        details
            .set_bad_request(vec![FieldViolation::new(&error.field, error.problem)])
            .set_error_info(
                reason::INVALID_FIELD,
                reason::DOMAIN,
                [("field".to_owned(), error.field)],
            );
        Self::with_error_details(tonic::Code::InvalidArgument, message, details)
    }
}

/// Refuses text that is longer than `max` bytes or holds control characters.
fn text(field: &str, value: String, max: usize) -> Result<String, ConvertError> {
    if value.len() > max {
        return Err(too_long(field, value.len(), max));
    }
    if value.contains(is_hidden) {
        return Err(ConvertError::new(field, "holds a control character"));
    }
    Ok(value)
}

fn too_long(field: &str, length: usize, max: usize) -> ConvertError {
    ConvertError::new(field, format!("takes {length} bytes, the limit is {max}"))
}

fn at_most(field: &str, count: usize, max: usize) -> Result<(), ConvertError> {
    if count > max {
        let problem = format!("has {count} entries, the limit is {max}");
        return Err(ConvertError::new(field, problem));
    }
    Ok(())
}

/// Reads an enum by number; what is unspecified or unknown is `None`.
fn known<E: TryFrom<i32> + Default + PartialEq>(number: i32) -> Option<E> {
    E::try_from(number)
        .ok()
        .filter(|value| *value != E::default())
}

fn unspecified(field: &str, number: i32) -> ConvertError {
    let problem = if number == 0 {
        "is required".to_owned()
    } else {
        format!("`{number}` is no value that this version knows")
    };
    ConvertError::new(field, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_as_a_status_names_the_field_in_its_details() {
        let error = ConvertError::new("value", "takes too much").under("wire.credentials[2]");
        let status = tonic::Status::from(error);
        let details = status.get_error_details();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        let violation = &details.bad_request().unwrap().field_violations[0];
        assert_eq!(violation.field, "wire.credentials[2].value");
        let info = details.error_info().unwrap();
        assert_eq!(
            (&*info.reason, &*info.domain),
            ("INVALID_FIELD", "sidegate")
        );
    }
}
