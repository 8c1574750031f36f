//! JSON objects: records, as `keygate export` writes them, or the fields of keys of another system.

use keygate_core::key::digest::Digest;
use keygate_core::record::{Record, RecordError};
use serde_json::Value;

use crate::error::Outcome;
use crate::import::imported_row::{FIELDS, ImportedRow, quoted, unknown_field};
use crate::import::json::{self, Fields, strings};
use crate::import::values::check_hash;
use crate::import::{Draft, Each, Format, Options, Read};

pub(super) fn read(text: &[u8], options: &Options, each: &mut Each<'_>) -> Outcome<()> {
    json::of_each(text, Format::Jsonl, options, &mut |place, object| match object {
        Ok("") => Ok(()),
        Ok(object) => each(place, draft(object, options)),
        Err(problem) => each(place, Err(problem)),
    })
}

fn draft(object: &str, options: &Options) -> Read {
    let fields = Fields::parse(object)?;
    if fields.iter().any(|(name, _)| name == "v") {
        // From the text: a field that is written twice is lost in the value.
        return match Record::parse(object) {
            Ok(record) => {
                if let Digest::ImportedBare(hash) = &record.digest {
                    check_hash(hash)?;
                }
                Ok(Draft::Record(Box::new(record)))
            }
            Err(error) => Err(not_a_record(&error)),
        };
    }
    imported(&fields, options).map(|imported| Draft::Imported(Box::new(imported)))
}

/// Which field is wrong and not how: the core's own words repeat what stands there.
fn not_a_record(error: &RecordError) -> String {
    let field = error.field().split(['.', '[']).next().unwrap_or_default();
    let of_field = match field {
        "" => String::new(),
        field => format!(": its field {} is unknown, missing or wrong", quoted(field)),
    };
    format!("is not a record{of_field} (see docs/record.schema.json)")
}

