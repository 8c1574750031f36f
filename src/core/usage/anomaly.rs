//! What is unusual about the last 24 hours of a key, beside the five weeks before.
//!
//! A signal is a reason to look, not a verdict: it says what happened and what was usual. The rules are rough on purpose. They compare with
//! the busiest day, not with a mean, so that weekends, batch jobs and bursts that come again are usual; what is unusual today is part of
//! what is usual from tomorrow on, so nothing is said for weeks. `anomaly/simulation.rs` measures how often they are wrong.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::counts::{Counts, Day, Hour, LastUse, Usage};
use super::networks::FirstSeen;
use super::row::{Bucket, DaySums, HourCounts, Kind, LastUses, Row as _, RowError, RowName};
use crate::key::KeyId;
use crate::time::UnixSeconds;

/// The days that are compared with: five weeks, in which every job of a month has run once.
const DAYS_BEFORE: usize = 35;
/// A key is judged once it was used for so long: each day of the week has been seen.
const HISTORY_DAYS_MIN: u64 = 7;
/// More than so many times the busiest day before: the total of a day does not triple by chance, weekday or burst.
const TIMES: u64 = 3;
/// And by more than so many requests: small numbers multiply by chance.
const REQUESTS_MORE: u64 = 100;
/// By more than so many refused ones: a client that retries what is refused makes a few dozen.
const REFUSED_MORE: u64 = 50;
/// Fewer than one refused request in so many is what a working client has.
const REFUSED_ONE_IN: u64 = 100;
/// A key that used a new network in so many days before roams, or is too young: another one says nothing.
const SETTLED_SECS: u64 = DAYS_BEFORE as u64 * 86_400;
/// At most so many signals in a report.
const SIGNALS_MAX: usize = 1000;

/// Something unusual about a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Signal {
    /// The key.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub id: KeyId,
    /// What, with its numbers.
    #[serde(flatten)]
    pub anomaly: Anomaly,
}

/// What is unusual about the last 24 hours of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Anomaly {
    /// It was accepted from a network that it was never used from.
    NewNetwork {
        /// The /24 or /48.
        network: String,
        /// When first.
        #[cfg_attr(feature = "schema", schemars(with = "u64"))]
        first_seen: UnixSeconds,
        /// From how many networks it was used before.
        known_networks: usize,
    },
    /// It was refused far more than it used to be.
    Refusals {
        /// Refused requests.
        refused: u64,
        /// The code of most of them.
        code: String,
        /// All requests.
        requests: u64,
        /// The most refused ones of a day before.
        most_before: u64,
        /// How many days before were compared, from the first one with a request.
        days: u64,
    },
    /// It made far more requests than it used to.
    Volume {
        /// All requests.
        requests: u64,
        /// The requests of the busiest day before.
        most_before: u64,
        /// How many days before were compared, from the first one with a request.
        days: u64,
    },
}

/// The signals of all keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AnomalyReport {
    /// By kind, those with most requests first; at most 1000.
    pub signals: Vec<Signal>,
    /// How many are left out.
    pub more: usize,
}

/// Reads rows, as [`Collector`](super::Collector) does, and finds what is unusual.
#[derive(Debug)]
pub struct AnomalyCollector {
    /// The first of the last 24 hours.
    since: Hour,
    until: Hour,
    first_day: Day,
    /// `None`: all keys.
    bucket: Option<Bucket>,
    keys: BTreeMap<KeyId, History>,
    networks: BTreeMap<KeyId, FirstSeen>,
}

/// The requests of a day. More than 2^32 are as many as 2^32.
#[derive(Clone, Copy, Debug, Default)]
struct DayTotal {
    requests: u32,
    refused: u32,
}

#[derive(Debug)]
struct History {
    before: [DayTotal; DAYS_BEFORE],
    last: Counts,
}

impl Default for History {
    fn default() -> Self {
        Self { before: [DayTotal::default(); DAYS_BEFORE], last: Counts::default() }
    }
}

