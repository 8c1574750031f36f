//! Many isolates and one account, with messages that are late, repeated and lost, and with crashes on both sides.
//!
//! `PROPTEST_CASES=10000 cargo test --release -p keygate-core quota` runs many schedules.

use alloc::collections::{BTreeMap, BTreeSet, BinaryHeap};
use core::cmp::Reverse;
use std::format;
use std::vec::Vec;

use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, proptest};

use super::{Account, Allowance, Asked, Lease, LeaseId, LeaseRequest, Period, Quota, Spending, Unused};
use crate::chance::Chance;
use crate::time::UnixMillis;

/// 2026-11-28T10:59:00Z: a minute before the end of an hour.
const START_MS: u64 = 1_795_863_540_000;
const HOUR_MS: u64 = 3_600_000;
const LIMIT: u64 = 10_000;
const QUOTA: Quota = Quota { limit: LIMIT, period: Period::Hour };
/// An isolate that was not asked for so long gives back what it holds.
const IDLE_MS: u64 = 5_000;
/// An isolate waits so long for an answer.
const TIMEOUT_MS: u64 = 2_000;

/// How many of 1000 messages or requests go wrong.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    isolate_dies: u64,
    account_fails: u64,
    lost: u64,
    repeated: u64,
    late: u64,
}

fn faults() -> impl Strategy<Value = Faults> {
    let rate = || proptest::prop_oneof![3 => 0..1u64, 2 => 1..20u64, 1 => 20..300u64];
    (rate(), rate(), rate(), rate(), rate()).prop_map(
        |(isolate_dies, account_fails, lost, repeated, late)| Faults {
            isolate_dies,
            account_fails,
            lost,
            repeated,
            late,
        },
    )
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Request {
        isolate: usize,
        cost: u64,
    },
    Idle {
        isolate: usize,
    },
    ToAccount(usize),
    ToIsolate(usize),
    /// The isolate stops waiting for the answer to this message.
    Timeout(usize),
}

/// A message on its way, and what its receiver needs.
#[derive(Clone)]
enum Message {
    Ask { isolate: usize, life: u64, request: LeaseRequest, asked: UnixMillis },
    Answer { isolate: usize, life: u64, request: LeaseRequest, asked: UnixMillis, lease: Lease },
    Return(Vec<Unused>),
}

#[derive(Default)]
struct Isolate {
    allowance: Allowance,
    /// Changes when it dies.
    life: u64,
    clock_ahead_ms: u64,
    used_ms: u64,
}

struct World {
    faults: Faults,
    chance: Chance,
    now_ms: u64,
    events: BinaryHeap<Reverse<(u64, usize, Event)>>,
    messages: Vec<Message>,
    /// The requests that have got their answer, or do not wait for it any more.
    answered: BTreeSet<LeaseId>,
    isolates: Vec<Isolate>,
    account: Account,
    /// Units by hour.
    admitted: BTreeMap<u64, u64>,
    asks: u64,
    paid: u64,
}

impl World {
    fn new(seed: u64, isolates: usize, faults: Faults) -> Self {
        let mut world = Self {
            faults,
            chance: Chance::new(seed),
            now_ms: START_MS,
            events: BinaryHeap::new(),
            messages: Vec::new(),
            answered: BTreeSet::new(),
            isolates: Vec::new(),
            account: Account::default(),
            admitted: BTreeMap::new(),
            asks: 0,
            paid: 0,
        };
        for _ in 0..isolates {
            let clock_ahead_ms = world.chance.below(120_000);
            world.isolates.push(Isolate { clock_ahead_ms, ..Isolate::default() });
        }
        world
    }

    fn at(&mut self, delay_ms: u64, event: Event) {
        self.events.push(Reverse((self.now_ms + delay_ms, self.events.len(), event)));
    }

    fn post(&mut self, message: &Message) {
        let copies = if self.chance.happens(self.faults.repeated) { 2 } else { 1 };
        for _ in 0..copies {
            if self.chance.happens(self.faults.lost) {
                continue;
            }
            let most = if self.chance.happens(self.faults.late) { 60_000 } else { 100 };
            let delay = 1 + self.chance.below(most);
            let to_isolate = matches!(message, Message::Answer { .. });
            let at = self.messages.len();
            self.messages.push(message.clone());
            self.at(delay, if to_isolate { Event::ToIsolate(at) } else { Event::ToAccount(at) });
        }
    }

