//! What an isolate of the gate may spend without asking.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use super::account::UNITS_MAX;
use super::lease::{Lease, LeaseId, LeaseRequest, Unused};
use super::remaining::Remaining;
use crate::time::UnixMillis;

/// While one request asks, another asks for no more than it costs; after so long, the first got no answer.
const ASKING_MS: u64 = 5_000;
/// More failed requests are not remembered; what the account lent for them stays spent.
const UNUSED_MAX: usize = 50;

/// The leases of one subject that an isolate holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    leases: BTreeMap<LeaseId, Held>,
    /// What ended leases had left, which the account does not know yet.
    unused: Vec<Unused>,
    /// How many units the last lease was asked for; twice as many next time, if they were spent in time.
    wanted: u64,
    /// Until then another request is expected to bring a lease.
    asking_until_ms: u64,
    /// What the account said last.
    known: Option<Known>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    left: u64,
    resets_at_ms: Option<u64>,
    until_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    units: u64,
    until_ms: u64,
}

/// What becomes of the cost of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spending {
    /// It is paid.
    Paid,
    /// The account has to be asked.
    Ask(LeaseRequest),
}

/// What became of the cost of a request after the account was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It is paid.
    Paid,
    /// The units of the period do not suffice.
    Exceeded,
    /// The answer came after the lease had ended.
    TooLate,
}

impl Allowance {
    /// Pays `cost` units, or says what to ask the account for, by the name of `id`.
    pub fn spend(&mut self, cost: u64, now: UnixMillis, id: impl FnOnce() -> LeaseId) -> Spending {
        self.end_leases(|held| held.until_ms <= now.0);
        let held = self.held(now);
        if held >= cost {
            self.take(cost);
            return Spending::Paid;
        }
        let wanted = if now.0 < self.asking_until_ms {
            cost
        } else {
            self.asking_until_ms = now.0.saturating_add(ASKING_MS);
            self.wanted = self.wanted.saturating_mul(2).clamp(1, UNITS_MAX).max(cost);
            self.wanted
        };
        let unused = mem::take(&mut self.unused);
        Spending::Ask(LeaseRequest { id: id(), needed: cost, wanted, unused })
    }

    /// Holds a new lease and pays the cost of the request that it was asked for. `asked`: the time before the account was asked.
    pub fn add(&mut self, request: &LeaseRequest, lease: Lease, asked: UnixMillis, now: UnixMillis) -> Asked {
        self.asking_until_ms = 0;
        let until_ms = asked.0.saturating_add(lease.valid_ms);
        let resets_at_ms = lease.resets_in_secs.map(|secs| now.0.saturating_add(secs.saturating_mul(1000)));
        self.known = Some(Known { left: lease.left, resets_at_ms, until_ms });
        let Some(units) = lease.units.checked_sub(request.needed) else {
            return Asked::Exceeded;
        };
        if until_ms <= now.0 {
            self.unused.push(Unused { id: request.id.clone(), units: lease.units });
            return Asked::TooLate;
        }
        self.leases.insert(request.id.clone(), Held { units, until_ms });
        Asked::Paid
    }

    /// The account gave no answer. What it may have lent is given back with the next request, unspent.
    pub fn fail(&mut self, request: LeaseRequest) {
        self.asking_until_ms = 0;
        self.unused.extend(request.unused);
        self.unused.push(Unused { id: request.id, units: request.needed.max(request.wanted) });
        let excess = self.unused.len().saturating_sub(UNUSED_MAX);
        self.unused.drain(..excess);
    }

    /// What is left of the period, as far as the isolate knows: what the account said last, and what it holds itself. `None`: it did not
    /// ask within the time of a lease.
    #[must_use]
    pub fn remaining(&self, now: UnixMillis) -> Option<Remaining> {
        let Known { left, resets_at_ms, .. } = self.known.filter(|known| now.0 < known.until_ms)?;
        let resets_in_secs = resets_at_ms.map(|at| at.saturating_sub(now.0).div_ceil(1000));
        Some(Remaining { units: left.saturating_add(self.held(now)), resets_in_secs })
    }

    /// How many units the isolate may spend without asking.
    #[must_use]
    pub fn held(&self, now: UnixMillis) -> u64 {
        self.leases.values().filter(|held| now.0 < held.until_ms).map(|held| held.units).sum()
    }

    /// Gives up everything, because nothing was spent for a while.
    pub fn give_back(&mut self) -> Vec<Unused> {
        self.end_leases(|_| true);
        self.unused.retain(|unused| unused.units > 0);
        mem::take(&mut self.unused)
    }

    /// Takes units that are there, first those that end first.
    fn take(&mut self, mut cost: u64) {
        while cost > 0 {
            let usable = self.leases.values_mut().filter(|held| held.units > 0);
            let Some(first) = usable.min_by_key(|held| held.until_ms) else { return };
            let taken = cost.min(first.units);
            first.units -= taken;
            cost -= taken;
        }
    }

    fn end_leases(&mut self, is_over: impl Fn(&Held) -> bool) {
        let unused = &mut self.unused;
        let mut was_too_much = false;
        self.leases.retain(|id, held| {
            let ends = is_over(held) || held.units == 0;
            was_too_much |= ends && held.units > 0;
            if ends {
                // The account need not remember one of which nothing is left.
                unused.push(Unused { id: id.clone(), units: held.units });
            }
            !ends
        });
        if was_too_much {
            self.wanted /= 4;
        }
    }
}
