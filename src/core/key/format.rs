//! The key: `prefix_` + id (12) + secret (30) + tag (8), base62.
//!
//! ```text
//! acme_live_4fTz0Qw9Lr2K7hV……………………………q8kLm2PqZ
//! prefix    id          secret (30)     tag
//! ```

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::text::message::{VALUE_MAX_CHARS, escape_for_message};

/// Digits of the key, in the order of their values.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// 62^12 ids are about 71 bits: two issued keys do not meet by chance.
pub(super) const ID_LEN: usize = 12;
/// 62^30 is about 178 bits, out of reach of guessing.
pub(super) const SECRET_LEN: usize = 30;
/// 62^8 is about 47 bits: a forger needs 10^14 requests for one free KV read.
const TAG_LEN: usize = 8;
/// All that follows `prefix_`.
const BODY_LEN: usize = ID_LEN + SECRET_LEN + TAG_LEN;
const PREFIX_MAX: usize = 24;

/// The longest key that can be written, in bytes.
pub const KEY_MAX_LEN: usize = PREFIX_MAX + 1 + BODY_LEN;

/// What every key of one environment begins with, without the `_` that ends it.
///
/// A test key is refused in production by its prefix, before anything is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrefix(Box<str>);

/// Why a text is not a key prefix.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not {allowed}", allowed = KeyPrefix::ALLOWED)]
pub struct KeyPrefixError(Box<str>);

impl KeyPrefix {
    /// What a prefix may be, in words, for error messages.
    pub const ALLOWED: &'static str =
        "a key prefix: 2 to 24 characters, words of a-z and 0-9 joined by `_`, the first character a letter";

    /// The prefix, without the `_` that follows it in a key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows `prefix_` in `text`, if that is how it begins.
    #[must_use]
    pub fn strip<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.strip_prefix(&*self.0)?.strip_prefix('_')
    }

    /// Whether `prefix_` stands anywhere in `text`.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let ends_here = |at| text.get(..at).is_some_and(|before| before.ends_with(self.0.as_bytes()));
        text.iter().enumerate().any(|(at, byte)| *byte == b'_' && ends_here(at))
    }

    /// The regular expression by which a secret scanner finds these keys.
    #[must_use]
    pub fn scanner_regex(&self) -> String {
        alloc::format!(r"\b{}_[0-9A-Za-z]{{{BODY_LEN}}}\b", self.0)
    }
}

impl FromStr for KeyPrefix {
    type Err = KeyPrefixError;

    /// Reads `[a-z][a-z0-9]*(_[a-z0-9]+)*`, 2 to 24 characters.
    ///
    /// # Errors
    /// The text has another form or length.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let fits = (2..=PREFIX_MAX).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.split('_').all(word);
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(KeyPrefixError(escape_for_message(text, VALUE_MAX_CHARS).into()))
        }
    }
}

/// The public half of a key: it names the KV entry and is what logs and the origin see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct KeyId(pub(super) [u8; ID_LEN]); // INVARIANT: base62 digits

/// Why a text is not a key id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyIdError {
    /// Shorter than an id, or as long with a character that is not base62; the text as messages show it.
    #[error("`{0}` is not a key id: {ID_LEN} characters of 0-9, A-Z and a-z")]
    Form(Box<str>),
    /// Longer than an id. A whole key pasted by mistake must not come back in an error: of an imported one the beginning is
    /// secret as well.
    #[error("what was given is longer than a key id: {ID_LEN} characters of 0-9, A-Z and a-z")]
    TooLong,
}

