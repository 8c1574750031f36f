//! A rotation from wherever it stands to its end.

use keygate_core::key::KeyId;
use keygate_core::record::{Record, State};
use keygate_core::time::UnixSeconds;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::key_status::KeyStatus;
use crate::new_key::new_key;
use crate::rotation::gate::{Gate, key_id};
use crate::rotation::journal::Journal;
use crate::rotation::notes::Step;
use crate::rotation::succession::{check_in_use, ended, is_successor, provisional, successor};
use crate::rotation::targets::{Found, Targets};

/// A rotation with its journal open.
pub struct Rotation<'g> {
    pub(super) gate: Gate<'g>,
    pub(super) old: KeyId,
    pub(super) targets: Targets,
    pub(super) journal: Journal,
}

/// What came of a rotation.
#[derive(Debug)]
pub struct Finished {
    /// The new key's record.
    pub new: Record,
    /// The old key's.
    pub old: Record,
    /// Somebody changed the old record in between; the new one has what it said before.
    pub diverged: bool,
}

impl<'g> Rotation<'g> {
    /// Takes up the rotation of a journal.
    ///
    /// # Errors
    /// The journal names no key.
    pub fn new(gate: Gate<'g>, targets: Targets, journal: Journal) -> Result<Self> {
        Ok(Self { old: journal.notes.old()?, gate, targets, journal })
    }

    /// Goes on from wherever things stand, to the end. `show` is given the key when every store holds it.
    ///
    /// # Errors
    /// Something failed. Every store has a key that works, and the journal is there, unless nothing was done.
    pub fn finish(mut self, show: &mut dyn FnMut(&Record, &str) -> Result<()>) -> Result<Finished> {
        match self.advance(show) {
            Ok(finished) => {
                self.journal.finish()?;
                Ok(finished)
            }
            Err(error) => Err(self.left(error)),
        }
    }