impl AnomalyCollector {
    /// Without any rows yet.
    #[must_use]
    pub fn new(now: UnixSeconds) -> Self {
        let until = Hour::of(now);
        let since = Hour(until.0.saturating_sub(23));
        let first_day = Day(since.day().0.saturating_sub(DAYS_BEFORE as u64));
        Self { since, until, first_day, bucket: None, keys: BTreeMap::new(), networks: BTreeMap::new() }
    }

    /// Of the keys of one bucket alone: all buckets, one after the other, need less memory and can be paused between.
    #[must_use]
    pub fn of_bucket(bucket: Bucket, now: UnixSeconds) -> Self {
        Self { bucket: Some(bucket), ..Self::new(now) }
    }

    /// The numbers of the rows to read. Days up to `summed` have sums.
    #[must_use]
    pub fn rows(&self, summed: Option<Day>) -> Vec<RangeInclusive<u64>> {
        // A day that the last 24 hours are part of is read by the hour.
        let summed = summed.map_or(0, |day| day.0).min(self.since.day().0.saturating_sub(1));
        let by_hour = Day(self.first_day.0.max(summed + 1))..=self.until.day();
        let by_day = self.first_day..=Day(summed);
        let Some(bucket) = self.bucket else {
            let mut rows = Vec::from([RowName::all_last_uses(), RowName::of_days(Kind::HourCounts, by_hour)]);
            rows.extend((!by_day.is_empty()).then(|| RowName::of_days(Kind::DaySums, by_day)));
            return rows;
        };
        let by_hour = (by_hour.start().0..=by_hour.end().0).map(|day| RowName::hour_counts(Day(day), bucket));
        let by_day = (by_day.start().0..=by_day.end().0).map(|day| RowName::day_sums(Day(day), bucket));
        let names = [RowName::last_uses(bucket)].into_iter().chain(by_hour).chain(by_day);
        names.map(|name| name.number()..=name.number()).collect()
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
            Kind::LastUses => self.add_last_uses(&LastUses::unpack(packed)?),
            Kind::HourCounts => self.add_hours(&HourCounts::unpack(packed)?),
            Kind::DaySums => {
                for (id, counts) in &DaySums::unpack(packed)?.0 {
                    self.add_counts(*id, Hour(name.day().0 * 24), counts);
                }
            }
            Kind::WithoutKey => {}
        }
        Ok(())
    }

    /// Adds what is not in rows yet.
    pub fn add_recent(&mut self, usage: &Usage) {
        let is_asked = |id: &KeyId| self.bucket.is_none_or(|bucket| bucket == Bucket::of(*id));
        let keys: Vec<_> = usage.keys.iter().filter(|(id, _)| is_asked(id)).collect();
        for (id, key) in keys {
            self.networks.entry(*id).or_default().merge(&key.last.networks);
            for (hour, counts) in &key.hours {
                self.add_counts(*id, *hour, counts);
            }
        }
    }

    /// What is unusual, as far as a report goes.
    #[must_use]
    pub fn report(self) -> AnomalyReport {
        AnomalyReport::of(self.signals())
    }

    /// What is unusual, in no order.
    #[must_use]
    pub fn signals(self) -> Vec<Signal> {
        let mut signals = Vec::new();
        for (id, history) in &self.keys {
            let found = history.unusual(self.first_day, self.since);
            signals.extend(found.into_iter().map(|anomaly| Signal { id: *id, anomaly }));
        }
        let since = UnixSeconds::new(self.since.0 * 3600).unwrap_or(UnixSeconds::MAX);
        for (id, networks) in &self.networks {
            signals.extend(new_networks(networks, since).map(|anomaly| Signal { id: *id, anomaly }));
        }
        signals
    }

    fn add_last_uses(&mut self, row: &LastUses) {
        for (id, LastUse { networks, .. }) in &row.0 {
            self.networks.entry(*id).or_default().merge(networks);
        }
    }

    fn add_hours(&mut self, row: &HourCounts) {
        for (id, hours) in &row.0 {
            for (hour, counts) in hours {
                self.add_counts(*id, *hour, counts);
            }
        }
    }

    fn add_counts(&mut self, id: KeyId, hour: Hour, counts: &Counts) {
        if (self.since..=self.until).contains(&hour) {
            self.keys.entry(id).or_default().last.merge(counts);
            return;
        }
        let Some(at) = hour.day().0.checked_sub(self.first_day.0).and_then(|at| usize::try_from(at).ok())
        else {
            return;
        };
        // The hours between the last whole day and the last 24 hours are compared with nothing.
        if at < DAYS_BEFORE
            && let Some(day) = self.keys.entry(id).or_default().before.get_mut(at)
        {
            let refused: u64 = counts.refused.values().sum();
            day.requests = day.requests.saturating_add(to_u32(counts.total()));
            day.refused = day.refused.saturating_add(to_u32(refused));
        }
    }
}

