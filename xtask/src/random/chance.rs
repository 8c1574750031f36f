//! What is left to chance: a stream of numbers that a seed and a request's number determine.

/// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
pub(super) struct Chance(u64);

impl Chance {
    /// The stream of one request: the same whatever was sent before it, and by which connection.
    pub(super) fn of(seed: u64, number: u64) -> Self {
        let mut chance = Self(seed);
        let start = chance.next() ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self(start)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 where there is none.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        usize::try_from(self.next().checked_rem(end).unwrap_or_default()).unwrap_or_default()
    }

    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of them; the default of an empty list.
    pub(super) fn pick<T: Clone + Default>(&mut self, list: &[T]) -> T {
        let at = self.below(list.len());
        list.get(at).cloned().unwrap_or_default()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}