    fn advance(&mut self, show: &mut dyn FnMut(&Record, &str) -> Result<()>) -> Result<Finished> {
        let old = self.gate.records.get(self.old)?;
        if let Some(finished) = self.ended_before(&old)? {
            // Nothing depends on it any more; that it was not shown is seen by whoever asked for it.
            if let Ok(Some(key)) = self.targets.find(&finished.new, &self.gate) {
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
    fn ended_before(&self, old: &Record) -> Result<Option<Finished>> {
        match (old.replaced_by, self.journal.notes.new_id()?) {
            (None, _) => Ok(None),
            (Some(by), Some(new)) if by == new => {
                Ok(Some(Finished { new: self.new_record()?, old: old.clone(), diverged: false }))
            }
            (Some(by), _) => Err(Error::failed(
                format!("key {} has been replaced by {by} in the meantime, not by this rotation", self.old),
                format!(
                    "find out which key the secret stores are to hold; `keygate rotate --undo {}` takes this rotation back as far as it can be",
                    self.old
                ),
            )),
        }
    }

    fn new_record(&self) -> Result<Record> {
        match self.journal.notes.new_id()? {
            Some(id) => self.gate.records.get(id),
            None => Err(Error::failed("the journal names no new key", "run the command again")),
        }
    }

    /// The expiry of the new key: what the journal says, once its record has it, unless somebody gave it another one.
    fn expiry_of(&self, new: &Record) -> Option<UnixSeconds> {
        let expiry = self.journal.notes.new_expiry.and_then(UnixSeconds::new);
        if new.not_after == Some(provisional(new.created, expiry)) { expiry } else { new.not_after }
    }

    fn status(&self, new: &Record) -> Result<KeyStatus> {
        let now = (self.gate.clock)()?;
        Ok(KeyStatus::of(new.state, new.not_before, self.expiry_of(new), now))
    }

    /// The new record. Somebody may have taken it for an orphan: nobody is to be left with a key that is not in use.
    fn new_in_use(&self) -> Result<Record> {
        let new = self.new_record()?;
        match self.status(&new)? {
            KeyStatus::Active => Ok(new),
            status => Err(Error::failed(
                format!("the new key {} is {}", new.id, status.as_str()),
                format!("find out who did that (`keygate show {}`); another key is made", new.id),
            )),
        }
    }

    /// The text of the new key, from a store that has it already. `None` where there is no new key, or none any more.
    fn recover(&mut self) -> Result<Option<Zeroizing<String>>> {
        let Some(new) = self.journal.notes.new_id()? else {
            return Ok(None);
        };
        if let Some(record) = self.gate.records.find(new)?
            && self.status(&record)? == KeyStatus::Active
            && let Some(key) = self.targets.find(&record, &self.gate)?
        {
            return Ok(Some(key));
        }
        // Not revoked here: a store that cannot be read may hold it.
        let notes = &mut self.journal.notes;
        notes.abandoned.push(new.to_string());
        notes.new = None;
        for store in &mut notes.stores {
            store.holds = false;
        }
        let step = notes.step;
        self.journal.save(step)?;
        Ok(None)
    }

    /// R: makes a key, and its record with a short expiry.
    fn make(&mut self, old: &Record) -> Result<Zeroizing<String>> {
        let now = (self.gate.clock)()?;
        check_in_use(old, now)?;
        let key = new_key(self.gate.prefix, &self.gate.peppers.current)?;
        let digest = self.gate.peppers.current.digest(&key.as_presented());
        let expiry = self.journal.notes.expiry.from(now);
        let record = successor(old, key.id(), digest, Some(provisional(now, expiry)), now);

        self.journal.notes.new = Some(key.id().to_string());
        self.journal.notes.new_expiry = expiry.map(UnixSeconds::seconds);
        self.journal.save(Step::Recording)?;
        self.gate.records.write(&record)?;
        self.journal.save(Step::Recorded)?;
        Ok(Zeroizing::new(key.reveal().to_owned()))
    }

    /// E: from now on somebody may hold the key, so its record must not expire by itself.
    fn extend(&mut self) -> Result<()> {
        let mut record = self.new_in_use()?;
        let expiry = self.expiry_of(&record);
        if record.not_after == expiry {
            return Ok(());
        }
        record.not_after = expiry;
        self.journal.save(Step::Extending)?;
        self.gate.records.write(&record)?;
        self.journal.save(Step::Extended)
    }

    /// P: puts the key into every store that does not hold it.
    fn deliver(&mut self, key: &str) -> Result<()> {
        let ours = self.ours()?;
        for target in self.targets.iter() {
            let to_replace = match target.look(key, &ours, self.gate.prefix)? {
                Found::Text => None,
                Found::Ours(seen) => Some(seen),
                Found::Unseen(seen) => (!self.journal.notes.holds(&target.uri)).then_some(seen),
                Found::Other => return Err(target.conflict(self.old)),
            };
            if let Some(seen) = to_replace {
                self.journal.note(&target.uri, |note| {
                    note.begun = true;
                    note.revision.clone_from(&seen.revision);
                })?;
                target.replace(key, &seen)?;
            }
            self.journal.note(&target.uri, |note| note.holds = true)?;
        }
        self.journal.save(Step::Delivered)
    }

    /// The ids whose keys this rotation may find in a store and replace.
    pub(super) fn ours(&self) -> Result<Vec<KeyId>> {
        let mut ids = self.journal.notes.new_ids()?;
        ids.push(self.old);
        Ok(ids)
    }

    /// C: every store that can be read holds the key now.
    fn confirm(&mut self, key: &str) -> Result<()> {
        self.targets.confirm(key, self.old, self.gate.prefix)?;
        self.journal.save(Step::Confirmed)
    }

    /// O: gives the old record its expiry, as it stands now: a key that was revoked meanwhile stays revoked.
    fn end_old(&mut self) -> Result<Finished> {
        let new = self.new_in_use()?;
        self.journal.save(Step::Ending)?;
        let before = self.gate.records.get(self.old)?;
        if before.replaced_by.is_some() {
            return self
                .ended_before(&before)?
                .ok_or_else(|| Error::failed("the old record changed", "run the command again"));
        }
        let diverged = before.state != State::Active || !is_successor(&new, &before);
        let (old, _) = ended(&before, new.id, self.journal.notes.grace_secs, (self.gate.clock)()?);
        self.gate.records.write(&old)?;
        self.journal.save(Step::Ended)?;
        Ok(Finished { new, old, diverged })
    }

    /// X: revokes what no store can hold any more.
    fn clear(&self) -> Result<()> {
        self.journal.notes.abandoned.iter().try_for_each(|id| self.revoke(key_id(id)?))
    }

    /// Revokes a new key's record, if it is there.
    pub(super) fn revoke(&self, id: KeyId) -> Result<()> {
        match self.gate.records.find(id)? {
            Some(mut record) if record.state != State::Revoked => {
                record.state = State::Revoked;
                self.gate.records.write(&record)
            }
            _ => Ok(()),
        }
    }

    /// The error, with where things stand and how to go on. Where nothing was done there is no journal left.
    fn left(self, error: Error) -> Error {
        let notes = &self.journal.notes;
        let old = &notes.old;
        let untouched = notes.abandoned.is_empty() && !notes.stores.iter().any(|store| store.begun);
        if untouched && matches!(notes.step, Step::Checked | Step::Recording) && !error.is_unanswered() {
            // A journal that stays is in the way of the next attempt, no more.
            let _ = self.journal.finish();
            return error;
        }
        let holds = notes.stores.iter().filter(|store| store.holds).count();
        let so_far = match notes.step {
            Step::Ended => format!("key {old} has its expiry and every secret store holds the new key"),
            Step::Ending => {
                format!("every secret store holds the new key, and key {old} may have got its expiry")
            }
            _ => format!(
                "{holds} of {} secret stores hold the new key, and key {old} works as before: no secret store is without a key that works",
                notes.stores.len()
            ),
        };
        let remedy = format!(
            "{}; then `keygate rotate --resume {old}` finishes the rotation (`--undo {old}` undoes it)",
            error.remedy()
        );
        error.and(so_far, remedy)
    }
}
