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
    if is_hash { Ok(hash) } else { Err("`sha256` is not a SHA-256 in hex, base64 or base64url".to_owned()) }
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

/// A time as in records, in Unix seconds, or as on the command line.
pub(super) fn time(text: &str) -> Result<When, String> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        let seconds = text.parse().ok().and_then(UnixSeconds::new);
        return seconds.map(When::At).ok_or_else(|| "is no time in Unix seconds (milliseconds?)".to_owned());
    }
    text.parse()
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
        fn whole_numbers_are_unix_seconds(seconds in 0..=253_402_300_799_u64) {
            prop_assert_eq!(time(&seconds.to_string()), Ok(When::At(UnixSeconds::new(seconds).unwrap())));
        }
    }
}
