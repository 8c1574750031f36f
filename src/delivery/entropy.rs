//! The operating system's random number generator.

use crate::error::{Error, Result};

/// Fills `bytes` from the operating system's cryptographic generator.
///
/// # Errors
/// The system has none, or it failed.
pub fn entropy(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|e| {
        Error::failed(
            format!("the system's random number generator failed: {e}"),
            "run the command on a system whose generator works",
        )
    })
}
