//! What a person asks about usage, and the answer.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::counts::{Counts, Day, Hour, LastUse, Usage};
use super::networks::NetworkSketch;
use super::row::{
    Bucket, DaySums, HourCounts, Kind, LastUses, Row as _, RowError, RowName, WithoutKey, first_hour,
    hours_kept,
};
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

/// Reads rows, and makes the answer of them.
#[derive(Debug)]
pub struct Collector {
    query: Query,
    /// `None`: all of it.
    part: Option<Part>,
    keys: BTreeMap<KeyId, Counts>,
    last: LastUses,
    series: BTreeMap<Hour, Counts>,
    without_key: Counts,
    networks: NetworkSketch,
    lost: u64,
}

impl Collector {
    /// Without any rows yet.
    #[must_use]
    pub fn new(query: Query, today: Day) -> Self {
        let mut query = query;
        let kept = hours_kept(today);
        let (from, to) = (*query.hours.start().max(kept.start()), *query.hours.end().min(kept.end()));
        query.hours = match query.by {
            Step::Hour => from.max(first_hour(today))..=to,
            Step::Day => Hour(from.day().0 * 24)..=Hour(to.day().0 * 24 + 23),
        };
        if query.hours.is_empty() {
            // Nothing of that time is kept.
            query.hours = *query.hours.end()..=*query.hours.end();
        }
        let keys = query.keys.iter().flatten().map(|id| (*id, Counts::default())).collect();
        Self {
            query,
            part: None,
            keys,
            last: LastUses::default(),
            series: BTreeMap::new(),
            without_key: Counts::default(),
            networks: NetworkSketch::default(),
            lost: 0,
        }
    }

    /// For one part of the answer.
    #[must_use]
    pub fn of_part(query: &Query, part: Part, today: Day) -> Self {
        let is_asked = |id: &&KeyId| part == Part::Keys(Bucket::of(**id));
        let keys = query.keys.as_ref().map(|ids| ids.iter().filter(is_asked).copied().collect());
        Self { part: Some(part), ..Self::new(Query { keys, ..query.clone() }, today) }
    }

    /// The numbers of the rows to read. Days up to `summed` have sums.
    #[must_use]
    pub fn rows(&self, summed: Option<Day>) -> Vec<RangeInclusive<u64>> {
        let days = self.query.hours.start().day()..=self.query.hours.end().day();
        let with_sums = summed.filter(|_| self.query.by == Step::Day);
        let kinds = [
            (Kind::DaySums, *days.start(), with_sums.map(|day| day.min(*days.end()))),
            (
                Kind::HourCounts,
                with_sums.map_or(*days.start(), |day| Day(day.0 + 1).max(*days.start())),
                Some(*days.end()),
            ),
        ];
        let spans =
            kinds.into_iter().filter_map(|(kind, from, to)| Some((kind, from, to.filter(|to| from <= *to)?)));
        let without_key = || RowName::of_days(Kind::WithoutKey, days.clone());
        let buckets: BTreeSet<Bucket> = match (self.part, &self.query.keys) {
            (Some(Part::WithoutKey), _) => return Vec::from([without_key()]),
            (None, None) => {
                let rows = spans.map(|(kind, from, to)| RowName::of_days(kind, from..=to));
                return rows.chain([without_key(), RowName::all_last_uses()]).collect();
            }
            (Some(Part::Keys(bucket)), _) => [bucket].into(),
            (None, Some(ids)) => ids.iter().map(|id| Bucket::of(*id)).collect(),
        };
        let single = |name: RowName| name.number()..=name.number();
        let of_days = spans.flat_map(|(kind, from, to)| {
            let buckets = &buckets;
            (from.0..=to.0).flat_map(move |day| {
                buckets.iter().map(move |bucket| match kind {
                    Kind::DaySums => single(RowName::day_sums(Day(day), *bucket)),
                    _ => single(RowName::hour_counts(Day(day), *bucket)),
                })
            })
        });
        of_days.chain(buckets.iter().map(|bucket| single(RowName::last_uses(*bucket)))).collect()
    }

