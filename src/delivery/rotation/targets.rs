//! The secret stores of one rotation, and whose key each of them holds.

use keygate_core::key::digest::ImportedKey;
use keygate_core::key::pepper::DigestMatch;
use keygate_core::key::{Key, KeyId, KeyPrefix};
use keygate_core::record::Record;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::open::open;
use crate::rotation::gate::Gate;
use crate::rotation::notes::Notes;
use crate::secret_store::{CommandEnvironment, SecretStore, StoredSecret};
use crate::store_uri::StoreUri;

/// A secret store, and its name for messages.
pub(super) struct Target {
    pub(super) uri: String,
    store: Box<dyn SecretStore>,
}

/// What a store holds, as far as a rotation is concerned.
pub(super) enum Found {
    /// The very text that was asked for.
    Text,
    /// A key of this rotation: the old one, or a new one that was given up.
    Ours(StoredSecret),
    /// It cannot be looked at.
    Unseen(StoredSecret),
    /// Something else.
    Other,
    /// Nothing, as of a folder that is not mounted.
    Nothing,
}

/// A store that could not be opened.
struct Unopened(Error);

impl SecretStore for Unopened {
    fn read(&self) -> Result<StoredSecret> {
        Err(self.0.clone())
    }

    fn check_writable(&self) -> Result<()> {
        Err(self.0.clone())
    }

    fn put(&self, _: &str, _: &StoredSecret) -> Result<()> {
        Err(self.0.clone())
    }
}

/// All secret stores of a rotation, in the order in which they were named.
pub struct Targets(Vec<Target>);

impl Targets {
    /// Opens each store; a command is run in the `environment`.
    ///
    /// # Errors
    /// One is named twice, or cannot be opened.
    pub fn open(uris: &[StoreUri], environment: &CommandEnvironment) -> Result<Self> {
        let mut targets: Vec<Target> = Vec::new();
        for uri in uris {
            let name = uri.to_string();
            if targets.iter().any(|target| target.uri == name) {
                return Err(Error::usage(
                    format!("--to {name} is given twice"),
                    "name each secret store once",
                ));
            }
            targets.push(Target { uri: name, store: open(uri, environment)? });
        }
        Ok(Self(targets))
    }

