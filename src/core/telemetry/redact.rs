//! Removes what looks like a key from what is logged.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::string::String;
use alloc::vec::Vec;

use crate::key::KeyPrefix;
use crate::policy::Policy;
use crate::request::path::hex_byte;

/// Shorter than the body of a key, which may be incomplete, and than 256 bits in hex or base64. It is redacted whatever precedes
/// it: the key of another environment has another prefix.
const LONG_RUN: usize = 40;
/// The length of a commit's id in hex, which is no key of this gate.
const COMMIT_LEN: usize = 40;
/// A character of a key may be written as three: `%41`.
const ESCAPE_LEN: usize = 3;
/// A path is encoded once by a client, and perhaps once more by what built its URL.
const DECODINGS_MAX: usize = 3;
const REDACTED: &str = "[redacted]";

/// Truncates `text` to `max` characters and replaces what looks like a key by `[redacted]`, also one that is truncated or
/// percent-encoded. `policy`: that of the gate, if it could be read.
pub(super) fn clean<'t>(text: &'t str, max: usize, policy: Option<&Policy>) -> Cow<'t, str> {
    let text = truncate(text, max.saturating_add(LONG_RUN * ESCAPE_LEN));
    let prefix = policy.map(Policy::key_prefix);
    let is_suspect =
        text.contains('%') || has_long_run(text) || prefix.is_some_and(|prefix| prefix.is_in(text));
    if !is_suspect {
        return truncate(text, max).into();
    }
    let is_imported = policy.is_none_or(Policy::imported_keys);
    match redact(text, prefix, is_imported) {
        Some(redacted) => truncate(&redacted, max).to_owned().into(),
        None => truncate(text, max).into(),
    }
}

fn truncate(text: &str, max: usize) -> &str {
    // A character is a byte or more.
    if text.len() <= max {
        return text;
    }
    match text.char_indices().nth(max) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}

fn has_long_run(text: &str) -> bool {
    let mut run = 0;
    text.len() >= LONG_RUN
        && text.bytes().any(|b| {
            run = if b.is_ascii_alphanumeric() { run + 1 } else { 0 };
            run >= LONG_RUN
        })
}

