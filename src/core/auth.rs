//! The decision on a request: the checks before its record, the record, and the decision itself.

pub mod admission;
pub mod cache;
pub mod decide;
pub mod lookup;
#[cfg(test)]
mod model_tests;
mod overrides;
pub mod secrets;
