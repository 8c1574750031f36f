//! The account of a subject: the one place where its units are counted.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lease::{Lease, LeaseId, LeaseRequest, Unused};
use super::period::{Quota, Window};
use crate::time::UnixMillis;

/// How long a lease may be spent.
const VALID_MS: u64 = 30_000;
/// How long after that its unused units are still taken back: a message that is later than that is lost.
const RETURN_MS: u64 = 90_000;
/// One lease gets at most this part of what is left, so that many isolates share the rest.
const SHARE: u64 = 20;
/// More is never lent at once: what an isolate loses when it dies.
pub(super) const UNITS_MAX: u64 = 1000;
/// More open leases are not remembered, because the account is stored with each answer. A lease that is not remembered is for the
/// request at hand alone.
const OPEN_MAX: usize = 500;

/// What a subject has spent or holds in the current period. It is stored before an answer leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    window: Option<Window>,
    /// Units that are spent, or lent and not given back.
    spent: u64,
    leases: BTreeMap<LeaseId, Lent>,
}

/// A lease that was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lent {
    /// The answer that a repeated request gets.
    answer: Lease,
    /// Whether its unused units came back.
    is_returned: bool,
    forget_at_ms: u64,
}

impl Account {
    /// Takes back unused units and lends new ones. A repeated request gets the answer of the first, and changes nothing.
    pub fn lend(&mut self, quota: Quota, request: &LeaseRequest, now: UnixMillis) -> Lease {
        self.turn(quota, now);
        if let Some(lent) = self.leases.get(&request.id) {
            return lent.answer;
        }
        self.take_back(&request.unused);
        let left = quota.limit.saturating_sub(self.spent);
        let has_room = self.leases.len() < OPEN_MAX;
        let spare = if has_room { request.wanted.min(left / SHARE).min(UNITS_MAX) } else { 0 };
        let units = if left < request.needed { 0 } else { spare.max(request.needed) };
        let end_ms = self.window.and_then(|window| window.end).map(|end| end.saturating_mul(1000));
        let until_end_ms = end_ms.map(|end| end.saturating_sub(now.0));
        let answer = Lease {
            units,
            valid_ms: until_end_ms.map_or(VALID_MS, |ms| ms.min(VALID_MS)),
            left: left - units,
            resets_in_secs: until_end_ms.map(|ms| ms.div_ceil(1000)),
        };
        self.spent += units;
        if units > 0 && has_room {
            let forget_at_ms = now.0.saturating_add(answer.valid_ms + RETURN_MS);
            self.leases.insert(request.id.clone(), Lent { answer, is_returned: false, forget_at_ms });
        }
        answer
    }

    /// Takes units back that will not be spent, each lease's once.
    pub fn give_back(&mut self, quota: Quota, unused: &[Unused], now: UnixMillis) {
        self.turn(quota, now);
        self.take_back(unused);
    }

    /// How many units are spent or lent in the period of `now`.
    #[must_use]
    pub fn spent(&self, quota: Quota, now: UnixMillis) -> u64 {
        let window = quota.period.around(now.seconds());
        if self.window.is_some_and(|own| own.start >= window.start) { self.spent } else { 0 }
    }

    /// Begins a new period where the last one is over, and forgets leases.
    fn turn(&mut self, quota: Quota, now: UnixMillis) {
        let window = quota.period.around(now.seconds());
        // A clock that was set back does not begin a period that was counted before.
        if self.window.is_none_or(|own| own.start < window.start) {
            *self = Self { window: Some(window), ..Self::default() };
        } else if let Some(own) = &mut self.window {
            // The operator may have chosen another period.
            own.end = if own.start == window.start { window.end } else { own.end };
        }
        self.leases.retain(|_, lent| lent.forget_at_ms > now.0);
    }

    fn take_back(&mut self, unused: &[Unused]) {
        for Unused { id, units } in unused {
            if let Some(lent) = self.leases.get_mut(id)
                && !lent.is_returned
            {
                lent.is_returned = true;
                self.spent = self.spent.saturating_sub((*units).min(lent.answer.units));
            }
        }
    }
}
