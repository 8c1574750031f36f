//! Wrangler's file: which one it is, and its three formats.

use std::path::{Path, PathBuf};

use jsonc_parser::ParseOptions;
use serde_json::{Map, Value};

use crate::error::{Error, Outcome};

/// The names of the file in wrangler's order: an earlier one is taken even if it lies further up.
const NAMES: [&str; 3] = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];

/// By which `wrangler dev` and `wrangler deploy` take the configuration that a build made.
const REDIRECTION: &str = ".wrangler/deploy/config.json";

/// The files of wrangler from the current folder upwards.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The one that wrangler reads.
    pub(crate) path: PathBuf,
    /// Those that it passes over.
    pub(crate) ignored: Vec<String>,
    /// What leads it to another one.
    pub(crate) redirection: Option<String>,
}

/// Finds wrangler's files from the current folder upwards.
///
/// # Errors
/// There is no configuration.
pub(crate) fn found() -> Outcome<Found> {
    let here = std::env::current_dir().map_err(|e| {
        Error::failed(format!("cannot find the current folder: {e}"), "name the file with `--config FILE`")
    })?;
    let height = here.ancestors().count();
    let at = |name: &str, up: usize| PathBuf::from("../".repeat(up)).join(name);
    let search = |name: &str| (0..height).find(|up| at(name, *up).is_file()).map(|up| (name.to_owned(), up));
    let mut all = NAMES.into_iter().filter_map(search);
    let Some((name, up)) = all.next() else {
        return Err(Error::failed(
            "there is no wrangler.json, wrangler.jsonc or wrangler.toml in this folder or above it",
            "run the command in the gate's folder, or name the file with `--config FILE`",
        ));
    };
    let passed_over = all.filter(|(_, other)| *other <= up);
    let ignored = passed_over.map(|(name, up)| at(&name, up).display().to_string()).collect();
    let redirection = search(REDIRECTION).map(|(name, up)| at(&name, up).display().to_string());
    Ok(Found { path: at(&name, up), ignored, redirection })
}

/// Refuses a file of wrangler's above the current folder: whoever can write there would choose what is run.
///
/// # Errors
/// That is the one that wrangler reads, or there is none.
pub(crate) fn refuse_above() -> Outcome<()> {
    let Found { path, ignored, .. } = found()?;
    if !path.starts_with("..") {
        return Ok(());
    }
    let here = ignored.iter().find(|file| !Path::new(file).starts_with(".."));
    let remedy = match (here, path.parent()) {
        (None, Some(folder)) => {
            format!("if that gate is meant, run the command there: `cd {}`", folder.display())
        }
        (here, _) => format!(
            "name this folder's file with `--config {}`, or move the other one away",
            here.map_or("FILE", String::as_str)
        ),
    };
    Err(Error::failed(format!("wrangler takes {}, which lies above this folder", path.display()), remedy))
}

/// The file as the Worker's runtime would be given its variables, which is as JSON.
///
/// # Errors
/// What is wrong with the text, by its line and without repeating it.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Map<String, Value>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let is_of = |format: &str| path.extension().is_some_and(|extension| extension == format);
    let mut whole: Map<String, Value> = if is_of("toml") {
        toml::from_str(text).map_err(|e: toml::de::Error| {
            // Not the whole error: it repeats the line, and somebody's secret may stand there.
            let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("is not TOML: line {}: {}", before.matches('\n').count() + 1, e.message())
        })
        .and_then(|whole: Map<String, Value>| match whole.iter().find_map(|(name, value)| inexact(name, value)) {
            None => Ok(whole),
            Some(field) => Err(format!("is refused by wrangler: `{field}` is a whole number that JavaScript has not exactly; write it in quotes")),
        })
    } else if is_of("json") || is_of("jsonc") {
        match jsonc_parser::parse_to_serde_value(text, &JSONC) {
            Ok(Value::Object(whole)) => Ok(whole),
            Ok(_) => Err("is not a JSON object".to_owned()),
            Err(e) => Err(format!("is not JSON with comments: line {}: {}", e.line_display(), e.kind())),
        }
    } else {
        Err("does not end with .toml, .json or .jsonc, as wrangler's files do".to_owned())
    }?;
    whole.values_mut().for_each(as_javascript);
    Ok(whole)
}

/// What wrangler's parser of JSON takes: comments and trailing commas.
const JSONC: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_trailing_commas: true,
    allow_loose_object_property_names: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// The first whole number from 2^53 on, by its name.
fn inexact(name: &str, value: &Value) -> Option<String> {
    const EXACT_MAX: u64 = 9_007_199_254_740_991;
    match value {
        Value::Array(list) => list.iter().find_map(|element| inexact(name, element)),
        Value::Object(table) => {
            table.iter().find_map(|(inner, value)| inexact(&format!("{name}.{inner}"), value))
        }
        Value::Number(number) => {
            let is_inexact = number.as_i64().is_some_and(|whole| whole.unsigned_abs() > EXACT_MAX);
            is_inexact.then(|| name.to_owned())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => None,
    }
}

/// Numbers and dates as JavaScript writes them into JSON, which is how the gate gets them.
fn as_javascript(value: &mut Value) {
    /// Below 2^53 all whole numbers are exact.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Array(list) => list.iter_mut().for_each(as_javascript),
        Value::Object(table) => match table.get("$__toml_private_datetime").cloned() {
            Some(date) => *value = date,
            None => table.values_mut().for_each(as_javascript),
        },
        Value::Number(number) => {
            let whole =
                number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0 && n.abs() < EXACT_MAX);
            #[expect(clippy::cast_possible_truncation, reason = "it is whole and below 2^53")]
            if let Some(whole) = whole {
                *value = Value::from(whole as i64);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn all_formats_give_what_the_gate_is_given() {
        let expected = json!({"vars": {"A": 30, "B": [0.5, "x"], "C": "2026-11-17", "D": true}});
        for (name, text) in [
            ("wrangler.toml", "[vars]\nA = 30.0\nB = [0.5, 'x']\nC = 2026-11-17\nD = true\n"),
            ("wrangler.toml", "\u{feff}vars = { A = 30, B = [0.5, 'x'], C = '2026-11-17', D = true }"),
            (
                "wrangler.jsonc",
                "{ // a comment\n \"vars\": {\"A\": 3e1, \"B\": [0.5, \"x\",], /* b */ \"C\": \"2026-11-17\", \"D\": true,},\n}",
            ),
            (
                "wrangler.json",
                "\u{feff}{\"vars\": {\"A\": 1, \"A\": 30, \"B\": [0.5, \"x\"], \"C\": \"2026-11-17\", \"D\": true}}",
            ),
        ] {
            assert_eq!(json!(parse(Path::new(name), text).unwrap()), expected, "{text}");
        }
        for (name, text) in [
            ("wrangler.jsonc", "{vars: {}}"),
            ("wrangler.jsonc", "{'vars': {}}"),
            ("wrangler.jsonc", "{\"vars\": {} \"name\": \"x\"}"),
            ("wrangler.jsonc", "{\"a\": 0x10}"),
            ("wrangler.jsonc", "{\"a\": +1}"),
            ("wrangler.json", "[]"),
            ("wrangler.json", ""),
            ("wrangler.toml", "a = 1\na = 2"),
            ("wrangler.toml", "a = 9007199254740992"),
            ("wrangler.toml", "[[vars.a]]\nb = [1, -9007199254740992]"),
            ("wrangler.toml", "[vars]\na = 0x20000000000001"),
            ("wrangler.yaml", "a: 1"),
        ] {
            assert!(parse(Path::new(name), text).is_err(), "{text}");
        }
    }
}
