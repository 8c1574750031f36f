//! The allowances of all subjects that an isolate spends for.

use alloc::string::String;
use alloc::vec::Vec;
use core::hash::BuildHasherDefault;
use core::num::NonZeroUsize;

use lru::LruCache;

use super::allowance::{Allowance, Asked, Spending};
use super::lease::{Lease, LeaseId, LeaseRequest, Unused};
use super::period::Quota;
use super::remaining::Remaining;
use crate::text::fnv::Fnv;
use crate::time::UnixMillis;

/// So many subjects are held; of one more, the one that was used least recently gives back what it holds.
const SUBJECTS_MAX: NonZeroUsize = NonZeroUsize::new(1000).unwrap();
/// After so long without a request a subject gives back what it holds.
const IDLE_MS: u64 = 4_000;

/// Whose units are spent. Units that were lent of one quota are not spent on another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Payer {
    /// The subject, which names the account.
    pub subject: String,
    /// The quota of the key.
    pub quota: Quota,
}

/// The allowances of an isolate, by payer.
#[derive(Debug)]
pub struct Allowances {
    entries: LruCache<Payer, Entry, BuildHasherDefault<Fnv>>,
    /// Of payers that had to make room.
    evicted: Vec<(Payer, Vec<Unused>)>,
}

#[derive(Debug, Default)]
struct Entry {
    allowance: Allowance,
    used_ms: u64,
}

impl Default for Allowances {
    fn default() -> Self {
        // Not `LruCache::new`, because that allocates the whole table at once.
        let mut entries = LruCache::unbounded_with_hasher(BuildHasherDefault::new());
        entries.resize(SUBJECTS_MAX);
        Self { entries, evicted: Vec::new() }
    }
}

impl Allowances {
    /// As [`Allowance::spend`].
    pub fn spend(
        &mut self,
        payer: &Payer,
        cost: u64,
        now: UnixMillis,
        id: impl FnOnce() -> LeaseId,
    ) -> Spending {
        self.of(payer, now).spend(cost, now, id)
    }

    /// As [`Allowance::add`].
    pub fn add(
        &mut self,
        payer: &Payer,
        request: &LeaseRequest,
        lease: Lease,
        asked: UnixMillis,
        now: UnixMillis,
    ) -> Asked {
        self.of(payer, now).add(request, lease, asked, now)
    }

    /// As [`Allowance::fail`].
    pub fn fail(&mut self, payer: &Payer, request: LeaseRequest, now: UnixMillis) {
        self.of(payer, now).fail(request);
    }

    /// As [`Allowance::remaining`].
    #[must_use]
    pub fn remaining(&self, payer: &Payer, now: UnixMillis) -> Option<Remaining> {
        self.entries.peek(payer)?.allowance.remaining(now)
    }

    /// As [`Allowance::held`].
    #[must_use]
    pub fn held(&self, payer: &Payer, now: UnixMillis) -> u64 {
        self.entries.peek(payer).map_or(0, |entry| entry.allowance.held(now))
    }

    /// Units that a payer does not need any more, to be given back: of one that had to make room, or that was not used for a while.
    pub fn next_unused(&mut self, now: UnixMillis) -> Option<(Payer, Vec<Unused>)> {
        if let Some(evicted) = self.evicted.pop() {
            return Some(evicted);
        }
        while self.entries.peek_lru().is_some_and(|(_, entry)| entry.used_ms.saturating_add(IDLE_MS) <= now.0)
        {
            let (payer, mut entry) = self.entries.pop_lru()?;
            let unused = entry.allowance.give_back();
            if !unused.is_empty() {
                return Some((payer, unused));
            }
        }
        None
    }

    fn of(&mut self, payer: &Payer, now: UnixMillis) -> &mut Allowance {
        if !self.entries.contains(payer)
            && let Some((other, mut entry)) = self.entries.push(payer.clone(), Entry::default())
        {
            let unused = entry.allowance.give_back();
            // What is not given back counts as spent.
            if !unused.is_empty() && self.evicted.len() < SUBJECTS_MAX.get() {
                self.evicted.push((other, unused));
            }
        }
        let entry = self.entries.get_or_insert_mut_ref(payer, Entry::default);
        entry.used_ms = now.0;
        &mut entry.allowance
    }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::{Allowances, Asked, LeaseId, Payer, SUBJECTS_MAX, Spending};
    use crate::quota::Account;
    use crate::time::UnixMillis;

