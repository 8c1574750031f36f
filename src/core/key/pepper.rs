//! The pepper: the secret that makes a leaked key store useless, and lets forged keys be refused without a read.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;
use zeroize::Zeroizing;

use super::digest::{Digest, ImportedKey};
use super::format::{Key, KeyPrefix, tag_text};
use super::pepper_id::PepperId;

type HmacSha256 = Hmac<Sha256>;

/// 43 characters of base64url hold 32 random bytes.
const PEPPER_MIN: usize = 43;
const PEPPER_MAX: usize = 512;
/// 64 random hex digits contain nearly all 16 digits; fewer than 10 different characters are not random.
const PEPPER_MIN_DISTINCT: usize = 10;

/// Why a string is not a pepper. The error does not contain the string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PepperError {
    /// Shorter than 43 or longer than 512 characters.
    #[error("is not {PEPPER_MIN} to {PEPPER_MAX} characters long; create one with `keygate pepper`")]
    Length,
    /// It contains white space, a control character or non-ASCII.
    #[error("contains a character that is not visible ASCII; create one with `keygate pepper`")]
    Character,
    /// Fewer than 10 different characters: not random.
    #[error("has too few different characters to be random; create one with `keygate pepper`")]
    Repetitive,
}

/// A pepper, as the keys that are derived from it. The pepper's own text is not stored.
// Absent on purpose: Clone, Display, Serialize, PartialEq. The HMAC states zeroize on drop.
pub struct Pepper {
    id: PepperId,
    /// The state after the key block, so that a request only hashes the message.
    tag_key: HmacSha256,
    digest_key: HmacSha256,
    imported_key: HmacSha256,
    mark_key: HmacSha256,
    rotation_key: HmacSha256,
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pepper({}, ..)", self.id)
    }
}

impl Pepper {
    /// The id of the pepper in stored digests.
    #[must_use]
    pub fn id(&self) -> PepperId {
        self.id
    }

    /// The tag of a key whose other part is `untagged`.
    pub(crate) fn tag(&self, untagged: &[u8]) -> [u8; 8] {
        tag_text(&mac(&self.tag_key, untagged))
    }

    /// The digest to store for `key`.
    #[must_use]
    pub fn digest(&self, key: &Key<'_>) -> Digest {
        Digest::Keyed { pepper: self.id, mac: mac(&self.digest_key, key.bytes()) }
    }

    /// The digest to store for a key that another system issued.
    #[must_use]
    pub fn imported_digest(&self, key: &ImportedKey) -> Digest {
        Digest::Imported { pepper: self.id, mac: mac(&self.imported_key, key.sha256()) }
    }

    /// The mark of the gate that has this pepper and this key prefix, on what it forwards.
    pub(crate) fn mark(&self, prefix: &KeyPrefix) -> String {
        let mac = mac(&self.mark_key, prefix.as_str().as_bytes());
        let start = mac.first_chunk().copied().unwrap_or_default();
        format!("{:016x}", u64::from_be_bytes(start))
    }

    /// Hides a text in a stream that follows from the pepper and the salt; done twice it is the text again. A salt hides one text.
    ///
    /// Whoever changes the hidden text changes the text: compare it with its digest.
    pub fn hide(&self, salt: &RotationSalt, text: &mut [u8]) {
        for (chunk, counter) in text.chunks_mut(32).zip(0..) {
            let block = self.rotation_block(salt, counter);
            chunk.iter_mut().zip(block.iter()).for_each(|(byte, mask)| *byte ^= mask);
        }
    }

    /// The `counter`th block of what the key of a rotation is made from: a KDF in counter mode (NIST SP 800-108).
    pub(super) fn rotation_block(&self, salt: &RotationSalt, counter: u32) -> Zeroizing<[u8; 32]> {
        let state = self.rotation_key.clone().chain_update(counter.to_be_bytes());
        Zeroizing::new(mac(&state, &salt.0))
    }

    fn tag_matches(&self, key: &Key<'_>) -> Choice {
        match key.tagged() {
            Some((untagged, tag)) => self.tag(untagged).ct_eq(tag),
            None => Choice::from(0),
        }
    }
}

impl FromStr for Pepper {
    type Err = PepperError;

