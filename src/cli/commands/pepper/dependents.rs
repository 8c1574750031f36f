//! Which keys depend on which pepper, and so how far a rotation of the pepper is.

use std::collections::BTreeMap;

use keygate_core::record::{Record, State};
use keygate_core::time::UnixSeconds;
use serde::Serialize;

use crate::error::Outcome;
use crate::store::{self, Store};

/// The keys that a pepper is needed for.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Dependents {
    /// Keys that go on, switched-off ones among them: they can come back.
    pub(super) lasting: usize,
    /// Keys that have been replaced, and expire.
    pub(super) ending: usize,
    /// When the last of these expires.
    pub(super) until: Option<u64>,
}

/// What keys depend on.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The keys of each pepper, by its id.
    pub(super) by_pepper: BTreeMap<String, Dependents>,
    /// Imported keys whose digests have no pepper.
    pub(super) without_pepper: usize,
}

/// How far a rotation of the pepper is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum Stage {
    /// One pepper, and every key depends on it.
    Settled,
    /// Keys depend on a pepper that is not known here.
    Unknown,
    /// Keys that go on depend on the pepper before.
    Rotating,
    /// Only replaced keys, which expire, depend on the pepper before.
    Waiting,
    /// No key depends on the pepper before.
    Droppable,
}

/// The keys of the store, and `more` beside it, by their peppers.
///
/// # Errors
/// The store could not be asked, or holds what is no record: what that depends on is not known.
pub(super) fn dependents(store: &dyn Store, more: &[Record], now: UnixSeconds) -> Outcome<Found> {
    let mut found = Found::default();
    for record in more {
        count(&mut found, record, now);
    }
    // `keygate pepper apply` writes records of the store, and not those of STATIC_KEYS.
    found.without_pepper = 0;
    store::each_record(store, &|_| true, &mut |record, _| count(&mut found, &record, now))?;
    Ok(found)
}

fn count(found: &mut Found, record: &Record, now: UnixSeconds) {
    // Whatever else it is: a disabled key can come back, but not after its expiry.
    if record.state == State::Revoked || record.not_after.is_some_and(|end| now >= end) {
        return;
    }
    let Some(pepper) = record.digest.pepper() else {
        found.without_pepper += 1;
        return;
    };
    let dependents = found.by_pepper.entry(pepper.to_string()).or_default();
    match (record.replaced_by, record.not_after) {
        (Some(_), Some(end)) => {
            dependents.ending += 1;
            dependents.until = dependents.until.max(Some(end.seconds()));
        }
        _ => dependents.lasting += 1,
    }
}

/// The stage that follows from the peppers that are known and the keys that there are.
pub(super) fn stage(current: &str, previous: Option<&str>, found: &BTreeMap<String, Dependents>) -> Stage {
    if found.keys().any(|pepper| pepper != current && Some(pepper.as_str()) != previous) {
        return Stage::Unknown;
    }
    match previous.filter(|previous| *previous != current).map(|previous| found.get(previous)) {
        None if previous.is_none() => Stage::Settled,
        None | Some(None) => Stage::Droppable,
        Some(Some(dependents)) if dependents.lasting > 0 => Stage::Rotating,
        Some(Some(_)) => Stage::Waiting,
    }
}

#[cfg(test)]
mod tests {
    use keygate_core::key::digest::Digest;
    use keygate_core::record::{Record, State};
    use keygate_core::time::UnixSeconds;

    use super::{Stage, dependents, stage};
    use crate::store::fake::{self, FakeStore};

    const NOW: u64 = 1_000;
    const OLD: &str = "01234567";
    const NEW: &str = "89abcdef";

    fn record(pepper: &str, change: impl FnOnce(&mut Record)) -> Record {
        let digest = format!("hs256.{pepper}.{}", "A".repeat(43));
        let mut record = fake::record(|r| r.digest = digest.parse::<Digest>().unwrap());
        change(&mut record);
        record
    }

    #[test]
    fn the_stage_follows_from_the_peppers_and_the_keys() {
        let end = |seconds| UnixSeconds::new(seconds);
        let plain = |pepper: &str| record(pepper, |_| {});
        let replaced = |seconds| record(OLD, |r| (r.replaced_by, r.not_after) = (Some(r.id), end(seconds)));
        for (previous, records, expected) in [
            (None, vec![], Stage::Settled),
            (None, vec![plain(NEW)], Stage::Settled),
            (None, vec![plain(NEW), plain(OLD)], Stage::Unknown),
            (Some(OLD), vec![record("00000000", |_| {})], Stage::Unknown),
            (Some(OLD), vec![plain(NEW), plain(OLD)], Stage::Rotating),
            // It ends, but nobody has anything in its place.
            (Some(OLD), vec![record(OLD, |r| r.not_after = end(NOW + 1))], Stage::Rotating),
            (Some(OLD), vec![record(OLD, |r| r.state = State::Disabled)], Stage::Rotating),
            (Some(OLD), vec![replaced(NOW + 5), replaced(NOW + 9)], Stage::Waiting),
            (Some(OLD), vec![replaced(NOW)], Stage::Droppable),
            (Some(OLD), vec![record(OLD, |r| r.state = State::Revoked)], Stage::Droppable),
            (Some(OLD), vec![], Stage::Droppable),
            // The moment in which both secrets hold the same text.
            (Some(NEW), vec![plain(NEW)], Stage::Droppable),
        ] {
            let found = dependents(&FakeStore::default(), &records, UnixSeconds::new(NOW).unwrap()).unwrap();
            assert_eq!(stage(NEW, previous, &found.by_pepper), expected, "{previous:?} {found:?}");
            if expected == Stage::Waiting {
                assert_eq!(found.by_pepper.get(OLD).unwrap().until, Some(NOW + 9));
            }
        }
    }
}
