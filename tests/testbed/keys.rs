//! Keys made from a seed: no run depends on luck, and nothing but a test's own origin is behind them.

use std::convert::Infallible;

use keygate_core::key::pepper::Pepper;
use keygate_core::key::{KeyPrefix, NewKey};

use crate::chance::Chance;

/// A key of this prefix, with a tag by this pepper.
pub fn new_key(prefix: &KeyPrefix, pepper: &Pepper, chance: &mut Chance) -> NewKey {
    let fill = |bytes: &mut [u8]| {
        bytes.fill_with(|| chance.byte());
        Ok::<(), Infallible>(())
    };
    match NewKey::from_entropy(prefix, pepper, fill) {
        Ok(key) => key,
        Err(never) => match never {},
    }
}