impl AnomalyReport {
    /// As many of the signals as a report has.
    #[must_use]
    pub fn of(mut signals: Vec<Signal>) -> Self {
        signals.sort_by_key(|signal| (signal.anomaly.rank(), signal.id));
        let more = signals.len().saturating_sub(SIGNALS_MAX);
        signals.truncate(SIGNALS_MAX);
        Self { signals, more }
    }
}

impl History {
    fn unusual(&self, first_day: Day, since: Hour) -> Vec<Anomaly> {
        let Some(first_used) = self.before.iter().position(|day| day.requests > 0) else {
            return Vec::new();
        };
        let days = since.day().0.saturating_sub(first_day.0 + first_used as u64);
        if days < HISTORY_DAYS_MIN {
            return Vec::new();
        }
        let most = |of: fn(&DayTotal) -> u32| self.before.iter().map(of).max().map_or(0, u64::from);
        let all = |of: fn(&DayTotal) -> u32| self.before.iter().map(|day| u64::from(of(day))).sum::<u64>();
        let mut found = Vec::new();
        let requests = self.last.total();
        let refused: u64 = self.last.refused.values().sum();
        let most_before = most(|day| day.refused);
        // A share that is no larger than before follows from the volume.
        let times_the_share = u128::from(refused) * u128::from(all(|day| day.requests))
            > u128::from(TIMES) * u128::from(all(|day| day.refused)) * u128::from(requests);
        if refused > TIMES * most_before + REFUSED_MORE
            && refused >= requests / REFUSED_ONE_IN
            && times_the_share
        {
            let code = self.last.refused.iter().max_by_key(|(_, count)| **count);
            let code = code.map(|(code, _)| Cow::to_string(code)).unwrap_or_default();
            found.push(Anomaly::Refusals { refused, code, requests, most_before, days });
        }
        let most_before = most(|day| day.requests);
        if requests > TIMES * most_before + REQUESTS_MORE {
            found.push(Anomaly::Volume { requests, most_before, days });
        }
        found
    }
}

/// The networks that a key was first used from since a time, unless it roams or has so many that some are forgotten.
fn new_networks(networks: &FirstSeen, since: UnixSeconds) -> impl Iterator<Item = Anomaly> {
    let settled = since.seconds().saturating_sub(SETTLED_SECS);
    let known = || networks.iter().filter(move |(_, first)| *first < since);
    let known_networks = known().count();
    let is_settled = known_networks > 0 && known().all(|(_, first)| first.seconds() < settled);
    let new = networks.iter().filter(move |(_, first)| is_settled && !networks.is_full() && *first >= since);
    new.map(move |(network, first_seen)| Anomaly::NewNetwork {
        network: network.to_string(),
        first_seen,
        known_networks,
    })
}

impl Anomaly {
    /// In which order they are listed.
    fn rank(&self) -> (u8, Reverse<u64>) {
        match self {
            Self::NewNetwork { first_seen, .. } => (0, Reverse(first_seen.seconds())),
            Self::Refusals { refused, .. } => (1, Reverse(*refused)),
            Self::Volume { requests, .. } => (2, Reverse(*requests)),
        }
    }
}

fn to_u32(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
