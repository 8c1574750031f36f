//! The forms in which sources write digests, times and truth values.

use base64ct::{Base64, Base64Unpadded, Base64Url, Base64UrlUnpadded, Encoding};
use keygate_core::time::UnixSeconds;
use serde_json::Value;

use crate::time::When;

/// A SHA-256 in hex, base64 or base64url (padded or not), or as it stands in a record.
pub(super) fn sha256(text: &str) -> Result<[u8; 32], String> {
    let mut hash = [0; 32];
    let text = text.strip_prefix("sha256.").unwrap_or(text);
    let whole = |decoded: Result<&[u8], base64ct::Error>| decoded.is_ok_and(|bytes| bytes.len() == 32);
    let is_hash = unhex(text, &mut hash)
        || whole(Base64::decode(text, &mut hash))
        || whole(Base64Unpadded::decode(text, &mut hash))
        || whole(Base64Url::decode(text, &mut hash))
        || whole(Base64UrlUnpadded::decode(text, &mut hash));
    if !is_hash {
        return Err("`sha256` is not a SHA-256 in hex, base64 or base64url".to_owned());
    }
    check_hash(&hash).map(|()| hash)
}

/// Refuses the digests that stand where there is no key.
pub(super) fn check_hash(hash: &[u8; 32]) -> Result<(), String> {
    const OF_NOTHING: [u8; 32] = [
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
        0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
    ];
    match *hash {
        OF_NOTHING => Err("has the SHA-256 of an empty string, which is no key".to_owned()),
        hash if hash == [0; 32] => Err("has a SHA-256 of zeros, which is of no key".to_owned()),
        _ => Ok(()),
    }
}

fn unhex(text: &str, hash: &mut [u8; 32]) -> bool {
    if text.len() != 2 * hash.len() {
        return false;
    }
    let mut digits = text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
    hash.iter_mut().all(|byte| match (digits.next().flatten(), digits.next().flatten()) {
        (Some(high), Some(low)) => {
            *byte = high << 4 | low;
            true
        }
        _ => false,
    })
}

/// The time of a field, in Unix seconds or as on the command line, but no length of time: a file does not say when that began.
pub(super) fn time(field: &str, text: &str) -> Result<When, String> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        /// In 1973 and 5138: less is a date (`20270131`) or Excel's number of a day, more are milliseconds or a date with its time.
        const SECONDS: std::ops::Range<u64> = 100_000_000..100_000_000_000;
        let seconds =
            text.parse().ok().filter(|seconds| SECONDS.contains(seconds)).and_then(UnixSeconds::new);
        return seconds.map(When::At).ok_or_else(|| {
            format!("`{field}` is no time in Unix seconds, 1973 or later (a date? milliseconds?); write a time as 2027-01-31T18:00:00Z")
        });
    }
    match text.parse() {
        Ok(When::Never) if field == "not_after" => Ok(When::Never),
        Ok(When::At(time)) => Ok(When::At(time)),
        _ => Err(format!(
            "`{field}` is neither a date (2027-01-31) nor an RFC 3339 time with its offset (2027-01-31T18:00:00+01:00) nor Unix seconds; only `not_after` may be `never`"
        )),
    }
}

/// A time of a JavaScript system: milliseconds since 1970, or a string with the time and its offset from UTC.
pub(super) fn javascript_time(value: &Value) -> Result<When, String> {
    /// In milliseconds this is 1973, in seconds the year 5138.
    const MILLIS_MIN: u64 = 100_000_000_000;
    const FORM: &str =
        "is neither a time in milliseconds since 1970 nor an RFC 3339 time with its offset from UTC";
    let time = match value {
        Value::Number(millis) => {
            let millis = millis.as_u64().filter(|millis| *millis >= MILLIS_MIN);
            millis.and_then(|millis| UnixSeconds::new(millis / 1000)).map(When::At)
        }
        Value::String(text) => {
            text.parse().ok().filter(|when| matches!(when, When::At(_)) && text.len() > 10)
        }
        _ => None,
    };
    time.ok_or_else(|| FORM.to_owned())
}

/// `true`, `false`, `1` or `0`; databases without a type for it have the numbers.
pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(is_true) => Some(*is_true),
        Value::Number(number) => match number.as_u64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a value says nothing: empty, or `false`.
pub(super) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => matches!(text.trim(), "" | "null" | "[]" | "{}"),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::{javascript_time, sha256, time, truth};
    use crate::time::When;
    use base64ct::{Base64, Base64Unpadded, Base64UrlUnpadded, Encoding as _};
    use keygate_core::key::digest::Digest;
    use keygate_core::time::UnixSeconds;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use serde_json::json;

    #[test]
    fn a_javascript_time_has_a_unit_or_an_offset() {
        let at = |seconds| Ok(When::At(UnixSeconds::new(seconds).unwrap()));
        assert_eq!(javascript_time(&json!(1_800_000_000_999_u64)), at(1_800_000_000));
        assert_eq!(javascript_time(&json!("2027-01-15T08:00:00.000Z")), at(1_800_000_000));
        for bad in [
            json!(1_800_000_000),
            json!("2027-01-15 08:00:00"),
            json!("2027-01-15"),
            json!("90d"),
            json!(true),
        ] {
            assert!(javascript_time(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_of_a_source_is_absolute() {
        for good in ["2027-01-31", "2027-01-31T18:00:00+01:00", "1800000000", "never"] {
            assert!(time("not_after", good).is_ok(), "{good}");
        }
        for bad in ["90d", "P90D", "+90d", "1h", "0", "20270131", "46418", "202701311200", "soon"] {
            assert!(time("not_after", bad).is_err(), "{bad}");
        }
        assert!(time("not_before", "never").is_err() && time("created", "never").is_err());
    }

    #[test]
    fn the_digest_of_no_key_is_refused() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for hex in [empty, &"0".repeat(64)] {
            assert!(sha256(hex).unwrap_err().contains("no key"), "{hex}");
        }
    }

    #[test]
    fn a_truth_value_is_a_boolean_a_bit_or_a_word() {
        for (value, is_true) in
            [(json!(true), true), (json!(0), false), (json!("TRUE"), true), (json!("0"), false)]
        {
            assert_eq!(truth(&value), Some(is_true), "{value}");
        }
        for bad in [json!(2), json!("yes"), json!([])] {
            assert_eq!(truth(&bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_sha256_is_read_in_every_usual_form(hash in any::<[u8; 32]>()) {
            let hex = hash.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            let record = Digest::ImportedBare(hash).to_string();
            for text in [
                hex.clone(), hex.to_uppercase(), Base64::encode_string(&hash), Base64Unpadded::encode_string(&hash),
                Base64UrlUnpadded::encode_string(&hash), record,
            ] {
                prop_assert_eq!(sha256(&text), Ok(hash), "{}", text);
            }
            prop_assert!(sha256(&(hex + "0")).is_err());
        }

        #[test]
        fn whole_numbers_are_unix_seconds_from_1973_on(seconds in 0..=253_402_300_799_u64) {
            let is_time = (100_000_000..100_000_000_000).contains(&seconds);
            prop_assert_eq!(time("created", &seconds.to_string()).ok(), is_time.then(|| When::At(UnixSeconds::new(seconds).unwrap())));
        }
    }
}
