//! How usage is stored: in rows of many keys, so that the number of written rows does not grow with that of requests.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::counts::{Counts, Day, Hour, LastUse, Usage, merge_hours};
use super::networks::NetworkSketch;
use crate::key::KeyId;
use crate::time::UnixSeconds;

/// Keys are spread over so many rows: 100,000 keys make rows of about 400 keys.
const BUCKETS: u64 = 256;
/// Hours are kept so many days.
const HOURLY_DAYS: u64 = 90;
/// The sums of days, and last uses, are kept so many days.
const DAILY_DAYS: u64 = 400;

/// The keys whose ids have the same hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(u64); // INVARIANT: below BUCKETS

impl Bucket {
    /// The bucket of a key.
    #[must_use]
    pub fn of(id: KeyId) -> Self {
        let bytes = id.as_str().bytes();
        Self(bytes.fold(0, |hash: u64, byte| hash.wrapping_mul(31).wrapping_add(byte.into())) % BUCKETS)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..BUCKETS).map(Self)
    }
}

/// What a row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// [`LastUses`] of a bucket.
    LastUses,
    /// [`DaySums`] of a day and bucket.
    DaySums,
    /// [`HourCounts`] of a day and bucket.
    HourCounts,
    /// [`WithoutKey`] of a day.
    WithoutKey,
}

/// Which row: a number, so that rows of consecutive days and buckets stand one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowName {
    kind: Kind,
    day: Day,
    bucket: Bucket,
}

impl RowName {
    /// The last uses of a bucket.
    #[must_use]
    pub fn last_uses(bucket: Bucket) -> Self {
        Self { kind: Kind::LastUses, day: Day(0), bucket }
    }

    /// The sums of a bucket's keys in a day.
    #[must_use]
    pub fn day_sums(day: Day, bucket: Bucket) -> Self {
        Self { kind: Kind::DaySums, day, bucket }
    }

    /// The hours of a bucket's keys of a day.
    #[must_use]
    pub fn hour_counts(day: Day, bucket: Bucket) -> Self {
        Self { kind: Kind::HourCounts, day, bucket }
    }

    /// The requests without a key of a day.
    #[must_use]
    pub fn without_key(day: Day) -> Self {
        Self { kind: Kind::WithoutKey, day, bucket: Bucket(0) }
    }

    /// The sums of the same day and bucket.
    #[must_use]
    pub fn sums(self) -> Self {
        Self { kind: Kind::DaySums, ..self }
    }

    /// What the row holds.
    #[must_use]
    pub fn kind(self) -> Kind {
        self.kind
    }

    /// The day.
    #[must_use]
    pub fn day(self) -> Day {
        self.day
    }

    /// As the number that the row is stored under, below 2^53.
    #[must_use]
    pub fn number(self) -> u64 {
        let kind = match self.kind {
            Kind::LastUses => 0,
            Kind::DaySums => 1,
            Kind::HourCounts => 2,
            Kind::WithoutKey => 3,
        };
        (kind << 40) + (self.day.0.min(u64::from(u32::MAX)) << 8) + self.bucket.0
    }

    /// Of the number that the row is stored under.
    #[must_use]
    pub fn of_number(number: u64) -> Option<Self> {
        let kind = match number >> 40 {
            0 => Kind::LastUses,
            1 => Kind::DaySums,
            2 => Kind::HourCounts,
            3 => Kind::WithoutKey,
            _ => return None,
        };
        Some(Self { kind, day: Day(number >> 8 & u64::from(u32::MAX)), bucket: Bucket(number & 0xFF) })
    }

    /// The last uses of all buckets.
    #[must_use]
    pub fn all_last_uses() -> RangeInclusive<u64> {
        Self::of_days(Kind::LastUses, Day(0)..=Day(0))
    }

    /// All rows of a kind and some days.
    #[must_use]
    pub fn of_days(kind: Kind, days: RangeInclusive<Day>) -> RangeInclusive<u64> {
        let name = |day, bucket| Self { kind, day, bucket: Bucket(bucket) }.number();
        name(*days.start(), 0)..=name(*days.end(), BUCKETS - 1)
    }

    /// The rows that are not kept any longer.
    #[must_use]
    pub fn expired(today: Day) -> [RangeInclusive<u64>; 3] {
        [(Kind::DaySums, DAILY_DAYS), (Kind::HourCounts, HOURLY_DAYS), (Kind::WithoutKey, DAILY_DAYS)]
            .map(|(kind, days)| Self::of_days(kind, Day(0)..=Day(today.0.saturating_sub(days))))
    }
}

/// The first hour that is still kept by the hour.
pub(super) fn first_hour(today: Day) -> Hour {
    Hour((today.0.saturating_sub(HOURLY_DAYS) + 1) * 24)
}

