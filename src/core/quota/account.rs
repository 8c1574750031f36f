//! The account of a subject: the one place where its units are counted.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::lease::{Lease, LeaseId, LeaseRequest, Unused};
use super::period::{Period, Quota, Window};
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

/// What a subject has spent or holds, counted for each length of period apart: keys of a subject with quotas of the same length share
/// one count. It is stored before an answer leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    counts: BTreeMap<Period, Count>,
}

/// The count of the current period of one length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Count {
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
    /// Takes back unused units and lends new ones. A repeated request gets the answer of the first, and changes nothing. Neither does a
    /// [look](LeaseRequest::look).
    pub fn lend(&mut self, quota: Quota, request: &LeaseRequest, now: UnixMillis) -> Lease {
        let window = quota.period.around(now.seconds());
        if request.is_look() {
            let mut count = self.counts.get(&quota.period).cloned().unwrap_or_default();
            count.turn(window, now);
            return count.answer(quota.limit, 0, now);
        }
        let count = self.counts.entry(quota.period).or_default();
        count.turn(window, now);
        count.lend(quota.limit, request, now)
    }

    /// Takes units back that will not be spent, each lease's once.
    pub fn give_back(&mut self, quota: Quota, unused: &[Unused], now: UnixMillis) {
        let count = self.counts.entry(quota.period).or_default();
        count.turn(quota.period.around(now.seconds()), now);
        count.take_back(quota.limit, unused, now);
    }

    /// How many units are spent or lent in the period of `now`.
    #[must_use]
    pub fn spent(&self, quota: Quota, now: UnixMillis) -> u64 {
        let window = quota.period.around(now.seconds());
        let count = self.counts.get(&quota.period);
        let is_current = |count: &&Count| count.window.is_some_and(|own| own.start >= window.start);
        count.filter(is_current).map_or(0, |count| count.spent)
    }
}

impl Count {
    fn lend(&mut self, limit: u64, request: &LeaseRequest, now: UnixMillis) -> Lease {
        if let Some(lent) = self.leases.get(&request.id) {
            return lent.answer;
        }
        self.take_back(limit, &request.unused, now);
        let left = limit.saturating_sub(self.spent);
        let has_room = self.has_room();
        let spare = if has_room { request.wanted.min(left / SHARE).min(UNITS_MAX) } else { 0 };
        let units = if left < request.needed { 0 } else { spare.max(request.needed) };
        let answer = self.answer(limit, units, now);
        self.spent += units;
        if units > 0 && has_room {
            let forget_at_ms = now.0.saturating_add(answer.valid_ms + RETURN_MS);
            self.leases.insert(request.id.clone(), Lent { answer, is_returned: false, forget_at_ms });
        }
        answer
    }

    /// Whether one more lease can be remembered; one that was returned makes room. If it is returned or asked for again, it is taken for
    /// an unknown one, by which nothing is lent twice.
    fn has_room(&mut self) -> bool {
        if self.leases.len() >= OPEN_MAX {
            let returned = self.leases.iter().find(|(_, lent)| lent.is_returned).map(|(id, _)| id.clone());
            returned.and_then(|id| self.leases.remove(&id));
        }
        self.leases.len() < OPEN_MAX
    }

    fn answer(&self, limit: u64, units: u64, now: UnixMillis) -> Lease {
        let end_ms = self.window.and_then(|window| window.end).map(|end| end.saturating_mul(1000));
        let until_end_ms = end_ms.map(|end| end.saturating_sub(now.0));
        Lease {
            units,
            valid_ms: until_end_ms.map_or(VALID_MS, |ms| ms.min(VALID_MS)),
            left: limit.saturating_sub(self.spent).saturating_sub(units),
            resets_in_secs: until_end_ms.map(|ms| ms.div_ceil(1000)),
        }
    }

    /// Begins a new period where the last one is over, and forgets leases.
    fn turn(&mut self, window: Window, now: UnixMillis) {
        // A clock that was set back does not begin a period that was counted before.
        if self.window.is_none_or(|own| own.start < window.start) {
            *self = Self { window: Some(window), ..Self::default() };
        }
        self.leases.retain(|_, lent| lent.forget_at_ms > now.0);
    }

