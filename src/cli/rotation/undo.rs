//! Taking a rotation back: the old key wherever a new one may be, and only then no new key.

use keygate_core::key::KeyId;
use keygate_core::record::{Record, State};

use crate::entry;
use crate::fault::{Fault, Outcome};
use crate::fields;
use crate::rotation::journal::Step;
use crate::rotation::targets::Found;
use crate::rotation::{Rotation, check_in_use};
use crate::store;

impl Rotation<'_> {
    /// Whether somebody has begun to take it back.
    pub(crate) fn is_undoing(&self) -> bool {
        matches!(self.journal.notes.step, Step::Undoing | Step::Restored)
    }

    /// Puts the old key back, and revokes the new one.
    ///
    /// # Errors
    /// The old key has its end already, or is in no place any more, or something failed: the journal is there, and every
    /// place has a key that works.
    pub(crate) fn undo(mut self) -> Outcome<()> {
        match self.take_back() {
            Ok(()) => self.journal.finish(),
            Err(fault) => {
                let old = &self.journal.notes.old;
                let remedy = format!("{}; then `keygate rotate --undo {old}` once more", fault.remedy());
                Err(fault.and("the rotation is not undone", remedy))
            }
        }
    }

    fn take_back(&mut self) -> Outcome<()> {
        let (old, _) = store::record(self.ground.store, self.old)?;
        if old.replaced_by.is_some() && old.replaced_by == self.new_id()? {
            return Err(Fault::failed(
                format!("key {} has its end already", self.old),
                format!("finish instead: `keygate rotate --resume {}`", self.old),
            ));
        }
        if let Some(by) = old.replaced_by {
            // The places are somebody else's by now, who put another key there.
            self.check_given_up(by)?;
        } else if self.journal.notes.step != Step::Restored {
            self.restore(&old)?;
            self.journal.save(Step::Restored)?;
        }
        let notes = &self.journal.notes;
        for id in notes.abandoned.iter().chain(&notes.new) {
            self.revoke(fields::id(id)?)?;
        }
        Ok(())
    }

    /// No place may hold a new key of this rotation that would be revoked.
    fn check_given_up(&self, by: KeyId) -> Outcome<()> {
        let notes = &self.journal.notes;
        let new: Vec<KeyId> =
            notes.abandoned.iter().chain(&notes.new).map(|id| fields::id(id)).collect::<Outcome<_>>()?;
        let mut good = Vec::new();
        for id in &new {
            if let Some(stored) = self.ground.store.entry(&id.kv_name())?
                && entry::read(*id, &stored.value)?.state == State::Active
            {
                good.push(id.to_string());
            }
        }
        for (target, place) in self.targets.iter().zip(&notes.places) {
            let remedy = match target.look("", &new, self.ground.prefix)? {
                Found::Ours(_) => format!("put key {by} there, or the one that is meant to be there"),
                Found::Unseen(_) if place.begun && !good.is_empty() => {
                    format!(
                        "put key {by} there, and revoke what it may hold: `keygate revoke {}`",
                        good.join("`, `keygate revoke ")
                    )
                }
                Found::Text | Found::Unseen(_) | Found::Foreign => continue,
            };
            return Err(Fault::failed(
                format!(
                    "key {} has been replaced by {by} in the meantime, and {} may hold a key of this rotation",
                    self.old, target.uri
                ),
                remedy,
            ));
        }
        Ok(())
    }

    /// The old key in every place that may hold a new one.
    fn restore(&mut self, old: &Record) -> Outcome<()> {
        if !self.journal.notes.places.iter().any(|place| place.begun) {
            return Ok(());
        }
        check_in_use(old, (self.ground.clock)()?)?;
        let Some(key) = self.targets.find(old, &self.ground)? else {
            return Err(self.not_kept());
        };
        // From here on a resumption undoes as well: while it does, one place at least has the old key.
        self.journal.save(Step::Undoing)?;
        let ours = self.ours()?;
        let begun = |at: usize| self.journal.notes.places.get(at).is_some_and(|place| place.begun);
        for (at, target) in self.targets.iter().enumerate() {
            match target.look(&key, &ours, self.ground.prefix)? {
                Found::Ours(held) => target.replace(&key, &held)?,
                Found::Unseen(held) if begun(at) => target.replace(&key, &held)?,
                Found::Text | Found::Unseen(_) => {}
                Found::Foreign => return Err(target.conflict(self.old)),
            }
        }
        for target in self.targets.iter().filter(|target| target.can_look()) {
            target.tidy();
            match target.look(&key, &[], self.ground.prefix)? {
                Found::Text => {}
                Found::Ours(_) | Found::Unseen(_) | Found::Foreign => return Err(target.conflict(self.old)),
            }
        }
        Ok(())
    }

    fn not_kept(&self) -> Fault {
        Fault::failed(
            format!("no place that can be read holds key {} any more", self.old),
            format!("finish instead: `keygate rotate --resume {}`", self.old),
        )
    }
}
