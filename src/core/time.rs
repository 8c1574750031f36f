//! Points in time, as arguments: nothing here reads a clock.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u64", try_from = "u64")]
pub struct UnixSeconds(u64);

impl UnixSeconds {
    /// 9999-12-31T23:59:59Z. Milliseconds that are passed as seconds exceed it, and so are rejected.
    pub const MAX: Self = Self(253_402_300_799);

    /// The time, if it is before the year 10000.
    #[must_use]
    pub fn new(seconds: u64) -> Option<Self> {
        (seconds <= Self::MAX.0).then_some(Self(seconds))
    }

    /// The number of seconds.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0
    }

    /// The time `seconds` later, at most [`UnixSeconds::MAX`].
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds).min(Self::MAX.0))
    }
}

impl From<UnixSeconds> for u64 {
    fn from(time: UnixSeconds) -> Self {
        time.0
    }
}

/// A number of seconds is after the year 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is not a time: whole Unix seconds before the year 10000 (not milliseconds)")]
pub struct UnixSecondsError(u64);

impl TryFrom<u64> for UnixSeconds {
    type Error = UnixSecondsError;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        Self::new(seconds).ok_or(UnixSecondsError(seconds))
    }
}

/// Milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The whole seconds. After the year 9999 every deadline has passed.
    #[must_use]
    pub fn seconds(self) -> UnixSeconds {
        UnixSeconds::new(self.0 / 1000).unwrap_or(UnixSeconds::MAX)
    }
}