impl KeyId {
    /// The id of a key that was issued by another system, from its SHA-256 digest.
    #[must_use]
    pub fn of_imported(digest: &[u8; 32]) -> Self {
        let hash = Sha256::new().chain_update(b"keygate/v1/imported-id\0").chain_update(digest).finalize();
        // 128 bits modulo 62^12: the bias is below 2^-56, and an id is no secret.
        let mut value = hash.iter().take(16).fold(0_u128, |acc, byte| (acc << 8) | u128::from(*byte));
        let mut id = [b'0'; ID_LEN];
        for digit in id.iter_mut().rev() {
            *digit = base62_digit(value % 62);
            value /= 62;
        }
        Self(id)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // INVARIANT: base62 digits are ASCII, so this is never the empty default.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The name of the record's entry in KV: `key/<id>`.
    #[must_use]
    pub fn kv_name(&self) -> String {
        alloc::format!("{KV_NAME_PREFIX}{self}")
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    /// Reads 12 base62 characters.
    ///
    /// # Errors
    /// Another length or another character.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match <[u8; ID_LEN]>::try_from(text.as_bytes()) {
            Ok(id) if id.iter().all(u8::is_ascii_alphanumeric) => Ok(Self(id)),
            _ if text.len() > ID_LEN => Err(KeyIdError::TooLong),
            _ => Err(KeyIdError::Form(escape_for_message(text, ID_LEN).into())),
        }
    }
}

/// What every record's KV name begins with.
pub const KV_NAME_PREFIX: &str = "key/";

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

crate::text::from_str::deserialize_from_str!(KeyId);

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.as_str().into()
    }
}

/// Why a text is not a key of this gate; the caller only ever reads `key_invalid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", self.as_str())]
pub enum KeyError {
    /// It does not begin with the configured prefix and `_`.
    Prefix,
    /// Something other than 50 characters follows the prefix.
    Length,
    /// A character is not a base62 digit.
    Character,
    /// The tag was not made with a pepper of this gate.
    Tag,
}

impl KeyError {
    /// The reason, as it stands in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefix => "the key has another prefix",
            Self::Length => "the key has another length",
            Self::Character => "the key holds a character that is not base62",
            Self::Tag => "the key's tag does not match",
        }
    }
}

/// A presented key that has the right shape; its tag and digest are not checked yet.
// Absent on purpose: Display, Serialize, PartialEq.
#[derive(Clone, Copy)]
pub struct Key<'a> {
    pub(super) text: &'a str,
    pub(super) id: KeyId,
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, ..)", self.id)
    }
}

impl<'a> Key<'a> {
    /// Reads a presented key: prefix, length, characters. Costs no hash.
    ///
    /// # Errors
    /// [`KeyError::Prefix`], [`KeyError::Length`] or [`KeyError::Character`].
    pub fn parse(text: &'a str, prefix: &KeyPrefix) -> Result<Self, KeyError> {
        let body = prefix.strip(text).ok_or(KeyError::Prefix)?.as_bytes();
        if body.len() != BODY_LEN {
            return Err(KeyError::Length);
        }
        if !body.iter().all(u8::is_ascii_alphanumeric) {
            return Err(KeyError::Character);
        }
        let id = body.first_chunk::<ID_LEN>().ok_or(KeyError::Length)?;
        Ok(Self { text, id: KeyId(*id) })
    }

    /// The key that `parse` took apart before: its text, and the id that it found.
    pub(crate) fn of_parts(text: &'a str, id: KeyId) -> Self {
        Self { text, id }
    }

    /// The public half.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The whole key, for the digest.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// What the tag is made of, and the tag.
    pub(crate) fn tagged(&self) -> Option<(&'a [u8], &'a [u8; TAG_LEN])> {
        self.bytes().split_last_chunk::<TAG_LEN>()
    }
}

/// The tag as text: 64 bits modulo 62^8; the bias is below 2^-16 and of no use to a forger.
pub(crate) fn tag_text(mac: &[u8]) -> [u8; TAG_LEN] {
    let mut value = mac.iter().take(8).fold(0_u64, |acc, byte| (acc << 8) | u64::from(*byte));
    let mut tag = [b'0'; TAG_LEN];
    for digit in tag.iter_mut().rev() {
        *digit = base62_digit(u128::from(value % 62));
        value /= 62;
    }
    tag
}

/// The digit of a value below 62.
pub(super) fn base62_digit(value: u128) -> u8 {
    usize::try_from(value).ok().and_then(|at| BASE62.get(at)).copied().unwrap_or(b'0')
}