/// All hours of which anything is kept, and those of tomorrow, because clocks differ.
pub(super) fn hours_kept(today: Day) -> RangeInclusive<Hour> {
    Hour((today.0.saturating_sub(DAILY_DAYS) + 1) * 24)..=Hour(today.0 * 24 + 47)
}

/// What a row can be: it is packed into bytes, and adds up with others of its kind.
pub trait Row: Default + Serialize + DeserializeOwned {
    /// Adds what was counted elsewhere.
    fn merge(&mut self, other: &Self);

    /// As bytes.
    ///
    /// # Errors
    /// None is known.
    fn pack(&self) -> Result<Vec<u8>, RowError> {
        pack(self)
    }

    /// Of bytes.
    ///
    /// # Errors
    /// They are not such a row.
    fn unpack(bytes: &[u8]) -> Result<Self, RowError> {
        unpack(bytes)
    }
}

/// Stored bytes are not what they should be.
#[derive(Debug, Error)]
#[error("stored usage cannot be read or written: {0}")]
pub struct RowError(#[from] postcard::Error);

pub(super) fn pack(value: &impl Serialize) -> Result<Vec<u8>, RowError> {
    Ok(postcard::to_allocvec(value)?)
}

pub(super) fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RowError> {
    Ok(postcard::from_bytes(bytes)?)
}

/// When each key was last used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastUses(pub BTreeMap<KeyId, LastUse>);

/// The requests of each key in a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaySums(pub BTreeMap<KeyId, Counts>);

/// The requests of each key in the hours of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourCounts(pub BTreeMap<KeyId, BTreeMap<Hour, Counts>>);

/// The requests without a known key of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithoutKey {
    /// By hour.
    pub hours: BTreeMap<Hour, Counts>,
    /// Whence the refused ones came.
    pub networks: NetworkSketch,
    /// Requests that were not counted.
    pub lost: u64,
}

impl Row for LastUses {
    fn merge(&mut self, other: &Self) {
        for (id, last) in &other.0 {
            self.0.entry(*id).or_default().merge(last);
        }
    }
}

impl LastUses {
    /// Forgets the keys that were not used for as long as days are kept, and says whether there was one.
    pub fn forget_unused(&mut self, now: UnixSeconds) -> bool {
        let before = self.0.len();
        let is_kept = |last: &LastUse| {
            last.latest().is_some_and(|at| now.seconds().saturating_sub(at.seconds()) < DAILY_DAYS * 86_400)
        };
        self.0.retain(|_, last| is_kept(last));
        self.0.len() < before
    }
}

impl Row for DaySums {
    fn merge(&mut self, other: &Self) {
        for (id, counts) in &other.0 {
            self.0.entry(*id).or_default().merge(counts);
        }
    }
}

impl Row for HourCounts {
    fn merge(&mut self, other: &Self) {
        for (id, hours) in &other.0 {
            merge_hours(self.0.entry(*id).or_default(), hours);
        }
    }
}

impl HourCounts {
    /// The sums over all hours.
    #[must_use]
    pub fn sums(&self) -> DaySums {
        let sum = |hours: &BTreeMap<Hour, Counts>| {
            let mut all = Counts::default();
            for counts in hours.values() {
                all.merge(counts);
            }
            all
        };
        DaySums(self.0.iter().map(|(id, hours)| (*id, sum(hours))).collect())
    }
}

impl Row for WithoutKey {
    fn merge(&mut self, other: &Self) {
        merge_hours(&mut self.hours, &other.hours);
        self.networks.merge(&other.networks);
        self.lost += other.lost;
    }
}

/// The rows that a usage adds to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// By bucket.
    pub last_uses: BTreeMap<Bucket, LastUses>,
    /// By day and bucket.
    pub hour_counts: BTreeMap<(Day, Bucket), HourCounts>,
    /// By day.
    pub without_key: BTreeMap<Day, WithoutKey>,
}

impl From<Usage> for Rows {
    fn from(usage: Usage) -> Self {
        let mut rows = Self::default();
        // Each key is freed once it is in rows, so that memory does not hold all of them twice.
        for (id, key) in usage.keys {
            let bucket = Bucket::of(id);
            rows.last_uses.entry(bucket).or_default().0.insert(id, key.last);
            for (hour, counts) in key.hours {
                let row = rows.hour_counts.entry((hour.day(), bucket)).or_default();
                row.0.entry(id).or_default().insert(hour, counts);
            }
        }
        let days = &mut rows.without_key;
        for (hour, counts) in usage.without_key {
            days.entry(hour.day()).or_default().hours.insert(hour, counts);
        }
        for (day, networks) in usage.networks {
            days.entry(day).or_default().networks = networks;
        }
        for (day, lost) in usage.lost {
            days.entry(day).or_default().lost = lost;
        }
        rows
    }
}
