//! A deployed KV namespace.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cloudflare::api::{Call, WAITS};
use crate::cloudflare::gate::DeployedGate;
use crate::cloudflare::refusal::Permission;
use crate::entry::Entry;
use crate::error::{Error, Outcome};
use crate::store::{Listed, Store, Stored};
use crate::wrangler_config::WranglerConfig;

/// Names that one bulk read may ask for.
const READ_MAX: usize = 100;
/// Pairs that one bulk write may hold.
pub(crate) const WRITE_MAX: usize = 10_000;
/// One bulk write may have 100 MB; escaping and commas are within the rest.
const WRITE_MAX_BYTES: usize = 90_000_000;

/// The namespace of one deployed gate.
// Absent on purpose: Debug; the API holds the token.
pub(crate) struct RemoteKv {
    gate: DeployedGate,
    namespace: String,
    place: String,
}

impl RemoteKv {
    pub(crate) fn new(gate: DeployedGate, namespace: String, config: &WranglerConfig) -> Self {
        Self { gate, namespace, place: config.with_environment("the deployed KV namespace") }
    }

    /// The segments of a path below the namespace.
    fn path<'p>(&'p self, below: &[&'p str]) -> Vec<&'p str> {
        let namespace = ["accounts", &self.gate.account, "storage", "kv", "namespaces", &self.namespace];
        [&namespace[..], below].concat()
    }

    fn read(&self, names: &[String]) -> Outcome<BTreeMap<String, Option<Found>>> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Question<'q> {
            keys: &'q [String],
            with_metadata: bool,
        }
        #[derive(Deserialize)]
        struct Values {
            #[serde(default)]
            values: BTreeMap<String, Option<Found>>,
        }
        let answer = self.gate.api.ask::<Values>(&Call {
            method: "POST",
            path: &self.path(&["bulk", "get"]),
            query: &[],
            body: Some(&json(&Question { keys: names, with_metadata: true })?),
            needs: Permission::KvRead,
            doing: &format!("cannot read {}", self.place),
        })?;
        Ok(answer.result.ok_or_else(|| self.says_nothing("read"))?.values)
    }

    /// A success without what was asked for is not the same as that there is nothing.
    fn says_nothing(&self, doing: &str) -> Error {
        Error::failed(
            format!(
                "cannot {doing} {}: the answer is not one of Cloudflare's API (it has no result)",
                self.place
            ),
            "check CLOUDFLARE_API_BASE_URL and HTTPS_PROXY; if neither is set, look for a newer keygate",
        )
    }

    /// One call, repeated for the names that Cloudflare says it did not write.
    fn put(&self, entries: &[Entry]) -> Outcome<()> {
        #[derive(Default, Deserialize)]
        struct Written {
            #[serde(default)]
            unsuccessful_keys: Vec<String>,
        }
        let mut waits = WAITS.into_iter();
        let mut body = json(&entries)?;
        loop {
            let answer = self.gate.api.ask::<Written>(&Call {
                method: "PUT",
                path: &self.path(&["bulk"]),
                query: &[],
                body: Some(&body),
                needs: Permission::KvWrite,
                doing: &format!("cannot write to {}", self.place),
            })?;
            let failed = answer.result.unwrap_or_default().unsuccessful_keys;
            if failed.is_empty() {
                return Ok(());
            }
            let Some(wait) = waits.next() else {
                return Err(Error::failed(
                    format!(
                        "{} of {} entries were not written to {}",
                        failed.len(),
                        entries.len(),
                        self.place
                    ),
                    "run the command again: what has been written is left as it is",
                ));
            };
            std::thread::sleep(wait);
            let again: Vec<&Entry> = entries.iter().filter(|entry| failed.contains(&entry.key)).collect();
            body = json(&again)?;
        }
    }
}

/// A value with its metadata; either may be null.
#[derive(Deserialize)]
struct Found {
    value: Option<String>,
    #[serde(default)]
    metadata: Value,
}

