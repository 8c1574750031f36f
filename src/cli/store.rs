//! Where records are kept, as the commands see it.

use std::slice;

use keygate_core::key::{KV_NAME_PREFIX, KeyId};
use keygate_core::record::Record;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::entry::{self, Entry, Metadata};
use crate::error::{Error, Outcome};
use crate::progress::Progress;

/// A KV namespace that holds records.
pub(crate) trait Store {
    /// What stands under each of `names`, in their order; `None` where nothing does.
    ///
    /// # Errors
    /// The store could not be asked; this is never the same as `None`.
    fn entries(&self, names: &[String]) -> Outcome<Vec<Option<Stored>>>;

    /// What stands under `name`.
    ///
    /// # Errors
    /// As [`Store::entries`].
    fn entry(&self, name: &str) -> Outcome<Option<Stored>> {
        Ok(self.entries(&[name.to_owned()])?.pop().flatten())
    }

    /// Writes the entries, over what stood there.
    ///
    /// # Errors
    /// Some or all may not have been written.
    fn write(&self, entries: &[Entry]) -> Outcome<()>;

    /// Gives every entry whose name begins with `prefix`, without its value, to `page`, some at a time.
    ///
    /// # Errors
    /// The store could not be asked, or `page` failed.
    fn list(&self, prefix: &str, page: &mut dyn FnMut(Vec<Listed>) -> Outcome<()>) -> Outcome<()>;

    /// What the store is, for messages.
    fn place(&self) -> &str;

    /// The ids of the account and of the namespace; `None` for the store of the local gate.
    fn deployed_at(&self) -> Option<(&str, &str)> {
        None
    }

    /// Whether it is the store of a deployed gate.
    fn is_remote(&self) -> bool {
        self.deployed_at().is_some()
    }

    /// Whether the deployed gate of this store has a secret of this name; `None` for the local gate.
    ///
    /// # Errors
    /// Cloudflare could not be asked.
    fn gate_has(&self, _secret: &str) -> Outcome<Option<bool>> {
        Ok(None)
    }

    /// The option for this store, after a command that a message names.
    fn option(&self) -> &'static str {
        if self.is_remote() { " --remote" } else { "" }
    }
}

/// An entry as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Stored {
    pub(crate) value: String,
    /// `None` when there is none, or none that Keygate wrote.
    #[serde(default, deserialize_with = "own_metadata")]
    pub(crate) metadata: Option<Metadata>,
}

/// An entry as a listing shows it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Listed {
    pub(crate) name: String,
    /// As [`Stored::metadata`].
    #[serde(default, deserialize_with = "own_metadata")]
    pub(crate) metadata: Option<Metadata>,
}

fn own_metadata<'de, D: Deserializer<'de>>(metadata: D) -> Result<Option<Metadata>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(metadata)?).ok())
}

impl Listed {
    /// The record that its value is.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn record(&self, value: &str) -> Result<Record, String> {
        let id = self.id().parse::<KeyId>().map_err(|e| e.to_string())?;
        Record::parse_entry(id, value).map_err(|e| format!("is not a valid record: {e}"))
    }

    /// The id in the name.
    pub(crate) fn id(&self) -> &str {
        self.name.strip_prefix(KV_NAME_PREFIX).unwrap_or(&self.name)
    }
}

/// What is done with a key's listing and entry, while a count is shown.
pub(crate) type EachEntry<'e> = dyn FnMut(&Progress, &Listed, Option<Stored>) -> Outcome<()> + 'e;

/// Gives every key's listing and entry to `each`, and counts them at a terminal: `counted` says what was done to them.
///
/// # Errors
/// The store could not be asked, or `each` failed.
pub(crate) fn each_entry(store: &dyn Store, counted: &'static str, each: &mut EachEntry<'_>) -> Outcome<()> {
    each_entry_of(store, counted, &|_| true, each)
}

/// As [`each_entry`], of the keys that `may_be` meant by their metadata. Where there is none, the entry is read.
fn each_entry_of(
    store: &dyn Store,
    counted: &'static str,
    may_be: &dyn Fn(&Metadata) -> bool,
    each: &mut EachEntry<'_>,
) -> Outcome<()> {
    let progress = Progress::counting(counted, None);
    store.list(KV_NAME_PREFIX, &mut |mut page| {
        progress.add(page.len());
        page.retain(|listed| listed.metadata.as_ref().is_none_or(may_be));
        let names: Vec<String> = page.iter().map(|listed| listed.name.clone()).collect();
        for (listed, stored) in page.iter().zip(store.entries(&names)?) {
            each(&progress, listed, stored)?;
        }
        Ok(())
    })?;
    progress.finish();
    Ok(())
}

