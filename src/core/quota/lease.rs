//! What an isolate and an account say to each other.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::period::Quota;

/// The name of a lease, which the isolate makes of random bytes: a repeated request is recognized by it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeaseId(pub String);

/// A request for units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseRequest {
    /// The name of the lease that is asked for.
    pub id: LeaseId,
    /// What the request at hand costs; no fewer units are lent.
    pub needed: u64,
    /// What the isolate expects to spend; no more units are lent.
    pub wanted: u64,
    /// What is left of earlier leases, and not spent any more.
    pub unused: Vec<Unused>,
}

impl LeaseRequest {
    /// A request for no units, whose answer says how many are left.
    #[must_use]
    pub fn look(id: LeaseId) -> Self {
        Self { id, needed: 0, wanted: 0, unused: Vec::new() }
    }

    /// Whether it asks for nothing and gives nothing back, so that the account does not change.
    #[must_use]
    pub fn is_look(&self) -> bool {
        self.needed == 0 && self.wanted == 0 && self.unused.is_empty()
    }
}

/// Units of a lease that are given back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unused {
    /// The lease.
    pub id: LeaseId,
    /// How many units.
    pub units: u64,
}

/// The answer of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// The lent units; 0 if fewer are left than were needed.
    pub units: u64,
    /// How long they may be spent, in milliseconds from when they were asked for.
    pub valid_ms: u64,
    /// How many units nobody has spent or holds.
    pub left: u64,
    /// Seconds until the period ends; `None` if it does not end.
    pub resets_in_secs: Option<u64>,
}

/// What an isolate sends to ask the account of a subject for units; the answer is a [`Lease`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseMessage {
    /// The quota of the key.
    pub quota: Quota,
    /// What is asked for.
    pub request: LeaseRequest,
}

/// What an isolate sends to give units back; the answer has no content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnMessage {
    /// The quota that the units were lent of.
    pub quota: Quota,
    /// The units.
    pub unused: Vec<Unused>,
}

impl LeaseMessage {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Cannot fail: strings, numbers and lists.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl ReturnMessage {
    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // As above.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Lease {
    /// Reads an answer; `None`: it is none.
    #[must_use]
    pub fn from_json(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }
}
