//! `keygate rotate` without `--to`: the new key is printed, and handed over by who runs the command.

use keygate_core::key::KeyId;

use crate::args::RotateArgs;
use crate::commands::issue::{Issued, Replaced, issued, lost, unsure};
use crate::commands::rotate::announce;
use crate::context::{self, Context};
use crate::entry::Entry;
use crate::fault::Outcome;
use crate::key_out::KeyOut;
use crate::key_source::new_key;
use crate::revision;
use crate::rotation::Succession;
use crate::secrets;
use crate::staleness::Staleness;
use crate::static_keys::StaticKeys;
use crate::store::{self, Store, Stored, write_surely};
use crate::time::utc;

/// Rotates a key.
pub(super) fn run(context: &Context, args: &RotateArgs, old_id: KeyId) -> Outcome<()> {
    let config = context.config()?;
    let store = context::store(&config, &args.store)?;
    let staleness = Staleness::of(&config, args.store.remote);
    let static_keys = StaticKeys::of(&config, args.store.remote, context.now);
    let prefix = config.key_prefix()?;
    let found = secrets::pepper(&args.pepper, &config, args.store.remote)?;
    let pepper = &found.pepper;
    let dry_run = args.write.dry_run;
    let mut key_out = KeyOut::open(args.key_out.key_out.as_deref(), dry_run, context.out.is_json())?;

    let (old, seen) = store::record(&*store, old_id).map_err(|fault| static_keys.explain(old_id, fault))?;
    let key = new_key(&prefix, pepper)?;
    let digest = pepper.digest(&key.as_presented());
    let succession = Succession::of(&old, key.id(), digest, args.expires, args.grace_secs(), context.now)?;
    let operator = context.operator.as_deref();
    let entries = [
        Entry::of(&succession.new, revision::next(&*store, None, operator))?,
        Entry::of(&succession.old, revision::next(&*store, Some(&seen), operator))?,
    ];
    let mut show = || {
        key_out.fill(key.reveal())?;
        let in_file = key_out.path().is_some();
        let result = Issued {
            key: (!in_file).then(|| key.reveal()),
            key_file: key_out.path(),
            replaces: Some(Replaced {
                id: old_id.to_string(),
                not_after: succession.ends.seconds(),
                staleness_seconds: staleness.worst_secs(),
            }),
            entries: dry_run.then_some(&entries),
            ..issued(&succession.new)
        };
        if dry_run {
            context.out.result(&result, context::bulk_json(&entries))
        } else if in_file && !context.out.is_json() {
            Ok(())
        } else {
            context.out.result(&result, key.reveal())
        }
    };
    if dry_run {
        show()?;
    } else {
        succession.carry_out(&*store, &entries, &seen, show)?;
    }
    let Succession { new, old, ends } = &succession;
    announce(context.out, new, old, *ends, context.now, staleness, dry_run);
    static_keys.warn(context.out, &[old]);
    context.out.note(format_args!("made with pepper {} from {}", pepper.id(), found.source));
    if found.not_the_local_one {
        context
            .out
            .note("warning: PEPPER in .dev.vars is another one; the local gate will refuse the new key");
    }
    Ok(())
}

