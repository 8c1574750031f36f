//! Rotation with delivery: a new key is put where the old one is kept, and no place is ever left with a dead key.
//!
//! Two rules carry everything. *Nobody is given the new key before its record is there to stay* (E before P), and
//! *the old key gets no end before every place holds the new one* (C before O). So from P to C both keys work, and it does
//! not matter which of them a place holds, nor for how long nobody resumes, nor whether the journal is lost with its machine.
//!
//! The record is first written with a short end all the same: a write whose answer is lost, and a crash before anybody
//! has the key, leave an orphan that dies by itself. The end is lifted right before the first delivery and not after
//! the last, because a process that dies between two deliveries would else leave places whose key stops working within
//! the hour.
//!
//! The steps, with what the journal says before and after each. It holds ids, URIs and times, never a key:
//!
//! | step | journal before → after | what is done |
//! |---|---|---|
//! | A check | (none) | each place can be written and holds the old key; `exec:` cannot be looked at |
//! | R record | recording → recorded | the new record, with an end in an hour |
//! | E extend | extending → extended | the new record's real end |
//! | P put | delivering (begun) → delivering (holds), for each place | the new key into the place, and read back |
//! | C confirm | → confirmed | every place is read once more |
//! | O old | ending → ended | `replaced_by` and the end of the old record: now + grace |
//! | X clear | → (none) | records of abandoned new keys are revoked; the journal is removed |
//!
//! What `--resume` does goes by what *is*, not by the step that was noted: the old record says whether O was done, the
//! places say who holds what. What was noted is needed for what cannot be seen: the ids, and `exec:`.
//!
//! | died | what is known | what a resumption does | what works meanwhile |
//! |---|---|---|---|
//! | in A | nothing was done | there is no journal: rotate again | the old key, everywhere |
//! | in R, E | the record may be there; its key is lost, and nobody has it | the new key is *abandoned*, another is made: R | the old key, everywhere |
//! | in P, a readable place has the new key | the text, from that place; it must match the record's digest | the rest of the places get it: E (if it has the short end), P | both |
//! | in P, none has | the key is lost; an `exec:` place may hold it | abandoned: its record stays good until X, another key is made and put everywhere, `exec:` included: R | the old key, and for an `exec:` place both |
//! | in C | as in P, and all hold it | C | both |
//! | in O | the old record tells | O again, or X | the new key everywhere, the old one until its end |
//! | in X | O was done | X again | the same |
//!
//! A write that got no answer is looked at before anything else is done ([`store::write_surely`], and [`Place::look`]
//! after a failed put); what cannot be found out stays as it is, for `--resume`. Nothing is undone without being asked:
//! `--undo` puts the old key back wherever a new one may be, reads that back, and only then revokes the new records.

mod journal;
mod ownership;
mod succession;
mod targets;
mod undo;

pub(crate) use journal::{GateRef, Journal, Notes, StoreRef, folder, unfinished};
pub(crate) use succession::{Succession, check_in_use, lifetime};
pub(crate) use targets::Targets;

use keygate_core::key::pepper::Peppers;
use keygate_core::key::{KeyId, KeyPrefix};
use keygate_core::record::{Record, State};
use keygate_core::time::UnixSeconds;
use zeroize::Zeroizing;

use crate::entry::{self, Entry};
use crate::fault::{Fault, Outcome};
use crate::fields;
use crate::key_source::new_key;
use crate::places::Held;
use crate::revision;
use crate::standing::Standing;
use crate::store::{self, Store, Stored};
use journal::{PlaceNote, Step};
use succession::{ended, heir, is_heir};
use targets::{Found, Target};

/// How long the record of a key lives that nobody has been given: long enough for every place to be written.
pub(crate) const PROVISIONAL_SECS: u64 = 60 * 60;

/// The end of a record whose key nobody has been given, and which is to live until `end`.
fn provisional(made: UnixSeconds, end: Option<UnixSeconds>) -> UnixSeconds {
    let short = made.plus(PROVISIONAL_SECS);
    end.map_or(short, |end| end.min(short))
}

