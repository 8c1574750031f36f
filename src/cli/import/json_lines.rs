//! One JSON object a line: a record, as `keygate export` writes it, or the fields of a key of another system.

use std::fmt;
use std::io::BufRead;

use keygate_core::record::Record;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::error::Outcome;
use crate::import::imported_row::{FIELDS, ImportedRow, unknown_field};
use crate::import::{Draft, Each, Read, lines};

pub(super) fn read(input: impl BufRead, each: &mut Each<'_>) -> Outcome<()> {
    lines::of_each(input, &mut |number, line| match line {
        Ok("") => Ok(()),
        Ok(line) => each(number, draft(line)),
        Err(problem) => each(number, Err(problem)),
    })
}

fn draft(line: &str) -> Read {
    let Fields(fields) = match serde_json::from_str(line) {
        Ok(fields) => fields,
        Err(e) if e.is_data() => return Err("is not a JSON object".to_owned()),
        // Where, not what: the line may hold a key.
        Err(e) => return Err(format!("is not JSON, from column {} on", e.column())),
    };
    if fields.iter().any(|(name, _)| name == "v") {
        // From the text: a field that is written twice is lost in the value.
        return match Record::parse(line) {
            Ok(record) => Ok(Draft::Record(Box::new(record))),
            Err(error) => Err(format!("is not a record: {error}")),
        };
    }
    imported(&fields).map(|imported| Draft::Imported(Box::new(imported)))
}

/// The fields of an object as they stand there: `serde_json`'s own map keeps one of two that have one name.
struct Fields(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut object: M) -> Result<Fields, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = object.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        object.deserialize_map(Pairs)
    }
}

fn imported(fields: &[(String, Value)]) -> Result<ImportedRow, String> {
    let mut imported = ImportedRow::default();
    for (nth, (name, value)) in fields.iter().enumerate() {
        if fields.iter().take(nth).any(|(earlier, _)| earlier == name) {
            return Err("has a field twice".to_owned());
        }
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("scopes", value) => {
                imported.set_list("scopes", strings(value).ok_or("`scopes` is not an array of strings")?);
            }
            ("ips", value) => {
                imported.set_list("ips", strings(value).ok_or("`ips` is not an array of strings")?);
            }
            ("meta", Value::Object(notes)) => {
                for (note, value) in notes {
                    let text = value.as_str().ok_or("`meta` holds something else than strings")?;
                    imported.set(&format!("meta.{note}"), text)?;
                }
            }
            (name, Value::String(text)) => imported.set(name, text)?,
            (name @ ("created" | "not_before" | "not_after"), Value::Number(number)) => {
                imported.set(name, &number.to_string())?;
            }
            (name, _) => return Err(unknown_or_wrong(name)),
        }
    }
    Ok(imported)
}

fn unknown_or_wrong(name: &str) -> String {
    if FIELDS.contains(&name) || name == "meta" {
        format!("`{name}` is of another type")
    } else {
        unknown_field(name)
    }
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|element| Some(element.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::draft;
    use crate::import::Draft;
    use proptest::prelude::{prop_assert, proptest};

    const RECORD: &str = r#"{"v":1,"id":"4fTz0Qw9Lr2K","subject":"acme","digest":"hs256.01234567.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","state":"active","created":1}"#;

    #[test]
    fn a_line_is_a_record_or_the_fields_of_an_imported_key() {
        assert!(matches!(draft(RECORD), Ok(Draft::Record(_))));
        for good in [
            r#"{"key":"x","subject":"acme"}"#,
            r#"{"sha256":null,"key":"x","scopes":["a"],"ips":[],"not_after":5,"created":"2026-01-01","meta":{"a":"b"}}"#,
        ] {
            assert!(matches!(draft(good), Ok(Draft::Imported(_))), "{good}");
        }
        for (bad, said) in [
            ("[]", "not a JSON object"),
            (r#"{"key":"canary""#, "not JSON, from column"),
            (r#"{"v":1,"key":"canary"}"#, "not a record"),
            (r#"{"key":["canary"]}"#, "`key` is of another type"),
            (r#"{"canary":"x"}"#, "none of key, sha256"),
            (r#"{"canary":7}"#, "none of key, sha256"),
            (r#"{"scopes":"a"}"#, "not an array"),
            (r#"{"not_after":1.5}"#, "not_after"),
            (r#"{"key":"canary","key":"x","subject":"acme"}"#, "has a field twice"),
            (r#"{"key":"x","subject":"acme","subject":"other"}"#, "has a field twice"),
            ("7", "not a JSON object"),
            (r#"{"key":"x"} {"key":"y"}"#, "not JSON, from column"),
        ] {
            let Err(problem) = draft(bad) else { panic!("{bad}") };
            assert!(problem.contains(said) && !problem.contains("canary\""), "{bad}: {problem}");
        }
        let twice = RECORD.replace(r#""created":1"#, r#""created":1,"created":2"#);
        assert!(draft(&twice).is_err());
    }

    proptest! {
        #[test]
        fn no_line_makes_the_reader_panic_or_repeat_a_key(text in ".{0,60}", at in 0..60_usize) {
            let _ = draft(&text);
            let line = format!(r#"{{"key":"Canary7hVbT1mWcZk3vQ9","x{text}":{at}}}"#);
            if let Err(problem) = draft(&line) {
                prop_assert!(!problem.contains("Canary"), "{problem}");
            }
        }
    }
}