    /// Opens the stores of a journal. One that cannot be opened is one that can be neither read nor written.
    ///
    /// # Errors
    /// What every command needs is wrong, as its time limit: then nothing is done.
    pub fn of_journal(uris: &[String], environment: &CommandEnvironment) -> Result<Self> {
        let target = |uri: &String| {
            let parsed = StoreUri::parse(uri);
            let is_command = matches!(parsed, Ok(StoreUri::Exec { .. }));
            let store = match parsed.and_then(|parsed| open(&parsed, environment)) {
                Err(error) if is_command => return Err(error),
                opened => opened.unwrap_or_else(|error| Box::new(Unopened(error))),
            };
            Ok(Target { uri: uri.clone(), store })
        };
        uris.iter().map(target).collect::<Result<_>>().map(Self)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Target> {
        self.0.iter()
    }

    /// A: every store can be written, and holds the key of `old` where it can be looked at. Returns that key, if one can be.
    ///
    /// # Errors
    /// One cannot, or does not.
    pub fn check(&self, old: &Record, gate: &Gate<'_>) -> Result<Option<Zeroizing<String>>> {
        let mut found = None;
        for target in &self.0 {
            target.store.check_writable()?;
            if !target.is_readable() {
                continue;
            }
            let text = target.store.read()?.text.map(|text| Zeroizing::new(text.trim().to_owned()));
            found = match text {
                Some(text) if is_key_of(&text, old, gate)? => Some(text),
                _ => None,
            };
            if found.is_none() {
                return Err(Error::failed(
                    format!("{} does not hold key {}", target.uri, old.id),
                    format!(
                        "put it there first, or leave the secret store out; `keygate verify{}` says whose key a text is",
                        gate.records.option()
                    ),
                ));
            }
        }
        Ok(found)
    }

    /// For a first key: every store can be written, and holds nothing yet, unless it may be `overwrite`n. `option` is that of the records'
    /// store, for a command that an error names.
    ///
    /// # Errors
    /// One cannot, or does.
    pub fn check_free(&self, overwrite: bool, option: &str) -> Result<()> {
        for target in &self.0 {
            target.store.check_writable()?;
            if overwrite || !target.is_readable() {
                continue;
            }
            if target.store.read()?.text.is_some_and(|text| !text.trim().is_empty()) {
                return Err(Error::failed(
                    format!("{} holds something already", target.uri),
                    format!(
                        "if it is a key in use, rotate that: `keygate rotate ID --to URI{option}`; --overwrite writes over it"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Puts a first key into every store, and reads each back.
    ///
    /// # Errors
    /// One store did not take it.
    pub fn fill(&self, key: &str) -> Result<()> {
        for target in &self.0 {
            let seen = if target.is_readable() { target.store.read()? } else { StoredSecret::default() };
            target.replace(key, &seen)?;
        }
        Ok(())
    }

    /// Every one of these stores that can be read holds the key.
    ///
    /// # Errors
    /// One does not, or cannot be read.
    pub(super) fn confirm<'t>(
        targets: impl Iterator<Item = &'t Target>,
        key: &str,
        old: KeyId,
        prefix: &KeyPrefix,
    ) -> Result<()> {
        for target in targets.filter(|target| target.is_readable()) {
            if !matches!(target.look(key, &[], prefix)?, Found::Text) {
                return Err(target.conflict(old));
            }
        }
        Ok(())
    }

    /// Whether one of the stores holds the key; of those that cannot be read the journal says it.
    ///
    /// # Errors
    /// None does, and one could not be read.
    pub(super) fn hold(&self, key: &str, notes: &Notes) -> Result<bool> {
        if self.0.iter().any(|target| !target.is_readable() && notes.holds(&target.uri)) {
            return Ok(true);
        }
        let mut unknown = None;
        for target in self.0.iter().filter(|target| target.is_readable()) {
            match target.store.read() {
                Ok(held) if held.is(key) => return Ok(true),
                Ok(_) => {}
                Err(error) => unknown = Some(error),
            }
        }
        unknown.map_or(Ok(false), Err)
    }

    /// Removes what killed processes may have left beside the stores.
    pub(super) fn tidy(&self) {
        self.0.iter().for_each(|target| target.store.tidy());
    }

    /// The text of the old key, which `record` is of, from the first store that has it.
    ///
    /// # Errors
    /// No store has it, and one could not be asked.
    pub(super) fn find(&self, record: &Record, gate: &Gate<'_>) -> Result<Option<Zeroizing<String>>> {
        let mut unknown = None;
        for target in self.0.iter().filter(|target| target.is_readable()) {
            match target.store.read() {
                Ok(StoredSecret { text: Some(text), .. }) => {
                    let text = Zeroizing::new(text.trim().to_owned());
                    if is_key_of(&text, record, gate)? {
                        return Ok(Some(text));
                    }
                }
                Ok(StoredSecret { text: None, .. }) => {}
                Err(error) => unknown = Some(error),
            }
        }
        unknown.map_or(Ok(None), Err)
    }
}

impl Target {
    /// Makes sure of what can be told of a store before it is written to.
    ///
    /// # Errors
    /// It cannot be written to, and has been given nothing.
    pub(super) fn can_take(&self) -> Result<()> {
        self.store.check_writable()
    }

    pub(super) fn is_readable(&self) -> bool {
        self.store.is_readable()
    }

    /// Whether the store holds `text`, or else the key of one of `ours`.
    pub(super) fn look(&self, text: &str, ours: &[KeyId], prefix: &KeyPrefix) -> Result<Found> {
        if !self.is_readable() {
            return Ok(Found::Unseen(StoredSecret::default()));
        }
        let held = self.store.read()?;
        let id = match held.text.as_ref().map(|held| held.trim()) {
            Some(held) if held == text => return Ok(Found::Text),
            Some(held) => id_in(held, prefix),
            None => return Ok(Found::Nothing),
        };
        Ok(if id.is_some_and(|id| ours.contains(&id)) { Found::Ours(held) } else { Found::Other })
    }

    /// P: puts `key` in the place of what was `seen`, and reads it back. After a failure it is looked whether the key
    /// is there all the same.
    ///
    /// # Errors
    /// It is not, or cannot be seen.
    pub(super) fn replace(&self, key: &str, seen: &StoredSecret) -> Result<()> {
        // The form stays: whoever reads a line there finds a line.
        let ending = seen.text.as_ref().map_or("", |text| {
            let body = text.trim_end();
            text.strip_prefix(body).unwrap_or_default()
        });
        let text = Zeroizing::new(format!("{key}{ending}"));
        let put = self.store.put(&text, seen);
        if !self.is_readable() {
            return put;
        }
        match (put, self.store.read()) {
            (_, Ok(held)) if held.is(key) => Ok(()),
            (Err(error), _) | (Ok(()), Err(error)) => Err(error),
            (Ok(()), Ok(_)) => Err(Error::failed(
                format!("{} took the key, and shows another text now", self.uri),
                "find out who else writes it",
            )),
        }
    }

    pub(super) fn conflict(&self, old: KeyId) -> Error {
        Error::failed(
            format!("{} holds neither key {old} nor the new one: somebody else writes it", self.uri),
            format!("find out who does; put key {old} back there"),
        )
    }
}

/// The id of the key that the text is, if it is one.
fn id_in(text: &str, prefix: &KeyPrefix) -> Option<KeyId> {
    match Key::parse(text, prefix) {
        Ok(key) => Some(key.id()),
        Err(_) => ImportedKey::parse(text).map(|key| key.id()),
    }
}

/// Whether the text is the very key that the record is of.
///
/// # Errors
/// The record depends on a pepper that is not known.
pub(super) fn is_key_of(text: &str, record: &Record, gate: &Gate<'_>) -> Result<bool> {
    let Gate { prefix, peppers, .. } = *gate;
    let matched = if record.digest.is_imported() {
        ImportedKey::parse(text).map(|key| peppers.imported_matches(&key, &record.digest))
    } else {
        let key = Key::parse(text, prefix).ok().filter(|key| key.id() == record.id);
        key.map(|key| peppers.digest_matches(&key, &record.digest))
    };
    match matched.unwrap_or(DigestMatch::No) {
        DigestMatch::Yes => Ok(true),
        DigestMatch::No => Ok(false),
        DigestMatch::UnknownPepper(pepper) => Err(Error::failed(
            format!(
                "key {} depends on pepper {pepper}, which is not among those that are known here",
                record.id
            ),
            "set KEYGATE_PEPPER_PREVIOUS to it, if the gate has it as PEPPER_PREVIOUS",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use zeroize::Zeroizing;

    use super::Target;
    use crate::error::{Error, Result};
    use crate::secret_store::{SecretStore, StoredSecret};

    /// A store that does with a text what it is told to.
    struct Odd {
        holds: RefCell<Option<String>>,
        /// What is there after a put; none leaves it as it was.
        takes: fn(&str) -> Option<String>,
        answers: bool,
        is_seen: bool,
    }

    impl SecretStore for Odd {
        fn read(&self) -> Result<StoredSecret> {
            if !self.is_seen {
                return Err(Error::failed("not seen", "look"));
            }
            Ok(StoredSecret { text: self.holds.borrow().clone().map(Zeroizing::new), revision: None })
        }

        fn check_writable(&self) -> Result<()> {
            Ok(())
        }

        fn put(&self, text: &str, _: &StoredSecret) -> Result<()> {
            if let Some(taken) = (self.takes)(text) {
                self.holds.replace(Some(taken));
            }
            if self.answers { Ok(()) } else { Err(Error::failed("no answer", "wait").unanswered()) }
        }
    }

    #[test]
    fn what_a_store_holds_counts_and_not_what_it_answers() {
        let keeps: fn(&str) -> Option<String> = |text| Some(text.to_owned());
        let drops: fn(&str) -> Option<String> = |_| None;
        let spoils: fn(&str) -> Option<String> = |_| Some("other".to_owned());
        for (takes, answers, is_seen, said) in [
            (keeps, true, true, None),
            (keeps, false, true, None),
            (drops, false, true, Some("no answer")),
            (drops, true, true, Some("took the key, and shows another text now")),
            (spoils, true, true, Some("took the key, and shows another text now")),
            (keeps, true, false, Some("not seen")),
            (keeps, false, false, Some("no answer")),
        ] {
            let store = Odd { holds: RefCell::new(Some("old\n".to_owned())), takes, answers, is_seen };
            let target = Target { uri: "file:x".to_owned(), store: Box::new(store) };
            let seen = StoredSecret { text: Some(Zeroizing::new("old\n".to_owned())), revision: None };
            let outcome = target.replace("new", &seen).map_err(|error| error.to_string());
            match (said, outcome) {
                (None, Ok(())) => {
                    assert_eq!(target.store.read().unwrap().text.unwrap().as_str(), "new\n");
                }
                (Some(said), Err(error)) => assert!(error.contains(said), "{error}"),
                (said, outcome) => panic!("{said:?} {outcome:?}"),
            }
        }
    }
}
