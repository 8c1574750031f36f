//! Keys with the rhythms of real ones, judged every morning: how often is a signal wrong, and how often is a misuse found?
//!
//! `KEYGATE_SIMULATED_KEYS=2000 cargo test -p keygate-core simulated -- --nocapture` prints the rates of many keys.

use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::ops::Range;
use std::collections::BTreeSet;
use std::vec::Vec;
use std::{env, format, println};

use proptest::test_runner::{RngAlgorithm, TestRng};
use rand_distr::{Distribution as _, LogNormal, Poisson, StandardUniform};

use super::{Anomaly, AnomalyCollector, Signal};
use crate::key::KeyId;
use crate::response::Code;
use crate::time::UnixSeconds;
use crate::usage::tests::Stored;
use crate::usage::{ClientNetwork, Counts, Day, Hour, KeyUsage, Usage};

/// 2026-06-01, a Monday.
const FIRST_DAY: u64 = 20_605;
/// Keys are issued in the first 60 days, and are judged from the 36th on.
const DAYS: u64 = 110;
const ISSUED_WITHIN: u64 = 60;
const JUDGED_FROM: u64 = 36;
const MORNING: u64 = 7;
/// Every so many days each key is misused as well.
const MISUSED_EVERY: u64 = 5;

struct Chance(TestRng);

impl Chance {
    fn unit(&mut self) -> f64 {
        StandardUniform.sample(&mut self.0)
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// As likely from 1 to 10 as from 10 to 100.
    fn scale(&mut self, low: f64, high: f64) -> f64 {
        (low.ln() + (high / low).ln() * self.unit()).exp()
    }

    fn happens(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    fn below(&mut self, limit: u64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "small"
        )]
        let number = (self.unit() * limit as f64) as u64;
        number
    }

    fn poisson(&mut self, mean: f64) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number")]
        let count = if mean > 0.0 { Poisson::new(mean).unwrap().sample(&mut self.0) as u64 } else { 0 };
        count
    }

    fn network(&mut self) -> ClientNetwork {
        let [.., a, b, c] = self.below(1 << 24).to_be_bytes();
        ClientNetwork::of(IpAddr::from([a, b, c, 7]))
    }
}

/// When a key is used.
enum Rhythm {
    /// By the hour, with a day that is busier than the night, and weekends that differ.
    People { per_hour: f64, night: f64, weekend: f64, growth: f64, noise: f64, bursts: f64 },
    /// A job of so many requests, every so many days.
    Job { requests: f64, every_days: u64, hour: u64 },
}

/// Whence a key is used.
enum Whence {
    /// From these, the first ones most.
    Fixed(Vec<ClientNetwork>),
    /// From one, until another comes.
    Roaming { now: ClientNetwork, changes_per_hour: f64 },
}

struct Key {
    issued: u64,
    rhythm: Rhythm,
    whence: Whence,
    /// The share that is refused at any time, and in one of so many hours.
    refused: f64,
    refused_bursts: f64,
    /// Unused days, in the middle.
    away: Range<u64>,
    /// Of the hour before, that it may go on.
    burst: f64,
    total: u64,
    used_days: BTreeSet<u64>,
}

impl Key {
    fn new(chance: &mut Chance) -> Self {
        let rhythm = if chance.happens(0.15) {
            let every_days = [1, 7, 30][usize::try_from(chance.below(3)).unwrap()];
            Rhythm::Job { requests: chance.scale(5.0, 50_000.0), every_days, hour: chance.below(24) }
        } else {
            Rhythm::People {
                per_hour: chance.scale(0.1, 2000.0),
                night: chance.between(0.02, 1.0),
                weekend: [1.0, 0.5, 0.1, 0.0, 2.0][usize::try_from(chance.below(5)).unwrap()],
                growth: chance.between(0.97, 1.1),
                noise: chance.between(0.05, 0.5),
                bursts: if chance.happens(0.5) { chance.scale(1e-3, 3e-2) } else { 0.0 },
            }
        };
        let whence = match chance.unit() {
            share if share < 0.6 => Whence::Fixed((0..=chance.below(3)).map(|_| chance.network()).collect()),
            share if share < 0.8 => {
                Whence::Fixed((0..4 + chance.below(9)).map(|_| chance.network()).collect())
            }
            _ => Whence::Roaming { now: chance.network(), changes_per_hour: chance.scale(0.02, 20.0) / 24.0 },
        };
        let away_from = chance.below(4 * DAYS);
        Self {
            issued: chance.below(ISSUED_WITHIN),
            rhythm,
            whence,
            refused: [0.0, 0.001, 0.01, 0.1][usize::try_from(chance.below(4)).unwrap()],
            refused_bursts: if chance.happens(0.3) { chance.scale(1e-3, 3e-2) } else { 0.0 },
            away: away_from..away_from + 7 + chance.below(14),
            burst: 1.0,
            total: 0,
            used_days: BTreeSet::new(),
        }
    }

