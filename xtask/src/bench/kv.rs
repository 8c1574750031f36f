//! The KV namespace of all contenders: what the runtime asks of a `kvNamespace` service, and a count of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::failure::Failure;

use super::server;

pub(super) struct KvBackend {
    pub(super) address: SocketAddr,
    reads: Arc<AtomicU64>,
}

impl KvBackend {
    /// Serves `entries`, by their names.
    pub(super) fn start(entries: HashMap<String, Arc<[u8]>>) -> Result<Self, Failure> {
        let reads = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&reads);
        let address = server::serve(move |target, _| {
            counter.fetch_add(1, Ordering::Relaxed);
            // `GET /<name>?urlencoded=true`; of the characters in our names only the slash is encoded.
            let path = target.split('?').next().unwrap_or_default();
            let name = path.trim_start_matches('/').replace("%2F", "/");
            entries.get(&name).cloned()
        })?;
        Ok(Self { address, reads })
    }

    /// How many reads there were so far, of entries that exist or not.
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}