impl Succession {
    /// Writes the new entry, shows the new key, gives the old entry its end, in this order: whatever stops it
    /// half way, the old key still works until the new one has been handed over.
    ///
    /// The old entry is looked at again before it is overwritten: handing over takes its time, and a key that
    /// somebody revoked meanwhile must not come back to life.
    fn carry_out(
        &self,
        store: &dyn Store,
        [new, old]: &[Entry; 2],
        seen: &Stored,
        show: impl FnOnce() -> Outcome<()>,
    ) -> Outcome<()> {
        write_surely(store, new).map_err(|fault| unsure(fault, self.new.id.as_str()))?;
        show().map_err(|fault| lost(fault, self.new.id.as_str(), false))?;
        let end = || {
            revision::unchanged(store, &old.key, seen)?;
            write_surely(store, old)
        };
        end().map_err(|fault| {
            let seconds = utc(self.ends);
            fault.and(
                format!(
                    "the new key {} works, and the old key {} still has no new end",
                    self.new.id, self.old.id
                ),
                format!(
                    "see `keygate show {0}`; `keygate update {0} --expires {seconds}` gives it the end that was meant",
                    self.old.id
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use clap::Parser as _;
    use keygate_core::key::KeyId;
    use keygate_core::key::digest::Digest;
    use keygate_core::record::token::Subject;
    use keygate_core::record::{Record, State};
    use keygate_core::time::UnixSeconds;

    use super::Succession;
    use crate::args::{Cli, Command, RotateArgs};
    use crate::entry::Entry;
    use crate::fault::{Fault, Outcome};
    use crate::store::fake::FakeStore;
    use crate::store::{Store as _, record};

    const NOW: u64 = 1_000_000;
    const OLD: &str = "4fTz0Qw9Lr2K";
    const NEW: &str = "7hVbT1mWcZk3";

    fn at(seconds: u64) -> UnixSeconds {
        UnixSeconds::new(seconds).unwrap()
    }

    fn id(text: &str) -> KeyId {
        text.parse::<KeyId>().unwrap()
    }

    fn digest() -> Digest {
        format!("hs256.01234567.{}", "A".repeat(43)).parse::<Digest>().unwrap()
    }

    fn old() -> Record {
        let subject = "acme".parse::<Subject>().unwrap();
        Record::new(id(OLD), subject, digest(), at(NOW - 500))
    }

    fn old_with(change: impl FnOnce(&mut Record)) -> Record {
        let mut record = old();
        change(&mut record);
        record
    }

    fn args(options: &[&str]) -> RotateArgs {
        let line = ["keygate", "rotate", OLD].iter().chain(options);
        match Cli::parse_from(line).command {
            Command::Rotate(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn succession(old: &Record, options: &[&str]) -> Outcome<Succession> {
        let args = args(options);
        Succession::of(old, id(NEW), digest(), args.expires, args.grace_secs(), at(NOW))
    }

    #[test]
    fn the_old_key_ends_with_the_grace_but_never_later_than_it_would_have() {
        for (not_after, options, ends) in [
            (None, &[][..], NOW + 86_400),
            (None, &["--grace", "0"], NOW),
            (Some(NOW + 60), &[], NOW + 60),
            (Some(NOW + 60), &["--grace", "30s"], NOW + 30),
        ] {
            let old = old_with(|old| old.not_after = not_after.map(at));
            let made = succession(&old, options).unwrap();
            assert_eq!(made.old.not_after, Some(at(ends)), "{not_after:?} {options:?}");
            assert_eq!(made.old.replaced_by, Some(id(NEW)));
            assert_eq!(made.new.replaces, Some(id(OLD)));
        }
    }

    #[test]
    fn the_new_key_lives_as_long_as_the_old_one_was_made_to() {
        for (not_after, options, expected) in [
            (None, &[][..], None),
            (Some(NOW + 500), &[], Some(NOW + 1000)),
            (Some(NOW + 500), &["--expires", "never"], None),
            (None, &["--expires", "1h"], Some(NOW + 3600)),
        ] {
            let old = old_with(|old| old.not_after = not_after.map(at));
            let made = succession(&old, options).unwrap();
            assert_eq!(made.new.not_after, expected.map(at), "{not_after:?} {options:?}");
        }
    }

    #[test]
    fn a_key_that_began_this_very_second_can_end_at_once() {
        let old = old_with(|old| old.not_before = Some(at(NOW)));
        let made = succession(&old, &["--grace", "0"]).unwrap();
        assert!(Entry::of(&made.old, None).is_ok());
    }

    #[test]
    fn only_a_key_in_use_is_rotated() {
        for (old, said) in [
            (old_with(|old| old.state = State::Revoked), "is revoked"),
            (old_with(|old| old.state = State::Disabled), "is disabled"),
            (old_with(|old| old.not_after = Some(at(NOW))), "is expired"),
            (old_with(|old| old.not_before = Some(at(NOW + 1))), "is pending"),
            (old_with(|old| old.replaced_by = Some(id("000000000000"))), "has been replaced by 000000000000"),
        ] {
            let fault = succession(&old, &[]).unwrap_err().to_string();
            assert!(fault.contains(said), "{fault}");
        }
    }

    /// What came of a rotation: the store, the outcome, and the order of the steps.
    type Rotated = (FakeStore, Outcome<()>, Vec<String>);

    fn rotated(fails_after: Option<usize>, shown: Outcome<()>) -> Rotated {
        rotated_while(fails_after, |_| shown)
    }

    /// Rotates the old key; `meanwhile` is what happens while the new key is shown.
    fn rotated_while(
        fails_after: Option<usize>,
        meanwhile: impl FnOnce(&FakeStore) -> Outcome<()>,
    ) -> Rotated {
        let store = FakeStore::default();
        let entry = Entry::of(&old(), None).unwrap();
        store.write(slice::from_ref(&entry)).unwrap();
        store.written.borrow_mut().clear();
        store.fails_after.set(fails_after);
        let seen = store.entry(&entry.key).unwrap().unwrap();
        let succession = succession(&old(), &[]).unwrap();
        let entries = [&succession.new, &succession.old].map(|record| Entry::of(record, None).unwrap());
        let outcome = succession.carry_out(&store, &entries, &seen, || {
            store.written.borrow_mut().push("shown".to_owned());
            meanwhile(&store)
        });
        let steps = store.written.take();
        (store, outcome, steps)
    }

    #[test]
    fn a_key_that_is_revoked_while_the_new_one_is_handed_over_stays_revoked() {
        let (store, outcome, _) = rotated_while(None, |store| {
            let revoked = old_with(|old| old.state = State::Revoked);
            store.write(&[Entry::of(&revoked, None).unwrap()])
        });
        let fault = outcome.unwrap_err().to_string();
        assert!(fault.contains(r#"changed in between: state "active" → "revoked""#), "{fault}");
        assert_eq!(record(&store, id(OLD)).unwrap().0.state, State::Revoked);
    }

    #[test]
    fn the_new_record_comes_first_then_the_key_then_the_old_records_end() {
        let (_, outcome, steps) = rotated(None, Ok(()));
        assert!(outcome.is_ok());
        assert_eq!(steps, [format!("key/{NEW}"), "shown".into(), format!("key/{OLD}")]);
    }

    #[test]
    fn when_a_write_fails_no_dead_key_is_shown_and_the_old_key_lives_on() {
        let (store, outcome, steps) = rotated(Some(0), Ok(()));
        assert!(outcome.is_err());
        assert!(steps.is_empty());
        assert_eq!(record(&store, id(OLD)).unwrap().0.not_after, None);

        let (store, outcome, _) = rotated(Some(2), Ok(()));
        let fault = outcome.unwrap_err().to_string();
        assert!(fault.contains("keygate update 4fTz0Qw9Lr2K --expires 1970-01-13T13:46:40Z"), "{fault}");
        assert_eq!(record(&store, id(OLD)).unwrap().0.not_after, None);
    }

    #[test]
    fn when_the_new_key_cannot_be_shown_the_old_one_lives_on() {
        let (store, outcome, _) = rotated(None, Err(Fault::failed("closed", "open")));
        let fault = outcome.unwrap_err().to_string();
        assert!(fault.contains(&format!("keygate revoke {NEW}")), "{fault}");
        assert_eq!(record(&store, id(OLD)).unwrap().0.not_after, None);
    }
}