/// The text with `[redacted]` in place of each key; `None` if there is none. `imported_keys`: whether a key may be hex.
fn redact(text: &str, prefix: Option<&KeyPrefix>, imported_keys: bool) -> Option<String> {
    let (bytes, ends) = decoded(text);
    let mut out = String::new();
    let mut copied = 0; // of `text`
    let mut at = 0; // in `bytes`
    while at <= bytes.len() {
        let run = bytes.get(at..).unwrap_or_default();
        let len = run.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(run.len());
        let run = run.get(..len).unwrap_or_default();
        let before = bytes.get(..at).unwrap_or_default();
        let is_body = prefix.is_some_and(|prefix| {
            before.strip_suffix(b"_").is_some_and(|b| b.ends_with(prefix.as_str().as_bytes()))
        });
        let is_commit = !imported_keys && len == COMMIT_LEN && run.iter().all(u8::is_ascii_hexdigit);
        if is_body || (len >= LONG_RUN && !is_commit) {
            let offset = |count: usize| {
                count.checked_sub(1).and_then(|last| ends.get(last)).copied().unwrap_or_default()
            };
            out.push_str(text.get(copied..offset(at)).unwrap_or_default());
            out.push_str(REDACTED);
            copied = offset(at + len);
        }
        at += len + 1;
    }
    if out.is_empty() {
        return None;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Some(out)
}

/// The bytes of a text after percent-decoding, and where in the text each of them ends.
fn decoded(text: &str) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = text.as_bytes().to_vec();
    let mut ends: Vec<usize> = (1..=text.len()).collect();
    for _ in 0..DECODINGS_MAX {
        let (mut next_bytes, mut next_ends) =
            (Vec::with_capacity(bytes.len()), Vec::with_capacity(ends.len()));
        let mut at = 0;
        while let (Some(byte), Some(end)) = (bytes.get(at), ends.get(at)) {
            let escape = match bytes.get(at..at + ESCAPE_LEN) {
                Some([b'%', high, low]) => hex_byte(*high, *low).zip(ends.get(at + 2)),
                _ => None,
            };
            let (byte, end) = escape.unwrap_or((*byte, end));
            next_bytes.push(byte);
            next_ends.push(*end);
            at += if escape.is_some() { ESCAPE_LEN } else { 1 };
        }
        let is_decoded = next_bytes.len() == bytes.len();
        (bytes, ends) = (next_bytes, next_ends);
        if is_decoded {
            break;
        }
    }
    (bytes, ends)
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;

    use proptest::prelude::{any, prop_assert, proptest};

    use super::clean;
    use crate::policy::Policy;

    fn policy(imported_keys: bool) -> Policy {
        let vars = format!(
            r#"{{"ORIGIN":"https://origin.example","KEY_PREFIX":"acme_live","IMPORTED_KEYS":{imported_keys}}}"#
        );
        Policy::from_json(&vars).unwrap()
    }

    fn encoded(text: &str) -> String {
        text.bytes().fold(String::new(), |encoded, b| format!("{encoded}%{b:02x}"))
    }

    #[test]
    fn encoded_key_is_redacted_whichever_bytes_are_encoded() {
        let policy = policy(false);
        let body = "Ab3".repeat(17);
        let key = format!("acme_live_{body}");
        let twice = encoded(&key).replace('%', "%25");
        for (text, expected) in [
            (format!("/{}", encoded(&key)), format!("/{}[redacted]", encoded("acme_live_"))),
            (format!("/acme_live_{}/x", encoded(&body)), "/acme_live_[redacted]/x".into()),
            (format!("/{}/x", encoded(&body)), "/[redacted]/x".into()),
            (format!("/acme%5Flive%5f{body}"), "/acme%5Flive%5f[redacted]".into()),
            (format!("a {twice} b"), format!("a {}[redacted] b", encoded("acme_live_").replace('%', "%25"))),
            (
                format!("/{key}/{}", encoded("acme_live_x")),
                format!("/acme_live_[redacted]/{}[redacted]", encoded("acme_live_")),
            ),
            ("/100%/%zz/a%".into(), "/100%/%zz/a%".into()),
            ("/%61/b".into(), "/%61/b".into()),
            ("/acme_live_".into(), "/acme_live_[redacted]".into()),
            ("/é%C3%A9/acme_live".into(), "/é%C3%A9/acme_live".into()),
        ] {
            assert_eq!(clean(&text, 512, Some(&policy)), expected);
        }
        // Truncated inside of the key.
        let text = format!("/{}{}", "-".repeat(400), encoded(&key));
        assert!(!clean(&text, 512, Some(&policy)).contains(&encoded("b3Ab")));
    }

    #[test]
    fn commit_id_is_kept_unless_it_could_be_an_imported_key() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let text = format!("/commit/{commit}/x");
        let redacted = "/commit/[redacted]/x";
        assert_eq!(clean(&text, 512, Some(&policy(false))), text);
        assert_eq!(clean(&text, 512, Some(&policy(true))), redacted);
        // Without a policy it is not known.
        assert_eq!(clean(&text, 512, None), redacted);
        for other in [format!("{commit}8"), format!("{commit}{}", &commit[..24]), commit.replace('0', "g")] {
            assert_eq!(clean(&format!("/commit/{other}/x"), 512, Some(&policy(false))), redacted, "{other}");
        }
        assert_eq!(clean(&format!("acme_live_{commit}"), 512, Some(&policy(false))), "acme_live_[redacted]");
    }

    proptest! {
        #[test]
        fn no_key_remains_whichever_bytes_are_encoded(
            mask in any::<u64>(), before in "[a-z/%-]{0,9}", after in "[/ %?-]{0,3}",
        ) {
            let key = "acme_live_4fTz0Qw9Lr2K7hV4567890123456789012345678qX8kLm2PqZ";
            let some = |(at, byte): (usize, u8)| match mask >> (at % 64) & 1 {
                1 => format!("%{byte:02X}"),
                _ => String::from(char::from(byte)),
            };
            let written: String = key.bytes().enumerate().map(some).collect();
            let text = format!("{before}/{written}{after}");
            let policy = policy(false);
            let logged = clean(&text, 512, Some(&policy));
            let decoded = super::decoded(&logged).0;
            prop_assert!(!decoded.windows(12).any(|part| part == b"7hV456789012"), "{logged}");
        }

        #[test]
        fn any_text_is_cleaned(text in any::<String>(), max in 0..600_usize) {
            let policy = policy(false);
            prop_assert!(clean(&text, max, Some(&policy)).chars().count() <= max);
        }
    }
}
