//! Whether the pepper at hand is the gate's, as far as that can be told: a key of another pepper is refused, and the old key ends.

use keygate_core::key::PepperId;
use keygate_core::record::Record;

use crate::error::{Error, Outcome};
use crate::known_peppers::all_others;
use crate::secrets::{PEPPER_VARIABLE, PREVIOUS_VARIABLE};
use crate::store::Store;

/// The pepper that new keys are made with.
pub(super) struct AtHand {
    pub(super) current: PepperId,
    pub(super) previous: Option<PepperId>,
    /// Where it was found.
    pub(super) source: String,
    /// The local gate has other peppers, by its `.dev.vars`.
    pub(super) is_not_local: bool,
}

/// Refuses a pepper that is not the one of the `records`, unless it follows on that one in a rotation of the pepper.
///
/// # Errors
/// The gate would refuse the new keys, as far as can be told from here.
pub(super) fn check(records: &[&Record], at_hand: &AtHand, store: &dyn Store) -> Outcome<()> {
    let AtHand { current, previous, source, is_not_local } = at_hand;
    if *is_not_local {
        return Err(refused(
            &format!("the pepper from {source} is {current}, and .dev.vars has another one"),
            "take the pepper of .dev.vars: leave the other one out",
        ));
    }
    let of_records = || records.iter().filter_map(|record| Some((record, record.digest.pepper()?)));
    let others: Vec<_> = of_records().filter(|(_, pepper)| pepper != current).collect();
    if let Some((record, pepper)) = others.iter().find(|(_, pepper)| Some(*pepper) != *previous) {
        return Err(refused(
            &format!(
                "key {} was made with pepper {pepper}, and the pepper from {source} is {current}",
                record.id
            ),
            &format!(
                "set {PEPPER_VARIABLE} to the pepper that the gate has; while the pepper is rotated also {PREVIOUS_VARIABLE} to the one before (`keygate pepper status{}` says how far that is)",
                store.option()
            ),
        ));
    }
    if !store.is_remote() {
        return Ok(());
    }
    // Where that may not be looked at, it is not known.
    if !others.is_empty() && matches!(store.gate_has("PEPPER_PREVIOUS"), Ok(Some(false))) {
        return Err(refused(
            &format!(
                "the keys were made with the pepper before, and the gate has no PEPPER_PREVIOUS: it has not been given pepper {current}"
            ),
            "see what comes next: `keygate pepper status --remote`",
        ));
    }
    // A key of another system whose digest has no pepper says nothing of the gate's.
    if of_records().next().is_none()
        && let Some(known) = all_others(store, *current)?
    {
        return Err(refused(
            &format!(
                "all other keys were made with pepper {known}, and the pepper from {source} is {current}"
            ),
            &format!("set {PEPPER_VARIABLE} to the pepper that the gate has"),
        ));
    }
    Ok(())
}

fn refused(problem: &str, remedy: &str) -> Error {
    Error::failed(
        format!("{problem}: the gate would refuse the new key, while the old one ends"),
        format!("{remedy}; where the gate does have this pepper, add --new-pepper"),
    )
}