impl Store for RemoteKv {
    fn entries(&self, names: &[String]) -> Outcome<Vec<Option<Stored>>> {
        let mut all = Vec::with_capacity(names.len());
        for names in names.chunks(READ_MAX) {
            let mut found = self.read(names)?;
            all.extend(names.iter().map(|name| {
                let Found { value, metadata } = found.remove(name)??;
                Some(Stored { value: value?, metadata: serde_json::from_value(metadata).ok() })
            }));
        }
        Ok(all)
    }

    fn write(&self, entries: &[Entry]) -> Outcome<()> {
        for chunk in bulks(entries) {
            self.put(chunk)?;
        }
        Ok(())
    }

    fn list(&self, prefix: &str, page: &mut dyn FnMut(Vec<Listed>) -> Outcome<()>) -> Outcome<()> {
        let mut cursor = String::new();
        let mut cursors = HashSet::new();
        loop {
            let first = [("limit", "1000"), ("prefix", prefix)];
            let further = [("limit", "1000"), ("prefix", prefix), ("cursor", cursor.as_str())];
            let answer = self.gate.api.ask::<Vec<Listed>>(&Call {
                method: "GET",
                path: &self.path(&["keys"]),
                query: if cursor.is_empty() { &first } else { &further },
                body: None,
                needs: Permission::KvRead,
                doing: &format!("cannot list {}", self.place),
            })?;
            page(answer.result.ok_or_else(|| self.says_nothing("list"))?)?;
            // By the cursor alone: a page may be empty and not the last.
            let next = answer.result_info.and_then(|info| info.cursor).unwrap_or_default();
            if next.is_empty() {
                return Ok(());
            }
            // One that comes again leads round for ever.
            if !cursors.insert(next.clone()) {
                return Err(Error::failed(
                    format!("cannot list {}: the listing does not go on", self.place),
                    "run the command again",
                ));
            }
            cursor = next;
        }
    }

    fn place(&self) -> &str {
        &self.place
    }

    fn deployed_at(&self) -> Option<(&str, &str)> {
        Some((&self.gate.account, &self.namespace))
    }

    fn gate_has(&self, secret: &str) -> Outcome<Option<bool>> {
        self.gate.has(secret).map(Some)
    }
}

/// The entries in as many parts as there have to be bulk writes.
pub(crate) fn bulks(entries: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = rest.iter().take(WRITE_MAX).take_while(|entry| {
            bytes += entry.bulk_bytes();
            bytes <= WRITE_MAX_BYTES
        });
        // One at least: an entry is far smaller than a bulk write.
        let count = fits.count().max(1);
        let (head, tail) = rest.split_at_checked(count)?;
        rest = tail;
        Some(head)
    })
}

fn json(value: &impl Serialize) -> Outcome<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|e| Error::failed(format!("cannot write JSON: {e}"), "report this; it should not happen"))
}

#[cfg(test)]
mod tests {
    use super::{WRITE_MAX, bulks, json};
    use crate::entry::Entry;

    fn entries(count: usize, value: &str) -> Vec<Entry> {
        let entry = |n| Entry { key: format!("key/{n:012}"), value: value.to_owned(), metadata: None };
        (0..count).map(entry).collect()
    }

    #[test]
    fn one_call_has_no_more_pairs_and_bytes_than_cloudflare_takes() {
        const CLOUDFLARE_MAX_BYTES: usize = 100_000_000;
        // As long as JSON makes a value: a quote takes two bytes.
        let long = "\"".repeat(1_000_000);
        for (entries, calls) in [
            (entries(0, ""), &[][..]),
            (entries(WRITE_MAX, "x"), &[10_000]),
            (entries(WRITE_MAX + 1, "x"), &[10_000, 1]),
            (entries(45, &long), &[44, 1]),
        ] {
            let bulks: Vec<&[Entry]> = bulks(&entries).collect();
            assert_eq!(bulks.iter().map(|bulk| bulk.len()).collect::<Vec<_>>(), calls);
            for bulk in bulks {
                assert!(json(&bulk).unwrap().len() <= CLOUDFLARE_MAX_BYTES);
            }
        }
    }
}
