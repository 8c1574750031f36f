//! The frozen records, and what the parser makes of them. `tests/e2e/record_schema.test.js` holds the published JSON
//! Schema to the same cases.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use keygate_core::record::{Record, RecordError};
use serde::Deserialize;
use serde_json::Value;

/// One case; exactly one of `record` and `json` is there.
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
    #[serde(default, rename = "beyond_schema")]
    _beyond_schema: bool,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../tests/vectors/record.json")).unwrap()
}

#[test]
fn every_case_is_read_or_refused_at_the_field_that_is_wrong() {
    assert!(cases().len() > 100);
    let mut wrong = Vec::new();
    for case in cases() {
        let text = match (&case.record, &case.json) {
            (Some(record), None) => record.to_string(),
            (None, Some(json)) => json.clone(),
            _ => panic!("{}: not exactly one of `record` and `json`", case.name),
        };
        let parsed = Record::parse(&text);
        let field = parsed.as_ref().err().map(RecordError::field);
        if (parsed.is_ok(), field) != (case.ok, case.field.as_deref()) {
            wrong.push(format!("{}: {:?}", case.name, parsed.err()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_was_written_reads_back_the_same() {
    for case in cases().iter().filter(|case| case.ok) {
        let text = case.record.as_ref().unwrap().to_string();
        let once = Record::parse(&text).unwrap().to_json().unwrap();
        let twice = Record::parse(&once).unwrap().to_json().unwrap();
        assert_eq!(once, twice, "{}", case.name);
    }
}
