//! Creating a key.

use alloc::string::String;
use core::convert::Infallible;
use core::fmt;

use zeroize::{Zeroize, Zeroizing};

use super::format::{ID_LEN, KEY_MAX_LEN, Key, KeyId, KeyPrefix, SECRET_LEN, base62_digit};
use super::pepper::{Pepper, RotationSalt};

/// A new key; it is shown once and zeroized when dropped.
// Absent on purpose: Clone, Display, Serialize, PartialEq.
pub struct NewKey {
    text: Zeroizing<String>,
    id: KeyId,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewKey({}, ..)", self.id)
    }
}

impl NewKey {
    /// Creates a key from random bytes, which `fill` writes; it is called until enough of them are usable.
    ///
    /// # Errors
    /// Those of `fill`.
    pub fn from_entropy<E>(
        prefix: &KeyPrefix,
        pepper: &Pepper,
        mut fill: impl FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        // Reserved at once, so that no reallocation leaves a copy of the secret behind.
        let mut text = Zeroizing::new(String::with_capacity(KEY_MAX_LEN));
        text.push_str(prefix.as_str());
        text.push('_');
        let mut id = [0; ID_LEN];
        fill_base62(&mut id, &mut fill)?;
        let mut secret = Zeroizing::new([0; SECRET_LEN]);
        fill_base62(secret.as_mut_slice(), &mut fill)?;
        text.extend(id.iter().chain(secret.iter()).map(|b| char::from(*b)));
        let tag = pepper.tag(text.as_bytes());
        text.extend(tag.iter().map(|b| char::from(*b)));
        Ok(Self { text, id: KeyId(id) })
    }

    /// The key of a rotation: it follows from the pepper and the salt, so that whoever resumes the rotation with the pepper makes
    /// the same key again.
    #[must_use]
    pub fn of_rotation(prefix: &KeyPrefix, pepper: &Pepper, salt: &RotationSalt) -> Self {
        let mut counter = 0_u32;
        let filled = Self::from_entropy(prefix, pepper, |bytes| {
            for chunk in bytes.chunks_mut(32) {
                let block = pepper.rotation_block(salt, counter);
                chunk.iter_mut().zip(block.iter()).for_each(|(to, from)| *to = *from);
                counter = counter.wrapping_add(1);
            }
            Ok::<(), Infallible>(())
        });
        match filled {
            Ok(key) => key,
        }
    }

    /// The public part.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The whole key, to be printed once, delivered or digested; never logged.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// The key as the gate reads it.
    #[must_use]
    pub fn as_presented(&self) -> Key<'_> {
        Key { text: &self.text, id: self.id }
    }
}

/// Fills `digits` with uniform base62 digits: bytes from 248 up are rejected (248 = 4 × 62).
fn fill_base62<E>(digits: &mut [u8], fill: &mut impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<(), E> {
    let mut random = [0_u8; 64];
    let mut usable = 0..0;
    for digit in digits {
        *digit = loop {
            let Some(byte) = usable.next().and_then(|at: usize| random.get(at)) else {
                fill(&mut random)?;
                usable = 0..random.len();
                continue;
            };
            if *byte < 248 {
                break base62_digit(u128::from(*byte) % 62);
            }
        };
    }
    random.zeroize();
    Ok(())
}
