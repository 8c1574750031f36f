//! The records and their metadata.

use std::collections::BTreeMap;

use keygate_core::record::Record;
use keygate_core::time::UnixSeconds;
use keygate_delivery::KeyStatus;

use crate::error::Outcome;
use crate::findings::{Findings, Level};
use crate::static_keys::{OVERRIDDEN, OVERRIDDEN_REMEDY, StaticKeys};
use crate::store::{self, Listed, Store};
use crate::time::utc;

const DAY_SECS: u64 = 24 * 60 * 60;
/// Time enough for a holder to put a new key in place.
const SOON_SECS: u64 = 14 * DAY_SECS;
/// How old a key may get before it should be rotated.
const OLD_SECS: u64 = 90 * DAY_SECS;

/// Checks every key of the store. `peppers` are the ids of those that the gate is known to have; empty, none is known.
/// `static_keys` are those of the same gate.
///
/// # Errors
/// The store could not be asked.
pub(crate) fn check_keys(
    store: &dyn Store,
    peppers: &[String],
    static_keys: &StaticKeys,
    now: UnixSeconds,
    findings: &mut Findings,
) -> Outcome<()> {
    let mut check =
        Check { store, peppers, static_keys, now, findings, unknown: BTreeMap::new(), without_pepper: 0 };
    store::each_entry(store, "looked at", &mut |_, listed, stored| {
        if let Some(stored) = stored {
            check.entry(listed, &stored.value);
        }
        Ok(())
    })?;
    if check.without_pepper > 0 {
        check.findings.advise(
            Level::Warning,
            store.place(),
            "digest".to_owned(),
            format!("{} imported keys in use are stored as plain SHA-256: whoever reads the namespace can guess at them", check.without_pepper),
            &format!("`keygate pepper apply{}` gives them digests with the pepper; deploy this version of the gate first", store.option()),
        );
    }
    for (pepper, count) in check.unknown {
        findings.advise(
            Level::Error,
            store.place(),
            format!("pepper {pepper}"),
            format!("{count} keys in use depend on a pepper that is neither KEYGATE_PEPPER nor KEYGATE_PEPPER_PREVIOUS; a gate without it answers 401 to them, and 503 to imported keys"),
            &format!("if the gate has it, set KEYGATE_PEPPER_PREVIOUS to it and see `keygate pepper status{0}`; else issue these keys anew (`keygate list --json{0}` shows each key's pepper)", store.option()),
        );
    }
    Ok(())
}

struct Check<'c> {
    store: &'c dyn Store,
    peppers: &'c [String],
    static_keys: &'c StaticKeys,
    now: UnixSeconds,
    findings: &'c mut Findings,
    /// How many keys in use depend on each unknown pepper.
    unknown: BTreeMap<String, usize>,
    /// How many imported keys in use have a digest without one.
    without_pepper: usize,
}

