//! YAML, and JSON, which is YAML as well.

use serde::de::DeserializeOwned;
use serde_saphyr::Error as YamlError;

use crate::error::{Error, Outcome};
use crate::import::imported_row::quoted;
use crate::import::place::Layout;
use crate::import::shape::{self, System};

/// The declarative file of `whose`.
///
/// # Errors
/// The text is not one YAML document of this form.
pub(super) fn parse<T: DeserializeOwned>(text: &[u8], whose: System) -> Outcome<T> {
    let text = str::from_utf8(text).map_err(|_| {
        Error::failed("the source is not UTF-8 text", "save it as UTF-8, then run the command again")
    })?;
    // A million keys; the parser's own bounds are for settings. Aliases stay bounded: they could grow without end.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 100_000_000,
            max_nodes: 50_000_000,
            max_total_scalar_bytes: 1 << 30,
        },
        // `!vault`, `!reference`: the key is something else than the text.
        reject_unsupported_tags: true,
        with_snippet: false,
        // `yes` and `12e5` are no strings for whoever wrote them with YAML 1.1.
        no_schema: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|e| refusal(&e, text, whose))
}

/// Not the parser's own words: they repeat what stands there.
fn refusal(error: &YamlError, text: &str, whose: System) -> Error {
    let layout = Layout::of(text.as_bytes());
    let place = error.location().map(|at| format!(" ({})", layout.at(at))).unwrap_or_default();
    match error.without_snippet() {
        YamlError::MultipleDocuments { .. } => Error::failed(
            format!("the source has more than one YAML document{place}"),
            "split it at the lines `---`, and import each document",
        ),
        YamlError::SerdeUnknownField { field, .. } => Error::failed(
            format!("a key has the field {}, which {whose} does not document{place}", quoted(field)),
            format!("remove the field if it does not restrict the key, or export the file anew from {whose}"),
        ),
        YamlError::SerdeMissingField { field, .. } => Error::failed(
            format!("an entry has no `{field}`{place}"),
            format!("export the file anew from {whose}, with the keys"),
        ),
        YamlError::QuotingRequired { .. } => Error::failed(
            format!(
                "a value that has to be a string is none without quotes, such as `yes`, `no` or `42`{place}"
            ),
            "write it in quotes, if the text is meant",
        ),
        YamlError::UnsupportedTag { .. } => Error::failed(
            format!("a value has a tag, such as `!vault`, and is something else than its text{place}"),
            "resolve it first, and put the key in its place",
        ),
        _ => shape::of_yaml(text, whose).unwrap_or_else(|| {
            let remedy = if text.contains("${{") {
                "resolve the references `${{ … }}` first, or put them in quotes".to_owned()
            } else {
                format!(
                    "export it anew from {whose}; keys are strings, so one of digits alone stands in quotes"
                )
            };
            Error::failed(format!("the source is not a declarative file of {whose}'s{place}"), remedy)
        }),
    }
}

/// What is said of a file without a key.
pub(super) fn without_keys(text: &[u8], whose: System) -> Error {
    str::from_utf8(text).ok().and_then(|text| shape::of_yaml(text, whose)).unwrap_or_else(|| {
        Error::failed(
            format!("the source has no key of {whose}'s key-auth"),
            format!("export the consumers and their credentials from {whose}"),
        )
    })
}
