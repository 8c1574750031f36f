//! What a search begins with: the frozen vectors, as inputs of the targets.
//!
//! So the corpus that is committed is tests/vectors. What a search adds to it stays in the target folder.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Target, cannot_write, create};
use crate::failure::Failure;
use crate::workspace::Workspace;

/// The routes that paths are looked up in: those of the pieces that the vectors are made of.
const ROUTES: &str =
    "p /public/*\nk02 /admin/*\nd /closed/*\nk0 /a/*/c\nk2 /a/b/*\np013 /a/b/c\nk /*/*/d\np0 /\nk /café";
const PEPPERS: [&str; 2] =
    ["Zk9wVGVzdFBlcHBlck5vdEZvclVzZTAxMjM0NTY3ODkrLw", "T2xkUGVwcGVyRm9yVGVzdHNPbmx5QWJjZGVmZ2hpamtsbW4"];
const SECRETS: &str =
    "4fTz0Qw9Lr2K,000000000000\0Bearer provider\u{0}2026-11:Y2FuYXJ5Y2FuYXJ5MDEyMzQ1Njc4OWFiY2RlZmdoaWo=";

/// Puts the target's vectors into its corpus.
pub(super) fn write(workspace: &Workspace, target: Target, folder: &Path) -> Result<(), Failure> {
    let vectors = |name| vectors(workspace, name);
    let seeds = match target {
        Target::Key => keys(&vectors("key")?),
        Target::Credential => cases(&vectors("credential")?).map(credential).collect(),
        Target::Route => cases(&vectors("path")?).map(route).collect(),
        Target::Record => records(&vectors("record")?),
        Target::Policy => cases(&vectors("policy")?).map(|case| text(case, "vars")).collect(),
        Target::Secrets => records(&vectors("record")?).iter().map(|record| secrets(record)).collect(),
        Target::Gate => {
            let (paths, credentials) = (vectors("path")?, vectors("credential")?);
            cases(&paths).map(at_path).chain(cases(&credentials).map(with_credential)).collect()
        }
    };
    create(folder)?;
    for (at, seed) in seeds.iter().enumerate() {
        let file = folder.join(format!("vector-{at}"));
        fs::write(&file, seed).map_err(|error| cannot_write(&file, &error))?;
    }
    Ok(())
}

fn vectors(workspace: &Workspace, name: &str) -> Result<Value, Failure> {
    let path = format!("tests/vectors/{name}.json");
    serde_json::from_str(&workspace.read(&path)?).map_err(|error| {
        Failure::new(format!("cannot read `{path}`: {error}"), "restore it with `git checkout`")
    })
}

fn cases(vectors: &Value) -> impl Iterator<Item = &Value> {
    vectors.get("cases").and_then(Value::as_array).into_iter().flatten()
}

/// A field: a text as it is, anything else as JSON, nothing where there is none.
fn text(case: &Value, field: &str) -> String {
    match case.get(field) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// Every text that is or could be a key, an id, a digest, a prefix or a pepper.
fn keys(vectors: &Value) -> Vec<String> {
    fn texts(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::String(text) => found.push(text.clone()),
            Value::Array(list) => list.iter().for_each(|value| texts(value, found)),
            Value::Object(fields) => fields.values().for_each(|value| texts(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut found = Vec::new();
    texts(vectors, &mut found);
    // Entropy for a whole key of its own.
    found.push(format!("\n{}", "0123456789abcdef".repeat(12)));
    found
}

fn records(vectors: &Value) -> Vec<String> {
    let cases = vectors.as_array().into_iter().flatten();
    cases
        .map(|case| if case.get("json").is_some() { text(case, "json") } else { text(case, "record") })
        .collect()
}

fn credential(case: &Value) -> String {
    let has = |place: &str| {
        let configured = case.get("credentials").and_then(Value::as_array);
        configured
            .map_or(["bearer", "header:x-api-key"].contains(&place), |all| all.iter().any(|p| p == place))
    };
    let places = ["bearer", "basic", "header:x-api-key", "header:x-key", "query:api_key"];
    let mask = places.iter().rev().fold(0_u8, |mask, place| mask << 1 | u8::from(has(place)));
    let header = |name| case.get("headers").map(|headers| text(headers, name)).unwrap_or_default();
    let lines = [text(case, "authorization"), header("x-api-key"), header("x-key"), text(case, "query")];
    // `@` has none of the five bits.
    format!("{}\n{}", char::from(b'@' | mask), lines.join("\n"))
}

fn route(case: &Value) -> String {
    let has = |rule: &str| {
        case.get("rules").and_then(Value::as_array).is_some_and(|rules| rules.iter().any(|r| r == rule))
    };
    let flags = u8::from(has("allow_encoded_slash")) | u8::from(has("case_insensitive")) << 1;
    format!("{}\n{}\n{ROUTES}", char::from(b'@' | flags), text(case, "path"))
}

fn secrets(record: &str) -> String {
    let [current, previous] = PEPPERS;
    format!("{current}\0{previous}\0[{record}]\0{SECRETS}")
}

fn at_path(case: &Value) -> String {
    format!("GET\nhttps://gate.example{}?a=%2f\n203.0.113.9\n\n\nBearer {{key}}\n", text(case, "path"))
}

fn with_credential(case: &Value) -> String {
    let key = case.get("headers").map(|headers| text(headers, "x-api-key")).unwrap_or_default();
    let lines = [
        "OPTIONS".into(),
        format!("https://gate.example/read/x?{}", text(case, "query")),
        "2001:db8::1".into(),
        "https://app.example".into(),
        "GET".into(),
        text(case, "authorization"),
        key,
    ];
    lines.join("\n")
}
