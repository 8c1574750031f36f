//! A verify API as a hosted key service has one: it is sent a key, and says whether it is valid and whose it is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use keygate_core::key::NewKey;
use keygate_core::key::digest::ImportedKey;
use keygate_testbed::http::{self, Response};
use serde_json::{Value, json};

use crate::keys;

pub(crate) struct VerifyApi {
    pub(crate) address: SocketAddr,
    calls: Arc<AtomicU64>,
}

impl VerifyApi {
    /// Knows `issued`, by the SHA-256 of each.
    pub(crate) fn start(issued: &[NewKey]) -> Result<Self> {
        let known: HashMap<[u8; 32], Arc<[u8]>> = issued
            .iter()
            .enumerate()
            .filter_map(|(number, key)| Some((sha256(key.reveal())?, valid(number, key))))
            .collect();
        let invalid: Arc<[u8]> =
            json!({ "valid": false, "code": "NOT_FOUND" }).to_string().into_bytes().into();
        let calls = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&calls);
        let address = http::serve(move |request| {
            counter.fetch_add(1, Ordering::Relaxed);
            let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let key = asked.get("key").and_then(Value::as_str).unwrap_or_default();
            let found = sha256(key).and_then(|hash| known.get(&hash));
            Response::ok(Arc::clone(found.unwrap_or(&invalid)))
        })?;
        Ok(Self { address, calls })
    }

    /// How often it was asked so far.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

fn valid(number: usize, key: &NewKey) -> Arc<[u8]> {
    let holder = json!({
        "valid": true, "code": "VALID", "id": key.id().as_str(), "subject": keys::subject(number), "scopes": [keys::SCOPE],
    });
    holder.to_string().into_bytes().into()
}

fn sha256(key: &str) -> Option<[u8; 32]> {
    ImportedKey::parse(key).map(|key| *key.sha256())
}
