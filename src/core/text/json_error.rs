//! What `serde_json` says of JSON that it cannot read, as messages tell it.

use alloc::format;
use alloc::string::{String, ToString};

use serde_path_to_error::{Path, Segment};

use crate::text::message::{escape_for_message, escape_unprintable};

/// As many characters of a field's name are shown.
const FIELD_MAX_CHARS: usize = 64;
/// Room for the names of all fields, which follow one that is unknown.
const PROBLEM_MAX_CHARS: usize = 512;

/// The path of the field that is wrong, such as `scopes[2]`; empty for the whole.
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

/// What `serde_json` says, less what is not to be repeated.
pub(crate) fn problem(error: &serde_json::Error) -> String {
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

/// Whether the first character of a JSON text is this one.
pub(crate) fn begins_with(json: &str, first: char) -> bool {
    json.trim_start_matches([' ', '\t', '\n', '\r']).starts_with(first)
}
