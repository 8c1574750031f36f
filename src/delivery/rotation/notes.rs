//! What a journal says of a rotation. No key, digest or pepper.

use std::path::PathBuf;

use keygate_core::key::pepper::{Pepper, RotationSalt};
use keygate_core::key::{KeyId, NewKey, PepperId};
use keygate_core::time::UnixSeconds;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::entropy::entropy;
use crate::error::{Error, Result};
use crate::rotation::gate::{Gate, key_id};

/// The version of the journal's format; another one is not read.
pub(super) const VERSION: u8 = 2;

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
    /// A corrected `--to` took it out; it is looked at when the rotation is undone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) left_out: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_false(value: &bool) -> bool {
    !value
}

impl StoreNote {
    fn new(uri: &str) -> Self {
        Self { uri: uri.to_owned(), begun: false, holds: false, revision: None, left_out: false }
    }
}

/// The new key, from before its record is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKeyNote {
    pub(super) id: String,
    /// What it is made from, with the pepper.
    pub(super) salt: [u8; 32],
    /// When its record expires once somebody may be given the key; none is never.
    #[serde(rename = "end")]
    pub(super) expiry: Option<u64>,
}

/// The old key, hidden in the pepper's stream: an undo puts it back when no store that can be read has it any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HiddenKey {
    salt: [u8; 32],
    text: Vec<u8>,
}

/// What the journal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notes {
    pub(super) v: u8,
    pub(super) old: String,
    pub(super) gate: GateRef,
    /// `None`: the old key is not given an expiry.
    pub(super) grace_secs: Option<u64>,
    #[serde(rename = "end")]
    pub(super) expiry: Expiry,
    /// The id of the pepper that new keys are made with.
    pub(super) pepper: String,
    pub(super) step: Step,
    #[serde(rename = "places")]
    pub(super) stores: Vec<StoreNote>,
    /// The old key, where a store that can be read had it.
    pub(super) hidden: Option<HiddenKey>,
    pub(super) new: Option<NewKeyNote>,
    /// New keys that somebody ended; a store may hold one.
    pub(super) abandoned: Vec<String>,
}

impl Notes {
    /// Of a rotation in which nothing has been done.
    #[must_use]
    pub fn new(
        old: KeyId,
        gate: GateRef,
        pepper: PepperId,
        grace_secs: Option<u64>,
        expiry: Expiry,
        stores: &[String],
    ) -> Self {
        Self {
            v: VERSION,
            old: old.to_string(),
            gate,
            grace_secs,
            expiry,
            pepper: pepper.to_string(),
            step: Step::Checked,
            stores: stores.iter().map(|uri| StoreNote::new(uri)).collect(),
            hidden: None,
            new: None,
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

    /// The URIs of the secret stores that get the new key, in the order in which they were named.
    #[must_use]
    pub fn stores(&self) -> Vec<String> {
        self.uris(|store| !store.left_out)
    }

    /// The URIs of the secret stores that a corrected `--to` took out: each may hold the new key, or still the old one.
    #[must_use]
    pub fn left_out(&self) -> Vec<String> {
        self.uris(|store| store.left_out)
    }

    /// The URIs of the secret stores that took the current new key.
    #[must_use]
    pub fn holding(&self) -> Vec<String> {
        self.uris(|store| store.holds && !store.left_out)
    }

    fn uris(&self, which: impl Fn(&StoreNote) -> bool) -> Vec<String> {
        self.stores.iter().filter(|store| which(store)).map(|store| store.uri.clone()).collect()
    }

    /// Whether the old record may have been changed: nothing is delivered any more.
    #[must_use]
    pub fn is_past_delivery(&self) -> bool {
        matches!(self.step, Step::Ending | Step::Ended | Step::Undoing | Step::Restored)
    }

    /// Puts these secret stores in the place of those that failed: each that was begun and did not take the new key; where there
    /// is none, the first that does not hold it, because the stores are written in their order. The others still get the new key, and
    /// one that is left out is not forgotten.
    pub(super) fn correct(&mut self, uris: &[String]) {
        let is_open = |store: &StoreNote| !store.holds && !store.left_out;
        let is_any_begun = self.stores.iter().any(|store| is_open(store) && store.begun);
        // The same correction once more, after a crash, leaves out nothing that was not reached.
        let is_repeated = self.stores.iter().any(|store| is_open(store) && uris.contains(&store.uri));
        let first = self.stores.iter().position(is_open).filter(|_| !is_repeated);
        for (index, store) in self.stores.iter_mut().enumerate() {
            let failed = is_open(store) && if is_any_begun { store.begun } else { first == Some(index) };
            store.left_out = (store.left_out || failed) && !uris.contains(&store.uri);
        }
        for uri in uris {
            if !self.stores.iter().any(|store| store.uri == *uri) {
                self.stores.push(StoreNote::new(uri));
            }
        }
    }

    /// The pepper that new keys are made with.
    ///
    /// # Errors
    /// It is not known here.
    pub(super) fn pepper<'g>(&self, gate: &Gate<'g>) -> Result<&'g Pepper> {
        let known = self.pepper.parse().ok().and_then(|id| gate.peppers.of_id(id));
        known.ok_or_else(|| {
            Error::failed(
                format!(
                    "the rotation was begun with pepper {}, which is not among those that are known here",
                    self.pepper
                ),
                "give that pepper: KEYGATE_PEPPER, or KEYGATE_PEPPER_PREVIOUS if the gate has it as PEPPER_PREVIOUS",
            )
        })
    }