    fn is_used(&self, day: u64) -> bool {
        day >= self.issued && !self.away.contains(&day)
    }

    /// Of a day, how many times as busy as another one of its kind.
    fn of_day(&self, day: u64, chance: &mut Chance) -> f64 {
        match self.rhythm {
            Rhythm::People { weekend, growth, noise, .. } => {
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let weeks = (day - self.issued) as f64 / 7.0;
                let by_week = if day % 7 < 5 { 1.0 } else { weekend };
                by_week * growth.powf(weeks) * LogNormal::new(0.0, noise).unwrap().sample(&mut chance.0)
            }
            Rhythm::Job { every_days, .. } => {
                f64::from(u8::from((day - self.issued).is_multiple_of(every_days)))
            }
        }
    }

    fn requests(&mut self, hour: u64, of_day: f64, chance: &mut Chance) -> u64 {
        match self.rhythm {
            Rhythm::People { per_hour, night, bursts, .. } => {
                let goes_on = self.burst > 1.0 && chance.happens(0.5);
                if !goes_on {
                    self.burst = if chance.happens(bursts) { chance.scale(2.0, 30.0) } else { 1.0 };
                }
                let by_hour = if (8..20).contains(&hour) { 1.0 } else { night };
                chance.poisson(per_hour * by_hour * of_day * self.burst)
            }
            Rhythm::Job { requests, hour: own, .. } if hour == own => chance.poisson(requests * of_day),
            Rhythm::Job { .. } => 0,
        }
    }

    /// What it does in an hour.
    fn hour(&mut self, usage: &mut KeyUsage, at: Hour, of_day: f64, chance: &mut Chance) {
        let requests = self.requests(at.0 % 24, of_day, chance);
        if let Whence::Roaming { now, changes_per_hour } = &mut self.whence
            && chance.poisson(*changes_per_hour) > 0
        {
            *now = chance.network();
        }
        if requests == 0 {
            return;
        }
        self.total += requests;
        self.used_days.insert(at.day().0);
        let share =
            if chance.happens(self.refused_bursts) { chance.between(0.05, 0.6) } else { self.refused };
        #[expect(clippy::cast_precision_loss, reason = "below 2^52")]
        let refused = chance.poisson(requests as f64 * share).min(requests);
        usage.hours.insert(at, counts(requests - refused, refused));
        let time = UnixSeconds::new(at.0 * 3600 + 1800).unwrap();
        for _ in 0..requests.min(4) {
            let network = match &self.whence {
                Whence::Roaming { now, .. } => *now,
                // The second one half as often as the first, and so on, but for the last.
                Whence::Fixed(networks) => {
                    networks[networks.iter().skip(1).take_while(|_| chance.happens(0.5)).count()]
                }
            };
            usage.last.networks.note(network, time);
        }
        usage.last.accepted = Some(time);
    }
}

fn counts(accepted: u64, refused: u64) -> Counts {
    let code = Code::RateLimited.row().code.into();
    Counts {
        accepted,
        refused: if refused > 0 { BTreeMap::from([(code, refused)]) } else { BTreeMap::new() },
    }
}

fn id(number: usize) -> KeyId {
    format!("{number:012}").parse().unwrap()
}

/// `stored`, and `recent` on top.
fn signals_of(stored: &Stored, recent: &Usage, day: u64) -> Vec<Signal> {
    let today = FIRST_DAY + day;
    let now = UnixSeconds::new((today * 24 + MORNING) * 3600 - 1).unwrap();
    let mut collector = AnomalyCollector::new(now);
    for rows in collector.rows(Some(Day(today - 2))) {
        for (number, packed) in stored.rows.range(rows) {
            collector.add(*number, packed).unwrap();
        }
    }
    collector.add_recent(recent);
    collector.signals()
}

/// How a key is misused from one in the morning on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Misuse {
    /// As many requests as otherwise on so many days with requests, and 1,000 at least.
    Volume { days: u64 },
    /// As many refused requests as it otherwise makes on a day with requests, and 200 at least.
    Refusals,
    /// A request from elsewhere, of a key that has at most three networks.
    Network,
}

/// With the share in 100 that has to be found.
const MISUSES: [(Misuse, usize); 4] = [
    (Misuse::Volume { days: 20 }, 95),
    (Misuse::Volume { days: 10 }, 90),
    (Misuse::Refusals, 95),
    (Misuse::Network, 95),
];
const MISUSED_HOURS: u64 = 6;

impl Misuse {
    fn is_told_by(self, anomaly: &Anomaly) -> bool {
        match self {
            Self::Volume { .. } => matches!(anomaly, Anomaly::Volume { .. }),
            Self::Refusals => matches!(anomaly, Anomaly::Refusals { .. }),
            Self::Network => matches!(anomaly, Anomaly::NewNetwork { .. }),
        }
    }

