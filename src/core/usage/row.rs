//! How usage is stored: in rows of many keys, so that the number of written rows does not grow with that of requests.

use alloc::collections::BTreeMap;
use core::mem;

use serde::{Deserialize, Serialize};

use super::counts::{Counts, Day, Hour, KeyUsage, Usage, merge_hours};
use super::networks::NetworkSketch;
use crate::key::KeyId;

/// Keys are spread over so many rows a day: 100,000 keys make rows of about 1,600 keys.
const BUCKETS: u64 = 64;
/// Hours are kept so many days, then their sum.
const HOURLY_DAYS: u64 = 90;
/// Days are kept so long.
const DAILY_DAYS: u64 = 400;

/// Which keys and which time a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowName {
    /// The day; `None`: the last uses of all days before today.
    pub day: Option<Day>,
    /// The keys whose ids have this hash.
    pub bucket: u64,
}

/// A row: keys of a day, or their last uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// By key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<KeyId, KeyUsage>,
    /// Requests without a known key; in bucket 0.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub without_key: BTreeMap<Hour, Counts>,
    /// Whence the refused ones among them came; in bucket 0.
    #[serde(default)]
    pub networks: NetworkSketch,
}

/// What is to become of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It stays.
    Hourly,
    /// Only the sums of its days stay.
    Daily,
    /// It is deleted.
    Over,
}

impl RowName {
    /// What is to become of the row on a day.
    #[must_use]
    pub fn age(self, today: Day) -> Age {
        match self.day.map(|day| today.0.saturating_sub(day.0)) {
            Some(days) if days >= DAILY_DAYS => Age::Over,
            Some(days) if days >= HOURLY_DAYS => Age::Daily,
            _ => Age::Hourly,
        }
    }

    fn of_key(day: Day, id: KeyId) -> Self {
        let hash =
            id.as_str().bytes().fold(0, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        Self { day: Some(day), bucket: hash % BUCKETS }
    }
}

impl Row {
    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (id, usage) in &other.keys {
            self.keys.entry(*id).or_default().merge(usage);
        }
        merge_hours(&mut self.without_key, &other.without_key);
        self.networks.merge(&other.networks);
    }

    /// The last uses alone.
    #[must_use]
    pub fn last_uses(&self) -> Self {
        let last = |usage: &KeyUsage| KeyUsage { hours: BTreeMap::new(), ..usage.clone() };
        Self { keys: self.keys.iter().map(|(id, usage)| (*id, last(usage))).collect(), ..Self::default() }
    }

    /// Keeps the sum of each day, as its first hour.
    pub fn to_daily(&mut self) {
        for usage in self.keys.values_mut() {
            add_up(&mut usage.hours);
        }
        add_up(&mut self.without_key);
    }
}

/// The rows that a usage adds to.
#[must_use]
pub fn split(usage: &Usage) -> BTreeMap<RowName, Row> {
    let mut rows: BTreeMap<RowName, Row> = BTreeMap::new();
    for (id, usage) in &usage.keys {
        for (hour, counts) in &usage.hours {
            of_key(&mut rows, hour.day(), *id).hours.entry(*hour).or_default().merge(counts);
        }
        if let Some(last) = usage.last_accepted {
            let row = of_key(&mut rows, Hour::of(last).day(), *id);
            row.last_accepted = row.last_accepted.max(Some(last));
        }
        if let Some(last) = usage.last_refused {
            let row = of_key(&mut rows, Hour::of(last).day(), *id);
            row.last_refused = row.last_refused.max(Some(last));
        }
    }
    let without_key = |day| RowName { day: Some(day), bucket: 0 };
    for (hour, counts) in &usage.without_key {
        let row = rows.entry(without_key(hour.day())).or_default();
        row.without_key.entry(*hour).or_default().merge(counts);
    }
    for (day, networks) in &usage.networks {
        rows.entry(without_key(*day)).or_default().networks.merge(networks);
    }
    rows
}

fn of_key(rows: &mut BTreeMap<RowName, Row>, day: Day, id: KeyId) -> &mut KeyUsage {
    rows.entry(RowName::of_key(day, id)).or_default().keys.entry(id).or_default()
}

fn add_up(hours: &mut BTreeMap<Hour, Counts>) {
    for (hour, counts) in mem::take(hours) {
        hours.entry(Hour(hour.day().0 * 24)).or_default().merge(&counts);
    }
}