/// What a rotation works with.
#[derive(Clone, Copy)]
pub(crate) struct Ground<'g> {
    pub(crate) store: &'g dyn Store,
    pub(crate) prefix: &'g KeyPrefix,
    pub(crate) peppers: &'g Peppers,
    pub(crate) operator: Option<&'g str>,
    /// The clock: places take their time.
    pub(crate) clock: fn() -> Outcome<UnixSeconds>,
}

/// A rotation with its journal open.
pub(crate) struct Rotation<'g> {
    ground: Ground<'g>,
    old: KeyId,
    targets: Targets,
    journal: Journal,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) new: Record,
    pub(crate) old: Record,
    /// Somebody changed the old record in between; the new one has what it said before.
    pub(crate) diverged: bool,
}

impl<'g> Rotation<'g> {
    /// # Errors
    /// The journal names no key.
    pub(crate) fn new(ground: Ground<'g>, targets: Targets, journal: Journal) -> Outcome<Self> {
        Ok(Self { old: fields::id(&journal.notes.old)?, ground, targets, journal })
    }

    /// Goes on from wherever things stand, to the end. `show` is given the key when every place holds it.
    ///
    /// # Errors
    /// Something failed. Every place has a key that works, and the journal is there, unless nothing was done.
    pub(crate) fn finish(mut self, show: &mut dyn FnMut(&Record, &str) -> Outcome<()>) -> Outcome<Finished> {
        match self.advance(show) {
            Ok(finished) => {
                self.journal.finish()?;
                Ok(finished)
            }
            Err(fault) => Err(self.left(fault)),
        }
    }

    fn advance(&mut self, show: &mut dyn FnMut(&Record, &str) -> Outcome<()>) -> Outcome<Finished> {
        let (old, _) = store::record(self.ground.store, self.old)?;
        if let Some(finished) = self.ended_before(&old)? {
            // Nothing depends on it any more; that it was not shown is seen by whoever asked for it.
            if let Ok(Some(key)) = self.targets.find(&finished.new, &self.ground) {
                show(&finished.new, &key)?;
            }
            self.clear()?;
            return Ok(finished);
        }
        let key = match self.recover()? {
            Some(key) => key,
            None => self.make(&old)?,
        };
        self.extend()?;
        self.deliver(&key)?;
        self.confirm(&key)?;
        show(&self.new_in_use()?, &key)?;
        let finished = self.end_old()?;
        self.clear()?;
        Ok(finished)
    }

    /// O was done, by this journal's key.
    fn ended_before(&self, old: &Record) -> Outcome<Option<Finished>> {
        match (old.replaced_by, self.new_id()?) {
            (None, _) => Ok(None),
            (Some(by), Some(new)) if by == new => {
                Ok(Some(Finished { new: self.new_record()?.0, old: old.clone(), diverged: false }))
            }
            (Some(by), _) => Err(Fault::failed(
                format!("key {} has been replaced by {by} in the meantime, not by this rotation", self.old),
                format!(
                    "find out which key the places are to hold; `keygate rotate --undo {}` takes this rotation back as far as it can be",
                    self.old
                ),
            )),
        }
    }

    fn new_id(&self) -> Outcome<Option<KeyId>> {
        self.journal.notes.new.as_deref().map(fields::id).transpose()
    }

    fn new_record(&self) -> Outcome<(Record, Stored)> {
        match self.new_id()? {
            Some(id) => store::record(self.ground.store, id),
            None => Err(Fault::failed("the journal names no new key", "run the command again")),
        }
    }

    /// The end of the new key: what the journal says, once its record has it, unless somebody gave it another one.
    fn end_of(&self, new: &Record) -> Option<UnixSeconds> {
        let end = self.journal.notes.new_end.and_then(UnixSeconds::new);
        if new.not_after == Some(provisional(new.created, end)) { end } else { new.not_after }
    }

