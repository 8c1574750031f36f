//! The places of one rotation, and whose key each of them holds.

use keygate_core::key::digest::ImportedKey;
use keygate_core::key::pepper::{DigestMatch, Peppers};
use keygate_core::key::{Key, KeyId, KeyPrefix};
use keygate_core::record::Record;
use zeroize::Zeroizing;

use crate::fault::{Fault, Outcome};
use crate::places::{Held, Place, PlaceUri};
use crate::rotation::Ground;
use crate::secrets::PREVIOUS_VARIABLE;

/// A place, and its name for messages.
pub(crate) struct Target {
    pub(super) uri: String,
    place: Box<dyn Place>,
}

/// What a place holds, as far as a rotation is concerned.
pub(super) enum Found {
    /// The very text that was asked for.
    Text,
    /// A key of this rotation: the old one, or a new one that was given up.
    Ours(Held),
    /// It cannot be looked at.
    Unseen(Held),
    /// Something else, or nothing.
    Foreign,
}

/// All places of a rotation, in the order in which they were named.
pub(crate) struct Targets(Vec<Target>);

impl Targets {
    /// Opens each place.
    ///
    /// # Errors
    /// One is named twice, or cannot be opened.
    pub(crate) fn open(
        uris: &[PlaceUri],
        open: impl Fn(&PlaceUri) -> Outcome<Box<dyn Place>>,
    ) -> Outcome<Self> {
        let mut targets: Vec<Target> = Vec::new();
        for uri in uris {
            let name = uri.to_string();
            if targets.iter().any(|target| target.uri == name) {
                return Err(Fault::usage(format!("--to {name} is given twice"), "name each place once"));
            }
            targets.push(Target { uri: name, place: open(uri)? });
        }
        Ok(Self(targets))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Target> {
        self.0.get(at)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Target> {
        self.0.iter()
    }

    /// A: every place can be written, and holds the key of `old` where it can be looked at.
    ///
    /// # Errors
    /// One cannot, or does not.
    pub(crate) fn check(&self, old: &Record, prefix: &KeyPrefix, peppers: &Peppers) -> Outcome<()> {
        for target in &self.0 {
            target.place.check_writable()?;
            if !target.can_look() {
                continue;
            }
            let holds = match target.place.look()?.text {
                Some(text) => is_key_of(text.trim(), old, prefix, peppers)?,
                None => false,
            };
            if !holds {
                return Err(Fault::failed(
                    format!("{} does not hold key {}", target.uri, old.id),
                    "put it there first, or leave the place out; `keygate verify` says whose key a text is",
                ));
            }
        }
        Ok(())
    }

    /// For a first key: every place can be written, and holds nothing yet, unless it may be `overwrite`n.
    ///
    /// # Errors
    /// One cannot, or does.
    pub(crate) fn check_free(&self, overwrite: bool) -> Outcome<()> {
        for target in &self.0 {
            target.place.check_writable()?;
            if overwrite || !target.can_look() {
                continue;
            }
            if target.place.look()?.text.is_some_and(|text| !text.trim().is_empty()) {
                return Err(Fault::failed(
                    format!("{} holds something already", target.uri),
                    "if it is a key in use, rotate that: `keygate rotate ID --to PLACE`; --overwrite writes over it",
                ));
            }
        }
        Ok(())
    }

    /// Puts a first key into every place, and reads each back.
    ///
    /// # Errors
    /// One place did not take it.
    pub(crate) fn fill(&self, key: &str) -> Outcome<()> {
        for target in &self.0 {
            let seen =
                if target.can_look() { target.place.look()? } else { Held { text: None, revision: None } };
            target.replace(key, &seen)?;
        }
        Ok(())
    }

    /// The text of the key that `record` is of, from the first place that has it.
    ///
    /// # Errors
    /// No place has it, and one could not be asked.
    pub(super) fn find(&self, record: &Record, ground: &Ground<'_>) -> Outcome<Option<Zeroizing<String>>> {
        let mut unknown = None;
        for target in self.0.iter().filter(|target| target.can_look()) {
            match target.place.look() {
                Ok(Held { text: Some(text), .. }) => {
                    let text = Zeroizing::new(text.trim().to_owned());
                    if is_key_of(&text, record, ground.prefix, ground.peppers)? {
                        return Ok(Some(text));
                    }
                }
                Ok(Held { text: None, .. }) => {}
                Err(fault) => unknown = Some(fault),
            }
        }
        unknown.map_or(Ok(None), Err)
    }
}

impl Target {
    pub(super) fn can_look(&self) -> bool {
        self.place.can_look()
    }

    /// Removes what a crash may have left beside the place, as any attempt to write does.
    pub(super) fn tidy(&self) {
        // Nothing depends on it: what was left is a key that is revoked next.
        let _ = self.place.check_writable();
    }

    /// Whether the place holds `text`, or else the key of one of `ours`.
    pub(super) fn look(&self, text: &str, ours: &[KeyId], prefix: &KeyPrefix) -> Outcome<Found> {
        if !self.can_look() {
            return Ok(Found::Unseen(Held { text: None, revision: None }));
        }
        let held = self.place.look()?;
        let id = match held.text.as_ref().map(|held| held.trim()) {
            Some(held) if held == text => return Ok(Found::Text),
            Some(held) => id_in(held, prefix),
            None => None,
        };
        Ok(if id.is_some_and(|id| ours.contains(&id)) { Found::Ours(held) } else { Found::Foreign })
    }

    /// P: puts `key` in the place of what was `seen`, and reads it back. After a failure it is looked whether the key
    /// is there all the same.
    ///
    /// # Errors
    /// It is not, or cannot be seen.
    pub(super) fn replace(&self, key: &str, seen: &Held) -> Outcome<()> {
        // The form stays: whoever reads a line there finds a line.
        let ending = seen.text.as_ref().map_or("", |text| {
            let body = text.trim_end();
            text.strip_prefix(body).unwrap_or_default()
        });
        let text = Zeroizing::new(format!("{key}{ending}"));
        let put = self.place.put(&text, seen);
        if !self.can_look() {
            return put;
        }
        let there = |held: &Held| held.text.as_ref().is_some_and(|text| text.trim() == key);
        match (put, self.place.look()) {
            (_, Ok(held)) if there(&held) => Ok(()),
            (Err(fault), _) | (Ok(()), Err(fault)) => Err(fault),
            (Ok(()), Ok(_)) => Err(Fault::failed(
                format!("{} took the key, and shows another text now", self.uri),
                "find out who else writes it",
            )),
        }
    }

    pub(super) fn conflict(&self, old: KeyId) -> Fault {
        Fault::failed(
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
pub(crate) fn is_key_of(text: &str, record: &Record, prefix: &KeyPrefix, peppers: &Peppers) -> Outcome<bool> {
    let matched = if record.digest.is_imported() {
        ImportedKey::parse(text).map(|key| peppers.imported_matches(&key, &record.digest))
    } else {
        let key = Key::parse(text, prefix).ok().filter(|key| key.id() == record.id);
        key.map(|key| peppers.digest_matches(&key, &record.digest))
    };
    match matched.unwrap_or(DigestMatch::No) {
        DigestMatch::Yes => Ok(true),
        DigestMatch::No => Ok(false),
        DigestMatch::UnknownPepper(pepper) => Err(Fault::failed(
            format!(
                "key {} depends on pepper {pepper}, which is not among those that are known here",
                record.id
            ),
            format!("set {PREVIOUS_VARIABLE} to it, if the gate has it as PEPPER_PREVIOUS"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use zeroize::Zeroizing;

    use super::Target;
    use crate::fault::{Fault, Outcome};
    use crate::places::{Held, Place};

    /// A place that does with a text what it is told to.
    struct Odd {
        holds: RefCell<Option<String>>,
        /// What is there after a put; none leaves it as it was.
        takes: fn(&str) -> Option<String>,
        answers: bool,
        is_seen: bool,
    }

    impl Place for Odd {
        fn look(&self) -> Outcome<Held> {
            if !self.is_seen {
                return Err(Fault::failed("not seen", "look"));
            }
            Ok(Held { text: self.holds.borrow().clone().map(Zeroizing::new), revision: None })
        }

        fn check_writable(&self) -> Outcome<()> {
            Ok(())
        }

        fn put(&self, text: &str, _: &Held) -> Outcome<()> {
            if let Some(taken) = (self.takes)(text) {
                self.holds.replace(Some(taken));
            }
            if self.answers { Ok(()) } else { Err(Fault::failed("no answer", "wait").unanswered()) }
        }
    }

    #[test]
    fn what_a_place_holds_counts_and_not_what_it_answers() {
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
            let place = Odd { holds: RefCell::new(Some("old\n".to_owned())), takes, answers, is_seen };
            let target = Target { uri: "file:x".to_owned(), place: Box::new(place) };
            let seen = Held { text: Some(Zeroizing::new("old\n".to_owned())), revision: None };
            let outcome = target.replace("new", &seen).map_err(|fault| fault.to_string());
            match (said, outcome) {
                (None, Ok(())) => {
                    assert_eq!(target.place.look().unwrap().text.unwrap().as_str(), "new\n");
                }
                (Some(said), Err(fault)) => assert!(fault.contains(said), "{fault}"),
                (said, outcome) => panic!("{said:?} {outcome:?}"),
            }
        }
    }
}
