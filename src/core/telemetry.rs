//! Log events: what a line contains, and how many lines are written.

pub mod event;
pub mod event_kind;
pub mod log_budget;
mod redact;
