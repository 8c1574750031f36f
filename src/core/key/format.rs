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

/// The base62 digits, in the order of their values.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// 62^12 ids are about 71 bits: two issued keys do not collide by chance.
pub(super) const ID_LEN: usize = 12;
/// 62^30 is about 178 bits, which cannot be guessed.
pub(super) const SECRET_LEN: usize = 30;
/// 62^8 is about 47 bits: an attacker needs 10^14 requests to cause one KV read.
const TAG_LEN: usize = 8;
/// The part after `prefix_`.
pub(crate) const BODY_LEN: usize = ID_LEN + SECRET_LEN + TAG_LEN;
const PREFIX_MAX: usize = 24;

/// The length of the longest possible key, in bytes.
pub const KEY_MAX_LEN: usize = PREFIX_MAX + 1 + BODY_LEN;

/// The prefix of every key of an environment, without the `_` that ends it.
///
/// In production a test key is refused because of its prefix, before any record is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrefix(Box<str>);

/// A string is not a key prefix.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not {allowed}", allowed = KeyPrefix::ALLOWED)]
pub struct KeyPrefixError(Box<str>);

impl KeyPrefix {
    /// The form of a prefix, for error messages.
    pub const ALLOWED: &'static str =
        "a key prefix: 2 to 24 characters, words of a-z and 0-9 joined by `_`, starting with a letter";

    /// The prefix, without the `_` that follows it in a key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The rest of `text` after `prefix_`, if it begins with that.
    #[must_use]
    pub fn strip<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.strip_prefix(&*self.0)?.strip_prefix('_')
    }

    /// Whether `text` contains `prefix_`.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.starts_in(text).next().is_some()
    }

    /// Where in `text` each `prefix_` starts, in bytes.
    pub(crate) fn starts_in(&self, text: &str) -> impl Iterator<Item = usize> {
        let text = text.as_bytes();
        let start_of = |end: usize| text.get(..end)?.strip_suffix(self.0.as_bytes()).map(<[u8]>::len);
        text.iter().enumerate().filter(|(_, byte)| **byte == b'_').filter_map(move |(end, _)| start_of(end))
    }

    /// A regular expression for the text of these keys, whatever stands before and after it.
    #[must_use]
    pub fn key_regex(&self) -> String {
        alloc::format!("{}_[0-9A-Za-z]{{{BODY_LEN}}}", self.0)
    }

    /// A regular expression for what may stand directly before a key although it ends with a letter or digit: escapes of strings and
    /// URLs, and colours of a terminal.
    pub const ESCAPE_REGEX: &'static str = r"\\[nrt]|(?:%|\\x|\\u00)[0-9A-Fa-f]{2}|\[[0-9;]*[mK]";

    /// A regular expression for secret scanners, with the key as its one group: a key that is not a part of a longer word.
    #[must_use]
    pub fn scanner_regex(&self) -> String {
        alloc::format!(r"(?:\b|{})({})\b", Self::ESCAPE_REGEX, self.key_regex())
    }
}

impl FromStr for KeyPrefix {
    type Err = KeyPrefixError;

    /// Reads `[a-z][a-z0-9]*(_[a-z0-9]+)*`, 2 to 24 characters.
    ///
    /// # Errors
    /// The string has another form or length.
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

/// The public part of a key: it names the KV entry, and appears in logs and at the origin.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "String")]
pub struct KeyId(pub(super) [u8; ID_LEN]); // INVARIANT: base62 digits

/// Why a string is not a key id.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyIdError {
    /// Shorter than an id, or with a character that is not base62; contains the escaped string.
    #[error("`{0}` is not a key id: {ID_LEN} characters of 0-9, A-Z and a-z")]
    Form(Box<str>),
    /// Longer than an id. The error does not contain the string, because it may be a whole key that was pasted by mistake; of an
    /// imported key even the beginning is secret.
    #[error("the value is longer than a key id: {ID_LEN} characters of 0-9, A-Z and a-z")]
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

    /// The id as a string.
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
    /// The string has another length or contains another character.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match <[u8; ID_LEN]>::try_from(text.as_bytes()) {
            Ok(id) if id.iter().all(u8::is_ascii_alphanumeric) => Ok(Self(id)),
            _ if text.len() > ID_LEN => Err(KeyIdError::TooLong),
            _ => Err(KeyIdError::Form(escape_for_message(text, ID_LEN).into())),
        }
    }
}

/// The prefix of the KV names of all records.
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

/// Why a string is not a key of this gate; the caller gets `key_invalid` for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", self.as_str())]
pub enum KeyError {
    /// It does not begin with the configured prefix and `_`.
    Prefix,
    /// The part after the prefix does not have 50 characters.
    Length,
    /// A character is not a base62 digit.
    Character,
}

impl KeyError {
    /// The reason in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefix => "the key has a different prefix",
            Self::Length => "the key has the wrong length",
            Self::Character => "the key contains a character that is not base62",
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
    /// Reads a presented key and checks its prefix, length and characters, without hashing.
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

    /// Builds the key from its text and the id that `parse` found in it before.
    pub(crate) fn of_parts(text: &'a str, id: KeyId) -> Self {
        Self { text, id }
    }

    /// The public part.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The whole key, for the digest.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The part that the tag is computed from, and the tag.
    pub(crate) fn tagged(&self) -> Option<(&'a [u8], &'a [u8; TAG_LEN])> {
        self.bytes().split_last_chunk::<TAG_LEN>()
    }
}

/// The tag as base62: 64 bits modulo 62^8; the bias is below 2^-16, of no use to an attacker.
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
mod tests;
