//! Time limits that a variable of the environment sets.

use std::env;
use std::time::Duration;

use crate::error::{Error, Result};

const MAX_SECS: u64 = 3600;

/// The seconds in the variable, or the default; `what` may take so long.
///
/// # Errors
/// The variable is not a number of seconds up to an hour.
pub fn timeout(variable: &str, default_secs: u64, what: &str) -> Result<Duration> {
    let text = env::var(variable).unwrap_or_default();
    let seconds = if text.is_empty() { Some(default_secs) } else { text.parse().ok() };
    let seconds = seconds.filter(|seconds| (1..=MAX_SECS).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| {
        Error::usage(
            format!("{variable} is not a number of seconds from 1 to {MAX_SECS}"),
            format!("unset it; {what} may then take {default_secs} seconds"),
        )
    })
}
