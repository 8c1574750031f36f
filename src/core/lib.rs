//! Everything in Keygate that decides. No I/O, no clock, no randomness: time and entropy are arguments.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        reason = "tests fail by panicking"
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod address;
pub mod admission;
pub mod cache;
pub mod cors;
pub mod credential;
pub mod decide;
pub mod denial;
pub mod digest;
pub mod event;
mod from_str;
pub mod header_filter;
mod json_error;
pub mod key;
pub mod log_budget;
pub mod lookup;
mod message;
pub mod method;
#[cfg(test)]
mod model_tests;
pub mod origin;
mod overrides;
pub mod path;
mod pattern;
pub mod pepper;
pub mod policy;
mod query;
pub mod record;
pub mod route;
pub mod secrets;
pub mod signature;
pub mod time;
pub mod token;
mod unique_map;
