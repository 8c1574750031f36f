//! From a request to a decision: what can be said without a record, the record, and the decision.

pub mod admission;
pub mod cache;
pub mod decide;
pub mod lookup;
#[cfg(test)]
mod model_tests;
pub mod secrets;