fn imported(fields: &Fields, options: &Options) -> Result<ImportedRow, String> {
    let mut imported = ImportedRow::default();
    for (name, value) in fields.iter().filter(|(name, _)| !options.ignores(name)) {
        match (options.renamed(name), value) {
            ("scopes", value) => {
                imported.set_list("scopes", strings(value).ok_or("`scopes` is not an array of strings")?)?;
            }
            ("ips", value) => {
                imported.set_list("ips", strings(value).ok_or("`ips` is not an array of strings")?)?;
            }
            ("meta", Value::Object(notes)) => {
                for (note, value) in notes {
                    let text = value.as_str().ok_or("`meta` holds something else than strings")?;
                    imported.set(&format!("meta.{note}"), text)?;
                }
            }
            ("enabled", value) => imported.set_enabled(value)?,
            (name, Value::String(text)) => imported.set(name, text)?,
            (name @ ("created" | "not_before" | "not_after"), Value::Number(number)) => {
                imported.set(name, &number.to_string())?;
            }
            (name, _) if FIELDS.contains(&name) || name == "meta" => {
                return Err(format!("`{name}` is of another type"));
            }
            (name, _) => return Err(unknown_field(name)),
        }
    }
    Ok(imported)
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::import::{Draft, Options, Read};
    use keygate_core::key::KeyId;
    use proptest::prelude::{prop_assert, proptest};

    const RECORD: &str = r#"{"v":1,"id":"4fTz0Qw9Lr2K","subject":"acme","digest":"hs256.01234567.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","state":"active","created":1}"#;

    fn draft(line: &str) -> Read {
        super::draft(line, &Options::default())
    }

    #[test]
    fn a_line_is_a_record_or_the_fields_of_an_imported_key() {
        assert!(matches!(draft(RECORD), Ok(Draft::Record(_))));
        for good in [
            r#"{"key":"x","subject":"acme","enabled":false}"#,
            r#"{"sha256":null,"key":"x","scopes":["a"],"ips":[],"not_after":1800000000,"created":"2026-01-01","meta":{"a":"b"}}"#,
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
            (r#"{"enabled":"on"}"#, "`enabled` is not true or false"),
            (r#"{"key":"canary","key":"x","subject":"acme"}"#, "has a field twice"),
            (r#"{"key":"x","subject":"acme","subject":"other"}"#, "has a field twice"),
            (r#"{"key":"x","meta":{"a":"b","a":"canary"}}"#, "has a field twice"),
            (r#"{"key":"x","ips":[{"a":1.5,"a":-1}],"enabled":true}"#, "has a field twice"),
            ("7", "not a JSON object"),
            (r#"{"key":"x"} {"key":"y"}"#, "not JSON, from column"),
        ] {
            let Err(problem) = draft(bad) else { panic!("{bad}") };
            assert!(problem.contains(said) && !problem.contains("canary\""), "{bad}: {problem}");
        }
        let of_nothing = KeyId::of_imported(&[0; 32]);
        let of_nothing =
            RECORD.replace("4fTz0Qw9Lr2K", &of_nothing.to_string()).replace("hs256.01234567.", "sha256.");
        assert!(draft(&of_nothing).err().unwrap().contains("a SHA-256 of zeros"));
        let twice = RECORD.replace(r#""created":1"#, r#""created":1,"created":2"#);
        assert!(draft(&twice).is_err());
    }

    #[test]
    fn what_is_no_record_is_named_by_its_field_alone() {
        const KEY: &str = "Zk3vQ9xLr2K7hVbT1mWc";
        for (old, new, said) in [
            (r#""v":1"#, format!(r#""v":1,"{KEY}":1"#), ": its field of 20 characters is"),
            (r#""v":1"#, r#""v":1,"note":1"#.to_owned(), ": its field `note` is"),
            (r#""acme""#, format!(r#""{KEY} ,""#), ": its field `subject` is"),
            (r#""created":1"#, format!(r#""created":1,"ips":["{KEY}"]"#), ": its field `ips` is"),
            (r#""created":1"#, format!(r#""created":1,"scopes":["{KEY} ,"]"#), ": its field `scopes` is"),
            (r#""created":1"#, format!(r#""created":1,"plan":"{KEY} ,""#), ": its field `plan` is"),
            (r#""created":1"#, format!(r#""created":1,"meta":{{"{KEY}":1}}"#), ": its field `meta` is"),
            (r#","created":1"#, String::new(), ": its field `created` is"),
        ] {
            let Err(problem) = draft(&RECORD.replace(old, &new)) else { panic!("{new}") };
            assert!(problem.contains(said) && !problem.contains("Zk3v"), "{problem}");
        }
    }

    #[test]
    fn objects_are_read_from_lines_arrays_and_over_several_lines() {
        for (text, lines) in [
            ("{\"key\":\"a\"}\n\n{\"key\":\"b\"}\n", ["line 1", "line 3"]),
            ("[{\"key\":\"a\"},{\"key\":\"b\"}]", ["line 1, column 2", "line 1, column 14"]),
            ("\n [{\"key\":\"\u{e9}\"}, {\"key\":\"b\"}]\n", ["line 2, column 3", "line 2, column 16"]),
            ("\n[\n  {\n  \"key\": \"a\"\n},\n\n  {\"key\":\"]\"}\n]\n", ["line 3", "line 7"]),
            ("{\n\"key\": \"a\"\n}\n{\n\"key\": \"b\"}", ["line 1", "line 4"]),
            ("{\"key\":\"a\"\n{\"key\":\"b\"}", ["line 1", "line 2"]),
        ] {
            let mut found = Vec::new();
            read(text.as_bytes(), &Options::default(), &mut |place, _| {
                found.push(place.to_string());
                Ok(())
            })
            .unwrap();
            assert_eq!(found, lines, "{text}");
        }
        for text in ["[{\"key\":\"a\"}", "[{\"key\":\"a\"} {\"key\":\"b\"}]", "[1,2"] {
            let error = read(text.as_bytes(), &Options::default(), &mut |_, _| Ok(())).unwrap_err();
            assert!(error.to_string().contains("not JSON from line 1"), "{text}: {error}");
        }
        for text in ["[{\"key\":\"a\"}]\n[{\"key\":\"b\"}]", "[]\ngarbage", "[1\n] ]"] {
            let error = read(text.as_bytes(), &Options::default(), &mut |_, _| Ok(())).unwrap_err();
            assert!(
                error.to_string().contains("from line 2 on something follows the array"),
                "{text}: {error}"
            );
        }
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
