//! Reads rows, and makes the answer to a question of them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::RangeInclusive;

use super::counts::{Counts, Day, Hour, LastUse, Usage};
use super::networks::{ClientNetwork, NetworkSketch};
use super::report::{
    KeyTotal, Part, Point, Query, RefusedNetwork, Report, SeenNetwork, Step, WithoutKeyTotal,
};
use super::row::{
    Bucket, DaySums, HourCounts, Kind, LastUses, Row as _, RowError, RowName, WithoutKey, first_hour,
    hours_kept,
};
use crate::key::KeyId;
use crate::time::UnixSeconds;

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
            let seen = |(network, first_seen): (ClientNetwork, _)| SeenNetwork {
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
