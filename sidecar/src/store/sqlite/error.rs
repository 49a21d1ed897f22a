//! From SQLite's errors to those of a store.

use auth_core::store::StoreError;
use rusqlite::ErrorCode;

/// Why a verb stopped: an answer to the caller, or a failure of the engine. Either takes back what
/// the verb wrote.
pub(super) enum Halt<E> {
    Refused(E),
    Failed(rusqlite::Error),
}

impl<E> From<rusqlite::Error> for Halt<E> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Failed(error)
    }
}

impl<E: From<StoreError>> Halt<E> {
    pub(super) fn into_answer(self) -> E {
        match self {
            Self::Refused(answer) => answer,
            Self::Failed(error) => of_engine(&error).into(),
        }
    }
}

/// What a failure of the engine means to a caller.
pub(super) fn of_engine(error: &rusqlite::Error) -> StoreError {
    match error {
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..) => StoreError::Damaged(error.to_string()),
        _ => match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::OutOfSpace,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Damaged(error.to_string())
            }
            _ => StoreError::Unavailable(error.to_string()),
        },
    }
}

/// A thread of the store is gone.
pub(super) fn stopped() -> StoreError {
    StoreError::Unavailable("it is shutting down".to_owned())
}

/// A value in the file that makes no sense.
pub(super) fn damaged(what: &str) -> rusqlite::Error {
    let text = format!("`{what}` makes no sense");
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, text.into())
}
