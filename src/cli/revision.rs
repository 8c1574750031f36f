//! Two operators at one namespace: which writing of an entry one saw, and what the other changed since.
//!
//! KV has no compare-and-set. What is checked here is read as late as can be, so two writers pass each other only when
//! both are between their last read and their write, or when KV still shows one of them an earlier entry ("60 seconds or
//! more", from another place). Then the later write wins; each record is whole, one of the two.

use std::env;

use keygate_core::key::KV_NAME_PREFIX;
use serde_json::Value;

use crate::entry::{Metadata, OPERATOR_MAX_BYTES, Revision};
use crate::error::{Error, Outcome};
use crate::output::printable;
use crate::store::{Store, Stored};

/// What an operator calls themselves; unset, no name is stored.
const OPERATOR_VARIABLE: &str = "KEYGATE_OPERATOR";

/// The operator's name for themselves, from `KEYGATE_OPERATOR`.
///
/// Not the login name or git's: a name is personal data, and whoever can list the namespace reads it. So it is there for
/// those who want it, and what it says (`ci-deploy`, `on-call`) is theirs to choose.
///
/// # Errors
/// The variable holds something else than a short word.
pub(crate) fn operator() -> Outcome<Option<String>> {
    let name = env::var_os(OPERATOR_VARIABLE).unwrap_or_default().to_string_lossy().into_owned();
    if name.is_empty() {
        return Ok(None);
    }
    let fits = name.len() <= OPERATOR_MAX_BYTES
        && name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'));
    if fits {
        return Ok(Some(name));
    }
    Err(Error::usage(
        format!(
            "{OPERATOR_VARIABLE} is not 1 to {OPERATOR_MAX_BYTES} visible ASCII characters without `\"` and `\\`"
        ),
        "set it to a short name for who or what runs keygate, such as ci-deploy, or unset it",
    ))
}

/// The revision of the entry that is written over `seen`, or where nothing stood.
///
/// `None` for the local KV, which has one writer.
pub(crate) fn next(store: &dyn Store, seen: Option<&Stored>, operator: Option<&str>) -> Option<Revision> {
    if !store.is_remote() {
        return None;
    }
    let seen = seen.and_then(|stored| stored.metadata.as_ref()?.rev).unwrap_or_default();
    Some(Revision { number: seen.saturating_add(1), by: operator.map(str::to_owned) })
}

/// Reads the entry once more, and makes sure that it is as it was `seen`.
///
/// # Errors
/// It is not; the error names what changed. Or the store could not be asked.
pub(crate) fn unchanged(store: &dyn Store, name: &str, seen: &Stored) -> Outcome<()> {
    match store.entry(name)? {
        Some(now) if now == *seen => Ok(()),
        Some(now) => Err(changed(store, name, seen, &now)),
        None => Err(Error::failed(
            format!("{name} was deleted in between"),
            "a key is revoked by overwriting, not by deleting its entry; find out who did",
        )),
    }
}

/// The error that an entry amounts to which is not as it was `seen`.
pub(crate) fn changed(store: &dyn Store, name: &str, seen: &Stored, now: &Stored) -> Error {
    Error::failed(
        format!("{name} was changed in between: {}", difference(seen, now)),
        format!("look at it with {}, then decide again", show(store, name)),
    )
}

/// Makes sure that `seen` is the revision that the operator decided on.
///
/// # Errors
/// It is another one.
pub(crate) fn expected(store: &dyn Store, name: &str, seen: &Stored, wanted: Option<u64>) -> Outcome<()> {
    let Some(wanted) = wanted else {
        return Ok(());
    };
    if !store.is_remote() {
        return Err(Error::usage(
            "--if-rev has no meaning for the local KV, which keeps no revisions",
            "leave it out, or add --remote",
        ));
    }
    let found = seen.metadata.as_ref().and_then(|metadata| metadata.rev);
    if found == Some(wanted) {
        return Ok(());
    }
    Err(Error::failed(
        format!("{name} is at {}, not at revision {wanted}", position(seen.metadata.as_ref())),
        format!("somebody changed it since: look at it with {}, then decide again", show(store, name)),
    ))
}

/// The command that shows the entry.
fn show(store: &dyn Store, name: &str) -> String {
    format!("`keygate show {}{}`", name.strip_prefix(KV_NAME_PREFIX).unwrap_or(name), store.option())
}