    /// The new record. Somebody may have taken it for an orphan: nobody is to be left with a key that is not in use.
    fn new_in_use(&self) -> Outcome<Record> {
        let (new, _) = self.new_record()?;
        let now = (self.ground.clock)()?;
        match Standing::of(new.state, new.not_before, self.end_of(&new), now) {
            Standing::Active => Ok(new),
            standing => Err(Fault::failed(
                format!("the new key {} is {}", new.id, standing.as_str()),
                format!("find out who did that (`keygate show {}`); another key is made", new.id),
            )),
        }
    }

    /// The text of the new key, from a place that has it already. `None` where there is no new key, or none any more.
    fn recover(&mut self) -> Outcome<Option<Zeroizing<String>>> {
        let Some(new) = self.new_id()? else {
            return Ok(None);
        };
        let record = match self.ground.store.entry(&new.kv_name())? {
            Some(stored) => Some(entry::read(new, &stored.value)?),
            None => None,
        };
        let now = (self.ground.clock)()?;
        let good = |record: &Record| {
            Standing::of(record.state, record.not_before, self.end_of(record), now) == Standing::Active
        };
        if let Some(record) = record.filter(good)
            && let Some(key) = self.targets.find(&record, &self.ground)?
        {
            return Ok(Some(key));
        }
        // Not revoked here: a place that cannot be looked at may hold it.
        self.journal.notes.abandoned.push(new.to_string());
        self.journal.notes.new = None;
        for place in &mut self.journal.notes.places {
            place.holds = false;
        }
        self.journal.save(self.journal.notes.step)?;
        Ok(None)
    }

    /// R: makes a key, and its record with a short end.
    fn make(&mut self, old: &Record) -> Outcome<Zeroizing<String>> {
        let now = (self.ground.clock)()?;
        check_in_use(old, now)?;
        let key = new_key(self.ground.prefix, &self.ground.peppers.current)?;
        let digest = self.ground.peppers.current.digest(&key.as_presented());
        let end = self.journal.notes.end.from(now);
        let record = heir(old, key.id(), digest, Some(provisional(now, end)), now);
        let entry = self.entry(&record, None)?;

        self.journal.notes.new = Some(key.id().to_string());
        self.journal.notes.new_end = end.map(UnixSeconds::seconds);
        self.journal.save(Step::Recording)?;
        store::write_surely(self.ground.store, &entry)?;
        self.journal.save(Step::Recorded)?;
        Ok(Zeroizing::new(key.reveal().to_owned()))
    }

    /// E: from now on somebody may hold the key, so its record must not end by itself.
    fn extend(&mut self) -> Outcome<()> {
        self.new_in_use()?;
        let (mut record, seen) = self.new_record()?;
        let end = self.end_of(&record);
        if record.not_after == end {
            return Ok(());
        }
        record.not_after = end;
        let entry = self.entry(&record, Some(&seen))?;
        self.journal.save(Step::Extending)?;
        store::write_surely(self.ground.store, &entry)?;
        self.journal.save(Step::Extended)
    }

    /// P: puts the key into every place that does not hold it.
    fn deliver(&mut self, key: &str) -> Outcome<()> {
        for at in 0..self.targets.len() {
            let Some(target) = self.targets.get(at) else { break };
            let Some(seen) = self.what_to_replace(at, target, key)? else {
                self.note(at, |place| place.holds = true)?;
                continue;
            };
            self.note(at, |place| {
                place.begun = true;
                place.revision.clone_from(&seen.revision);
            })?;
            // Borrowed anew: the journal was written in between.
            if let Some(target) = self.targets.get(at) {
                target.replace(key, &seen)?;
            }
            self.note(at, |place| place.holds = true)?;
        }
        self.journal.save(Step::Delivered)
    }

    fn note(&mut self, at: usize, change: impl FnOnce(&mut PlaceNote)) -> Outcome<()> {
        if let Some(place) = self.journal.notes.places.get_mut(at) {
            change(place);
        }
        self.journal.save(Step::Delivering)
    }

