//! A KV namespace as the runtime asks a `kvNamespace` service for it, and a count of its reads.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;

use crate::http::{self, Response};

/// A namespace that is served until this process ends.
pub struct KvBackend {
    /// Where the runtime reaches it.
    pub address: SocketAddr,
    reads: Arc<AtomicU64>,
}

impl KvBackend {
    /// Serves `entries`, by their names.
    ///
    /// # Errors
    ///
    /// When there is no free port.
    pub fn start(entries: HashMap<String, Arc<[u8]>>) -> Result<Self> {
        let reads = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&reads);
        let address = http::serve(move |request| {
            counter.fetch_add(1, Ordering::Relaxed);
            // `GET /<name>?urlencoded=true`; of the characters in our names only the slash is encoded.
            let path = request.target().split('?').next().unwrap_or_default();
            let name = path.trim_start_matches('/').replace("%2F", "/");
            entries.get(&name).cloned().map_or_else(Response::not_found, Response::ok)
        })?;
        Ok(Self { address, reads })
    }

    /// How many reads there were so far, of entries that exist or not.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}
