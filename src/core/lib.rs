//! The decisions of Keygate. No I/O, no clock, no randomness: time and entropy are arguments.
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
pub mod auth;
#[cfg(test)]
mod chance;
pub mod key;
pub mod policy;
pub mod quota;
pub mod record;
pub mod request;
pub mod response;
pub mod signature;
pub mod telemetry;
mod text;
pub mod time;
pub mod usage;
pub mod warning;
