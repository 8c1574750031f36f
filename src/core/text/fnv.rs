//! A hash for maps in the isolate.

use core::hash::Hasher;

/// FNV-1a. Not the standard hasher, which protects against names that an attacker chooses: ids are random or digests, subjects are
/// chosen by the operator, and only those of existing records are kept.
pub(crate) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        self.0 =
            bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