    fn run(&mut self) {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            self.now_ms = at;
            match event {
                Event::Request { isolate, cost } => self.request(isolate, cost),
                Event::Idle { isolate } => self.idle(isolate),
                Event::ToAccount(message) => self.account_gets(message),
                Event::ToIsolate(message) => self.isolate_gets(message),
                Event::Timeout(message) => self.isolate_gives_up(message),
            }
        }
    }

    fn clock(&self, isolate: usize) -> UnixMillis {
        UnixMillis(self.now_ms + self.isolates[isolate].clock_ahead_ms)
    }

    fn admit(&mut self, isolate: usize, cost: u64) {
        *self.admitted.entry(self.now_ms / HOUR_MS).or_default() += cost;
        self.isolates[isolate].used_ms = self.now_ms;
        self.paid += 1;
        self.at(IDLE_MS, Event::Idle { isolate });
    }

    fn request(&mut self, isolate: usize, cost: u64) {
        if self.chance.happens(self.faults.isolate_dies) {
            let dead = &mut self.isolates[isolate];
            dead.allowance = Allowance::default();
            dead.life += 1;
        }
        let (now, name) = (self.clock(isolate), self.chance.random());
        let id = || LeaseId(format!("{name:016x}"));
        match self.isolates[isolate].allowance.spend(cost, now, id) {
            Spending::Paid => self.admit(isolate, cost),
            Spending::Ask(request) => {
                self.asks += 1;
                let life = self.isolates[isolate].life;
                let message = Message::Ask { isolate, life, request, asked: now };
                self.post(&message);
                let at = self.messages.len();
                self.messages.push(message);
                self.at(TIMEOUT_MS, Event::Timeout(at));
            }
        }
    }

    fn idle(&mut self, isolate: usize) {
        if self.now_ms >= self.isolates[isolate].used_ms + IDLE_MS {
            let unused = self.isolates[isolate].allowance.give_back();
            if !unused.is_empty() {
                self.post(&Message::Return(unused));
            }
        }
    }

    fn account_gets(&mut self, message: usize) {
        let now = UnixMillis(self.now_ms);
        let message = self.messages[message].clone();
        if self.chance.happens(self.faults.account_fails) && self.chance.happens(500) {
            return; // before it was stored
        }
        match message {
            Message::Return(unused) => self.account.give_back(QUOTA, &unused, now),
            Message::Ask { isolate, life, request, asked } => {
                let lease = self.account.lend(QUOTA, &request, now);
                if !self.chance.happens(self.faults.account_fails) {
                    self.post(&Message::Answer { isolate, life, request, asked, lease });
                }
            }
            Message::Answer { .. } => {}
        }
    }

    fn isolate_gets(&mut self, message: usize) {
        let Message::Answer { isolate, life, request, asked, lease } = self.messages[message].clone() else {
            return;
        };
        // A request gets one answer; of an isolate that died there is none to get it.
        let key = request.id.clone();
        if self.isolates[isolate].life != life || !self.answered.insert(key) {
            return;
        }
        let now = self.clock(isolate);
        let cost = request.needed;
        if self.isolates[isolate].allowance.add(&request, lease, asked, now) == Asked::Paid {
            self.admit(isolate, cost);
        }
    }

    fn isolate_gives_up(&mut self, message: usize) {
        let Message::Ask { isolate, life, request, .. } = self.messages[message].clone() else { return };
        if self.isolates[isolate].life == life && self.answered.insert(request.id.clone()) {
            self.isolates[isolate].allowance.fail(request);
            // A later request sends what may have been lent back, or nobody does.
            self.isolates[isolate].used_ms = self.now_ms;
            self.at(IDLE_MS, Event::Idle { isolate });
        }
    }

    fn most_in_an_hour(&self) -> u64 {
        self.admitted.values().copied().max().unwrap_or_default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn quota_is_never_exceeded_whatever_fails(
        seed in any::<u64>(),
        isolates in 1..500usize,
        faults in faults(),
        secs in 1..180u64,
        cost_most in 1..4u64,
    ) {
        let mut world = World::new(seed, isolates, faults);
        for _ in 0..15_000 {
            let delay = world.chance.below(secs * 1000);
            let isolate = world.chance.one_of(isolates);
            let cost = 1 + world.chance.below(cost_most);
            world.at(delay, Event::Request { isolate, cost });
        }
        world.run();
        prop_assert!(world.most_in_an_hour() <= LIMIT, "{:?}", world.admitted);
    }

    #[test]
    fn nearly_all_of_a_quota_is_admitted_where_no_isolate_dies(
        seed in any::<u64>(),
        isolates in 1..500usize,
        secs in 10..50u64,
        late in 0..10u64,
    ) {
        let mut world = World::new(seed, isolates, Faults { repeated: late, late, ..Faults::default() });
        // Into the next hour, of which ten minutes are enough for all that was lent and not spent to come back.
        for _ in 0..15_000 {
            let delay = 60_000 + world.chance.below(secs * 1000);
            let isolate = world.chance.one_of(isolates);
            world.at(delay, Event::Request { isolate, cost: 1 });
        }
        for _ in 0..15_000 {
            let delay = 60_000 + secs * 1000 + world.chance.below(540_000);
            let isolate = world.chance.one_of(isolates);
            world.at(delay, Event::Request { isolate, cost: 1 });
        }
        world.run();
        let admitted = world.most_in_an_hour();
        prop_assert!((LIMIT * 98 / 100..=LIMIT).contains(&admitted), "{admitted}");
    }
}

#[test]
fn far_from_the_limit_an_account_is_asked_for_one_in_a_hundred_requests() {
    let quota = Quota { limit: 1_000_000, period: Period::Day };
    let (mut account, mut allowance, mut asks) = (Account::default(), Allowance::default(), 0);
    for request in 0..100_000u64 {
        let now = UnixMillis(START_MS + request * 10);
        let id = || LeaseId(format!("{request}"));
        if let Spending::Ask(ask) = allowance.spend(1, now, id) {
            asks += 1;
            let lease = account.lend(quota, &ask, now);
            assert_eq!(allowance.add(&ask, lease, now, now), Asked::Paid);
        }
    }
    assert!(asks <= 1000, "{asks}");
}
