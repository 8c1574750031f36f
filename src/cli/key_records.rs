//! The store, as a rotation reads and writes it: records, with the revision of what was read last.

use std::cell::RefCell;
use std::collections::BTreeMap;

use keygate_core::key::KeyId;
use keygate_core::record::Record;
use keygate_delivery::rotation::KeyRecords;

use crate::entry::{self, Entry};
use crate::error::Outcome;
use crate::revision;
use crate::store::{self, Store, Stored};

/// The records of a store.
pub(crate) struct StoreRecords<'s> {
    store: &'s dyn Store,
    operator: Option<&'s str>,
    /// What was read or written last.
    seen: RefCell<BTreeMap<KeyId, Seen>>,
}

enum Seen {
    Read(Stored),
    Wrote(Stored),
}

impl Seen {
    fn stored(&self) -> &Stored {
        match self {
            Self::Read(stored) | Self::Wrote(stored) => stored,
        }
    }
}

impl<'s> StoreRecords<'s> {
    /// The records that are written by `operator`.
    pub(crate) fn new(store: &'s dyn Store, operator: Option<&'s str>) -> Self {
        Self { store, operator, seen: RefCell::default() }
    }

    fn saw(&self, id: KeyId, seen: Seen) {
        self.seen.borrow_mut().insert(id, seen);
    }
}

impl KeyRecords for StoreRecords<'_> {
    fn find(&self, id: KeyId) -> Outcome<Option<Record>> {
        let Some(stored) = self.store.entry(&id.kv_name())? else {
            return Ok(None);
        };
        let record = entry::read(id, &stored.value)?;
        self.saw(id, Seen::Read(stored));
        Ok(Some(record))
    }

    fn get(&self, id: KeyId) -> Outcome<Record> {
        let (record, stored) = store::record(self.store, id)?;
        self.saw(id, Seen::Read(stored));
        Ok(record)
    }

    fn write(&self, record: &Record) -> Outcome<()> {
        let entry = {
            let seen = self.seen.borrow();
            let seen = seen.get(&record.id).map(Seen::stored);
            Entry::of(record, revision::next(self.store, seen, self.operator))?
        };
        store::write_surely(self.store, &entry)?;
        self.saw(record.id, Seen::Wrote(Stored { value: entry.value, metadata: entry.metadata }));
        Ok(())
    }

    fn option(&self) -> &'static str {
        self.store.option()
    }

    fn check_unchanged(&self, id: KeyId) -> Outcome<()> {
        let name = id.kv_name();
        match self.seen.borrow().get(&id) {
            Some(Seen::Read(seen)) => revision::unchanged(self.store, &name, seen)?,
            // Its metadata may not be read back, and the entry itself may not be seen yet.
            Some(Seen::Wrote(wrote)) => match self.store.entry(&name)? {
                Some(now) if now.value != wrote.value => {
                    return Err(revision::changed(self.store, &name, wrote, &now));
                }
                _ => {}
            },
            None => {}
        }
        Ok(())
    }
}