#[cfg(test)]
mod tests {
    use super::{BASE62, KEY_MAX_LEN, Key, KeyError, KeyId, KeyPrefix};
    use crate::key::digest::{Digest, ImportedKey};
    use crate::key::new_key::NewKey;
    use crate::key::pepper::{DigestMatch, Pepper, Peppers};
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
    use serde_json::Value;
    use std::string::{String, ToString};

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../../tests/vectors/key.json")).unwrap()
    }

    fn text<'v>(value: &'v Value, field: &str) -> &'v str {
        value[field].as_str().unwrap()
    }

    fn peppers(vectors: &Value) -> Peppers {
        Peppers {
            current: text(vectors, "pepper").parse::<Pepper>().unwrap(),
            previous: Some(text(vectors, "pepper_previous").parse::<Pepper>().unwrap()),
        }
    }

    #[test]
    fn frozen_keys_have_their_outcome() {
        let vectors = vectors();
        let prefix = text(&vectors, "prefix").parse::<KeyPrefix>().unwrap();
        let peppers = peppers(&vectors);
        for case in vectors["cases"].as_array().unwrap() {
            let outcome = match Key::parse(text(case, "key"), &prefix) {
                Ok(key) if peppers.tag_matches(&key) => "ok",
                Ok(_) | Err(KeyError::Tag) => "tag",
                Err(KeyError::Prefix) => "prefix",
                Err(KeyError::Length) => "length",
                Err(KeyError::Character) => "character",
            };
            assert_eq!(outcome, text(case, "outcome"), "{}", text(case, "name"));
        }
    }

    #[test]
    fn frozen_digests_and_ids_are_computed_alike() {
        let vectors = vectors();
        let prefix = text(&vectors, "prefix").parse::<KeyPrefix>().unwrap();
        for case in vectors["pepper_ids"].as_array().unwrap() {
            let pepper = text(case, "pepper").parse::<Pepper>().unwrap();
            assert_eq!(pepper.id().as_str(), text(case, "id"));
        }
        for case in vectors["digests"].as_array().unwrap() {
            let pepper = text(case, "pepper").parse::<Pepper>().unwrap();
            let key = Key::parse(text(case, "key"), &prefix).unwrap();
            assert_eq!(key.id().as_str(), text(case, "id"));
            assert_eq!(pepper.digest(&key).to_string(), text(case, "digest"));
            let peppers = Peppers { current: pepper, previous: None };
            let stored = text(case, "digest").parse::<Digest>().unwrap();
            assert_eq!(peppers.digest_matches(&key, &stored), DigestMatch::Yes);
        }
        for case in vectors["imported"].as_array().unwrap() {
            let key = ImportedKey::parse(text(case, "key")).unwrap();
            assert_eq!(key.id().as_str(), text(case, "id"));
            let pepper = text(case, "pepper").parse::<Pepper>().unwrap();
            assert_eq!(pepper.imported_digest(&key).to_string(), text(case, "digest"));
            let peppers = Peppers { current: pepper, previous: None };
            for digest in ["digest", "bare_digest"] {
                let stored = text(case, digest).parse::<Digest>().unwrap();
                assert_eq!(peppers.imported_matches(&key, &stored), DigestMatch::Yes, "{digest}");
            }
        }
    }

    #[test]
    fn malformed_digests_are_refused_without_repeating_them() {
        for case in vectors()["bad_digests"].as_array().unwrap() {
            let digest = text(case, "digest");
            let fault = digest.parse::<Digest>().unwrap_err().to_string();
            assert!(digest.len() < 20 || !fault.contains(digest), "{}", text(case, "name"));
        }
    }

    #[test]
    fn prefixes_have_one_form() {
        let vectors = vectors();
        for good in vectors["prefixes"]["good"].as_array().unwrap() {
            assert!(good.as_str().unwrap().parse::<KeyPrefix>().is_ok(), "{good}");
        }
        for bad in vectors["prefixes"]["bad"].as_array().unwrap() {
            assert!(bad.as_str().unwrap().parse::<KeyPrefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_pepper_is_not_a_mismatch() {
        let vectors = vectors();
        let prefix = text(&vectors, "prefix").parse::<KeyPrefix>().unwrap();
        let of_previous = &vectors["digests"][1];
        let key = Key::parse(text(of_previous, "key"), &prefix).unwrap();
        let only_current =
            Peppers { current: text(&vectors, "pepper").parse::<Pepper>().unwrap(), previous: None };
        let stored = text(of_previous, "digest").parse::<Digest>().unwrap();
        assert!(matches!(only_current.digest_matches(&key, &stored), DigestMatch::UnknownPepper(_)));
        assert_eq!(peppers(&vectors).digest_matches(&key, &stored), DigestMatch::Yes);
    }

    #[test]
    fn entropy_is_rejection_sampled_and_its_failure_is_passed_on() {
        let vectors = vectors();
        let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
        let pepper = text(&vectors, "pepper").parse::<Pepper>().unwrap();
        // 255 is never a digit; 248 is the first byte that is thrown away, 247 the last that is kept.
        let mut calls = 0_u8;
        let key = NewKey::from_entropy(&prefix, &pepper, |bytes| {
            calls += 1;
            bytes.fill(if calls % 2 == 1 { 255 } else { 247 });
            bytes[0] = 248;
            Ok::<(), ()>(())
        })
        .unwrap();
        assert!(key.reveal().starts_with(&("acme_live_".to_string() + &"z".repeat(42))));
        let failed = NewKey::from_entropy(&prefix, &pepper, |_| Err("no entropy")).err();
        assert_eq!(failed, Some("no entropy"));
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let vectors = vectors();
        let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
        let pepper = text(&vectors, "pepper").parse::<Pepper>().unwrap();
        let new = NewKey::from_entropy(&prefix, &pepper, |bytes| {
            bytes.fill(7);
            Ok::<(), ()>(())
        })
        .unwrap();
        let presented = Key::parse(new.reveal(), &prefix).unwrap();
        let imported = ImportedKey::parse(&"ab".repeat(32)).unwrap();
        let debug =
            std::format!("{new:?} {presented:?} {pepper:?} {imported:?} {:?}", pepper.digest(&presented));
        assert!(!debug.contains(&"7".repeat(13)), "{debug}");
        assert!(!debug.contains(text(&vectors, "pepper")), "{debug}");
    }

    fn issued(seed: &[u8]) -> (KeyPrefix, Peppers, String) {
        let vectors = vectors();
        let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
        let peppers = peppers(&vectors);
        let mut stream = seed.iter().cycle().scan(0_u8, |n, b| {
            *n = n.wrapping_add(37);
            Some(b.wrapping_add(*n))
        });
        let key = NewKey::from_entropy(&prefix, &peppers.current, |bytes| {
            for b in bytes {
                *b = stream.next().unwrap();
            }
            Ok::<(), ()>(())
        })
        .unwrap();
        let text = key.reveal().to_string();
        (prefix, peppers, text)
    }

    proptest! {
        #[test]
        fn a_prefix_is_found_where_the_standard_library_finds_it(text in "[ab_é]{0,16}|.*") {
            let prefix = "ab_a".parse::<KeyPrefix>().unwrap();
            prop_assert_eq!(prefix.is_in(&text), text.contains("ab_a_"));
        }

        #[test]
        fn what_is_made_is_read_again(seed in prop::collection::vec(any::<u8>(), 1..64)) {
            let (prefix, peppers, text) = issued(&seed);
            let key = Key::parse(&text, &prefix).unwrap();
            prop_assert!(peppers.tag_matches(&key));
            prop_assert_eq!(peppers.digest_matches(&key, &peppers.current.digest(&key)), DigestMatch::Yes);
        }

        #[test]
        fn one_changed_character_is_never_the_same_key(
            seed in prop::collection::vec(any::<u8>(), 1..64), at in 0_usize..60, to in any::<char>(),
        ) {
            let (prefix, peppers, text) = issued(&seed);
            let changed: String = text.chars().enumerate().map(|(n, c)| if n == at { to } else { c }).collect();
            if changed != text && let Ok(key) = Key::parse(&changed, &prefix) {
                prop_assert!(!peppers.tag_matches(&key));
                let stored = peppers.current.digest(&Key::parse(&text, &prefix).unwrap());
                prop_assert_eq!(peppers.digest_matches(&key, &stored), DigestMatch::No);
            }
        }

        #[test]
        fn reading_never_panics(text in any::<String>(), body in "[0-9A-Za-z_]{0,60}") {
            let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
            let _ = (Key::parse(&text, &prefix), text.parse::<KeyPrefix>(), text.parse::<KeyId>(), text.parse::<Digest>());
            let _ = (text.parse::<Pepper>(), ImportedKey::parse(&text), Key::parse(&(String::from("acme_live_") + &body), &prefix));
        }
    }

    #[test]
    fn an_id_is_twelve_base62_digits_and_names_an_entry() {
        let id = "4fTz0Qw9Lr2K".parse::<KeyId>().unwrap();
        assert_eq!(
            (id.kv_name(), String::from(id)),
            ("key/4fTz0Qw9Lr2K".to_string(), "4fTz0Qw9Lr2K".to_string())
        );
        assert_eq!(std::format!("{id} {id:?}"), "4fTz0Qw9Lr2K KeyId(4fTz0Qw9Lr2K)");
        for text in ["", "4fTz0Qw9Lr2", "4fTz0Qw9Lr2K0", "4fTz0Qw9Lr2-", "4fTz0Qw9Lr2\n", "4fTz0Qw9Lré"] {
            assert!(text.parse::<KeyId>().is_err(), "{text}");
        }
        let fault = |text: &str| text.parse::<KeyId>().unwrap_err().to_string();
        assert_eq!(fault("4fTz"), "`4fTz` is not a key id: 12 characters of 0-9, A-Z and a-z");
        // A whole key that was pasted.
        let whole = "what was given is longer than a key id: 12 characters of 0-9, A-Z and a-z";
        assert_eq!(fault("acme_live_4fTz0Qw9Lr2K"), whole);
    }

    #[test]
    fn the_longest_key_has_the_longest_prefix() {
        let vectors = vectors();
        let pepper = text(&vectors, "pepper").parse::<Pepper>().unwrap();
        let prefix = "a".repeat(24).parse::<KeyPrefix>().unwrap();
        let key = NewKey::from_entropy(&prefix, &pepper, |bytes| {
            bytes.fill(7);
            Ok::<(), ()>(())
        })
        .unwrap();
        assert_eq!(key.reveal().len(), KEY_MAX_LEN);
        assert!("a".repeat(25).parse::<KeyPrefix>().is_err());
        assert_eq!(prefix.scanner_regex(), std::format!(r"\b{}_[0-9A-Za-z]{{50}}\b", prefix.as_str()));
    }

    #[test]
    fn a_key_is_shown_by_its_id_and_a_fault_by_its_reason() {
        let key = "acme_live_4fTz0Qw9Lr2K7hVabcdefghijklmnopqrstuvwxyzqQOeuefdP";
        let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
        assert_eq!(std::format!("{:?}", Key::parse(key, &prefix).unwrap()), "Key(4fTz0Qw9Lr2K, ..)");
        let pepper = text(&vectors(), "pepper").parse::<Pepper>().unwrap();
        let new = NewKey::from_entropy(&prefix, &pepper, |bytes| {
            bytes.fill(7);
            Ok::<(), ()>(())
        });
        assert_eq!(std::format!("{:?}", new.unwrap()), "NewKey(777777777777, ..)");
        for (fault, part) in [
            (KeyError::Prefix, "prefix"),
            (KeyError::Length, "length"),
            (KeyError::Character, "not base62"),
            (KeyError::Tag, "tag"),
        ] {
            assert!(fault.as_str().contains(part), "{fault:?}");
        }
    }

    #[test]
    fn digits_stand_in_the_order_of_their_values() {
        assert!(BASE62.is_sorted());
        assert_eq!(super::tag_text(&[0, 0, 0, 0, 0, 0, 0, 61]), *b"0000000z");
        assert_eq!(super::tag_text(&[0, 0, 0, 0, 0, 0, 0, 62]), *b"00000010");
    }
}
