//! Look-ups: rows that checks ask of the app's own data.

use std::fmt;

use async_trait::async_trait;

use crate::{expression::Type, value::Value};

#[cfg(feature = "sqlite")]
pub mod sqlite;

/// Where look-ups look. Queries are described when a policy is loaded and run while it decides.
#[async_trait]
pub trait LookupSource: fmt::Debug + Send + Sync + 'static {
    /// What a query asks for and gives, without running it.
    ///
    /// # Errors
    ///
    /// Returns [`DescribeError`] when the query is wrong, or the source cannot be reached.
    fn describe(&self, sql: &str) -> Result<Description, DescribeError>;

    /// The first row of a query; `None` when there is none.
    ///
    /// # Errors
    ///
    /// Returns [`LookupError`] when the source cannot answer. A decision that needs the row is then
    /// undetermined.
    async fn first_row(&self, sql: &str, args: &[Value])
    -> Result<Option<Vec<Value>>, LookupError>;
}

/// What a query asks for and gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Its columns, with their types as far as the source declares them.
    pub columns: Vec<(String, Type)>,
    /// How many arguments it takes.
    pub parameters: usize,
}

/// Why a query could not be described.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescribeError {
    /// The query is wrong.
    #[error("{0}")]
    Query(String),
    /// The source cannot be reached, so nothing is known of the query.
    #[error("{0}")]
    Unreachable(String),
}

/// A look-up failed. The text is for logs and holds no value of a row or argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the look-up failed: {0}")]
pub struct LookupError(pub String);