    /// Adds a row that was stored under a number.
    ///
    /// # Errors
    /// The bytes are not such a row.
    pub fn add(&mut self, number: u64, packed: &[u8]) -> Result<(), RowError> {
        let Some(name) = RowName::of_number(number) else {
            return Ok(());
        };
        match name.kind() {
            Kind::LastUses => {
                for (id, last) in &LastUses::unpack(packed)?.0 {
                    self.add_last_use(*id, last);
                }
            }
            Kind::DaySums => {
                for (id, counts) in &DaySums::unpack(packed)?.0 {
                    self.add_counts(*id, Hour(name.day().0 * 24), counts);
                }
            }
            Kind::HourCounts => {
                for (id, hours) in &HourCounts::unpack(packed)?.0 {
                    self.add_hours(*id, hours);
                }
            }
            Kind::WithoutKey if self.has_without_key() => {
                let row = WithoutKey::unpack(packed)?;
                self.add_without_key(&row.hours);
                self.networks.merge(&row.networks);
                self.lost += row.lost;
            }
            Kind::WithoutKey => {}
        }
        Ok(())
    }

    /// Adds what is not in rows yet.
    pub fn add_recent(&mut self, usage: &Usage) {
        for (id, key) in &usage.keys {
            self.add_last_use(*id, &key.last);
            self.add_hours(*id, &key.hours);
        }
        if !self.has_without_key() {
            return;
        }
        let days = self.query.hours.start().day()..=self.query.hours.end().day();
        self.add_without_key(&usage.without_key);
        for networks in usage.networks.range(days.clone()).map(|(_, networks)| networks) {
            self.networks.merge(networks);
        }
        self.lost += usage.lost.range(days).map(|(_, lost)| lost).sum::<u64>();
    }

    /// The answer.
    #[must_use]
    pub fn report(self) -> Report {
        let seconds = |hour: Hour| UnixSeconds::new(hour.0.saturating_mul(3600)).unwrap_or(UnixSeconds::MAX);
        let (keys_total, has_without_key) = (self.keys.len(), self.has_without_key());
        let mut keys: Vec<_> = self.keys.into_iter().collect();
        keys.sort_by_key(|(id, counts)| (Reverse(counts.total()), *id));
        keys.truncate(self.query.keys_max);
        let keys = keys.into_iter().map(|(id, counts)| {
            let last = self.last.0.get(&id).cloned().unwrap_or_default();
            let seen = |(network, first_seen): (super::ClientNetwork, _)| SeenNetwork {
                network: network.to_string(),
                first_seen,
            };
            KeyTotal {
                id,
                counts,
                last_accepted: last.accepted,
                last_refused: last.refused,
                networks: last.networks.iter().map(seen).collect(),
            }
        });
        let networks = self.networks.top().into_iter().map(|(network, refused_at_most)| RefusedNetwork {
            network: network.to_string(),
            refused_at_most,
        });
        let without_key = WithoutKeyTotal { counts: self.without_key, networks: networks.collect() };
        Report {
            from: seconds(*self.query.hours.start()),
            to: seconds(Hour(self.query.hours.end().0 + 1)),
            by: self.query.by,
            keys: keys.collect(),
            keys_total,
            series: self
                .series
                .into_iter()
                .map(|(hour, counts)| Point { start: seconds(hour), counts })
                .collect(),
            without_key: has_without_key.then_some(without_key),
            lost: self.lost,
        }
    }

    fn has_without_key(&self) -> bool {
        self.query.keys.is_none() && matches!(self.part, None | Some(Part::WithoutKey))
    }

    fn is_asked(&self, id: KeyId) -> bool {
        match (&self.query.keys, self.part) {
            (Some(ids), _) => ids.contains(&id),
            (None, None) => true,
            (None, Some(part)) => part == Part::Keys(Bucket::of(id)),
        }
    }

    fn add_last_use(&mut self, id: KeyId, last: &LastUse) {
        // Of the others nothing is said.
        if self.is_asked(id) {
            self.last.0.entry(id).or_default().merge(last);
        }
    }

    fn add_hours(&mut self, id: KeyId, hours: &BTreeMap<Hour, Counts>) {
        for (hour, counts) in hours {
            self.add_counts(id, *hour, counts);
        }
    }

    fn add_without_key(&mut self, hours: &BTreeMap<Hour, Counts>) {
        for (hour, counts) in hours {
            if self.query.hours.contains(hour) {
                self.without_key.merge(counts);
            }
        }
    }

    fn add_counts(&mut self, id: KeyId, hour: Hour, counts: &Counts) {
        if !self.is_asked(id) || !self.query.hours.contains(&hour) {
            return;
        }
        self.keys.entry(id).or_default().merge(counts);
        let step = match self.query.by {
            Step::Hour => hour,
            Step::Day => Hour(hour.day().0 * 24),
        };
        self.series.entry(step).or_default().merge(counts);
    }
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