    /// What is to be replaced by the key; `None` where the place has it.
    fn what_to_replace(&self, at: usize, target: &Target, key: &str) -> Outcome<Option<Held>> {
        let ours = self.ours()?;
        match target.look(key, &ours, self.ground.prefix)? {
            Found::Text => Ok(None),
            Found::Ours(held) => Ok(Some(held)),
            Found::Unseen(held) => {
                let holds = self.journal.notes.places.get(at).is_some_and(|place| place.holds);
                Ok((!holds).then_some(held))
            }
            Found::Foreign => Err(target.conflict(self.old)),
        }
    }

    /// The ids whose keys this rotation may find in a place and replace.
    fn ours(&self) -> Outcome<Vec<KeyId>> {
        let notes = &self.journal.notes;
        [&notes.old].into_iter().chain(&notes.abandoned).chain(&notes.new).map(|id| fields::id(id)).collect()
    }

    /// C: every place that can be looked at holds the key now.
    fn confirm(&mut self, key: &str) -> Outcome<()> {
        for target in self.targets.iter().filter(|target| target.can_look()) {
            match target.look(key, &[], self.ground.prefix)? {
                Found::Text => {}
                Found::Ours(_) | Found::Unseen(_) | Found::Foreign => return Err(target.conflict(self.old)),
            }
        }
        self.journal.save(Step::Confirmed)
    }

    /// O: gives the old record its end, as it stands now: a key that was revoked meanwhile stays revoked.
    fn end_old(&mut self) -> Outcome<Finished> {
        let new = self.new_in_use()?;
        self.journal.save(Step::Ending)?;
        let (before, seen) = store::record(self.ground.store, self.old)?;
        if before.replaced_by.is_some() {
            return self
                .ended_before(&before)?
                .ok_or_else(|| Fault::failed("the old record changed", "run the command again"));
        }
        let diverged = before.state != State::Active || !is_heir(&new, &before);
        let (old, _) = ended(&before, new.id, self.journal.notes.grace_secs, (self.ground.clock)()?);
        store::write_surely(self.ground.store, &self.entry(&old, Some(&seen))?)?;
        self.journal.save(Step::Ended)?;
        Ok(Finished { new, old, diverged })
    }

    /// X: revokes what no place can hold any more.
    fn clear(&mut self) -> Outcome<()> {
        for id in &self.journal.notes.abandoned {
            self.revoke(fields::id(id)?)?;
        }
        Ok(())
    }

    /// Revokes a new key's record, if it is there.
    fn revoke(&self, id: KeyId) -> Outcome<()> {
        let Some(stored) = self.ground.store.entry(&id.kv_name())? else {
            return Ok(());
        };
        let mut record = entry::read(id, &stored.value)?;
        if record.state == State::Revoked {
            return Ok(());
        }
        record.state = State::Revoked;
        store::write_surely(self.ground.store, &self.entry(&record, Some(&stored))?)
    }

    fn entry(&self, record: &Record, seen: Option<&Stored>) -> Outcome<Entry> {
        Entry::of(record, revision::next(self.ground.store, seen, self.ground.operator))
    }

    /// The fault, with where things stand and how to go on. Where nothing was done there is no journal left.
    fn left(self, fault: Fault) -> Fault {
        let notes = &self.journal.notes;
        let old = &notes.old;
        let untouched = notes.abandoned.is_empty() && !notes.places.iter().any(|place| place.begun);
        if untouched && matches!(notes.step, Step::Checked | Step::Recording) && !fault.is_unanswered() {
            // A journal that stays is in the way of the next attempt, no more.
            let _ = self.journal.finish();
            return fault;
        }
        let holds = notes.places.iter().filter(|place| place.holds).count();
        let so_far = match notes.step {
            Step::Ended => format!("key {old} has its end and every place holds the new key"),
            Step::Ending => format!("every place holds the new key, and key {old} may have got its end"),
            _ => format!(
                "{holds} of {} places hold the new key, and key {old} works as before: no place is without a key that works",
                notes.places.len()
            ),
        };
        let remedy = format!(
            "{}; then `keygate rotate --resume {old}` finishes the rotation (`--undo {old}` undoes it)",
            fault.remedy()
        );
        fault.and(so_far, remedy)
    }
}
