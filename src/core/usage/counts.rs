//! The counters, and how they merge.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::networks::{ClientNetwork, FirstSeen, NetworkSketch};
use crate::key::KeyId;
use crate::response::Code;
use crate::time::UnixSeconds;

/// An hour, counted from 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hour(pub u64);

/// A day, counted from 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(pub u64);

impl Hour {
    /// The hour of a time.
    #[must_use]
    pub fn of(time: UnixSeconds) -> Self {
        Self(time.seconds() / 3600)
    }

    /// The day of the hour.
    #[must_use]
    pub fn day(self) -> Day {
        Day(self.0 / 24)
    }
}

/// A request that the gate has answered.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// When.
    pub at: UnixSeconds,
    /// The key, as far as it is known: [`Denial::key_id`](crate::response::Denial::key_id).
    pub key: Option<KeyId>,
    /// Why it was refused; `None`: it was accepted.
    pub refused: Option<Code>,
    /// The client's address.
    pub client: Option<IpAddr>,
}

/// How many requests were accepted, and how many refused, by the code of the refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// The accepted ones.
    #[serde(default)]
    pub accepted: u64,
    /// The refused ones.
    #[serde(default)]
    pub refused: BTreeMap<Cow<'static, str>, u64>,
}

/// When a key was last used, and from which networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastUse {
    /// When it was last accepted.
    #[serde(default)]
    pub accepted: Option<UnixSeconds>,
    /// When it was last refused.
    #[serde(default)]
    pub refused: Option<UnixSeconds>,
    /// Whence accepted requests came.
    #[serde(default)]
    pub networks: FirstSeen,
}

/// What was counted of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyUsage {
    /// When it was last used.
    #[serde(default)]
    pub last: LastUse,
    /// The requests, by hour.
    #[serde(default)]
    pub hours: BTreeMap<Hour, Counts>,
}

/// What was counted of all keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// By key.
    #[serde(default)]
    pub keys: BTreeMap<KeyId, KeyUsage>,
    /// Requests without a known key: on public routes, and refused ones.
    #[serde(default)]
    pub without_key: BTreeMap<Hour, Counts>,
    /// Whence the refused ones among them came.
    #[serde(default)]
    pub networks: BTreeMap<Day, NetworkSketch>,
    /// Requests that were not counted, because there were too many keys.
    #[serde(default)]
    pub lost: BTreeMap<Day, u64>,
}

impl Counts {
    fn count(&mut self, refused: Option<Code>) {
        let counter = match refused {
            None => &mut self.accepted,
            Some(code) => self.refused.entry(Cow::Borrowed(code.row().code)).or_default(),
        };
        *counter += 1;
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.accepted += other.accepted;
        for (code, count) in &other.refused {
            *self.refused.entry(code.clone()).or_default() += count;
        }
    }

    /// All requests.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.accepted + self.refused.values().sum::<u64>()
    }
}

impl LastUse {
    fn note(&mut self, event: &Event) {
        if event.refused.is_some() {
            self.refused = self.refused.max(Some(event.at));
            return;
        }
        self.accepted = self.accepted.max(Some(event.at));
        if let Some(client) = event.client {
            self.networks.note(ClientNetwork::of(client), event.at);
        }
    }

    /// Adds what was noted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.accepted = self.accepted.max(other.accepted);
        self.refused = self.refused.max(other.refused);
        self.networks.merge(&other.networks);
    }

    /// The last use of either kind.
    #[must_use]
    pub fn latest(&self) -> Option<UnixSeconds> {
        self.accepted.max(self.refused)
    }
}

impl KeyUsage {
    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.last.merge(&other.last);
        merge_hours(&mut self.hours, &other.hours);
    }
}

impl Usage {
    /// Counts a request.
    pub fn count(&mut self, event: &Event) {
        let hour = Hour::of(event.at);
        if let Some(key) = event.key {
            let usage = self.keys.entry(key).or_default();
            usage.last.note(event);
            usage.hours.entry(hour).or_default().count(event.refused);
            return;
        }
        self.without_key.entry(hour).or_default().count(event.refused);
        if let (Some(_), Some(client)) = (event.refused, event.client) {
            self.networks.entry(hour.day()).or_default().count(ClientNetwork::of(client));
        }
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        for (id, usage) in &other.keys {
            self.keys.entry(*id).or_default().merge(usage);
        }
        merge_hours(&mut self.without_key, &other.without_key);
        for (day, networks) in &other.networks {
            self.networks.entry(*day).or_default().merge(networks);
        }
        for (day, lost) in &other.lost {
            *self.lost.entry(*day).or_default() += lost;
        }
    }

    /// The first hour of a request with a key.
    #[must_use]
    pub fn first_hour(&self) -> Option<Hour> {
        self.keys.values().filter_map(|key| key.hours.keys().next().copied()).min()
    }

    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.without_key.is_empty() && self.lost.is_empty()
    }

    /// All requests that were counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        let of_keys = self.keys.values().flat_map(|key| key.hours.values());
        of_keys.chain(self.without_key.values()).map(Counts::total).sum()
    }
}

pub(super) fn merge_hours(hours: &mut BTreeMap<Hour, Counts>, others: &BTreeMap<Hour, Counts>) {
    for (hour, counts) in others {
        hours.entry(*hour).or_default().merge(counts);
    }
}