    /// Reads a pepper such as `keygate pepper` or `openssl rand -base64 32` prints.
    ///
    /// The string itself is the secret; it is not decoded, so that tools cannot decode it differently.
    /// White space around it, such as the newline at the end of a file, is ignored.
    ///
    /// # Errors
    /// See [`PepperError`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim_ascii();
        if !(PEPPER_MIN..=PEPPER_MAX).contains(&text.len()) {
            return Err(PepperError::Length);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(PepperError::Character);
        }
        let distinct = (0..=u8::MAX).filter(|b| text.as_bytes().contains(b));
        if distinct.count() < PEPPER_MIN_DISTINCT {
            return Err(PepperError::Repetitive);
        }
        Ok(Self {
            id: pepper_id(text),
            tag_key: derive(text, b"keygate/v1/tag")?,
            digest_key: derive(text, b"keygate/v1/digest")?,
            imported_key: derive(text, b"keygate/v1/imported-digest")?,
            mark_key: derive(text, b"keygate/v1/mark")?,
            rotation_key: derive(text, b"keygate/v1/rotation")?,
        })
    }
}

/// 32 random bytes that, with the pepper, stand for the new key of a rotation, or hide the old one. Without the pepper they say
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RotationSalt(pub [u8; 32]);

/// The result of comparing a presented key with a stored digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestMatch {
    /// The digest is that of the key.
    Yes,
    /// It is not.
    No,
    /// The digest names a pepper that this gate does not have, so it cannot be compared.
    UnknownPepper(PepperId),
}

impl DigestMatch {
    fn of(is_equal: Choice) -> Self {
        if is_equal.into() { Self::Yes } else { Self::No }
    }
}

/// The peppers that a gate accepts: the current one and, during a rotation, the previous one.
#[derive(Debug)]
pub struct Peppers {
    /// New keys are issued with this one.
    pub current: Pepper,
    /// Keys that were issued with this one still work.
    pub previous: Option<Pepper>,
}

impl Peppers {
    /// Whether the tag was made with one of the peppers. In constant time for keys of equal length.
    #[must_use]
    pub fn tag_matches(&self, key: &Key<'_>) -> bool {
        let mut matches = self.current.tag_matches(key);
        if let Some(previous) = &self.previous {
            matches |= previous.tag_matches(key);
        }
        matches.into()
    }

    /// Whether `stored` is the digest of `key`, compared in constant time.
    #[must_use]
    pub fn digest_matches(&self, key: &Key<'_>, stored: &Digest) -> DigestMatch {
        match stored {
            Digest::Keyed { pepper, mac: stored } => {
                self.compare(*pepper, stored, |pepper| mac(&pepper.digest_key, key.bytes()))
            }
            Digest::Imported { .. } | Digest::ImportedBare(_) => DigestMatch::No,
        }
    }

    /// Whether `stored` is the digest of `key`, which another system issued, compared in constant time.
    #[must_use]
    pub fn imported_matches(&self, key: &ImportedKey, stored: &Digest) -> DigestMatch {
        match stored {
            Digest::Keyed { .. } => DigestMatch::No,
            Digest::Imported { pepper, mac: stored } => {
                self.compare(*pepper, stored, |pepper| mac(&pepper.imported_key, key.sha256()))
            }
            Digest::ImportedBare(stored) => DigestMatch::of(key.sha256().ct_eq(stored)),
        }
    }

    /// The pepper of this id, if it is one of the two.
    #[must_use]
    pub fn of_id(&self, id: PepperId) -> Option<&Pepper> {
        // This comparison leaks which pepper a record names, which is not secret.
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|known| known.id == id)
    }

    fn compare(&self, pepper: PepperId, stored: &[u8; 32], mac: impl Fn(&Pepper) -> [u8; 32]) -> DigestMatch {
        match self.of_id(pepper) {
            Some(known) => DigestMatch::of(mac(known).ct_eq(stored)),
            None => DigestMatch::UnknownPepper(pepper),
        }
    }
}

fn derive(pepper: &str, label: &[u8]) -> Result<HmacSha256, PepperError> {
    let root = HmacSha256::new_from_slice(pepper.as_bytes()).map_err(|_| PepperError::Length)?;
    let key = Zeroizing::new(mac(&root, label));
    HmacSha256::new_from_slice(key.as_slice()).map_err(|_| PepperError::Length)
}

fn mac(state: &HmacSha256, message: &[u8]) -> [u8; 32] {
    state.clone().chain_update(message).finalize().into_bytes().into()
}

fn pepper_id(pepper: &str) -> PepperId {
    let hash =
        Sha256::new().chain_update(b"keygate/v1/pepper-id\0").chain_update(pepper.as_bytes()).finalize();
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let mut id = [b'0'; 8];
    for (digit, nibble) in id.iter_mut().zip(nibbles) {
        *digit = if nibble < 10 { b'0' + nibble } else { b'a' + (nibble - 10) };
    }
    PepperId(id)
}

#[cfg(test)]
mod tests;
