//! The digest that is stored in place of a key.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::format::KeyId;
use super::pepper_id::PepperId;

/// A stored digest. It reveals nothing about the key; a keyed one cannot even be used to test guesses.
// Absent on purpose: PartialEq; a digest is compared in constant time or not at all.
#[derive(Clone, Serialize)]
#[serde(into = "String")]
pub enum Digest {
    /// `hs256.<pepper id>.<base64url>`: HMAC-SHA-256 of the whole key under the pepper's digest key.
    Keyed {
        /// The pepper it was made with.
        pepper: PepperId,
        /// HMAC-SHA-256.
        mac: [u8; 32],
    },
    /// `hsha256.<pepper id>.<base64url>`: HMAC-SHA-256, under the pepper's key for imported digests, of the SHA-256 of a key
    /// that another system issued.
    Imported {
        /// The pepper it was made with.
        pepper: PepperId,
        /// HMAC-SHA-256.
        mac: [u8; 32],
    },
    /// `sha256.<base64url>`: SHA-256 of a key that another system issued, as earlier versions stored it. A reader of the store
    /// can test guesses against it.
    ImportedBare([u8; 32]),
}

/// A string is not a digest.
// The string is not repeated: it may be a key that was entered in place of its digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "not a digest: `hs256.<8 hex digits>.<43 base64url characters>`, or for an imported key \
     `hsha256.<8 hex digits>.<43 base64url characters>` or `sha256.<43 base64url characters>`"
)]
pub struct DigestError;

impl Digest {
    /// The id of the pepper that the digest was made with, if any.
    #[must_use]
    pub fn pepper(&self) -> Option<PepperId> {
        match self {
            Self::Keyed { pepper, .. } | Self::Imported { pepper, .. } => Some(*pepper),
            Self::ImportedBare(_) => None,
        }
    }

    /// Whether another system issued the key.
    #[must_use]
    pub fn is_imported(&self) -> bool {
        match self {
            Self::Keyed { .. } => false,
            Self::Imported { .. } | Self::ImportedBare(_) => true,
        }
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    /// Reads a stored digest.
    ///
    /// # Errors
    /// The string has another form or length, or its base64url is not canonical.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.');
        let digest = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some("hs256"), Some(pepper), Some(mac), None) => {
                Self::Keyed { pepper: pepper.parse().map_err(|_| DigestError)?, mac: decode(mac)? }
            }
            (Some("hsha256"), Some(pepper), Some(mac), None) => {
                Self::Imported { pepper: pepper.parse().map_err(|_| DigestError)?, mac: decode(mac)? }
            }
            (Some("sha256"), Some(hash), None, None) => Self::ImportedBare(decode(hash)?),
            _ => return Err(DigestError),
        };
        Ok(digest)
    }
}

fn decode(text: &str) -> Result<[u8; 32], DigestError> {
    let mut bytes = [0; 32];
    let decoded = Base64UrlUnpadded::decode(text, &mut bytes).map_err(|_| DigestError)?;
    if decoded.len() == 32 { Ok(bytes) } else { Err(DigestError) }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyed { pepper, mac } => {
                write!(f, "hs256.{pepper}.{}", Base64UrlUnpadded::encode_string(mac))
            }
            Self::Imported { pepper, mac } => {
                write!(f, "hsha256.{pepper}.{}", Base64UrlUnpadded::encode_string(mac))
            }
            Self::ImportedBare(hash) => {
                write!(f, "sha256.{}", Base64UrlUnpadded::encode_string(hash))
            }
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyed { pepper, .. } => write!(f, "Digest(hs256.{pepper}, ..)"),
            Self::Imported { pepper, .. } => write!(f, "Digest(hsha256.{pepper}, ..)"),
            Self::ImportedBare(_) => f.write_str("Digest(sha256, ..)"),
        }
    }
}

crate::text::from_str::deserialize_from_str!(Digest);

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        alloc::format!("{digest}")
    }
}

/// The shortest imported key: 22 base64 characters hold 128 bits.
const IMPORTED_MIN: usize = 20;
/// The longest imported key; long enough for signed tokens that are used as opaque keys.
const IMPORTED_MAX: usize = 512;

/// A presented key that another system issued: its SHA-256, and the id that is derived from it.
// Absent on purpose: PartialEq; comparison goes through `Peppers::imported_matches`.
#[derive(Clone, Copy)]
pub struct ImportedKey {
    sha256: [u8; 32],
    id: KeyId,
}

impl fmt::Debug for ImportedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImportedKey({}, ..)", self.id)
    }
}

impl ImportedKey {
    /// Reads a b64token (RFC 6750, section 2.1) of 20 to 512 characters; hex, base64 and most tokens have this form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if !(IMPORTED_MIN..=IMPORTED_MAX).contains(&text.len()) || !text.chars().all(is_token) {
            return None;
        }
        Some(Self::of_sha256(Sha256::digest(text.as_bytes()).into()))
    }

    /// Whether a text could contain such a key: as a whole, or between characters that no key has.
    #[must_use]
    pub fn may_be_in(text: &str) -> bool {
        let mut runs = text.split(|c| !is_token(c));
        runs.any(|run| (IMPORTED_MIN..=IMPORTED_MAX).contains(&run.len()))
    }

    /// The id of its record.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The key with this SHA-256, which another system stored.
    #[must_use]
    pub fn of_sha256(sha256: [u8; 32]) -> Self {
        Self { sha256, id: KeyId::of_imported(&sha256) }
    }

    /// Its SHA-256, against which guesses at the key can be tested.
    #[must_use]
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }
}

/// A character of a b64token.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+' | '/' | '=')
}

#[cfg(test)]
mod tests;