impl Check<'_> {
    fn entry(&mut self, listed: &Listed, value: &str) {
        let record = match listed.record(value) {
            Ok(record) => record,
            Err(problem) => {
                return self.say(Level::Error, &listed.name, format!("{problem}; the gate answers 503 for this key"), "correct the entry (docs/record.schema.json), or overwrite it with a record that is revoked");
            }
        };
        let stale = !listed.metadata.as_ref().is_some_and(|metadata| metadata.agrees_with(&record));
        if stale {
            self.say(
                Level::Warning,
                &listed.name,
                "its metadata is missing or does not say the same; `keygate list` shows it wrongly"
                    .to_owned(),
                &format!(
                    "any change by keygate writes it anew: `keygate update ID --name …{}`",
                    self.store.option()
                ),
            );
        }
        if self.static_keys.overrides(&record) {
            self.say(Level::Warning, &listed.name, OVERRIDDEN.to_owned(), OVERRIDDEN_REMEDY);
        }
        if KeyStatus::of_record(&record, self.now) == KeyStatus::Active {
            self.in_use(&listed.name, &record);
        }
    }

    fn in_use(&mut self, name: &str, record: &Record) {
        let age = self.now.seconds().saturating_sub(record.created.seconds());
        match record.not_after {
            Some(_) if record.replaced_by.is_some() => {}
            // A key to try the local gate with, as `cargo xtask dev` makes one each day.
            Some(end) if !self.store.is_remote() && end <= record.created.plus(SOON_SECS) => {}
            Some(end) if end <= self.now.plus(SOON_SECS) => {
                self.say(
                    Level::Warning,
                    name,
                    format!("expires soon, at {}", utc(end)),
                    &format!("`keygate rotate ID --to URI{}` delivers a new key; without --to, hand it over in time", self.store.option()),
                );
            }
            _ if age > OLD_SECS && !record.digest.is_imported() => {
                self.say(
                    Level::Warning,
                    name,
                    format!("was issued {} days ago and not rotated since", age / DAY_SECS),
                    &format!("`keygate rotate ID --to URI{0}`, or all such keys: `keygate rotate --all-older-than 90d --to URI{0}`", self.store.option()),
                );
            }
            _ => {}
        }
        let Some(pepper) = record.digest.pepper() else {
            self.without_pepper += 1;
            return;
        };
        let pepper = pepper.to_string();
        if !self.peppers.is_empty() && !self.peppers.contains(&pepper) {
            *self.unknown.entry(pepper).or_default() += 1;
        }
    }

    fn say(&mut self, level: Level, name: &str, problem: String, remedy: &str) {
        self.findings.advise(level, self.store.place(), name, problem, remedy);
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY_SECS, check_keys};
    use crate::entry::Entry;
    use crate::findings::{Findings, Level};
    use crate::static_keys::StaticKeys;
    use crate::store::Store as _;
    use crate::store::fake::{self, FakeStore, at};
    use keygate_core::record::{Record, State};

    const NOW: u64 = 1000 * DAY_SECS;

    fn record(change: impl FnOnce(&mut Record)) -> Record {
        let mut record = fake::record(|r| r.created = at(NOW));
        change(&mut record);
        record
    }

    fn findings(entry: Entry, peppers: &[String]) -> Findings {
        findings_in(true, entry, peppers)
    }

    fn findings_in(is_remote: bool, entry: Entry, peppers: &[String]) -> Findings {
        let store = FakeStore::default();
        store.remote.set(is_remote);
        store.write(&[entry]).unwrap();
        let mut findings = Findings::default();
        check_keys(&store, peppers, &StaticKeys::default(), at(NOW), &mut findings).unwrap();
        findings
    }

    #[test]
    fn each_key_that_wants_a_hand_is_named_with_what_to_do() {
        for (made, said) in [
            (record(|_| {}), ""),
            (record(|r| r.not_after = Some(at(NOW + 14 * DAY_SECS))), "expires soon"),
            (record(|r| r.not_after = Some(at(NOW + 15 * DAY_SECS))), ""),
            (record(|r| r.created = at(NOW - 91 * DAY_SECS)), "was issued 91 days ago"),
            (record(|r| (r.created, r.state) = (at(NOW - 91 * DAY_SECS), State::Revoked)), ""),
            (record(|r| (r.not_after, r.replaced_by) = (Some(at(NOW + 1)), Some(r.id))), ""),
        ] {
            let text = findings(Entry::of(&made, None).unwrap(), &["01234567".to_owned()]).to_text();
            assert!(text.contains(said) && text.is_empty() == said.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_local_key_that_was_issued_for_days_may_expire() {
        for (age, is_remote, is_said) in [(0, false, false), (0, true, true), (2, false, true)] {
            let key = record(|r| {
                (r.created, r.not_after) = (at(NOW - age * DAY_SECS), Some(at(NOW + 13 * DAY_SECS)));
            });
            let text = findings_in(is_remote, Entry::of(&key, None).unwrap(), &[]).to_text();
            assert_eq!(text.contains("expires soon"), is_said, "{text}");
        }
    }

    #[test]
    fn what_the_gate_would_refuse_is_an_error() {
        let entry = Entry::of(&record(|_| {}), None).unwrap();
        let spoilt = Entry { value: "{}".into(), ..entry.clone() };
        assert_eq!(findings(spoilt, &[]).count(Level::Error), 1);
        let bare = Entry { metadata: None, ..entry.clone() };
        assert_eq!(findings(bare, &[]).count(Level::Warning), 1);
        assert!(findings(entry.clone(), &[]).is_empty());
        let text = findings(entry, &["89abcdef".to_owned()]).to_text();
        assert!(text.contains("pepper 01234567: 1 keys in use depend on a pepper"), "{text}");
    }
}
