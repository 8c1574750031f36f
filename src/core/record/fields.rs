//! The types of record fields that are used nowhere else.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::RECORD_VERSION;
use crate::text::from_str::deserialize_from_str;
use crate::text::unique_map::UniqueMap;

/// The maximum number of scopes, and of networks.
const LIST_MAX: usize = 64;
const NAME_MAX_CHARS: usize = 128;
const META_MAX: usize = 16;
const META_NAME_MAX_CHARS: usize = 64;
const META_VALUE_MAX_CHARS: usize = 256;

/// The state of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// In use.
    Active,
    /// Refused; it can be enabled again.
    Disabled,
    /// Refused permanently.
    Revoked,
}

impl State {
    /// The state in a record's JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Revoked => "revoked",
        }
    }
}

/// A string is not a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not a state: active, disabled or revoked")]
pub struct StateError;

// Not serde's derived enum, which also accepts `{"active": null}`.
impl FromStr for State {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "active" => Ok(Self::Active),
            "disabled" => Ok(Self::Disabled),
            "revoked" => Ok(Self::Revoked),
            _ => Err(StateError),
        }
    }
}

/// The number 1, and nothing else.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(into = "u64", try_from = "u64")]
pub(super) struct Version;

/// A record has another version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not {RECORD_VERSION}, the version that this gate supports")]
pub(super) struct VersionError;

impl TryFrom<u64> for Version {
    type Error = VersionError;

    fn try_from(version: u64) -> Result<Self, Self::Error> {
        if version == RECORD_VERSION { Ok(Self) } else { Err(VersionError) }
    }
}

impl From<Version> for u64 {
    fn from(_: Version) -> Self {
        RECORD_VERSION
    }
}

/// The name of a key: up to 128 characters, no control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Name(String);

/// A string is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not a name: at most {NAME_MAX_CHARS} characters, no control characters")]
pub struct NameError;

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_plain(text, NAME_MAX_CHARS) { Ok(Self(text.into())) } else { Err(NameError) }
    }
}

impl Name {
    /// The name as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

deserialize_from_str!(State, Name);

fn is_plain(text: &str, max_chars: usize) -> bool {
    text.chars().count() <= max_chars && !text.chars().any(char::is_control)
}

/// An array of at most 64 elements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    into = "Vec<T>",
    try_from = "Vec<T>",
    bound(serialize = "T: Clone + Serialize", deserialize = "T: Deserialize<'de>")
)]
pub struct Bounded<T>(Vec<T>);

/// An array has more than 64 elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("has {0} elements; at most {LIST_MAX} are allowed")]
pub struct BoundedError(usize);

impl<T> Default for Bounded<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Bounded<T> {
    /// The elements, in the order in which they were written.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> TryFrom<Vec<T>> for Bounded<T> {
    type Error = BoundedError;

    fn try_from(list: Vec<T>) -> Result<Self, Self::Error> {
        if list.len() <= LIST_MAX { Ok(Self(list)) } else { Err(BoundedError(list.len())) }
    }
}

impl<T> From<Bounded<T>> for Vec<T> {
    fn from(list: Bounded<T>) -> Self {
        list.0
    }
}

/// Notes: at most 16 names of up to 64 characters, with values of up to 256.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "BTreeMap<String, String>")]
pub struct Meta(BTreeMap<String, String>);

/// Notes are too many, too long or hold a control character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "at most {META_MAX} notes, names of at most {META_NAME_MAX_CHARS} and values of at most {META_VALUE_MAX_CHARS} characters, no control characters"
)]
pub struct MetaError;

impl Meta {
    /// Names and values.
    #[must_use]
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl TryFrom<BTreeMap<String, String>> for Meta {
    type Error = MetaError;

    fn try_from(notes: BTreeMap<String, String>) -> Result<Self, Self::Error> {
        let fits = notes.len() <= META_MAX
            && notes.iter().all(|(name, value)| {
                is_plain(name, META_NAME_MAX_CHARS) && is_plain(value, META_VALUE_MAX_CHARS)
            });
        if fits { Ok(Self(notes)) } else { Err(MetaError) }
    }
}

impl From<Meta> for BTreeMap<String, String> {
    fn from(meta: Meta) -> Self {
        meta.0
    }
}

impl<'de> Deserialize<'de> for Meta {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let notes = UniqueMap::deserialize(deserializer)?;
        Self::try_from(notes.0).map_err(D::Error::custom)
    }
}
