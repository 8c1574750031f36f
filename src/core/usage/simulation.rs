//! Many isolates and one object, with messages that are late, repeated and lost, and with crashes on both sides.
//!
//! `PROPTEST_CASES=1000 cargo test --release -p keygate-core usage::simulation` runs many schedules.

use alloc::collections::{BTreeMap, BTreeSet, BinaryHeap};
use core::cmp::Reverse;
use std::format;
use std::vec::Vec;

use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest};
use uuid::Uuid;

use super::{Batch, Commit, Counts, Event, Intake, Received, Tally, Usage};
use crate::chance::Chance;
use crate::key::KeyId;
use crate::response::Code;
use crate::time::UnixSeconds;

/// 2026-11-28T10:59:00Z: a minute before the end of an hour.
const START_MS: u64 = 1_795_863_540_000;
const INTERVAL_MS: u64 = 5_000;
const ANSWER_MS: u64 = 10_000;
const TOGETHER_MS: u64 = 1_000;
const MOVE_MS: u64 = 600_000;

/// How many of 1000 messages, requests or commits go wrong.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    isolate_dies: u64,
    object_dies: u64,
    lost: u64,
    repeated: u64,
    late: u64,
}

fn faults() -> impl Strategy<Value = Faults> {
    let rate = || proptest::prop_oneof![3 => 0..1u64, 2 => 1..20u64, 1 => 20..300u64];
    (rate(), rate(), rate(), rate(), rate()).prop_map(|(isolate_dies, object_dies, lost, repeated, late)| {
        Faults {
            // One request in fifty at most, or nothing is ever sent.
            isolate_dies: isolate_dies.min(20),
            object_dies,
            lost,
            repeated,
            late,
        }
    })
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Request(usize),
    Flush {
        isolate: usize,
        life: u64,
    },
    /// A batch comes to the object.
    Arrives(usize),
    /// A batch that was received waits no longer.
    Stored {
        batch: usize,
        object: u64,
    },
    /// An answer comes to the isolate.
    Answered(usize),
    Moves,
}

#[derive(Clone)]
struct Sent {
    isolate: usize,
    life: u64,
    batch: Batch,
}

#[derive(Default)]
struct Isolate {
    tally: Tally,
    /// Changes when it dies.
    life: u64,
    /// Until then, a flush is to come or under way.
    flushing_until_ms: u64,
}

struct World {
    faults: Faults,
    chance: Chance,
    now_ms: u64,
    happenings: BinaryHeap<Reverse<(u64, usize, Happening)>>,
    sent: Vec<Sent>,
    isolates: Vec<Isolate>,
    intake: Intake,
    /// Changes when it dies.
    object: u64,
    /// What is on disk: commits, how many of them are in rows, and the rows.
    commits: Vec<Vec<u8>>,
    moved: usize,
    rows: Usage,
    /// What was asked of the gates.
    truth: Usage,
    /// Of isolates that died, and of batches that were refused: these may be missing.
    may_be_missing: u64,
    refused: BTreeSet<Uuid>,
}

impl World {
    fn new(seed: u64, isolates: usize, faults: Faults) -> Self {
        let mut world = Self {
            faults,
            chance: Chance::new(seed),
            now_ms: START_MS,
            happenings: BinaryHeap::new(),
            sent: Vec::new(),
            isolates: (0..isolates).map(|_| Isolate::default()).collect(),
            intake: Intake::default(),
            object: 0,
            commits: Vec::new(),
            moved: 0,
            rows: Usage::default(),
            truth: Usage::default(),
            may_be_missing: 0,
            refused: BTreeSet::new(),
        };
        world.at(MOVE_MS, Happening::Moves);
        world
    }

    fn at(&mut self, delay_ms: u64, happening: Happening) {
        self.happenings.push(Reverse((self.now_ms + delay_ms, self.happenings.len(), happening)));
    }

    fn now(&self) -> UnixSeconds {
        UnixSeconds::new(self.now_ms / 1000).unwrap()
    }

    /// Posts a message: lost, once or twice, soon or late.
    fn post(&mut self, happening: &Happening) {
        let copies = if self.chance.happens(self.faults.repeated) { 2 } else { 1 };
        for _ in 0..copies {
            if self.chance.happens(self.faults.lost) {
                continue;
            }
            let most = if self.chance.happens(self.faults.late) { 60_000 } else { 100 };
            let delay = 1 + self.chance.below(most);
            self.at(delay, happening.clone());
        }
    }

    fn run(&mut self) {
        while let Some(Reverse((at, _, happening))) = self.happenings.pop() {
            self.now_ms = at;
            match happening {
                Happening::Request(isolate) => self.request(isolate),
                Happening::Flush { isolate, life } if self.isolates[isolate].life == life => {
                    self.flush(isolate);
                }
                Happening::Arrives(batch) => self.arrives(batch),
                Happening::Stored { batch, object } if self.object == object => self.stored(batch),
                // Of one that has died.
                Happening::Flush { .. } | Happening::Stored { .. } => {}
                Happening::Answered(batch) => self.answered(batch),
                Happening::Moves => self.moves(),
            }
        }
    }

    fn request(&mut self, isolate: usize) {
        if self.chance.happens(self.faults.isolate_dies) {
            self.isolate_dies(isolate);
        }
        let key = self.chance.below(40);
        let key: Option<KeyId> = (key > 0).then(|| format!("{key:012}").parse().unwrap());
        let refused = self.chance.happens(200).then_some(Code::KeyExpired);
        let event = Event { at: self.now(), key, refused, client: None };
        self.truth.count(&event);
        self.isolates[isolate].tally.count(&event);
        if self.isolates[isolate].flushing_until_ms <= self.now_ms {
            self.isolates[isolate].flushing_until_ms = self.now_ms + INTERVAL_MS + ANSWER_MS;
            let life = self.isolates[isolate].life;
            self.at(INTERVAL_MS, Happening::Flush { isolate, life });
        }
    }