/// What changed from one reading of an entry to the next: fields of the record with their values, and whose doing it was.
pub(crate) fn difference(before: &Stored, after: &Stored) -> String {
    let fields = |stored: &Stored| match serde_json::from_str(&stored.value) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (old, new) = (fields(before), fields(after));
    let mut changes: Vec<String> = old
        .keys()
        .chain(new.keys().filter(|name| !old.contains_key(*name)))
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| match name.as_str() {
            // Long, and nothing that a reader could compare.
            "digest" => "digest".to_owned(),
            _ => format!(
                "{} {} → {}",
                printable(name),
                escape_for_message(old.get(name)),
                escape_for_message(new.get(name))
            ),
        })
        .collect();
    if changes.is_empty() {
        changes.push(
            if before.value == after.value { "nothing but its revision" } else { "its form" }.to_owned(),
        );
    }
    let (from, to) = (position(before.metadata.as_ref()), position(after.metadata.as_ref()));
    if from == to { changes.join(", ") } else { format!("{} ({from} → {to})", changes.join(", ")) }
}

fn escape_for_message(value: Option<&Value>) -> String {
    const LONGEST: usize = 60;
    let text = value.map_or_else(|| "none".to_owned(), Value::to_string);
    if text.chars().count() <= LONGEST {
        return printable(&text);
    }
    printable(&text.chars().take(LONGEST).chain(['…']).collect::<String>())
}

fn position(metadata: Option<&Metadata>) -> String {
    match metadata.and_then(|metadata| Some((metadata.rev?, metadata.by.as_deref()))) {
        Some((rev, Some(by))) => format!("revision {rev} by {}", printable(by)),
        Some((rev, None)) => format!("revision {rev}"),
        None => "no revision".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{difference, expected, next, unchanged};
    use crate::entry::{Entry, Revision};
    use crate::store::fake::{FakeStore, record};
    use crate::store::{Store as _, Stored};
    use keygate_core::record::{Record, State};

    const NAME: &str = "key/4fTz0Qw9Lr2K";

    fn entry(number: u64, by: Option<&str>, change: impl FnOnce(&mut Record)) -> Entry {
        Entry::of(&record(change), Some(Revision { number, by: by.map(str::to_owned) })).unwrap()
    }

    fn store_with(entry: Entry) -> (FakeStore, Stored) {
        let store = FakeStore::default();
        store.remote.set(true);
        store.write(&[entry]).unwrap();
        let seen = store.entry(NAME).unwrap().unwrap();
        (store, seen)
    }

    #[test]
    fn each_writing_has_the_next_number_and_the_local_kv_none() {
        let (store, seen) = store_with(entry(4, None, |_| {}));
        assert_eq!(
            next(&store, Some(&seen), Some("ci")),
            Some(Revision { number: 5, by: Some("ci".into()) })
        );
        assert_eq!(next(&store, None, None), Some(Revision { number: 1, by: None }));
        store.remote.set(false);
        assert_eq!(next(&store, Some(&seen), Some("ci")), None);
    }

    #[test]
    fn what_another_changed_in_between_is_named_with_who_did_it() {
        let (store, seen) = store_with(entry(4, Some("ann"), |_| {}));
        assert!(unchanged(&store, NAME, &seen).is_ok());
        store.write(&[entry(5, Some("ci-deploy"), |record| record.state = State::Revoked)]).unwrap();
        let error = unchanged(&store, NAME, &seen).unwrap_err().to_string();
        assert!(
            error.contains(
                r#"changed in between: state "active" → "revoked" (revision 4 by ann → revision 5 by ci-deploy)"#
            ),
            "{error}"
        );
        store.entries.borrow_mut().clear();
        assert!(unchanged(&store, NAME, &seen).unwrap_err().to_string().contains("was deleted in between"));
    }

    #[test]
    fn a_change_that_was_undone_is_a_change() {
        let (store, seen) = store_with(entry(4, None, |_| {}));
        store.write(&[entry(6, None, |_| {})]).unwrap();
        let error = unchanged(&store, NAME, &seen).unwrap_err().to_string();
        assert!(error.contains("nothing but its revision (revision 4 → revision 6)"), "{error}");
    }

    #[test]
    fn a_decision_on_an_earlier_revision_is_refused() {
        let (store, seen) = store_with(entry(4, Some("ann"), |_| {}));
        assert!(expected(&store, NAME, &seen, None).is_ok());
        assert!(expected(&store, NAME, &seen, Some(4)).is_ok());
        let error = expected(&store, NAME, &seen, Some(3)).unwrap_err();
        assert!(error.to_string().contains("is at revision 4 by ann, not at revision 3"), "{error}");
        store.remote.set(false);
        assert!(expected(&store, NAME, &seen, Some(4)).unwrap_err().is_usage());
    }

    #[test]
    fn a_difference_never_shows_a_digest_and_says_when_an_entry_is_no_record() {
        let seen = store_with(entry(1, None, |_| {})).1;
        let other = Stored { value: seen.value.replace("AAAA", "BBBB"), ..seen.clone() };
        assert_eq!(difference(&seen, &other), "digest");
        let spoilt = Stored { value: "[]".into(), metadata: None };
        assert!(difference(&spoilt, &Stored { value: "{}".into(), metadata: None }).contains("its form"));
    }
}
