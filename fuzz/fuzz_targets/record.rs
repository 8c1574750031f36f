//! A record as it stands in KV, or in a list as `STATIC_KEYS`.
#![no_main]

use keygate_core::key::KeyId;
use keygate_core::record::Record;
use keygate_fuzz::text;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The fields that restrict a key. What was written is what is held, and nothing that was written is left out.
const FIELDS: [&str; 16] = [
    "v",
    "id",
    "subject",
    "name",
    "digest",
    "state",
    "created",
    "not_before",
    "not_after",
    "scopes",
    "ips",
    "plan",
    "quota",
    "replaces",
    "replaced_by",
    "meta",
];

fuzz_target!(|data: &[u8]| {
    let text = text(data);
    let Ok(record) = Record::parse(&text) else {
        assert!(
            Record::parse_list(&format!("[{text}]")).is_err() || text.len() > 16 * 1024 || is_not_one(&text)
        );
        return;
    };
    let json = record.to_json().expect("what was read can be written");
    let again = Record::parse(&json).expect("what was written can be read");
    assert_eq!(again.to_json().expect("as before"), json);

    let written: Value = serde_json::from_str(&text).expect("a record is JSON");
    let held: Value = serde_json::from_str(&json).expect("a record is JSON");
    let written = written.as_object().expect("a record is an object");
    assert!(written.keys().all(|name| FIELDS.contains(&&**name)), "an unknown field was skipped");
    for name in FIELDS {
        let (written, held) = (written.get(name).unwrap_or(&Value::Null), &held[name]);
        let is_default = written.is_null() && (held.is_null() || held == "" || is_empty(held));
        // A network may be written in another form than it is held in.
        assert!(written == held || is_default || name == "ips", "{name}: {written} became {held}");
    }

    let other = "000000000000".parse::<KeyId>().expect("it is one");
    assert_eq!(Record::parse_entry(other, &text).is_ok(), record.id == other);
    assert!(Record::parse_entry(record.id, &text).is_ok());
    let list = Record::parse_list(&format!("[{text}]")).expect("one record is a list of one");
    assert_eq!(list.len(), 1);
    assert!(Record::parse_list(&format!("[{text},{text}]")).is_err(), "an id stands twice");
    let digest = record.digest.to_string();
    let shown = format!("{:?}", record.digest);
    let kind = digest.rsplit_once('.').expect("a digest has parts").0;
    assert_eq!(shown, format!("Digest({kind}, ..)"));
});

/// `]`, `,` and nothing at all make something else of a list than one element.
fn is_not_one(text: &str) -> bool {
    serde_json::from_str::<Vec<Value>>(&format!("[{text}]")).is_ok_and(|list| list.len() != 1)
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(serde_json::Map::is_empty)
}
