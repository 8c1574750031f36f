//! The error of a record.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use thiserror::Error;

use crate::text::json_error;

/// The path of the whole record.
const WHOLE: &str = ".";

/// Why a string is not a record: the invalid field, and the problem.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{problem}", self.prefix())]
pub struct RecordError {
    field: String,
    problem: String,
}

impl RecordError {
    /// The path of the invalid field, such as `scopes[2]`; `.` is the whole record.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The problem with that field.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    pub(super) fn new(field: &str, problem: impl fmt::Display) -> Self {
        Self { field: field.into(), problem: problem.to_string() }
    }

    pub(super) fn of_whole(problem: impl fmt::Display) -> Self {
        Self::new(WHOLE, problem)
    }

    /// The same error, of an element of an array.
    pub(super) fn in_element(self, at: usize) -> Self {
        let field = if self.field == WHOLE { format!("[{at}]") } else { format!("[{at}].{}", self.field) };
        Self { field, ..self }
    }

    fn prefix(&self) -> String {
        if self.field == WHOLE { String::new() } else { format!("`{}`: ", self.field) }
    }
}

impl From<serde_path_to_error::Error<serde_json::Error>> for RecordError {
    fn from(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let field = json_error::path(error.path());
        Self::new(if field.is_empty() { WHOLE } else { &field }, json_error::problem(error.inner()))
    }
}

impl From<serde_json::Error> for RecordError {
    fn from(error: serde_json::Error) -> Self {
        Self::of_whole(json_error::problem(&error))
    }
}