    /// Keeps the old key, hidden.
    ///
    /// # Errors
    /// The system has no random numbers, or the pepper is not known.
    pub(super) fn hide(&mut self, key: &str, gate: &Gate<'_>) -> Result<()> {
        let (mut salt, mut text) = ([0; 32], key.as_bytes().to_vec());
        entropy(&mut salt)?;
        self.pepper(gate)?.hide(&RotationSalt(salt), &mut text);
        self.hidden = Some(HiddenKey { salt, text });
        Ok(())
    }

    /// The text that was hidden, if there is one and it can be told: not to be used unless it is the old key's.
    pub(super) fn hidden_key(&self, gate: &Gate<'_>) -> Option<Zeroizing<String>> {
        let HiddenKey { salt, text } = self.hidden.as_ref()?;
        let mut text = Zeroizing::new(text.clone());
        self.pepper(gate).ok()?.hide(&RotationSalt(*salt), &mut text);
        Some(Zeroizing::new(str::from_utf8(&text).ok()?.to_owned()))
    }

    /// The new key, made once more; none where there is no new key.
    ///
    /// # Errors
    /// As [`Notes::pepper`].
    pub(super) fn new_key(&self, gate: &Gate<'_>) -> Result<Option<NewKey>> {
        let Some(new) = &self.new else {
            return Ok(None);
        };
        Ok(Some(NewKey::of_rotation(gate.prefix, self.pepper(gate)?, &RotationSalt(new.salt))))
    }

    /// The id of the new key; none where there is no new key.
    ///
    /// # Errors
    /// The journal has a text there that is no id.
    pub fn new_id(&self) -> Result<Option<KeyId>> {
        self.new.as_ref().map(|new| key_id(&new.id)).transpose()
    }

    /// Every new key of this rotation, those that were given up as well.
    pub(super) fn new_ids(&self) -> Result<Vec<KeyId>> {
        self.abandoned.iter().chain(self.new.as_ref().map(|new| &new.id)).map(|id| key_id(id)).collect()
    }

    fn has(&self, uri: &str, which: impl Fn(&StoreNote) -> bool) -> bool {
        self.stores.iter().any(|store| store.uri == uri && which(store))
    }

    /// Whether the store may have got a new key.
    pub(super) fn is_begun(&self, uri: &str) -> bool {
        self.has(uri, |store| store.begun)
    }

    /// Whether the store took the current new key.
    pub(super) fn holds(&self, uri: &str) -> bool {
        self.has(uri, |store| store.holds)
    }

    /// Whether a corrected `--to` took the store out.
    pub(super) fn is_left_out(&self, uri: &str) -> bool {
        self.has(uri, |store| store.left_out)
    }
}
