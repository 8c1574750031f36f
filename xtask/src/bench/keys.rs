//! The keys of the bench, and their records.
//!
//! They are made from a fixed seed: no run depends on luck, and nothing but the bench's own origin is behind them.

use std::collections::HashMap;
use std::sync::Arc;

use keygate_core::key::digest::{Digest, ImportedKey};
use keygate_core::key::pepper::Pepper;
use keygate_core::key::{KeyPrefix, NewKey};
use serde_json::json;

use crate::failure::Failure;

pub(super) const PREFIX: &str = "acme_live";
pub(super) const PEPPER: &str = "bench-only-3vJ0mB8nXqT5wYc7RzK1pLd9GhFs2aUe6iOx4N";
pub(super) const SCOPE: &str = "reports:read";

pub(super) struct KeyMaker {
    prefix: KeyPrefix,
    pepper: Pepper,
    /// A pepper that no contender has: its keys have the right shape and a wrong tag.
    forger: Pepper,
    seed: u64,
}

impl KeyMaker {
    pub(super) fn new() -> Result<Self, Failure> {
        let broken = |problem: String| Failure::new(problem, "repair the constants of the bench");
        let pepper = |text: &str| text.parse::<Pepper>().map_err(|fault| broken(fault.to_string()));
        Ok(Self {
            prefix: PREFIX.parse::<KeyPrefix>().map_err(|fault| broken(fault.to_string()))?,
            pepper: pepper(PEPPER)?,
            forger: pepper(&PEPPER.replace("bench", "forge"))?,
            seed: 0x6b65_7967_6174_6531,
        })
    }

    /// Well-made keys.
    pub(super) fn make(&mut self, count: usize) -> Vec<NewKey> {
        let seed = &mut self.seed;
        (0..count).map(|_| make(&self.prefix, &self.pepper, seed)).collect()
    }

    /// Keys with a tag that somebody guessed.
    pub(super) fn forge(&mut self, count: usize) -> Vec<NewKey> {
        let seed = &mut self.seed;
        (0..count).map(|_| make(&self.prefix, &self.forger, seed)).collect()
    }

    /// Keys as another system makes them: 64 hexadecimal digits.
    pub(super) fn foreign(&mut self, count: usize) -> Vec<String> {
        let mut digits = || format!("{:016x}", next(&mut self.seed));
        (0..count).map(|_| [digits(), digits(), digits(), digits()].concat()).collect()
    }

    /// The KV entries of `keys`: for each one a record, and what the contenders without pepper keep in its place.
    pub(super) fn entries(&self, keys: &[NewKey]) -> HashMap<String, Arc<[u8]>> {
        let mut entries = HashMap::with_capacity(keys.len() * 2);
        for (number, key) in keys.iter().enumerate() {
            let id = key.id();
            let subject = subject(number);
            let digest = self.pepper.digest(&key.as_presented()).to_string();
            let record = json!({
                "v": 1, "id": id.as_str(), "subject": subject, "name": "Made by the bench", "digest": digest,
                "state": "active", "created": 1_764_000_000, "not_after": 4_102_444_800_u64, "scopes": [SCOPE],
            });
            entries.insert(id.kv_name(), record.to_string().into_bytes().into());
            let hash =
                ImportedKey::parse(key.reveal()).map(|key| Digest::ImportedBare(*key.sha256()).to_string());
            let hash = hash.unwrap_or_default();
            let minimal = json!({ "subject": subject, "hash": hash.trim_start_matches("sha256.") });
            entries.insert(format!("minimal/{id}"), minimal.to_string().into_bytes().into());
        }
        entries
    }
}

/// Who holds the key of this number.
pub(super) fn subject(number: usize) -> String {
    format!("customer-{number}")
}

fn make(prefix: &KeyPrefix, pepper: &Pepper, seed: &mut u64) -> NewKey {
    let fill = |bytes: &mut [u8]| {
        for chunk in bytes.chunks_mut(8) {
            for (byte, random) in chunk.iter_mut().zip(next(seed).to_le_bytes()) {
                *byte = random;
            }
        }
        Ok::<(), std::convert::Infallible>(())
    };
    match NewKey::from_entropy(prefix, pepper, fill) {
        Ok(key) => key,
        Err(never) => match never {},
    }
}

/// `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
