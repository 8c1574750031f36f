//! Where new keys come from: the operating system's generator.

use keygate_core::key::pepper::Pepper;
use keygate_core::key::{KeyPrefix, NewKey};

use crate::error::{Error, Outcome};

/// Fills `bytes` from the operating system's cryptographic generator.
///
/// # Errors
/// The system has none, or it failed.
pub(crate) fn entropy(bytes: &mut [u8]) -> Outcome<()> {
    getrandom::fill(bytes).map_err(|e| {
        Error::failed(
            format!("the system's random number generator failed: {e}"),
            "run the command on a system whose generator works",
        )
    })
}

/// Makes a key.
///
/// # Errors
/// As [`entropy`].
pub(crate) fn new_key(prefix: &KeyPrefix, pepper: &Pepper) -> Outcome<NewKey> {
    NewKey::from_entropy(prefix, pepper, entropy)
}
