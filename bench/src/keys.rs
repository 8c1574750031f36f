//! The keys of the bench, and their records.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use keygate_core::key::digest::{Digest, ImportedKey};
use keygate_core::key::pepper::Pepper;
use keygate_core::key::{KeyPrefix, NewKey};
use keygate_testbed::chance::Chance;
use keygate_testbed::keys::new_key;
use serde_json::json;

pub(crate) const PREFIX: &str = "acme_live";
pub(crate) const PEPPER: &str = "bench-only-3vJ0mB8nXqT5wYc7RzK1pLd9GhFs2aUe6iOx4N";
pub(crate) const SCOPE: &str = "reports:read";

pub(crate) struct KeyMaker {
    prefix: KeyPrefix,
    pepper: Pepper,
    /// A pepper that no contender has: its keys have the right shape and a wrong tag.
    forger: Pepper,
    chance: Chance,
}

impl KeyMaker {
    pub(crate) fn new() -> Result<Self> {
        let pepper = |text: &str| text.parse::<Pepper>().map_err(|fault| anyhow!("{fault}"));
        Ok(Self {
            prefix: PREFIX.parse::<KeyPrefix>().map_err(|fault| anyhow!("{fault}"))?,
            pepper: pepper(PEPPER)?,
            forger: pepper(&PEPPER.replace("bench", "forge"))?,
            chance: Chance::new(0x6b65_7967_6174_6531),
        })
    }

    /// Well-made keys.
    pub(crate) fn make(&mut self, count: usize) -> Vec<NewKey> {
        (0..count).map(|_| new_key(&self.prefix, &self.pepper, &mut self.chance)).collect()
    }

    /// Keys with a tag that somebody guessed.
    pub(crate) fn forge(&mut self, count: usize) -> Vec<NewKey> {
        (0..count).map(|_| new_key(&self.prefix, &self.forger, &mut self.chance)).collect()
    }

    /// Keys as another system makes them: 64 hexadecimal digits.
    pub(crate) fn foreign(&mut self, count: usize) -> Vec<String> {
        let mut digits = || format!("{:016x}", self.chance.next_u64());
        (0..count).map(|_| [digits(), digits(), digits(), digits()].concat()).collect()
    }

    /// The KV entries of `keys`: for each one a record, and what the contenders without pepper keep in its place.
    pub(crate) fn entries(&self, keys: &[NewKey]) -> HashMap<String, Arc<[u8]>> {
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
pub(crate) fn subject(number: usize) -> String {
    format!("customer-{number}")
}
