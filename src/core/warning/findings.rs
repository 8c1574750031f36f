//! What there is to tell.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::settings::Settings;
use crate::key::KeyId;
use crate::record::token::Subject;
use crate::record::{Name, Record, State};
use crate::time::UnixSeconds;
use crate::usage::{AnomalyReport, Day, LastUsesReport, Signal};

const DAY_SECS: u64 = 86_400;
/// At most so many of each kind. An element has at most 900 bytes, so that a webhook has at most 270 KB.
const EACH_MAX: usize = 100;

/// What is read of a key: its record, or the metadata that the CLI writes to its entry.
#[derive(Clone, Debug, Deserialize)]
pub struct KeyFacts {
    /// Who holds it.
    pub subject: Subject,
    /// Its name.
    pub name: Name,
    /// Whether it is in use.
    pub state: State,
    /// When it was issued; earlier versions did not write it.
    #[serde(default)]
    pub created: Option<UnixSeconds>,
    /// When it expires.
    pub not_after: Option<UnixSeconds>,
}

impl From<Record> for KeyFacts {
    fn from(record: Record) -> Self {
        Self {
            subject: record.subject,
            name: record.name,
            state: record.state,
            created: Some(record.created),
            not_after: record.not_after,
        }
    }
}

/// A key that expires soon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpiringKey {
    /// The key.
    pub id: KeyId,
    /// Who holds it.
    pub subject: Subject,
    /// Its name.
    pub name: Name,
    /// When it expires.
    pub expires: UnixSeconds,
}

/// A key that was not used for long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnusedKey {
    /// The key.
    pub id: KeyId,
    /// Who holds it.
    pub subject: Subject,
    /// Its name.
    pub name: Name,
    /// When it was last accepted; `None`: never, as far as usage was counted.
    pub last_used: Option<UnixSeconds>,
}

/// What the webhook does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Keys that expire soon.
    pub expiring: usize,
    /// Keys that were not used.
    pub unused: usize,
    /// Anomalies.
    pub anomalies: usize,
    /// Keys of which nothing is known: their record is invalid, or there were too many to read.
    pub unread: usize,
}

/// The body of the webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// `keygate.warnings`
    #[serde(rename = "type")]
    kind: &'static str,
    /// The day, in UTC: `2026-11-28`.
    pub day: String,
    /// Which gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// Keys that expire soon, the first ones first.
    pub expiring: Vec<ExpiringKey>,
    /// Keys that were not used, those first that were never used.
    pub unused: Vec<UnusedKey>,
    /// What is unusual.
    pub anomalies: Vec<Signal>,
    /// What is left out.
    pub more: LeftOut,
}

/// Looks at every key, and keeps what there is to tell.
#[derive(Debug)]
pub struct Findings {
    now: UnixSeconds,
    expires_before: UnixSeconds,
    /// `None`: not asked for.
    unused_since: Option<UnixSeconds>,
    usage: LastUsesReport,
    expiring: BTreeMap<(UnixSeconds, KeyId), ExpiringKey>,
    unused: BTreeMap<(Option<UnixSeconds>, KeyId), UnusedKey>,
    more: LeftOut,
}

impl Findings {
    /// Before any key. `usage` is not needed if unused keys are not told.
    #[must_use]
    pub fn new(settings: &Settings, usage: LastUsesReport, now: UnixSeconds) -> Self {
        let unused_secs = settings.unused_days * DAY_SECS;
        let unused_since = UnixSeconds::new(now.seconds().saturating_sub(unused_secs));
        Self {
            now,
            expires_before: now.plus(settings.expiry_days * DAY_SECS),
            unused_since: unused_since.filter(|_| unused_secs > 0),
            usage,
            expiring: BTreeMap::new(),
            unused: BTreeMap::new(),
            more: LeftOut::default(),
        }
    }

    /// Looks at a key. One that is refused anyhow is not told.
    pub fn add(&mut self, id: KeyId, key: KeyFacts) {
        let is_expired = key.not_after.is_some_and(|end| end <= self.now);
        if key.state != State::Active || is_expired {
            return;
        }
        let KeyFacts { subject, name, created, not_after, .. } = key;
        if let Some(unused_since) = self.unused_since {
            let last_used = self.usage.keys.get(&id).and_then(|last| last.accepted);
            // A key that was never used is as old as it is, or as the oldest count.
            let counted_since =
                || self.usage.since.map(|since| created.map_or(since, |created| since.max(created)));
            let idle_since = last_used.or_else(counted_since);
            if idle_since.is_some_and(|since| since <= unused_since) {
                let unused = UnusedKey { id, subject: subject.clone(), name: name.clone(), last_used };
                let is_full = keep(&mut self.unused, (last_used, id), unused);
                self.more.unused += usize::from(is_full);
            }
        }
        if let Some(expires) = not_after.filter(|end| *end < self.expires_before) {
            let is_full = keep(&mut self.expiring, (expires, id), ExpiringKey { id, subject, name, expires });
            self.more.expiring += usize::from(is_full);
        }
    }

    /// Counts a key that could not be read.
    pub fn add_unread(&mut self) {
        self.more.unread += 1;
    }

    /// The webhook's body; `None`: there is nothing to tell.
    #[must_use]
    pub fn warning(mut self, gate: Option<String>, anomalies: AnomalyReport, day: Day) -> Option<Warning> {
        let AnomalyReport { mut signals, more } = anomalies;
        self.more.anomalies = more + signals.len().saturating_sub(EACH_MAX);
        signals.truncate(EACH_MAX);
        let is_empty = self.expiring.is_empty() && self.unused.is_empty() && signals.is_empty();
        if is_empty && self.more.unread == 0 {
            return None;
        }
        Some(Warning {
            kind: "keygate.warnings",
            day: date(day),
            gate,
            expiring: self.expiring.into_values().collect(),
            unused: self.unused.into_values().collect(),
            anomalies: signals,
            more: self.more,
        })
    }
}

/// Adds an element, and says whether the last one is left out for it.
fn keep<K: Ord, V>(kept: &mut BTreeMap<K, V>, at: K, value: V) -> bool {
    kept.insert(at, value);
    kept.len() > EACH_MAX && kept.pop_last().is_some()
}

fn date(day: Day) -> String {
    let seconds = i64::try_from(day.0.saturating_mul(DAY_SECS)).unwrap_or(i64::MAX);
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    time.to_zoned(TimeZone::UTC).date().to_string()
}
