use alloc::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::{Bounded, Meta, Record, State, UnixSeconds};
use crate::key::KeyId;

const LEAST: &str = r#"{"v":1,"id":"4fTz0Qw9Lr2K","subject":"acme","state":"active","created":1764000000,
    "digest":"hs256.1a2b3c4d.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;

fn id(text: &str) -> KeyId {
    text.parse::<KeyId>().unwrap()
}

/// The frozen records: the JSON, and the invalid field.
fn vectors() -> Vec<(String, Option<String>)> {
    let vectors: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../../tests/vectors/record.json")).unwrap();
    let text = |case: &serde_json::Value| match case.get("json") {
        Some(json) => json.as_str().unwrap().to_string(),
        None => case["record"].to_string(),
    };
    vectors.iter().map(|case| (text(case), case["field"].as_str().map(String::from))).collect()
}

#[test]
fn frozen_vectors() {
    for (text, field) in vectors() {
        match Record::parse(&text) {
            Ok(record) => {
                assert_eq!(field, None, "{text}");
                let json = record.to_json().unwrap();
                assert_eq!(Record::parse(&json).unwrap().to_json().unwrap(), json);
            }
            Err(error) => {
                assert_eq!(Some(error.field()), field.as_deref(), "{text}");
                assert!(!error.problem().is_empty() && error.to_string().contains(error.problem()));
                assert_eq!(error.to_string().starts_with('`'), error.field() != ".", "{error}");
            }
        }
    }
}

#[test]
fn entry_with_the_record_of_another_key_is_rejected() {
    assert!(Record::parse_entry(id("4fTz0Qw9Lr2K"), LEAST).is_ok());
    let error = Record::parse_entry(id("000000000000"), LEAST).unwrap_err();
    assert_eq!(error.to_string(), "`id`: `4fTz0Qw9Lr2K` is not the id of the entry, `000000000000`");
}

#[test]
fn list_is_read_whole_or_rejected_at_the_invalid_element() {
    let other = LEAST.replace("4fTz0Qw9Lr2K", "000000000000");
    let read =
        |text: &str| Record::parse_list(text).map(|all| all.len()).map_err(|error| error.field().to_string());
    for (text, expected) in [
        ("[]".to_string(), Ok(0)),
        (format!("[{LEAST},{other}]"), Ok(2)),
        (format!("[{other},{LEAST},{LEAST}]"), Err("[2].id")),
        (format!("[{LEAST},{}]", other.replace("active", "alive")), Err("[1].state")),
        (format!("[{LEAST},1]"), Err("[1]")),
        (LEAST.to_string(), Err(".")),
        (format!("[{}]", " ".repeat(64 * 1024)), Err(".")),
    ] {
        assert_eq!(read(&text), expected.map_err(String::from), "{text}");
    }
}

#[test]
fn record_that_could_not_be_read_again_is_not_written() {
    let mut record = Record::parse(LEAST).unwrap();
    record.not_before = UnixSeconds::new(5);
    record.not_after = UnixSeconds::new(5);
    assert_eq!(record.to_json().unwrap_err().field(), "not_after");
    record.not_after = UnixSeconds::new(6);
    assert!(record.to_json().is_ok());
}

#[test]
fn lists_and_notes_are_bounded() {
    assert_eq!(Bounded::try_from(vec![0; 64]).unwrap().as_slice().len(), 64);
    assert!(
        Bounded::try_from(vec![0; 65]).unwrap_err().to_string().starts_with("has 65 elements; at most 64")
    );
    let notes = |count: usize, name: usize, value: usize| {
        let note = |n: usize| (format!("{n:0name$}"), "x".repeat(value));
        Meta::try_from((0..count).map(note).collect::<BTreeMap<_, _>>())
    };
    assert_eq!(notes(16, 64, 256).unwrap().as_map().len(), 16);
    for (count, name, value) in [(17, 64, 256), (16, 65, 256), (16, 64, 257)] {
        assert!(notes(count, name, value).is_err(), "{count} {name} {value}");
    }
    assert!(Meta::try_from(BTreeMap::from([("a\n".to_string(), String::new())])).is_err());
}

#[test]
fn times_after_the_year_9999_are_rejected() {
    let max = UnixSeconds::MAX.seconds();
    assert_eq!(UnixSeconds::new(max), Some(UnixSeconds::MAX));
    assert_eq!(UnixSeconds::new(max + 1), None);
    assert_eq!(UnixSeconds::new(5).unwrap().plus(3), UnixSeconds::new(8).unwrap());
    assert_eq!(UnixSeconds::new(5).unwrap().plus(u64::MAX), UnixSeconds::MAX);
}

