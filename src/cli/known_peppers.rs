//! Which peppers a gate is known to use: those that its records name.

use std::collections::BTreeSet;

use keygate_core::key::{KV_NAME_PREFIX, PepperId};
use keygate_core::record::State;

use crate::error::{Error, Outcome};
use crate::store::Store;

/// The pepper ids that the keys in use name, if none of them names `pepper`. Listings alone are read.
///
/// # Errors
/// The store could not be asked.
pub(crate) fn all_others(store: &dyn Store, pepper: PepperId) -> Outcome<Option<String>> {
    let mut named = BTreeSet::new();
    let mut is_known = false;
    let listed = store.list(KV_NAME_PREFIX, &mut |page| {
        let in_use = page.into_iter().filter_map(|listed| listed.metadata);
        named.extend(
            in_use.filter(|metadata| metadata.state == State::Active).filter_map(|metadata| metadata.pepper),
        );
        is_known = named.contains(pepper.as_str());
        // One is enough: the other pages are not asked for.
        if is_known { Err(Error::failed("the pepper is known", "go on")) } else { Ok(()) }
    });
    match listed {
        _ if is_known => Ok(None),
        Err(error) => Err(error),
        Ok(()) if named.is_empty() => Ok(None),
        Ok(()) => Ok(Some(named.into_iter().collect::<Vec<_>>().join(" and "))),
    }
}

#[cfg(test)]
mod tests {
    use keygate_core::key::PepperId;
    use keygate_core::key::digest::Digest;
    use keygate_core::record::State;

    use super::all_others;
    use crate::entry::Entry;
    use crate::store::Store as _;
    use crate::store::fake::{FakeStore, record};

    #[test]
    fn a_pepper_is_another_when_no_key_in_use_names_it() {
        const OURS: &str = "89abcdef";
        let digest = |pepper: &str| format!("hs256.{pepper}.{}", "A".repeat(43)).parse::<Digest>().unwrap();
        for (keys, found) in [
            (&[][..], None),
            (&[(OURS, State::Active)], None),
            (&[("01234567", State::Active), (OURS, State::Active)], None),
            (&[("01234567", State::Active), (OURS, State::Revoked)], Some("01234567")),
            (&[("01234567", State::Active), ("00000000", State::Active)], Some("00000000 and 01234567")),
            (&[("01234567", State::Revoked)], None),
        ] {
            let store = FakeStore::default();
            for (nth, (pepper, state)) in keys.iter().enumerate() {
                let record = record(|r| {
                    (r.digest, r.state) = (digest(pepper), *state);
                    r.id = format!("{nth:012}").parse().unwrap();
                });
                store.write(&[Entry::of(&record, None).unwrap()]).unwrap();
            }
            let named = all_others(&store, OURS.parse::<PepperId>().unwrap()).unwrap();
            assert_eq!(named.as_deref(), found, "{keys:?}");
        }
    }
}
