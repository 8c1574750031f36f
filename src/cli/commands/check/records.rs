//! The check of a file of records: one record, an array of them, or wrangler's bulk JSON.

use std::collections::BTreeMap;

use keygate_core::key::{KV_NAME_PREFIX, KeyId};
use keygate_core::record::Record;
use serde_json::Value;

use crate::entry::Entry;
use crate::findings::{Findings, Level};

/// Checks the text of one file.
pub(crate) fn check_records(file: &str, text: &str, findings: &mut Findings) {
    let error = match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(list)) if is_bulk(&list) => return check_bulk(file, &list, findings),
        // The text, not the value: a field that is written twice is lost in the value.
        Ok(Value::Array(_)) => Record::parse_list(text).err(),
        Ok(Value::Object(_)) => Record::parse(text).err(),
        Ok(_) => {
            let problem = "is no record, no array of records and no bulk JSON of wrangler";
            return findings.add(Level::Error, file, ".", problem);
        }
        Err(e) => return findings.add(Level::Error, file, ".", format!("is not JSON: {e}")),
    };
    if let Some(error) = error {
        findings.add(Level::Error, file, error.field(), error.problem());
    }
}

/// No record has a field `key`; every entry has.
fn is_bulk(list: &[Value]) -> bool {
    list.iter().any(|entry| entry.get("key").is_some())
}

fn check_bulk(file: &str, list: &[Value], findings: &mut Findings) {
    let mut seen = BTreeMap::new();
    for (at, value) in list.iter().enumerate() {
        let entry: Entry = match serde_json::from_value(value.clone()) {
            Ok(entry) => entry,
            Err(e) => {
                findings.add(
                    Level::Error,
                    file,
                    format!("[{at}]"),
                    format!("is no entry as keygate writes them: {e}"),
                );
                continue;
            }
        };
        if let Some(first) = seen.insert(entry.key.clone(), at) {
            findings.add(Level::Error, file, format!("[{at}].key"), format!("is the name of [{first}] too"));
        }
        check_entry(file, at, &entry, findings);
    }
}

fn check_entry(file: &str, at: usize, entry: &Entry, findings: &mut Findings) {
    let id = entry.key.strip_prefix(KV_NAME_PREFIX).map(str::parse::<KeyId>);
    let Some(Ok(id)) = id else {
        let problem = format!("is not `{KV_NAME_PREFIX}` and a key id: 12 characters of 0-9, A-Z and a-z");
        return findings.add(Level::Error, file, format!("[{at}].key"), problem);
    };
    let record = match Record::parse_entry(id, &entry.value) {
        Ok(record) => record,
        Err(error) => {
            let field = match error.field() {
                "." => format!("[{at}].value"),
                field => format!("[{at}].value.{field}"),
            };
            return findings.add(Level::Error, file, field, error.problem());
        }
    };
    let field = format!("[{at}].metadata");
    match &entry.metadata {
        None => findings.add(
            Level::Warning,
            file,
            field,
            "is missing; `keygate list` would show the key without subject and state",
        ),
        Some(metadata) if !metadata.agrees_with(&record) => {
            findings.add(
                Level::Warning,
                file,
                field,
                "does not say the same as the record; `keygate list` would show it wrongly",
            );
        }
        Some(_) => {}
    }
}
