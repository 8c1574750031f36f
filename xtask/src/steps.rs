//! Progress: what is being done, and how long it took.

use std::thread;
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

/// Does both at once, and waits for both, so that none goes on behind a failure of the other.
pub(crate) fn side_by_side<A: Send, B>(
    first: impl FnOnce() -> Result<A, Failure> + Send,
    second: impl FnOnce() -> Result<B, Failure>,
) -> Result<(A, B), Failure> {
    thread::scope(|scope| {
        let first = scope.spawn(first);
        let second = second();
        Ok((first.join().unwrap_or_else(|panic| Err(Failure::panicked(panic)))?, second?))
    })
}
