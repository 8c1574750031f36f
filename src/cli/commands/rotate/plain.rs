//! `keygate rotate` without `--to`: the new key is printed, and handed over by who runs the command.

use keygate_core::key::{KeyId, NewKey};
use keygate_core::record::State;
use keygate_delivery::rotation::Succession;
use keygate_delivery::{KeyStatus, entropy};

use crate::clock;
use crate::commands::issue::{Issued, Replaced, issued, lost, show, unsure};
use crate::commands::rotate::pepper::{self, AtHand};
use crate::commands::rotate::{Made, OldKey, RotateArgs, announce, last_used};
use crate::context::{self, Context};
use crate::entry::Entry;
use crate::error::Outcome;
use crate::key_out::KeyOut;
use crate::revision;
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
    let pepper = &found.peppers.current;
    let dry_run = args.write.dry_run;
    let how = match (dry_run, args.key_out.key_out.is_some() || context.out.is_json()) {
        (false, _) => Made::Written,
        (true, true) => Made::Printed,
        // Nobody would have the key of the entries.
        (true, false) => Made::Unseen,
    };
    let mut key_out =
        KeyOut::open(args.key_out.key_out.as_deref(), how == Made::Printed, context.out.is_json())?;

    let (old, seen) = store::record(&*store, old_id).map_err(|error| static_keys.explain(old_id, error))?;
    if !args.pepper_override.new_pepper {
        let mut at_hand = AtHand {
            current: pepper.id(),
            previous: None,
            source: found.source.to_string(),
            is_not_local: found.not_a_local_one,
        };
        // What the pepper before is does not matter to a key of the current one.
        if old.digest.pepper().is_some_and(|pepper| pepper != at_hand.current) {
            let before = secrets::peppers(&args.pepper, &config, args.store.remote)?.peppers.previous;
            at_hand.previous = before.map(|pepper| pepper.id());
        }
        pepper::check(&[&old], &at_hand, &*store)?;
    }
    let key = NewKey::from_entropy(&prefix, pepper, entropy)?;
    let digest = pepper.digest(&key.as_presented());
    let expiry = args.expires.map(Into::into);
    let succession =
        Succession::of(&old, key.id(), digest, expiry, args.grace_secs(), context.now, store.option())?;
    clock::check_to_come(succession.new.not_after, context.now)?;
    let operator = context.operator.as_deref();
    let entries = [
        Entry::of(&succession.new, revision::next(&*store, None, operator))?,
        Entry::of(&succession.old, revision::next(&*store, Some(&seen), operator))?,
    ];
    let last_used = last_used(context.out, &config, &args.store, &args.usage, old_id);
    let mut show = || {
        let replaced = Replaced {
            id: old_id.to_string(),
            state: KeyStatus::of_record(&succession.old, context.now),
            not_after: succession.old.not_after.map(Into::into),
            last_used,
            staleness_seconds: staleness.worst_secs(),
        };
        let issued = Issued { replaces: Some(replaced), ..issued(&succession.new) };
        show(context, &mut key_out, issued, key.reveal(), dry_run.then_some(&entries))
    };
    match how {
        Made::Written => hand_over(&succession, &*store, &entries, &seen, show)?,
        Made::Printed => show()?,
        Made::Unseen => {
            context
                .out
                .note("no entries are printed; add `--key-out FILE`, or `--json`, for a key and its entries");
        }
    }
    let Succession { new, old } = &succession;
    let end = OldKey { unused: args.when_unused, last_used, option: store.option() };
    announce(context.out, new, old, context.now, staleness, how, &end);
    static_keys.warn(context.out, &[old]);
    context.out.note(found.made_with());
    if found.not_a_local_one {
        context
            .out
            .note("warning: PEPPER in .dev.vars is another one; the local gate will refuse the new key");
    }
    Ok(())
}

