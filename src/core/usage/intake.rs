//! The batches that arrive: each is taken once, and is known from then on.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::batch::Batch;
use super::counts::Usage;
use super::row::{RowError, pack, unpack};
use crate::time::UnixSeconds;

/// How long a batch is known after it was made. An older one is refused, because it may have been taken before.
const KNOWN_SECS: u64 = 900;
/// As far may the clocks of a gate and of the store be apart.
const AHEAD_SECS: u64 = 600;
/// With more keys, waiting batches are stored first: a key takes up to 270 bytes, and a row may have 2 MB.
const WAITING_KEYS_MAX: usize = 5000;
/// With so many keys, what was taken is moved into rows at once: each takes some 800 bytes of memory, and an object has 128 MB.
const RECENT_KEYS_MAX: usize = 75_000;

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It was stored before.
    Known,
    /// It waits until it is stored with others.
    Waiting,
    /// It is never taken: it was made too long ago, or in the future.
    Refused,
}

/// Batches that are stored together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    ids: Vec<(Uuid, UnixSeconds)>,
    usage: Usage,
}

/// The batches that are known, those that wait to be stored, and what the stored ones add up to.
#[derive(Clone, Debug, Default)]
pub struct Intake {
    known: BTreeMap<Uuid, UnixSeconds>,
    waiting: BTreeMap<Uuid, Batch>,
    recent: Usage,
}

impl Commit {
    /// As bytes.
    ///
    /// # Errors
    /// None is known.
    pub fn pack(&self) -> Result<Vec<u8>, RowError> {
        pack(self)
    }

    /// Of bytes.
    ///
    /// # Errors
    /// They are not a commit.
    pub fn unpack(bytes: &[u8]) -> Result<Self, RowError> {
        unpack(bytes)
    }

    /// What was counted.
    #[must_use]
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Until when its batches are known, in Unix seconds.
    #[must_use]
    pub fn known_until(&self) -> u64 {
        self.ids.iter().map(|(_, made)| made.seconds() + KNOWN_SECS).max().unwrap_or(0)
    }
}

impl Intake {
    /// Receives a batch, which may be a repeated one.
    pub fn receive(&mut self, batch: Batch, now: UnixSeconds) -> Received {
        let (made, now) = (batch.made.seconds(), now.seconds());
        if made + KNOWN_SECS <= now || made > now + AHEAD_SECS {
            return Received::Refused;
        }
        if self.known.contains_key(&batch.id) {
            return Received::Known;
        }
        self.waiting.insert(batch.id, batch);
        Received::Waiting
    }

    /// Whether a batch is stored.
    #[must_use]
    pub fn knows(&self, id: &Uuid) -> bool {
        self.known.contains_key(id)
    }

    /// Whether a batch may wait beside those that do, and be stored with them.
    #[must_use]
    pub fn has_room(&self, batch: &Batch) -> bool {
        let waiting = self.waiting.values().map(|batch| batch.usage.keys.len()).sum::<usize>();
        self.waiting.is_empty() || waiting + batch.usage.keys.len() <= WAITING_KEYS_MAX
    }

    /// The waiting batches, to be stored together; they wait until [`Intake::committed`].
    #[must_use]
    pub fn commit(&self) -> Commit {
        let mut commit = Commit::default();
        for batch in self.waiting.values() {
            commit.ids.push((batch.id, batch.made));
            commit.usage.merge(&batch.usage);
        }
        commit
    }

    /// A commit is stored.
    pub fn committed(&mut self, commit: &Commit) {
        for (id, _) in &commit.ids {
            self.waiting.remove(id);
        }
        self.know(commit);
        self.recent.merge(&commit.usage);
    }

    /// The batches of a commit are known; what they counted is in rows already.
    pub fn know(&mut self, commit: &Commit) {
        self.known.extend(commit.ids.iter().copied());
    }

    /// What was taken, and is not in rows yet.
    #[must_use]
    pub fn recent(&self) -> &Usage {
        &self.recent
    }

    /// Whether what was taken is to be moved into rows now.
    #[must_use]
    pub fn is_heavy(&self) -> bool {
        self.recent.keys.len() >= RECENT_KEYS_MAX
    }

    /// What was taken, to be moved into rows.
    pub fn take_recent(&mut self) -> Usage {
        mem::take(&mut self.recent)
    }

    /// Forgets batches that would be refused by now.
    pub fn forget(&mut self, now: UnixSeconds) {
        self.known.retain(|_, made| made.seconds() + KNOWN_SECS > now.seconds());
    }
}
