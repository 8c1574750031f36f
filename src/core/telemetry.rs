//! The log: what a line holds, and how many there may be.

pub mod event;
pub mod event_kind;
pub mod log_budget;