/// Gives every record to `each` that `may_be` meant by its metadata, with the entry that it was read from.
///
/// # Errors
/// As [`each_entry`], or there is an entry that is no record.
pub(crate) fn each_record(
    store: &dyn Store,
    may_be: &dyn Fn(&Metadata) -> bool,
    each: &mut dyn FnMut(Record, Stored),
) -> Outcome<()> {
    each_entry_of(store, "looked at", may_be, &mut |_, listed, stored| {
        if let Some(stored) = stored {
            let id = listed.id().parse::<KeyId>().map_err(|e| {
                Error::failed(
                    format!("the entry {} is not named by a key id: {e}", listed.name),
                    "delete the entry",
                )
            })?;
            each(entry::read(id, &stored.value)?, stored);
        }
        Ok(())
    })
}

/// The record of a key that must be there, and the entry that it was read from.
///
/// # Errors
/// There is no such key, its record cannot be read, or the store could not be asked.
pub(crate) fn record(store: &dyn Store, id: KeyId) -> Outcome<(Record, Stored)> {
    match store.entry(&id.kv_name())? {
        Some(stored) => Ok((entry::read(id, &stored.value)?, stored)),
        None => Err(Error::failed(
            format!("there is no key {id} in {}", store.place()),
            if store.is_remote() {
                "see `keygate list --remote`, and `--env NAME` for another environment; a key that was just issued can take a minute to be seen"
            } else {
                "see `keygate list`; keys of the deployed gate need `--remote`, keys of another environment `--env NAME`"
            },
        )),
    }
}

/// Writes one entry. Where no answer came it is looked whether it was written, so that what was done is not undone.
///
/// # Errors
/// It was not written; or, where the error is [`Error::is_unanswered`], nobody can say.
pub(crate) fn write_surely(store: &dyn Store, entry: &Entry) -> Outcome<()> {
    let Err(error) = store.write(slice::from_ref(entry)) else {
        return Ok(());
    };
    match error.is_unanswered().then(|| store.entry(&entry.key)) {
        Some(Ok(Some(now))) if now.value == entry.value => Ok(()),
        _ => Err(error),
    }
}

/// For tests: a record, and a store that is a map, a log of what was written, and a count after which writing fails.
#[cfg(test)]
pub(crate) mod fake {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    use keygate_core::key::KeyId;
    use keygate_core::key::digest::Digest;
    use keygate_core::record::Record;
    use keygate_core::record::token::Subject;
    use keygate_core::time::UnixSeconds;

    use super::{Listed, Store, Stored};
    use crate::entry::Entry;
    use crate::error::{Error, Outcome};

    pub(crate) fn at(seconds: u64) -> UnixSeconds {
        UnixSeconds::new(seconds).unwrap()
    }

    /// The record of an active key of acme's, made with the pepper 01234567 at second 1.
    pub(crate) fn record(change: impl FnOnce(&mut Record)) -> Record {
        let digest = format!("hs256.01234567.{}", "A".repeat(43)).parse::<Digest>().unwrap();
        let id = "4fTz0Qw9Lr2K".parse::<KeyId>().unwrap();
        let mut record = Record::new(id, "acme".parse::<Subject>().unwrap(), digest, at(1));
        change(&mut record);
        record
    }

    #[derive(Default)]
    pub(crate) struct FakeStore {
        pub(crate) entries: RefCell<BTreeMap<String, Entry>>,
        pub(crate) written: RefCell<Vec<String>>,
        pub(crate) fails_after: Cell<Option<usize>>,
        pub(crate) remote: Cell<bool>,
    }

    impl Store for FakeStore {
        fn entries(&self, names: &[String]) -> Outcome<Vec<Option<Stored>>> {
            let entries = self.entries.borrow();
            let stored =
                |entry: &Entry| Stored { value: entry.value.clone(), metadata: entry.metadata.clone() };
            Ok(names.iter().map(|name| entries.get(name).map(stored)).collect())
        }

        fn write(&self, entries: &[Entry]) -> Outcome<()> {
            for entry in entries {
                if self.fails_after.get() == Some(self.written.borrow().len()) {
                    return Err(Error::failed("the store failed", "try again"));
                }
                self.written.borrow_mut().push(entry.key.clone());
                self.entries.borrow_mut().insert(entry.key.clone(), entry.clone());
            }
            Ok(())
        }

        fn list(&self, prefix: &str, page: &mut dyn FnMut(Vec<Listed>) -> Outcome<()>) -> Outcome<()> {
            let entries = self.entries.borrow();
            let listed = |(name, entry): (&String, &Entry)| Listed {
                name: name.clone(),
                metadata: entry.metadata.clone(),
            };
            let begins = |(name, _): &(&String, _)| name.starts_with(prefix);
            page(entries.iter().filter(begins).map(listed).collect())
        }

        fn place(&self) -> &'static str {
            "the fake store"
        }

        fn deployed_at(&self) -> Option<(&str, &str)> {
            self.remote.get().then_some(("account", "namespace"))
        }
    }
}
