//! What an isolate of the gate may spend without asking.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;

use super::account::UNITS_MAX;
use super::lease::{Lease, LeaseId, LeaseRequest, Unused};
use crate::time::UnixMillis;

/// The leases of one subject that an isolate holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    leases: BTreeMap<LeaseId, Held>,
    /// What ended leases had left, which the account does not know yet.
    unused: Vec<Unused>,
    /// How many units the last lease was asked for; twice as many next time, if they were spent in time.
    wanted: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    units: u64,
    until_ms: u64,
}

/// What becomes of the cost of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spending {
    /// It is paid; the isolate holds this many units more.
    Paid(u64),
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
        let held: u64 = self.leases.values().map(|held| held.units).sum();
        if let Some(left) = held.checked_sub(cost) {
            self.take(cost);
            return Spending::Paid(left);
        }
        self.wanted = self.wanted.saturating_mul(2).clamp(1, UNITS_MAX).max(cost);
        let unused = mem::take(&mut self.unused);
        Spending::Ask(LeaseRequest { id: id(), needed: cost, wanted: self.wanted, unused })
    }

    /// Holds a new lease and pays the cost of the request that it was asked for. `asked`: the time before the account was asked.
    pub fn add(&mut self, request: &LeaseRequest, lease: Lease, asked: UnixMillis, now: UnixMillis) -> Asked {
        let Some(units) = lease.units.checked_sub(request.needed) else {
            return Asked::Exceeded;
        };
        let until_ms = asked.0.saturating_add(lease.valid_ms);
        if until_ms <= now.0 {
            self.unused.push(Unused { id: request.id.clone(), units: lease.units });
            return Asked::TooLate;
        }
        self.leases.insert(request.id.clone(), Held { units, until_ms });
        Asked::Paid
    }

    /// Gives up everything, because nothing was spent for a while.
    pub fn give_back(&mut self) -> Vec<Unused> {
        self.end_leases(|_| true);
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
            if ends && held.units > 0 {
                was_too_much = true;
                unused.push(Unused { id: id.clone(), units: held.units });
            }
            !ends
        });
        if was_too_much {
            self.wanted /= 4;
        }
    }
}
