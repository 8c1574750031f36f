//! What an isolate has counted, and what of it is on its way.

use alloc::string::String;
use core::mem;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::counts::{Event, Hour, Usage};
use crate::time::UnixSeconds;

/// So many keys are sent at once, without waiting for the interval.
const KEYS_AT_ONCE: usize = 500;
/// So many keys an isolate counts while nothing can be sent: it bounds its memory.
const KEYS_MAX: usize = 5000;

/// Counted requests with the name by which a repeated batch is recognized.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// Random, chosen by the isolate.
    pub id: Uuid,
    /// When it was made. An old one is not taken: the store has forgotten which it knows.
    pub made: UnixSeconds,
    /// What was counted.
    pub usage: Usage,
}

impl Batch {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

/// What an isolate has counted and not brought to the store yet.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counted: Usage,
    /// A batch that may have arrived: it is sent again as it was.
    sent: Option<Batch>,
}

impl Tally {
    /// Counts a request, and says whether to send at once.
    pub fn count(&mut self, event: &Event) -> bool {
        let is_new = event.key.is_some_and(|key| !self.counted.keys.contains_key(&key));
        if is_new && self.counted.keys.len() >= KEYS_MAX {
            *self.counted.lost.entry(Hour::of(event.at).day()).or_default() += 1;
            return false;
        }
        self.counted.count(event);
        is_new && self.counted.keys.len() == KEYS_AT_ONCE
    }

    /// The batch to send: the one that got no answer, else what was counted since, by the name `id`. `None`: there is nothing.
    pub fn batch(&mut self, now: UnixSeconds, id: Uuid) -> Option<&Batch> {
        if self.sent.is_none() && !self.counted.is_empty() {
            self.sent = Some(Batch { id, made: now, usage: mem::take(&mut self.counted) });
        }
        self.sent.as_ref()
    }

    /// The store has this batch.
    pub fn settled(&mut self, id: &Uuid) {
        self.sent.take_if(|sent| sent.id == *id);
    }

    /// The store will never take this batch: its requests are reported as not counted.
    pub fn refused(&mut self, id: &Uuid) {
        if let Some(batch) = self.sent.take_if(|sent| sent.id == *id) {
            let lost = batch.usage.total() + batch.usage.lost.values().sum::<u64>();
            *self.counted.lost.entry(Hour::of(batch.made).day()).or_default() += lost;
        }
    }
}
