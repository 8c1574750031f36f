//! Basic `Authorization`: the key in one for the gate, and the search for keys in one for the origin.

use alloc::string::String;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::{CREDENTIAL_MAX_LEN, CredentialError, CredentialText, Text, not_blank};
use crate::key::KeyPrefix;
use crate::key::digest::ImportedKey;

/// The credential in `user:password` (RFC 7617): the one with the prefix of the gate's keys; if neither has it, the password, or
/// the user name where there is no password.
pub(super) fn in_basic(
    prefix: &KeyPrefix,
    text: &str,
) -> Result<Option<CredentialText<'static>>, CredentialError> {
    if text.len() > CREDENTIAL_MAX_LEN * 4 {
        return Ok(None);
    }
    let bytes = Zeroizing::new(Base64::decode_vec(text).unwrap_or_default());
    let Ok(pair) = core::str::from_utf8(&bytes) else {
        return Ok(None);
    };
    let (user, password) = pair.split_once(':').unwrap_or((pair, ""));
    let is_own = |text| prefix.strip(text).is_some();
    let is_user = password.is_empty() || (is_own(user) && !is_own(password));
    let (key, other) = if is_user { (user, password) } else { (password, user) };
    if key != other && is_own(key) && prefix.is_in(other) {
        return Err(CredentialError::Different);
    }
    let owned = || CredentialText(Text::Decoded(Zeroizing::new(key.into())));
    Ok(not_blank(key).map(|_| owned()))
}

/// How often a value contains `prefix_`, plain or in the base64 of a basic `Authorization`.
pub(super) fn prefix_count(value: &str, prefix: &KeyPrefix) -> usize {
    if basic_starts(value).count() > BASIC_READINGS_MAX {
        return usize::MAX;
    }
    let count = |text: &str| prefix.starts_in(text).count();
    count(value) + basic_readings(value).map(|text| count(&text)).sum::<usize>()
}

/// Whether a foreign `Authorization` contains the credential of another source.
pub(super) fn contains_text(value: &str, key: &str) -> bool {
    // A longer one is refused because of its length.
    key.len() <= CREDENTIAL_MAX_LEN
        && (value.contains(key) || basic_readings(value).any(|text| text.contains(key)))
}

/// Whether an `Authorization` for the gate, which is not one of its own keys, could contain an imported key: plain, or in the base64 of
/// a basic one.
pub(super) fn may_contain_imported_key(value: &str) -> bool {
    // The base64 itself looks like an imported key.
    if basic_starts(value).next().is_none() {
        return ImportedKey::may_be_in(value);
    }
    basic_readings(value).any(|text| ImportedKey::may_be_in(&text))
}

/// Each costs the length of the header. No client joins this many values; more are treated as an attempt to hide a key.
const BASIC_READINGS_MAX: usize = 4;

/// What a lenient origin could decode from a basic `Authorization`, or from several that were joined.
fn basic_readings(value: &str) -> impl Iterator<Item = Zeroizing<String>> {
    basic_starts(value).take(BASIC_READINGS_MAX).map(lenient_base64)
}

/// The text after each word `basic`.
fn basic_starts(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = value;
    core::iter::from_fn(move || {
        loop {
            let (word, after) = rest.split_once([' ', '\t', ','])?;
            rest = after;
            if word.eq_ignore_ascii_case("basic") {
                return Some(after);
            }
        }
    })
}

/// Decodes base64 of either alphabet and skips everything else, as the most lenient decoders do; one `char` for each byte.
fn lenient_base64(text: &str) -> Zeroizing<String> {
    // Reserved at once, so that no reallocation leaves a copy behind: 3 bytes for 4 digits, at most 2 of UTF-8 for each.
    let mut decoded = Zeroizing::new(String::with_capacity(text.len() / 2 * 3 + 2));
    let mut bits = 0_u32;
    let mut count = 0;
    for byte in text.bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., byte] = (bits >> count).to_be_bytes();
            decoded.push(char::from(byte));
        }
    }
    decoded
}
