//! The record: one KV entry per key, or one element of `STATIC_KEYS`.

mod error;
mod fields;
mod read;
pub mod token;

use alloc::string::String;

use serde::Serialize;

use crate::address::Network;
use crate::key::KeyId;
use crate::key::digest::Digest;
use crate::quota::Quota;
use crate::time::UnixSeconds;
use token::{Plan, Scope, Subject};

pub use error::RecordError;
use fields::Version;
pub use fields::{Bounded, BoundedError, Meta, MetaError, Name, NameError, State, StateError};

/// The one version of the record that this code reads and writes.
pub const RECORD_VERSION: u64 = 1;
/// The longest record that is read; the largest valid one (64 scopes, 64 networks and 16 notes) is under 12 KiB.
pub const RECORD_MAX_BYTES: usize = 16 * 1024;
/// `STATIC_KEYS` is a secret of at most 5 KB on the platform; the limit bounds the work for a local file.
pub const STATIC_KEYS_MAX_BYTES: usize = 64 * 1024;

/// The record of a key, with the field names of its JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    v: Version,
    /// The key's public half; the name of the entry is `key/<id>`.
    pub id: KeyId,
    /// The holder of the key; it does not change when the key is rotated.
    pub subject: Subject,
    /// A description of the key for people.
    pub name: Name,
    /// The digest that a presented key must match.
    pub digest: Digest,
    /// Whether the key may be used.
    pub state: State,
    /// When the key was issued.
    pub created: UnixSeconds,
    /// The first second at which the key is valid.
    pub not_before: Option<UnixSeconds>,
    /// The first second at which the key has expired.
    pub not_after: Option<UnixSeconds>,
    /// The scopes of the key.
    pub scopes: Bounded<Scope>,
    /// The networks from which it may be used; `None` or empty: any.
    pub ips: Option<Bounded<Network>>,
    /// The plan, which determines its limits.
    pub plan: Option<Plan>,
    /// The quota, in place of the plan's. Absent from the JSON if there is none, because an older gate does not know the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// The id of the key that this one replaces.
    pub replaces: Option<KeyId>,
    /// The id of the key that replaces this one.
    pub replaced_by: Option<KeyId>,
    /// Notes of the operator; the gate ignores them.
    pub meta: Meta,
}

impl Record {
    /// Creates an active record without scopes, restrictions and expiry; the caller sets the rest.
    #[must_use]
    pub fn new(id: KeyId, subject: Subject, digest: Digest, created: UnixSeconds) -> Self {
        Self {
            v: Version,
            id,
            subject,
            name: Name::default(),
            digest,
            state: State::Active,
            created,
            not_before: None,
            not_after: None,
            scopes: Bounded::default(),
            ips: None,
            plan: None,
            quota: None,
            replaces: None,
            replaced_by: None,
            meta: Meta::default(),
        }
    }

    /// Serializes the record.
    ///
    /// # Errors
    /// The record breaks a rule that its field types do not enforce, so that it could not be read again.
    pub fn to_json(&self) -> Result<String, RecordError> {
        let json = serde_json::to_string(self)?;
        Self::parse(&json).map(|_| json)
    }
}

#[cfg(test)]
mod tests;
