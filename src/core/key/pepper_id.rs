//! The id of a pepper.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// Identifies a pepper without revealing it: the first 8 hex digits of SHA-256 over a label and the pepper.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PepperId(pub(super) [u8; 8]); // INVARIANT: lower-case hex digits

impl PepperId {
    /// The id as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // INVARIANT: hex digits are ASCII, so this is never the empty default.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// A string is not a pepper's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not a pepper's id: 8 lower-case hex digits")]
pub struct PepperIdError;

impl FromStr for PepperId {
    type Err = PepperIdError;

    /// Reads 8 lower-case hex digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match <[u8; 8]>::try_from(text.as_bytes()) {
            Ok(id) if id.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => Ok(Self(id)),
            _ => Err(PepperIdError),
        }
    }
}

impl fmt::Display for PepperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PepperId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PepperId({self})")
    }
}
