//! What a person asks about usage, and the answer.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::counts::{Counts, Hour, LastUse};
use super::row::Bucket;
use crate::key::KeyId;
use crate::time::UnixSeconds;

/// The length of the steps that requests are counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Step {
    /// An hour; for the last 90 days.
    Hour,
    /// A day, from midnight on, in UTC.
    #[default]
    Day,
}

/// A question about usage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// Only these keys; `None`: all keys, and the requests without one.
    pub keys: Option<BTreeSet<KeyId>>,
    /// The first and the last hour. By days, the whole days around them.
    pub hours: RangeInclusive<Hour>,
    /// The steps of the series.
    pub by: Step,
    /// At most so many keys, those with the most requests.
    pub keys_max: usize,
}

/// A part of an answer: all parts, read one after the other, need less memory than the whole, and other work can be done between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The requests without a known key.
    WithoutKey,
    /// The keys of a bucket.
    Keys(Bucket),
}

impl Query {
    /// The parts of the answer.
    #[must_use]
    pub fn parts(&self) -> Vec<Part> {
        match &self.keys {
            None => [Part::WithoutKey].into_iter().chain(Bucket::all().map(Part::Keys)).collect(),
            Some(ids) => {
                let buckets: BTreeSet<Bucket> = ids.iter().map(|id| Bucket::of(*id)).collect();
                buckets.into_iter().map(Part::Keys).collect()
            }
        }
    }
}

/// The requests of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Point {
    /// When the step begins.
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub start: UnixSeconds,
    /// Its requests.
    #[serde(flatten)]
    pub counts: Counts,
}

/// The requests of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyTotal {
    /// The key.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub id: KeyId,
    /// Its requests.
    #[serde(flatten)]
    pub counts: Counts,
    /// When it was last accepted, whenever that was.
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub last_accepted: Option<UnixSeconds>,
    /// When it was last refused.
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub last_refused: Option<UnixSeconds>,
    /// Networks that it was used from, and when first.
    pub networks: Vec<SeenNetwork>,
}

/// A network, and when a key was first used from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SeenNetwork {
    /// The /24 or /48.
    pub network: String,
    /// When.
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub first_seen: UnixSeconds,
}

/// A network, and how many requests without a known key were refused from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefusedNetwork {
    /// The /24 or /48.
    pub network: String,
    /// At most so many.
    pub refused_at_most: u64,
}

/// Requests without a known key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WithoutKeyTotal {
    /// All of them.
    #[serde(flatten)]
    pub counts: Counts,
    /// Whence most of the refused ones came.
    pub networks: Vec<RefusedNetwork>,
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The beginning of the first step.
    pub from: UnixSeconds,
    /// The end of the last step.
    pub to: UnixSeconds,
    /// The length of a step.
    pub by: Step,
    /// The keys, those with the most requests first.
    pub keys: Vec<KeyTotal>,
    /// How many keys there are, also those that are left out.
    pub keys_total: usize,
    /// The requests of all these keys, by step; steps without requests are left out.
    pub series: Vec<Point>,
    /// Requests without a known key; absent if keys were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_key: Option<WithoutKeyTotal>,
    /// Requests that were not counted.
    pub lost: u64,
}

impl Report {
    /// Adds another part of the answer, or the answer to the same question about other keys; at most `keys_max` keys stay.
    pub fn add_other_keys(&mut self, other: Self, keys_max: usize) {
        self.keys.extend(other.keys);
        self.keys.sort_by_key(|key| (Reverse(key.counts.total()), key.id));
        self.keys.truncate(keys_max);
        self.keys_total += other.keys_total;
        let mut series: BTreeMap<UnixSeconds, Counts> = BTreeMap::new();
        for Point { start, counts } in self.series.drain(..).chain(other.series) {
            series.entry(start).or_default().merge(&counts);
        }
        self.series = series.into_iter().map(|(start, counts)| Point { start, counts }).collect();
        self.without_key = self.without_key.take().or(other.without_key);
        self.lost = self.lost.max(other.lost);
    }
}

/// When each key was last used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUsesReport {
    /// The first day that there are counts of: since then a key without an entry was not used.
    #[serde(default)]
    pub since: Option<UnixSeconds>,
    /// By key.
    pub keys: BTreeMap<KeyId, LastUseTimes>,
}

/// When a key was last used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUseTimes {
    /// When it was last accepted.
    pub accepted: Option<UnixSeconds>,
    /// When it was last refused.
    pub refused: Option<UnixSeconds>,
}

impl From<&LastUse> for LastUseTimes {
    fn from(last: &LastUse) -> Self {
        Self { accepted: last.accepted, refused: last.refused }
    }
}

impl LastUsesReport {
    /// Adds last uses.
    pub fn add<'a>(&mut self, keys: impl Iterator<Item = (&'a KeyId, &'a LastUse)>) {
        for (id, last) in keys {
            let times = self.keys.entry(*id).or_default();
            times.accepted = times.accepted.max(last.accepted);
            times.refused = times.refused.max(last.refused);
        }
    }
}
