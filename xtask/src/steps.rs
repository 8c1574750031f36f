//! Progress: what is being done, and how long it took.

use std::time::Instant;

use crate::failure::Failure;

/// Says what `step` does, does it, and says how long it took.
pub(crate) fn timed<T>(what: &str, step: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    eprintln!("== {what}");
    let start = Instant::now();
    let done = step()?;
    eprintln!("== {what}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(done)
}