#[test]
fn state_is_read_as_it_is_written() {
    for state in [State::Active, State::Disabled, State::Revoked] {
        assert_eq!(state.as_str().parse(), Ok(state));
        assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{}\"", state.as_str()));
    }
}

#[test]
fn longer_record_or_list_than_allowed_is_rejected() {
    for (length, is_read) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
        let json = format!("{LEAST}{}", " ".repeat(length - LEAST.len()));
        assert_eq!(Record::parse(&json).is_ok(), is_read, "{length}");
    }
    for (length, is_read) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let json = format!("[]{}", " ".repeat(length - 2));
        assert_eq!(Record::parse_list(&json).is_ok(), is_read, "{length}");
    }
}

#[test]
fn name_is_read_unchanged() {
    let json = LEAST.replace("\"state\"", "\"name\":\"Acme, Zürich\",\"state\"");
    let name = Record::parse(&json).unwrap().name;
    assert_eq!(name.as_str(), "Acme, Zürich");
    assert_eq!(String::from(name), "Acme, Zürich");
}

#[test]
fn scopes_are_returned_as_they_were_read() {
    let json = LEAST.replace("\"state\"", "\"scopes\":[\"a:b\",\"c\"],\"state\"");
    let scopes = Vec::from(Record::parse(&json).unwrap().scopes);
    assert_eq!(scopes.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a:b", "c"]);
}

#[test]
fn notes_are_returned_as_they_were_read() {
    let json = LEAST.replace("\"state\"", "\"meta\":{\"team\":\"billing\"},\"state\"");
    let notes = BTreeMap::from(Record::parse(&json).unwrap().meta);
    assert_eq!(notes.get("team").map(String::as_str), Some("billing"));
}

#[test]
fn string_of_the_wrong_type_is_not_repeated() {
    let canary = "\"canary, expected ` \\u001b\\n\\\" a string at line 1\"";
    let names =
        ["v", "digest", "state", "created", "not_before", "not_after", "scopes", "ips", "meta", "replaces"];
    for name in names {
        let error = Record::parse(&LEAST.replacen('{', &format!("{{\"{name}\":{canary},"), 1)).unwrap_err();
        assert!(
            !error.to_string().contains("canary") || error.problem().contains("twice"),
            "{name}: {error}"
        );
    }
    for text in [canary.to_string(), format!("[{canary}]"), format!("[{LEAST},{canary}]")] {
        for error in [Record::parse(&text).unwrap_err(), Record::parse_list(&text).unwrap_err()] {
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }
}

#[test]
fn name_of_an_unknown_field_is_escaped_and_bounded() {
    let name = "x\\u001b[31m\\n".to_string() + &"y".repeat(1000);
    let error = Record::parse(&LEAST.replacen('{', &format!("{{\"{name}\":1,"), 1)).unwrap_err();
    assert!(error.field().starts_with("x\\u{1b}[31m\\nyy"), "{error}");
    assert!(
        error.to_string().chars().count() < 700 && !error.to_string().contains(char::is_control),
        "{error}"
    );
}

#[test]
fn other_forms_that_serde_accepts_are_rejected() {
    let values = r#"[1,"4fTz0Qw9Lr2K","acme",null,"hs256.1a2b3c4d.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","active",
        1764000000,null,null,null,null,null,null,null,null]"#;
    assert_eq!(Record::parse(values).unwrap_err().field(), ".");
    assert_eq!(Record::parse_list(&format!("[{values}]")).unwrap_err().field(), "[0]");
    let state = LEAST.replace("\"active\"", "{\"active\":null}");
    assert_eq!(Record::parse(&state).unwrap_err().field(), "state");
}

#[test]
fn duplicate_field_is_rejected() {
    for (twice, field) in [
        ("\"not_after\":1800000000,\"not_after\":null", "."),
        ("\"state\":\"active\"", "."),
        ("\"\\u0073tate\":\"revoked\"", "."),
        ("\"v\":1", "."),
        ("\"meta\":{\"a\":\"1\",\"b\":\"2\",\"\\u0061\":\"3\"}", "meta"),
    ] {
        let error = Record::parse(&LEAST.replacen('{', &format!("{{{twice},"), 1)).unwrap_err();
        assert_eq!(error.field(), field, "{error}");
    }
}

#[test]
fn other_version_is_reported_before_unknown_fields() {
    for text in [r#"{"new_rule":true,"v":2}"#, r#"{"new_rule":true}"#, r#"{"new_rule":true,"v":null}"#] {
        assert_eq!(Record::parse(text).unwrap_err().field(), "v", "{text}");
    }
}
