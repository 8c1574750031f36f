//! A rotation from wherever it stands to its end.

use keygate_core::key::pepper::{DigestMatch, RotationSalt};
use keygate_core::key::{KeyId, NewKey};
use keygate_core::record::{Record, State};
use keygate_core::time::UnixSeconds;

use crate::entropy::entropy;
use crate::error::{Error, Result};
use crate::key_status::KeyStatus;
use crate::rotation::gate::Gate;
use crate::rotation::journal::Journal;
use crate::rotation::notes::{NewKeyNote, Step};
use crate::rotation::succession::{check_in_use, ended, is_successor, provisional, successor};
use crate::rotation::targets::{Found, Target, Targets};

/// A rotation with its journal open.
pub struct Rotation<'g> {
    pub(super) gate: Gate<'g>,
    pub(super) old: KeyId,
    pub(super) targets: Targets,
    pub(super) journal: Journal,
    /// The old key was in use when this process read its record.
    is_old_in_use: bool,
}

/// What came of a rotation.
#[derive(Debug)]
pub struct Finished {
    /// The new key's record.
    pub new: Record,
    /// The old key's; of one that was deleted, as if it had been revoked.
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
        Ok(Self { old: journal.notes.old()?, gate, targets, journal, is_old_in_use: false })
    }

    /// Goes on from wherever things stand, to the end. `show` is given the key when every store holds it.
    ///
    /// # Errors
    /// Something failed. Every store has a key that works, if the old one does, and the journal is there, unless nothing was done.
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
        let Some(old) = self.gate.records.find(self.old)? else {
            return self.finish_without_old(show);
        };
        self.is_old_in_use = check_in_use(&old, (self.gate.clock)()?, self.gate.records.option()).is_ok();
        if let Some(finished) = self.ended_before(&old)? {
            // Nothing depends on it any more; that it was not shown is seen by whoever asked for it.
            if let Ok(Some(key)) = self.journal.notes.new_key(&self.gate) {
                show(&finished.new, key.reveal())?;
            }
            self.targets.tidy();
            return Ok(finished);
        }
        let key = match self.current(&old)? {
            Some(key) => key,
            None => self.make(&old)?,
        };
        self.hand_over(key.reveal(), show)?;
        let finished = self.end_old()?;
        self.targets.tidy();
        Ok(finished)
    }

    /// The old record was deleted, so its key is not in use: what holds the new key keeps it, and the rest gets it.
    fn finish_without_old(&mut self, show: &mut dyn FnMut(&Record, &str) -> Result<()>) -> Result<Finished> {
        let key = self.journal.notes.new_key(&self.gate)?;
        let Some(key) = key else {
            return Err(self.gone());
        };
        let record = self.journal.notes.new_id()?.map(|id| self.gate.records.find(id)).transpose()?.flatten();
        let is_in_use = match &record {
            Some(record) => self.status(record)? == KeyStatus::Active,
            None => false,
        };
        if !is_in_use || !self.targets.hold(key.reveal(), &self.journal.notes)? {
            return Err(self.gone());
        }
        let new = self.hand_over(key.reveal(), show)?;
        self.targets.tidy();
        let mut old = new.clone();
        (old.id, old.state, old.replaces, old.replaced_by) = (self.old, State::Revoked, None, Some(new.id));
        Ok(Finished { new, old, diverged: false })
    }

    /// E, P and C; then `show` is given the key.
    fn hand_over(&mut self, key: &str, show: &mut dyn FnMut(&Record, &str) -> Result<()>) -> Result<Record> {
        self.extend()?;
        self.deliver(key)?;
        self.confirm(key)?;
        let new = self.new_in_use()?;
        show(&new, key)?;
        Ok(new)
    }

    pub(super) fn gone(&self) -> Error {
        Error::failed(
            format!("key {} has no record any more, so it is not in use", self.old),
            "issue a new key for those that had it",
        )
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
                    "find out which key the secret stores are to hold; {} takes this rotation back as far as it can be",
                    self.journal.undo_command()
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
        let expiry = self.journal.notes.new.as_ref().and_then(|new| new.expiry).and_then(UnixSeconds::new);
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
                format!(
                    "find out who did that (`keygate show {}{}`); another key is made",
                    new.id,
                    self.gate.records.option()
                ),
            )),
        }
    }

    /// The new key that was made before. `None` where there is none, or none any more.
    fn current(&mut self, old: &Record) -> Result<Option<NewKey>> {
        let (Some(id), Some(key)) = (self.journal.notes.new_id()?, self.journal.notes.new_key(&self.gate)?)
        else {
            return Ok(None);
        };
        let Some(record) = self.gate.records.find(id)? else {
            // It was never written, as far as can be seen.
            self.record(old, &key)?;
            return Ok(Some(key));
        };
        if self.gate.peppers.digest_matches(&key.as_presented(), &record.digest) != DigestMatch::Yes {
            return Err(Error::failed(
                format!("the record of the new key {id} is not of the key that this rotation made"),
                format!(
                    "see that KEY_PREFIX is as it was when the rotation was begun, or take it back: {}",
                    self.journal.undo_command()
                ),
            ));
        }
        if self.status(&record)? == KeyStatus::Active {
            // Where somebody ended the old key, the new one is given to nobody who does not have it already.
            let in_use = check_in_use(old, (self.gate.clock)()?, self.gate.records.option());
            if in_use.is_err() && !self.targets.hold(key.reveal(), &self.journal.notes)? {
                in_use?;
            }
            return Ok(Some(key));
        }
        // Somebody ended it, so no second one is in use while another takes its place.
        self.revoke(record.id)?;
        let notes = &mut self.journal.notes;
        notes.abandoned.push(id.to_string());
        notes.new = None;
        for store in &mut notes.stores {
            store.holds = false;
        }
        let step = notes.step;
        self.journal.save(step)?;
        Ok(None)
    }

    /// R: makes a key, and its record with a short expiry.
    fn make(&mut self, old: &Record) -> Result<NewKey> {
        let pepper = self.journal.notes.pepper(&self.gate)?;
        let mut salt = [0; 32];
        entropy(&mut salt)?;
        let key = NewKey::of_rotation(self.gate.prefix, pepper, &RotationSalt(salt));
        self.journal.notes.new = Some(NewKeyNote { id: key.id().to_string(), salt, expiry: None });
        self.record(old, &key)?;
        Ok(key)
    }

    fn record(&mut self, old: &Record, key: &NewKey) -> Result<()> {
        let now = (self.gate.clock)()?;
        check_in_use(old, now, self.gate.records.option())?;
        let expiry = self.journal.notes.expiry.from(now);
        let digest = self.journal.notes.pepper(&self.gate)?.digest(&key.as_presented());
        if let Some(note) = &mut self.journal.notes.new {
            note.expiry = expiry.map(UnixSeconds::seconds);
        }
        let record = successor(old, key.id(), digest, Some(provisional(now, expiry)), now);
        self.journal.save(Step::Recording)?;
        self.gate.records.write(&record)?;
        self.journal.save(Step::Recorded)
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

    /// The stores that get the new key.
    fn receivers(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|target| !self.journal.notes.is_left_out(&target.uri))
    }

    /// P: puts the key into every store that does not hold it.
    fn deliver(&mut self, key: &str) -> Result<()> {
        let ours = self.ours()?;
        let (targets, journal) = (&self.targets, &mut self.journal);
        for target in targets.iter() {
            if journal.notes.is_left_out(&target.uri) {
                continue;
            }
            let to_replace = match target.look(key, &ours, self.gate.prefix)? {
                Found::Text => None,
                Found::Ours(seen) => Some(seen),
                Found::Unseen(seen) => (!journal.notes.holds(&target.uri)).then_some(seen),
                Found::Other | Found::Nothing => return Err(target.conflict(self.old)),
            };
            if let Some(seen) = to_replace {
                // What cannot take the key has been given nothing.
                target.can_take()?;
                journal.note(Step::Delivering, &target.uri, |note| {
                    note.begun = true;
                    note.revision.clone_from(&seen.revision);
                })?;
                target.replace(key, &seen)?;
            }
            journal.note(Step::Delivering, &target.uri, |note| note.holds = true)?;
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
        Targets::confirm(self.receivers(), key, self.old, self.gate.prefix)?;
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
        let old = ended(&before, new.id, self.journal.notes.grace_secs, (self.gate.clock)()?);
        self.gate.records.write(&old)?;
        self.journal.save(Step::Ended)?;
        Ok(Finished { new, old, diverged })
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
        let untouched = self.journal.is_new && !notes.stores.iter().any(|store| store.begun);
        if untouched && matches!(notes.step, Step::Checked | Step::Recording) && !error.is_unanswered() {
            // A journal that stays is in the way of the next attempt, no more.
            let _ = self.journal.finish();
            return error;
        }
        let (holds, all) = (notes.holding().len(), notes.stores().len());
        let so_far = match notes.step {
            Step::Ended => format!("every secret store holds the new key, which has replaced key {old}"),
            Step::Ending => {
                format!("every secret store holds the new key, and may have replaced key {old}")
            }
            _ if !self.is_old_in_use => format!("{holds} of {all} secret stores hold the new key"),
            _ => format!(
                "{holds} of {all} secret stores hold the new key, and key {old} works as before: no secret store is without a key that works"
            ),
        };
        let finishes =
            format!("{}; then {} finishes the rotation", error.remedy(), self.journal.resume_command());
        let remedy = match notes.step {
            Step::Ending | Step::Ended => finishes,
            // An undo would have no old key to put back.
            _ if holds > 0 && notes.hidden.is_none() => {
                format!("{finishes}; or {} without the store that fails", self.journal.correct_command())
            }
            _ => format!("{finishes}; or without that {} takes it back", self.journal.undo_command()),
        };
        error.and(so_far, remedy)
    }
}
