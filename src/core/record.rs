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
use crate::time::UnixSeconds;
use token::{Plan, Scope, Subject};

pub use error::RecordError;
use fields::Version;
pub use fields::{Bounded, BoundedError, Meta, MetaError, Name, NameError, State, StateError};

/// The one version of the record that this code reads and writes.
pub const RECORD_VERSION: u64 = 1;
/// Far above any honest record (64 scopes, 64 networks and 16 notes are under 12 KiB); reading stops here.
pub const RECORD_MAX_BYTES: usize = 16 * 1024;
/// `STATIC_KEYS` is a secret of at most 5 KB on the platform; the cap only keeps a local file sane.
pub const STATIC_KEYS_MAX_BYTES: usize = 64 * 1024;

/// What is stored of a key, in the record's own field names.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    v: Version,
    /// The key's public half; the name of the entry is `key/<id>`.
    pub id: KeyId,
    /// Who holds the key; the same across rotations.
    pub subject: Subject,
    /// For people: what the key is for.
    pub name: Name,
    /// What a presented key is compared with.
    pub digest: Digest,
    /// Whether the key may be used.
    pub state: State,
    /// When the key was issued.
    pub created: UnixSeconds,
    /// The first second at which the key is good.
    pub not_before: Option<UnixSeconds>,
    /// The first second at which the key is no longer good.
    pub not_after: Option<UnixSeconds>,
    /// What the key may do.
    pub scopes: Bounded<Scope>,
    /// Where it may be used from; none: from anywhere.
    pub ips: Option<Bounded<Network>>,
    /// Which limits hold for it.
    pub plan: Option<Plan>,
    /// The key that this one was made to replace.
    pub replaces: Option<KeyId>,
    /// The key that was made to replace this one.
    pub replaced_by: Option<KeyId>,
    /// Notes of the operator's; the gate does not look at them.
    pub meta: Meta,
}

impl Record {
    /// A new, active record with nothing granted and no end; the caller fills in the rest.
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
            replaces: None,
            replaced_by: None,
            meta: Meta::default(),
        }
    }

    /// The record as it is stored.
    ///
    /// # Errors
    /// The record breaks a rule that its fields' types do not hold; it would not be read again.
    pub fn to_json(&self) -> Result<String, RecordError> {
        let json = serde_json::to_string(self)?;
        Self::parse(&json).map(|_| json)
    }
}

#[cfg(test)]
mod tests;
