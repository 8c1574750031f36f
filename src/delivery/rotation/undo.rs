//! Taking a rotation back: the old key wherever a new one is, and only then no new key.
//!
//! It needs no store that cannot be looked at. Such a store keeps what it has, and whoever takes the rotation back is told of it.

use keygate_core::key::KeyId;
use keygate_core::record::Record;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::key_status::KeyStatus;
use crate::rotation::notes::Step;
use crate::rotation::run::Rotation;
use crate::rotation::succession::check_in_use;
use crate::rotation::targets::{Found, Target, is_key_of};

/// A rotation that was taken back.
#[derive(Debug)]
pub struct Undone {
    /// The new key, which is revoked; none where none was made.
    pub new: Option<KeyId>,
    /// The key that the secret stores should hold, if there is one in use.
    pub meant: Option<KeyId>,
    /// The URIs of the secret stores that may hold the new key: they could not be looked at, or showed nothing, or no key in use
    /// was there for them.
    pub unseen: Vec<String>,
}

impl Rotation<'_> {
    /// Whether somebody has begun to take it back.
    #[must_use]
    pub fn is_undoing(&self) -> bool {
        matches!(self.journal.notes.step, Step::Undoing | Step::Restored)
    }

    /// Puts the old key back where that can be done, and revokes the new one.
    ///
    /// # Errors
    /// The old key has been replaced, or a store would be left without a valid key, or the records could not be changed: the
    /// journal is there, and every store has a key that works.
    pub fn undo(mut self) -> Result<Undone> {
        match self.take_back() {
            Ok(undone) => {
                self.journal.finish()?;
                Ok(undone)
            }
            Err(error) => {
                let remedy = error.remedy().to_owned();
                Err(error.and("the rotation is not undone", remedy))
            }
        }
    }

    fn take_back(&mut self) -> Result<Undone> {
        let old = self.gate.records.find(self.old).map_err(|error| self.once_more(&error))?;
        let new = self.journal.notes.new_id()?;
        let replaced_by = old.as_ref().and_then(|old| old.replaced_by);
        if replaced_by.is_some() && replaced_by == new {
            return Err(Error::failed(
                format!("key {} has been replaced by {} already", self.old, self.new_id_text()),
                self.finish_instead(),
            ));
        }
        let is_in_use = self.check_in_use(old.as_ref())?.is_ok();
        let meant = replaced_by.or(is_in_use.then_some(self.old));
        if let Some(by) = replaced_by {
            // The stores are somebody else's by now, who put another key there.
            self.check_given_up(by)?;
        } else if self.journal.notes.step != Step::Restored {
            let restored = self.restore(old.as_ref());
            if restored.is_err() && self.journal.notes.step == Step::Undoing {
                // Both keys work, so the way forward is open too.
                self.journal.save(Step::Delivering)?;
            }
            restored?;
            self.journal.save(Step::Restored)?;
        }
        let unseen = self.unseen()?;
        for id in self.journal.notes.new_ids()? {
            self.revoke(id).map_err(|error| self.once_more(&error))?;
        }
        self.targets.tidy();
        Ok(Undone { new, meant, unseen })
    }

    /// The stores that may have got a new key.
    fn begun(&self) -> impl Iterator<Item = &Target> {
        self.targets.iter().filter(|target| self.journal.notes.is_begun(&target.uri))
    }

    /// The stores that may hold a new key all the same.
    fn unseen(&self) -> Result<Vec<String>> {
        let new = self.journal.notes.new_ids()?;
        let is_free = |target: &&Target| {
            matches!(target.look("", &new, self.gate.prefix), Ok(Found::Text | Found::Other))
        };
        Ok(self.begun().filter(|target| !is_free(target)).map(|target| target.uri.clone()).collect())
    }

    /// Whether a new key is in use. Where somebody has ended it, nothing is lost by revoking it.
    fn is_new_in_use(&self) -> Result<bool> {
        let now = (self.gate.clock)()?;
        for id in self.journal.notes.new_ids()? {
            let record = self.gate.records.find(id).map_err(|error| self.once_more(&error))?;
            if record.is_some_and(|record| KeyStatus::of_record(&record, now) == KeyStatus::Active) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// No store that can be read may hold a new key of this rotation that would be revoked.
    fn check_given_up(&self, by: KeyId) -> Result<()> {
        let new = self.journal.notes.new_ids()?;
        let is_ours =
            |target: &&Target| matches!(target.look("", &new, self.gate.prefix), Ok(Found::Ours(_)));
        match self.begun().find(is_ours) {
            Some(target) if self.is_new_in_use()? => Err(Error::failed(
                format!(
                    "key {} has been replaced by {by} in the meantime, and {} holds a key of this rotation",
                    self.old, target.uri
                ),
                format!(
                    "put key {by} there, or the one that is meant to be there; then {} once more",
                    self.journal.undo_command()
                ),
            )),
            _ => Ok(()),
        }
    }

    /// The old key in every store that holds a new one, and in each that may, where that can be done.
    fn restore(&mut self, old: Option<&Record>) -> Result<()> {
        let new = self.journal.notes.new_ids()?;
        let (mut holding, mut commands) = (Vec::new(), Vec::new());
        for target in self.targets.iter().filter(|target| self.journal.notes.is_begun(&target.uri)) {
            match target.look("", &new, self.gate.prefix) {
                Ok(Found::Ours(seen)) => holding.push((target, seen)),
                Ok(Found::Unseen(seen)) => commands.push((target, seen)),
                // What shows nothing is named when all else is done; what somebody else wrote is theirs.
                Ok(Found::Text | Found::Other | Found::Nothing) | Err(_) => {}
            }
        }
        if holding.is_empty() && commands.is_empty() {
            return Ok(());
        }
        // Of a command it is known only from the journal.
        let is_held =
            !holding.is_empty() || commands.iter().any(|(target, _)| self.journal.notes.holds(&target.uri));
        let is_in_use = self.check_in_use(old)?;
        if is_in_use.is_ok() && self.journal.notes.hidden.is_some() && self.is_new_in_use()? {
            // Another pepper than the rotation's shows nothing, which is not to be taken for an old key that is lost.
            self.journal.notes.pepper(&self.gate).map_err(|error| self.once_more(&error))?;
        }
        let key = match is_in_use.and_then(|old| self.old_key(old)) {
            Ok(Some(key)) => key,
            // A command's store keeps what it has.
            Ok(None) | Err(_) if !is_held || !self.is_new_in_use()? => return Ok(()),
            Ok(None) => {
                return Err(Error::failed(
                    format!(
                        "a secret store holds the new key, and none that can be read holds key {} any more",
                        self.old
                    ),
                    format!(
                        "{}, or without the store that fails: {}",
                        self.finish_instead(),
                        self.journal.correct_command()
                    ),
                ));
            }
            Err(error) => return Err(self.or_finish(&error)),
        };
        // From here on a resumption undoes as well: while it does, one store at least has the old key.
        self.journal.save(Step::Undoing)?;
        for (target, seen) in &holding {
            target.replace(&key, seen).map_err(|error| self.or_finish(&error))?;
        }
        for (target, seen) in &commands {
            if target.can_take().and_then(|()| target.replace(&key, seen)).is_ok() {
                self.journal
                    .note(Step::Undoing, &target.uri, |note| (note.begun, note.holds) = (false, false))?;
            }
        }
        Ok(())
    }

    /// The old record, if its key is in use.
    fn check_in_use<'r>(&self, old: Option<&'r Record>) -> Result<Result<&'r Record>> {
        let now = (self.gate.clock)()?;
        let Some(old) = old else {
            return Ok(Err(self.gone()));
        };
        Ok(check_in_use(old, now, self.gate.records.option()).map(|()| old))
    }

    /// The old key, from the journal or a store that has it.
    fn old_key(&self, old: &Record) -> Result<Option<Zeroizing<String>>> {
        match self.journal.notes.hidden_key(&self.gate) {
            Some(key) if is_key_of(&key, old, &self.gate)? => Ok(Some(key)),
            _ => self.targets.find(old, &self.gate),
        }
    }

    fn new_id_text(&self) -> String {
        self.journal.notes.new.as_ref().map(|new| new.id.clone()).unwrap_or_default()
    }

    fn once_more(&self, error: &Error) -> Error {
        let remedy = format!("{}; then {} once more", error.remedy(), self.journal.undo_command());
        Error::failed(error.problem(), remedy)
    }

    fn finish_instead(&self) -> String {
        format!("finish instead: {}", self.journal.resume_command())
    }

    fn or_finish(&self, error: &Error) -> Error {
        let error = self.once_more(error);
        Error::failed(error.problem(), format!("{}; or {}", error.remedy(), self.finish_instead()))
    }
}
