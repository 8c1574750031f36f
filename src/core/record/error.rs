//! What is wrong with a record.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;

use serde_path_to_error::Segment;
use thiserror::Error;

use crate::message::{escape_for_message, escape_unprintable};

/// As many characters as a field's name may have.
const FIELD_MAX_CHARS: usize = 64;
/// Room for the names of all fields, which follow one that is unknown.
const PROBLEM_MAX_CHARS: usize = 512;
/// The path of the whole.
const WHOLE: &str = ".";

/// Why a text is not a record: where, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}{problem}", self.place())]
pub struct RecordFault {
    field: String,
    problem: String,
}

impl RecordFault {
    /// The path of the field that is wrong, such as `scopes[2]`; `.` is the whole.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong there.
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

    fn place(&self) -> String {
        if self.field == WHOLE { String::new() } else { format!("`{}`: ", self.field) }
    }
}

impl From<serde_path_to_error::Error<serde_json::Error>> for RecordFault {
    fn from(error: serde_path_to_error::Error<serde_json::Error>) -> Self {
        let mut field = String::new();
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => field = format!("{field}[{index}]"),
                Segment::Map { key } | Segment::Enum { variant: key } => {
                    if !field.is_empty() {
                        field.push('.');
                    }
                    field.push_str(&escape_for_message(key, FIELD_MAX_CHARS));
                }
                Segment::Unknown => {}
            }
        }
        Self::new(if field.is_empty() { WHOLE } else { &field }, problem(error.inner()))
    }
}

impl From<serde_json::Error> for RecordFault {
    fn from(error: serde_json::Error) -> Self {
        Self::of_whole(problem(&error))
    }
}

/// What `serde_json` says, less what is not to be repeated.
fn problem(error: &serde_json::Error) -> String {
    let whole = error.to_string();
    let mut text = &*whole;
    if error.is_data() {
        // The field is named instead.
        let place = format!(" at line {} column {}", error.line(), error.column());
        text = text.strip_suffix(&*place).unwrap_or(text);
    }
    // A string of the wrong kind may be a key that was put in the wrong place.
    if let Some(rest) = text.strip_prefix("invalid type: string \"") {
        let (_, expected) = rest.rsplit_once(", expected ").unwrap_or_default();
        return format!("invalid type: string, expected {expected}");
    }
    escape_unprintable(text, PROBLEM_MAX_CHARS)
}