    /// What it had not brought to the object may be missing.
    fn isolate_dies(&mut self, isolate: usize) {
        let dead = core::mem::take(&mut self.isolates[isolate]);
        let mut tally = dead.tally;
        for _ in 0..2 {
            let id = Uuid::from_u128(self.chance.random().into());
            let Some(batch) = tally.batch(self.now(), id).cloned() else { break };
            self.may_be_missing += batch.usage.total();
            tally.settled(&batch.id);
        }
        self.isolates[isolate].life = dead.life + 1;
    }

    fn flush(&mut self, isolate: usize) {
        let id = Uuid::from_u128(self.chance.random().into());
        let now = self.now();
        let Some(batch) = self.isolates[isolate].tally.batch(now, id).cloned() else { return };
        let life = self.isolates[isolate].life;
        self.sent.push(Sent { isolate, life, batch });
        self.post(&Happening::Arrives(self.sent.len() - 1));
    }

    fn arrives(&mut self, at: usize) {
        let batch = self.sent[at].batch.clone();
        match self.intake.receive(batch.clone(), self.now()) {
            Received::Refused => {
                if self.refused.insert(batch.id) {
                    self.may_be_missing += batch.usage.total();
                }
                self.post(&Happening::Answered(at));
            }
            Received::Known => self.post(&Happening::Answered(at)),
            Received::Waiting => self.at(TOGETHER_MS, Happening::Stored { batch: at, object: self.object }),
        }
    }

    fn stored(&mut self, at: usize) {
        let id = self.sent[at].batch.id;
        if !self.intake.knows(&id) {
            let commit = self.intake.commit();
            // It dies before the commit is on disk, or after.
            if self.chance.happens(self.faults.object_dies) {
                return self.object_dies();
            }
            self.commits.push(commit.pack().unwrap());
            if self.chance.happens(self.faults.object_dies) {
                return self.object_dies();
            }
            self.intake.committed(&commit);
        }
        self.post(&Happening::Answered(at));
    }

    /// It is read from disk.
    fn object_dies(&mut self) {
        self.object += 1;
        self.intake = Intake::default();
        for (number, packed) in self.commits.iter().enumerate() {
            let commit = Commit::unpack(packed).unwrap();
            if number < self.moved { self.intake.know(&commit) } else { self.intake.committed(&commit) }
        }
    }

    fn moves(&mut self) {
        if self.chance.happens(self.faults.object_dies) {
            self.object_dies();
        }
        self.rows.merge(&self.intake.take_recent());
        self.moved = self.commits.len();
        self.intake.forget(self.now());
        if !self.happenings.is_empty() {
            self.at(MOVE_MS, Happening::Moves);
        }
    }

    fn answered(&mut self, at: usize) {
        let Sent { isolate, life, batch } = &self.sent[at];
        if self.isolates[*isolate].life == *life {
            self.isolates[*isolate].tally.settled(&batch.id);
        }
    }

    /// What the object has, after all isolates have sent what they had, without any fault.
    fn settle(&mut self) -> Usage {
        self.run();
        self.faults = Faults::default();
        for _ in 0..2 {
            for isolate in 0..self.isolates.len() {
                self.flush(isolate);
            }
            self.run();
        }
        let mut all = self.rows.clone();
        all.merge(self.intake.recent());
        all
    }
}

fn counts(usage: &Usage) -> BTreeMap<Option<KeyId>, u64> {
    let of_keys = usage.keys.iter().map(|(id, key)| (Some(*id), key.hours.values().map(Counts::total).sum()));
    of_keys.chain([(None, usage.without_key.values().map(Counts::total).sum())]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn usage_is_never_counted_twice_and_only_the_dead_miss_any(
        seed in any::<u64>(), isolates in 1..500usize, faults in faults(), secs in 1..7_200u64,
    ) {
        let mut world = World::new(seed, isolates, faults);
        for _ in 0..8_000 {
            let (delay, isolate) = (world.chance.below(secs * 1000), world.chance.one_of(isolates));
            world.at(delay, Happening::Request(isolate));
        }
        let stored = world.settle();
        let truth = counts(&world.truth);
        for (key, count) in counts(&stored) {
            prop_assert!(count <= truth.get(&key).copied().unwrap_or_default(), "{:?}: {}", key, count);
        }
        let missing = world.truth.total() - stored.total();
        prop_assert!(missing <= world.may_be_missing, "{} of {} missing", missing, world.may_be_missing);
    }

    #[test]
    fn usage_is_exact_where_no_isolate_dies_and_batches_come_in_time(
        seed in any::<u64>(), isolates in 1..500usize, faults in faults(), secs in 1..400u64,
    ) {
        let mut world = World::new(seed, isolates, Faults { isolate_dies: 0, ..faults });
        for _ in 0..8_000 {
            let (delay, isolate) = (world.chance.below(secs * 1000), world.chance.one_of(isolates));
            world.at(delay, Happening::Request(isolate));
        }
        let stored = world.settle();
        prop_assert_eq!(&world.refused, &BTreeSet::new());
        prop_assert_eq!(counts(&stored), counts(&world.truth));
        prop_assert_eq!(stored, world.truth);
    }
}
