//! What an isolate and an account say to each other.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

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