    /// A lease that is not known yet is remembered as returned: its request is late, and its answer is of no use any more.
    fn take_back(&mut self, limit: u64, unused: &[Unused], now: UnixMillis) {
        let answer = self.answer(limit, 0, now);
        for Unused { id, units } in unused {
            let has_room = self.leases.len() < OPEN_MAX;
            match self.leases.get_mut(id) {
                Some(lent) if lent.is_returned => {}
                Some(lent) => {
                    lent.is_returned = true;
                    self.spent = self.spent.saturating_sub((*units).min(lent.answer.units));
                }
                None if has_room => {
                    let forget_at_ms = now.0.saturating_add(VALID_MS + RETURN_MS);
                    self.leases.insert(id.clone(), Lent { answer, is_returned: true, forget_at_ms });
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Account, LeaseId, LeaseRequest, Quota, Unused};
    use crate::quota::Period;
    use crate::time::UnixMillis;

    /// 2026-11-28T10:59:00Z.
    const NOW: UnixMillis = UnixMillis(1_795_863_540_000);
    const DAY: Quota = Quota { limit: 100, period: Period::Day };

    fn request(id: &str, needed: u64, wanted: u64) -> LeaseRequest {
        LeaseRequest { id: LeaseId(id.into()), needed, wanted, unused: Vec::new() }
    }

    #[test]
    fn a_look_says_what_is_left_and_changes_nothing() {
        let mut account = Account::default();
        let empty = account.clone();
        let look = LeaseRequest::look(LeaseId("look".into()));
        let lease = account.lend(DAY, &look, NOW);
        assert_eq!((lease.units, lease.left, lease.resets_in_secs), (0, 100, Some(46_860)));
        assert_eq!(account, empty);
        account.lend(DAY, &request("a", 3, 3), NOW);
        let after = account.clone();
        // A day later, what was spent counts no more.
        for (days, left) in [(0, 97), (1, 100)] {
            let now = UnixMillis(NOW.0 + days * 86_400_000);
            assert_eq!(account.lend(DAY, &look, now).left, left);
            assert_eq!(account, after);
        }
    }

    #[test]
    fn quotas_of_one_period_share_a_count_whatever_their_limits() {
        let hour = Quota { limit: 50, period: Period::Hour };
        let small = Quota { limit: 4, period: Period::Day };
        let mut account = Account::default();
        assert_eq!(account.lend(DAY, &request("a", 5, 5), NOW).units, 5);
        assert_eq!(account.lend(small, &request("b", 1, 1), NOW).units, 0);
        assert_eq!(account.lend(hour, &request("c", 2, 2), NOW).units, 2);
        // The next hour begins within the day.
        let later = UnixMillis(NOW.0 + 600_000);
        assert_eq!(account.lend(hour, &request("d", 1, 1), later).left, 49);
        assert_eq!((account.spent(DAY, later), account.spent(hour, later)), (5, 1));
        account.give_back(DAY, &[Unused { id: LeaseId("a".into()), units: 5 }], NOW);
        assert_eq!((account.spent(DAY, later), account.spent(hour, later)), (0, 1));
    }

    #[test]
    fn a_request_that_comes_after_its_units_were_given_back_gets_none() {
        let mut account = Account::default();
        let unused = [Unused { id: LeaseId("late".into()), units: 5 }];
        account.give_back(DAY, &unused, NOW);
        assert_eq!(account.lend(DAY, &request("late", 5, 5), NOW).units, 0);
        account.give_back(DAY, &unused, NOW);
        assert_eq!(account.spent(DAY, NOW), 0);
    }

    #[test]
    fn an_account_is_stored_as_json() {
        let mut account = Account::default();
        account.lend(DAY, &request("a", 5, 5), NOW);
        let json = serde_json::to_string(&account).unwrap();
        assert_eq!(serde_json::from_str::<Account>(&json).unwrap(), account, "{json}");
    }
}
