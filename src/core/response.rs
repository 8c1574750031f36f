//! What a refused request gets: the log names the cause, the caller gets the code.

mod cause;
mod code;
mod denial;
#[cfg(test)]
mod tests;
mod wording;

pub use cause::Cause;
pub use code::{Code, Row};
pub use denial::{Answer, Denial, RATE_LIMIT, RATE_LIMIT_POLICY};
pub use wording::{ErrorFormat, Wording};
