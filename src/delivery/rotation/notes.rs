//! What a journal says of a rotation. No key, digest or pepper.

use std::path::PathBuf;

use keygate_core::key::KeyId;
use keygate_core::time::UnixSeconds;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::rotation::gate::key_id;

/// The version of the journal's format; another one is not read.
pub(super) const VERSION: u8 = 1;

/// The gate whose key is rotated, so that a resumption works on the same one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateRef {
    /// Its wrangler.toml.
    pub config: PathBuf,
    /// The environment in it.
    pub environment: Option<String>,
    /// Where its records are.
    pub store: RecordsRef,
}

/// A store of records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RecordsRef {
    /// `wrangler dev`'s.
    Local {
        /// Its folder, if it is not wrangler's own.
        persist_to: Option<PathBuf>,
    },
    /// A KV namespace.
    Remote {
        /// The account's id.
        account: String,
        /// The namespace's id.
        namespace: String,
    },
}

/// When the new key expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// Never.
    Never,
    /// Seconds after it is made.
    In(u64),
    /// At a Unix time, in seconds.
    At(u64),
}

impl Expiry {
    /// The time, for a key that is made `now`; `None` is never.
    #[must_use]
    pub fn from(self, now: UnixSeconds) -> Option<UnixSeconds> {
        match self {
            Self::Never => None,
            Self::In(seconds) => Some(now.plus(seconds)),
            // INVARIANT: it was a time when it was written; a journal that was edited yields the latest.
            Self::At(seconds) => Some(UnixSeconds::new(seconds).unwrap_or(UnixSeconds::MAX)),
        }
    }
}

/// How far a rotation is. It is written before each step (`…ing`) and after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Checked,
    Recording,
    Recorded,
    Extending,
    Extended,
    Delivering,
    Delivered,
    Confirmed,
    Ending,
    Ended,
    Undoing,
    Restored,
}

/// What is known of one secret store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoreNote {
    pub(super) uri: String,
    /// A new key, the current one or an abandoned one, may have got there.
    pub(super) begun: bool,
    /// It took the current new key.
    pub(super) holds: bool,
    /// What was there before it was written to, in the store's own terms.
    pub(super) revision: Option<String>,
}

/// What the journal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notes {
    pub(super) v: u8,
    pub(super) old: String,
    pub(super) gate: GateRef,
    pub(super) grace_secs: u64,
    #[serde(rename = "end")]
    pub(super) expiry: Expiry,
    pub(super) step: Step,
    #[serde(rename = "places")]
    pub(super) stores: Vec<StoreNote>,
    /// The new key, from before its record is written.
    pub(super) new: Option<String>,
    /// When its record expires once somebody may be given the key; none is never.
    #[serde(rename = "new_end")]
    pub(super) new_expiry: Option<u64>,
    /// New keys whose text is lost; their records are revoked when no store can hold one any more.
    pub(super) abandoned: Vec<String>,
}

impl Notes {
    /// Of a rotation in which nothing has been done.
    #[must_use]
    pub fn new(old: KeyId, gate: GateRef, grace_secs: u64, expiry: Expiry, stores: &[String]) -> Self {
        let note = |uri: &String| StoreNote { uri: uri.clone(), begun: false, holds: false, revision: None };
        Self {
            v: VERSION,
            old: old.to_string(),
            gate,
            grace_secs,
            expiry,
            step: Step::Checked,
            stores: stores.iter().map(note).collect(),
            new: None,
            new_expiry: None,
            abandoned: Vec::new(),
        }
    }

    /// The key that is replaced.
    ///
    /// # Errors
    /// The journal names none.
    pub fn old(&self) -> Result<KeyId> {
        key_id(&self.old)
    }

    /// The gate.
    #[must_use]
    pub fn gate(&self) -> &GateRef {
        &self.gate
    }

    /// The URIs of the secret stores, in the order in which they were named.
    #[must_use]
    pub fn stores(&self) -> Vec<String> {
        self.stores.iter().map(|store| store.uri.clone()).collect()
    }

    pub(super) fn new_id(&self) -> Result<Option<KeyId>> {
        self.new.as_deref().map(key_id).transpose()
    }

    /// Every new key of this rotation, those that were given up as well.
    pub(super) fn new_ids(&self) -> Result<Vec<KeyId>> {
        self.abandoned.iter().chain(&self.new).map(|id| key_id(id)).collect()
    }

    /// Whether the store may have got a new key.
    pub(super) fn is_begun(&self, uri: &str) -> bool {
        self.stores.iter().any(|store| store.uri == uri && store.begun)
    }

    /// Whether the store took the current new key.
    pub(super) fn holds(&self, uri: &str) -> bool {
        self.stores.iter().any(|store| store.uri == uri && store.holds)
    }
}