    /// Of a key that is old enough to be judged.
    fn usage(self, key: &Key, day: u64, chance: &mut Chance) -> Option<KeyUsage> {
        let age = day.checked_sub(key.issued)?;
        let is_judged = match self {
            Self::Volume { .. } | Self::Refusals => age >= 9,
            Self::Network => {
                age >= 37 && matches!(&key.whence, Whence::Fixed(networks) if networks.len() <= 3)
            }
        };
        let per_day = key.total.checked_div(key.used_days.len() as u64)?;
        if !is_judged {
            return None;
        }
        let mut usage = KeyUsage::default();
        let from = (FIRST_DAY + day) * 24 + MORNING - MISUSED_HOURS;
        let of_hour = match self {
            Self::Volume { days } => counts((per_day * days).max(1000) / MISUSED_HOURS, 0),
            Self::Refusals => counts(0, per_day.max(200) / MISUSED_HOURS),
            Self::Network => {
                usage.last.networks.note(chance.network(), UnixSeconds::new(from * 3600).unwrap());
                return Some(usage);
            }
        };
        usage.hours.extend((from..from + MISUSED_HOURS).map(|hour| (Hour(hour), of_hour.clone())));
        Some(usage)
    }
}

/// Lets the keys be used in some hours of a day.
fn pass(
    stored: &mut Stored,
    keys: &mut [Key],
    of_day: &[f64],
    day: u64,
    hours: Range<u64>,
    chance: &mut Chance,
) {
    let mut usage = Usage::default();
    for (number, key) in keys.iter_mut().enumerate().filter(|(_, key)| key.is_used(day)) {
        let mut own = KeyUsage::default();
        for hour in hours.clone() {
            key.hour(&mut own, Hour((FIRST_DAY + day) * 24 + hour), of_day[number], chance);
        }
        if !own.hours.is_empty() {
            usage.keys.insert(id(number), own);
        }
    }
    stored.add(&usage);
}

#[test]
fn in_simulated_traffic_few_signals_are_wrong_and_misuse_is_found() {
    let count: usize = env::var("KEYGATE_SIMULATED_KEYS").map_or(150, |keys| keys.parse().unwrap());
    let mut chance = Chance(TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let mut keys: Vec<Key> = (0..count).map(|_| Key::new(&mut chance)).collect();
    let (mut stored, mut judged) = (Stored::default(), 0);
    let mut rates = MISUSES.map(|(misuse, share)| Rates { misuse, share, wrong: 0, misused: 0, found: 0 });
    for day in 0..DAYS {
        let of_day: Vec<f64> = keys
            .iter()
            .map(|key| if key.is_used(day) { key.of_day(day, &mut chance) } else { 0.0 })
            .collect();
        pass(&mut stored, &mut keys, &of_day, day, 0..MORNING, &mut chance);
        stored.sum_up_days(Day(FIRST_DAY + day - 2)..=Day(FIRST_DAY + day - 2));
        if day >= JUDGED_FROM {
            judged += keys.iter().filter(|key| key.issued < day).count();
            let signals = signals_of(&stored, &Usage::default(), day);
            for rates in &mut rates {
                rates.add(&signals, &keys, &stored, day, &mut chance);
            }
        }
        pass(&mut stored, &mut keys, &of_day, day, MORNING..24, &mut chance);
    }
    println!("{count} keys, {judged} key-days");
    for Rates { misuse, share, wrong, misused, found } in rates {
        println!(
            "{misuse:?}: {wrong} wrong signals, {:.2} of 1,000 key-days; {found} of {misused} found, {:.1} %",
            ratio(wrong * 1000, judged),
            ratio(found * 100, misused),
        );
        assert!(wrong * 1000 <= judged, "{misuse:?}: {wrong} of {judged}");
        assert!(found * 100 >= misused * share, "{misuse:?}: {found} of {misused}");
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let ratio = part as f64 / whole as f64;
    ratio
}

/// How often signals of a kind are wrong, and how often they are there when they should be.
struct Rates {
    misuse: Misuse,
    share: usize,
    wrong: usize,
    misused: usize,
    found: usize,
}

impl Rates {
    fn add(&mut self, signals: &[Signal], keys: &[Key], stored: &Stored, day: u64, chance: &mut Chance) {
        let told = |signals: &[Signal]| -> BTreeSet<KeyId> {
            let told = signals.iter().filter(|signal| self.misuse.is_told_by(&signal.anomaly));
            told.map(|signal| signal.id).collect()
        };
        let wrong = told(signals);
        self.wrong += wrong.len();
        if day.is_multiple_of(MISUSED_EVERY) {
            let misused = keys.iter().enumerate().filter_map(|(number, key)| {
                Some((id(number), self.misuse.usage(key, day, chance)?)).filter(|(id, _)| !wrong.contains(id))
            });
            let usage = Usage { keys: misused.collect(), ..Usage::default() };
            let told = told(&signals_of(stored, &usage, day));
            self.misused += usage.keys.len();
            self.found += usage.keys.keys().filter(|id| told.contains(id)).count();
        }
    }
}
