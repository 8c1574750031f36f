//! Moments, as arguments: nothing here reads a clock.

use crate::record::UnixSeconds;

/// Milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The whole second. A clock past the year 9999 has reached every deadline.
    #[must_use]
    pub fn seconds(self) -> UnixSeconds {
        UnixSeconds::new(self.0 / 1000).unwrap_or(UnixSeconds::MAX)
    }
}