    const NOW: UnixMillis = UnixMillis(1_795_863_540_000);

    fn payer(subject: &str, quota: &str) -> Payer {
        Payer { subject: subject.into(), quota: quota.parse().unwrap() }
    }

    /// Spends a unit, and returns whether the account was asked.
    fn pay(all: &mut Allowances, account: &mut Account, payer: &Payer, now: UnixMillis, id: u64) -> bool {
        let Spending::Ask(request) = all.spend(payer, 1, now, || LeaseId(format!("{id}"))) else {
            return false;
        };
        let lease = account.lend(payer.quota, &request, now);
        assert_eq!(all.add(payer, &request, lease, now, now), Asked::Paid);
        true
    }

    #[test]
    fn units_of_one_quota_are_not_spent_on_another() {
        let (mut all, mut account) = (Allowances::default(), Account::default());
        let (large, small) = (payer("acme", "1000/day"), payer("acme", "10/day"));
        let asks = (0..4).filter(|id| pay(&mut all, &mut account, &large, NOW, *id)).count();
        assert_eq!(asks, 3);
        assert!(pay(&mut all, &mut account, &small, NOW, 9));
        assert_eq!(all.remaining(&large, NOW).unwrap().units, 1000 - 4);
        assert_eq!(all.remaining(&payer("acme", "10/hour"), NOW), None);
    }

    #[test]
    fn an_idle_subject_gives_back_what_it_holds_and_no_other_does() {
        let (mut all, mut account) = (Allowances::default(), Account::default());
        let (idle, busy) = (payer("idle", "1000/day"), payer("busy", "1000/day"));
        for id in 0..6 {
            pay(&mut all, &mut account, &idle, NOW, id);
        }
        let later = UnixMillis(NOW.0 + 4_000);
        pay(&mut all, &mut Account::default(), &busy, later, 0);
        let (given, unused) = all.next_unused(later).unwrap();
        account.give_back(idle.quota, &unused, later);
        assert_eq!((given, account.spent(idle.quota, later)), (idle, 6));
        assert_eq!(all.next_unused(later), None);
    }

    #[test]
    fn a_subject_that_makes_room_gives_back_what_it_holds() {
        let (mut all, mut account) = (Allowances::default(), Account::default());
        let first = payer("first", "1000/day");
        for id in 0..6 {
            pay(&mut all, &mut account, &first, NOW, id);
        }
        for at in 0..SUBJECTS_MAX.get() {
            pay(&mut all, &mut Account::default(), &payer(&format!("s{at}"), "1000/day"), NOW, 0);
        }
        let (given, unused) = all.next_unused(NOW).unwrap();
        account.give_back(first.quota, &unused, NOW);
        assert_eq!((given, account.spent(first.quota, NOW)), (first, 6));
        assert_eq!(all.next_unused(NOW), None);
    }

    #[test]
    fn what_a_lost_answer_lent_comes_back_with_the_next_request() {
        let (mut all, mut account) = (Allowances::default(), Account::default());
        let payer = payer("acme", "1000/day");
        let Spending::Ask(request) = all.spend(&payer, 3, NOW, || LeaseId("lost".into())) else { panic!() };
        account.lend(payer.quota, &request, NOW);
        all.fail(&payer, request, NOW);
        assert!(pay(&mut all, &mut account, &payer, NOW, 1));
        assert_eq!(account.spent(payer.quota, NOW) - all.held(&payer, NOW), 1);
    }

    #[test]
    fn while_one_request_asks_others_ask_for_their_cost_alone() {
        let mut all = Allowances::default();
        let payer = payer("acme", "1000000/day");
        let mut account = Account::default();
        for id in 0..60 {
            pay(&mut all, &mut account, &payer, NOW, id);
        }
        let held = all.held(&payer, NOW);
        all.spend(&payer, held, NOW, || LeaseId("none".into()));
        let wanted: alloc::vec::Vec<u64> = (0..3)
            .map(|id| match all.spend(&payer, 2, NOW, || LeaseId(format!("m{id}"))) {
                Spending::Ask(request) => request.wanted,
                Spending::Paid => 0,
            })
            .collect();
        assert_eq!(wanted, [64, 2, 2]);
    }
}
