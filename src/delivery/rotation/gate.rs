//! The gate whose keys are rotated.

use keygate_core::key::pepper::Peppers;
use keygate_core::key::{KeyId, KeyPrefix};
use keygate_core::record::Record;
use keygate_core::time::UnixSeconds;

use crate::error::{Error, Result};

/// The records of a gate's keys.
pub trait KeyRecords {
    /// Reads a record; `None` where there is none.
    ///
    /// # Errors
    /// The records cannot be read, or this one is invalid.
    fn find(&self, id: KeyId) -> Result<Option<Record>>;

    /// Reads a record that must be there.
    ///
    /// # Errors
    /// As [`KeyRecords::find`], or there is none.
    fn get(&self, id: KeyId) -> Result<Record>;

    /// Writes a record over the one that was read last, or where there was none.
    ///
    /// # Errors
    /// It was not written; or, where the error is [`Error::is_unanswered`], nobody can say.
    fn write(&self, record: &Record) -> Result<()>;

    /// The option for their store, with a space before it, after a command that a message names; empty where none is needed.
    fn option(&self) -> &'static str;

    /// Makes sure that a record is as it was read or written last.
    ///
    /// # Errors
    /// Somebody changed it, or it cannot be read.
    fn check_unchanged(&self, id: KeyId) -> Result<()>;
}

/// What a rotation knows of the gate.
#[derive(Clone, Copy)]
pub struct Gate<'g> {
    /// The records of its keys.
    pub records: &'g dyn KeyRecords,
    /// The prefix of its keys.
    pub prefix: &'g KeyPrefix,
    /// Its peppers.
    pub peppers: &'g Peppers,
    /// The clock: delivering takes time.
    pub clock: fn() -> Result<UnixSeconds>,
}

/// The id of a key.
pub(crate) fn key_id(text: &str) -> Result<KeyId> {
    text.parse()
        .map_err(|_| Error::usage("this is no key id", "give the 12 characters after the key's prefix"))
}
