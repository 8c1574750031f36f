//! Taking a rotation back: the old key wherever a new one may be, and only then no new key.

use keygate_core::key::KeyId;
use keygate_core::record::{Record, State};

use crate::error::{Error, Result};
use crate::rotation::notes::Step;
use crate::rotation::run::Rotation;
use crate::rotation::succession::check_in_use;
use crate::rotation::targets::Found;

impl Rotation<'_> {
    /// Whether somebody has begun to take it back.
    #[must_use]
    pub fn is_undoing(&self) -> bool {
        matches!(self.journal.notes.step, Step::Undoing | Step::Restored)
    }

    /// Puts the old key back, and revokes the new one.
    ///
    /// # Errors
    /// The old key has its expiry already, or is in no store any more, or something failed: the journal is there, and every
    /// store has a key that works.
    pub fn undo(mut self) -> Result<()> {
        match self.take_back() {
            Ok(()) => self.journal.finish(),
            Err(error) => {
                let old = self.old;
                let remedy = format!("{}; then `keygate rotate --undo {old}` once more", error.remedy());
                Err(error.and("the rotation is not undone", remedy))
            }
        }
    }

    fn take_back(&mut self) -> Result<()> {
        let old = self.gate.records.get(self.old)?;
        if old.replaced_by.is_some() && old.replaced_by == self.journal.notes.new_id()? {
            return Err(Error::failed(
                format!("key {} has its expiry already", self.old),
                format!("finish instead: `keygate rotate --resume {}`", self.old),
            ));
        }
        if let Some(by) = old.replaced_by {
            // The stores are somebody else's by now, who put another key there.
            self.check_given_up(by)?;
        } else if self.journal.notes.step != Step::Restored {
            self.restore(&old)?;
            self.journal.save(Step::Restored)?;
        }
        self.journal.notes.new_ids()?.into_iter().try_for_each(|id| self.revoke(id))
    }

    /// No store may hold a new key of this rotation that would be revoked.
    fn check_given_up(&self, by: KeyId) -> Result<()> {
        let new = self.journal.notes.new_ids()?;
        let mut valid = Vec::new();
        for id in &new {
            if self.gate.records.find(*id)?.is_some_and(|record| record.state == State::Active) {
                valid.push(id.to_string());
            }
        }
        for target in self.targets.iter() {
            let remedy = match target.look("", &new, self.gate.prefix)? {
                Found::Ours(_) => format!("put key {by} there, or the one that is meant to be there"),
                Found::Unseen(_) if self.journal.notes.is_begun(&target.uri) && !valid.is_empty() => {
                    format!(
                        "put key {by} there, and revoke what it may hold: `keygate revoke {}`",
                        valid.join("`, `keygate revoke ")
                    )
                }
                Found::Text | Found::Unseen(_) | Found::Other => continue,
            };
            return Err(Error::failed(
                format!(
                    "key {} has been replaced by {by} in the meantime, and {} may hold a key of this rotation",
                    self.old, target.uri
                ),
                remedy,
            ));
        }
        Ok(())
    }

    /// The old key in every store that may hold a new one.
    fn restore(&mut self, old: &Record) -> Result<()> {
        if !self.journal.notes.stores.iter().any(|store| store.begun) {
            return Ok(());
        }
        check_in_use(old, (self.gate.clock)()?)?;
        let Some(key) = self.targets.find(old, &self.gate)? else {
            return Err(self.not_kept());
        };
        // From here on a resumption undoes as well: while it does, one store at least has the old key.
        self.journal.save(Step::Undoing)?;
        let ours = self.ours()?;
        for target in self.targets.iter() {
            match target.look(&key, &ours, self.gate.prefix)? {
                Found::Ours(seen) => target.replace(&key, &seen)?,
                Found::Unseen(seen) if self.journal.notes.is_begun(&target.uri) => {
                    target.replace(&key, &seen)?;
                }
                Found::Text | Found::Unseen(_) => {}
                Found::Other => return Err(target.conflict(self.old)),
            }
        }
        self.targets.tidy();
        self.targets.confirm(&key, self.old, self.gate.prefix)
    }

    fn not_kept(&self) -> Error {
        Error::failed(
            format!("no secret store that can be read holds key {} any more", self.old),
            format!("finish instead: `keygate rotate --resume {}`", self.old),
        )
    }
}
