//! The published JSON Schema, the frozen vectors and core's parser say the same of every record.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use keygate_core::record::{Record, RecordFault};
use serde::Deserialize;
use serde_json::Value;

/// One frozen case; exactly one of `record` and `json` is there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    record: Option<Value>,
    /// For what is no JSON value, or not kept by one.
    json: Option<String>,
    ok: bool,
    /// The field that the parser names.
    field: Option<String>,
    /// The rule is one that a schema cannot say.
    #[serde(default)]
    beyond_schema: bool,
}

#[test]
fn schema_vectors_and_parser_agree() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../tests/vectors/record.json")).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../../../docs/record.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    assert!(cases.len() > 100);
    let mut wrong = Vec::new();
    for case in cases {
        let text = match (&case.record, &case.json) {
            (Some(record), None) => record.to_string(),
            (None, Some(json)) => json.clone(),
            _ => panic!("{}: not exactly one of `record` and `json`", case.name),
        };
        let parsed = Record::parse(&text);
        let fault = parsed.as_ref().err();
        if (fault.is_none(), fault.map(RecordFault::field)) != (case.ok, case.field.as_deref()) {
            wrong.push(format!("{}: the parser says {fault:?}", case.name));
        }
        if let Some(record) = &case.record
            && schema.is_valid(record) != (case.ok || case.beyond_schema)
        {
            wrong.push(format!("{}: the schema says otherwise", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_was_written_reads_back_the_same() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../../../tests/vectors/record.json")).unwrap();
    for case in cases.iter().filter(|case| case.ok) {
        let text = case.record.as_ref().unwrap().to_string();
        let once = Record::parse(&text).unwrap().to_json().unwrap();
        let twice = Record::parse(&once).unwrap().to_json().unwrap();
        assert_eq!(once, twice, "{}", case.name);
    }
}