/// Writes the new entry, shows the new key, gives the old entry its expiry, in this order: whatever stops it half way, the
/// old key still works until the new one has been handed over.
///
/// The old entry is looked at again before it is overwritten: handing over takes its time, and a key that somebody revoked
/// meanwhile must not come back to life.
fn hand_over(
    succession: &Succession,
    store: &dyn Store,
    [new, old]: &[Entry; 2],
    seen: &Stored,
    show: impl FnOnce() -> Outcome<()>,
) -> Outcome<()> {
    let (new_id, old_id) = (succession.new.id, succession.old.id);
    write_surely(store, new).map_err(|error| unsure(error, store, new_id.as_str()))?;
    show().map_err(|error| lost(error, store, new_id.as_str()))?;
    let end = || {
        revision::unchanged(store, &old.key, seen)?;
        write_surely(store, old)
    };
    end().map_err(|error| {
        let option = store.option();
        let command = match succession.old.not_after {
            _ if succession.old.state == State::Revoked => {
                format!("`keygate revoke {old_id}{option}` revokes it, as was meant")
            }
            Some(end) => format!(
                "`keygate update {old_id} --expires {}{option}` gives it the expiry that was meant",
                utc(end)
            ),
            None => format!(
                "`keygate revoke {old_id}{option}` revokes it once nobody uses it: `keygate retire` does not know that it was replaced"
            ),
        };
        error.and(
            format!("the new key {new_id} works, and the old key {old_id} still works as before"),
            format!("see `keygate show {old_id}{option}`; {command}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::slice;

    use keygate_core::key::KeyId;
    use keygate_core::record::State;
    use keygate_core::time::UnixSeconds;

    use super::{Succession, hand_over};
    use crate::entry::Entry;
    use crate::error::{Error, Outcome};
    use crate::store::fake::{FakeStore, at, record};
    use crate::store::{self, Store as _};

    const NOW: u64 = 1_000_000;
    const OLD: &str = "4fTz0Qw9Lr2K";
    const NEW: &str = "7hVbT1mWcZk3";

    fn id(text: &str) -> KeyId {
        text.parse::<KeyId>().unwrap()
    }

    fn state_and_expiry(store: &FakeStore) -> (State, Option<UnixSeconds>) {
        let (old, _) = store::record(store, id(OLD)).unwrap();
        (old.state, old.not_after)
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
        let old = record(|_| {});
        let entry = Entry::of(&old, None).unwrap();
        store.write(slice::from_ref(&entry)).unwrap();
        store.written.borrow_mut().clear();
        store.fails_after.set(fails_after);
        let seen = store.entry(&entry.key).unwrap().unwrap();
        let digest = old.digest.clone();
        let succession = Succession::of(&old, id(NEW), digest, None, Some(86_400), at(NOW), "").unwrap();
        let entries = [&succession.new, &succession.old].map(|record| Entry::of(record, None).unwrap());
        let outcome = hand_over(&succession, &store, &entries, &seen, || {
            store.written.borrow_mut().push("shown".to_owned());
            meanwhile(&store)
        });
        let steps = store.written.take();
        (store, outcome, steps)
    }

    #[test]
    fn a_key_that_is_revoked_while_the_new_one_is_handed_over_stays_revoked() {
        let (store, outcome, _) = rotated_while(None, |store| {
            let revoked = record(|old| old.state = State::Revoked);
            store.write(&[Entry::of(&revoked, None).unwrap()])
        });
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(r#"changed in between: state "active" → "revoked""#), "{error}");
        assert_eq!(state_and_expiry(&store), (State::Revoked, None));
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
        assert_eq!(state_and_expiry(&store), (State::Active, None));

        let (store, outcome, _) = rotated(Some(2), Ok(()));
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("keygate update 4fTz0Qw9Lr2K --expires 1970-01-13T13:46:40Z"), "{error}");
        assert_eq!(state_and_expiry(&store), (State::Active, None));
    }

    #[test]
    fn when_the_new_key_cannot_be_shown_the_old_one_lives_on() {
        let (store, outcome, _) = rotated(None, Err(Error::failed("closed", "open")));
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(&format!("keygate revoke {NEW}")), "{error}");
        assert_eq!(state_and_expiry(&store), (State::Active, None));
    }
}
