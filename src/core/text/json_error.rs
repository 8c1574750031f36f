//! Error messages for JSON that `serde_json` cannot read.

use alloc::format;
use alloc::string::{String, ToString};

use serde_path_to_error::{Path, Segment};

use crate::text::message::{escape_for_message, escape_unprintable};

/// The longest field name in a message.
const FIELD_MAX_CHARS: usize = 64;
/// Long enough for an unknown field followed by the names of all fields.
const PROBLEM_MAX_CHARS: usize = 512;

/// The path of the invalid field, such as `scopes[2]`; empty for the whole document.
pub(crate) fn path(path: &Path) -> String {
    let mut field = String::new();
    for segment in path {
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
    field
}

/// The message of `serde_json`, without values that must not be repeated.
pub(crate) fn problem(error: &serde_json::Error) -> String {
    let whole = error.to_string();
    let mut text = &*whole;
    if error.is_data() {
        // The caller adds the path of the field instead.
        let position = format!(" at line {} column {}", error.line(), error.column());
        text = text.strip_suffix(&*position).unwrap_or(text);
    }
    // A string of the wrong type may be a key in the wrong field.
    if let Some(rest) = text.strip_prefix("invalid type: string \"") {
        let (_, expected) = rest.rsplit_once(", expected ").unwrap_or_default();
        return format!("invalid type: string, expected {expected}");
    }
    escape_unprintable(text, PROBLEM_MAX_CHARS)
}

/// Whether the first character of a JSON document is this one.
pub(crate) fn begins_with(json: &str, first: char) -> bool {
    json.trim_start_matches([' ', '\t', '\n', '\r']).starts_with(first)
}
