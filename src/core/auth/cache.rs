//! The isolate's cache of records: bounded, without negative entries.

use alloc::rc::Rc;
use core::borrow::Borrow;
use core::hash::BuildHasherDefault;
use core::num::{NonZeroU32, NonZeroUsize};
use core::ops::Deref;

use lru::LruCache;

use crate::key::KeyId;
use crate::record::Record;
use crate::text::fnv::Fnv;

/// The result of a cache lookup. Absence is not cached: a miss always leads to a read of KV.
#[derive(Clone, Debug)]
pub enum Cached<R = Rc<Record>> {
    /// Read within the last `CACHE_SECONDS`.
    Fresh(R),
    /// Read longer ago, but still usable while KV fails.
    Stale(R),
    /// Not cached, or too old.
    Miss,
}

#[derive(Debug)]
struct Entry<R> {
    record: R,
    read_at_ms: u64,
}

/// An LRU cache of at most `entries` records; `R` is a pointer to a record.
#[derive(Debug)]
pub struct RecordCache<R = Rc<Record>> {
    entries: Option<LruCache<KeyId, Entry<R>, BuildHasherDefault<Fnv>>>,
    fresh_ms: u64,
    stale_ms: u64,
}

impl<R: Clone + Deref<Target: Borrow<Record>>> RecordCache<R> {
    /// Creates a cache of at most `entries` records, fresh for `fresh_secs`, and usable for `stale_secs` more
    /// while KV fails. 0 entries or 0 seconds of freshness: nothing is cached.
    #[must_use]
    pub fn new(entries: u32, fresh_secs: u32, stale_secs: u32) -> Self {
        Self {
            entries: NonZeroU32::new(entries).filter(|_| fresh_secs > 0).map(|max| {
                // Not `LruCache::new`, because that allocates the whole table at once.
                let mut entries = LruCache::unbounded_with_hasher(BuildHasherDefault::new());
                entries.resize(NonZeroUsize::try_from(max).unwrap_or(NonZeroUsize::MAX));
                entries
            }),
            fresh_ms: u64::from(fresh_secs) * 1000,
            stale_ms: u64::from(fresh_secs.saturating_add(stale_secs)) * 1000,
        }
    }

    /// Looks up the record of `id`.
    pub fn get(&mut self, id: &KeyId, now_ms: u64) -> Cached<R> {
        let Some(entry) = self.entries.as_mut().and_then(|all| all.get(id)) else {
            return Cached::Miss;
        };
        // The clock went back, so the age of the entry is unknown.
        let Some(age) = now_ms.checked_sub(entry.read_at_ms) else {
            return Cached::Miss;
        };
        if age < self.fresh_ms {
            Cached::Fresh(entry.record.clone())
        } else if age < self.stale_ms {
            Cached::Stale(entry.record.clone())
        } else {
            Cached::Miss
        }
    }

    /// Caches a record that was read at `now_ms`.
    pub fn insert(&mut self, record: &R, now_ms: u64) {
        if let Some(entries) = &mut self.entries {
            let id = (**record).borrow().id;
            entries.put(id, Entry { record: record.clone(), read_at_ms: now_ms });
        }
    }

    /// Caches a record that is fresh for at most `fresh_ms`.
    pub fn insert_for(&mut self, record: &R, now_ms: u64, fresh_ms: u64) {
        self.insert(record, now_ms.saturating_sub(self.fresh_ms.saturating_sub(fresh_ms)));
    }

    /// Removes the record of `id`.
    pub fn remove(&mut self, id: &KeyId) {
        if let Some(entries) = &mut self.entries {
            entries.pop(id);
        }
    }

    /// The number of cached records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, LruCache::len)
    }

    /// Whether nothing is cached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Cached, RecordCache};
    use crate::key::KeyId;
    use crate::key::digest::{Digest, ImportedKey};
    use crate::record::Record;
    use crate::record::token::Subject;
    use crate::time::UnixSeconds;
    use alloc::rc::Rc;

    fn record(n: u32) -> Rc<Record> {
        let key = ImportedKey::parse(&std::format!("{n:064x}")).unwrap();
        Rc::new(Record::new(
            key.id(),
            "acme".parse::<Subject>().unwrap(),
            Digest::ImportedBare(*key.sha256()),
            UnixSeconds::new(0).unwrap(),
        ))
    }

    fn seen(cache: &mut RecordCache, id: KeyId, now_ms: u64) -> &'static str {
        match cache.get(&id, now_ms) {
            Cached::Fresh(_) => "fresh",
            Cached::Stale(_) => "stale",
            Cached::Miss => "miss",
        }
    }

    #[test]
    fn record_is_fresh_then_stale_then_missing() {
        let mut cache = RecordCache::new(10, 30, 300);
        let record = record(1);
        cache.insert(&record, 1_000_000);
        for (after_ms, expected) in
            [(0, "fresh"), (29_999, "fresh"), (30_000, "stale"), (329_999, "stale"), (330_000, "miss")]
        {
            assert_eq!(seen(&mut cache, record.id, 1_000_000 + after_ms), expected, "{after_ms}");
        }
        assert_eq!(seen(&mut cache, record.id, 999_999), "miss");
    }

    #[test]
    fn full_cache_evicts_the_least_recently_used_record() {
        let mut cache = RecordCache::new(3, 30, 0);
        let records: std::vec::Vec<_> = (0..4).map(record).collect();
        for record in &records[..3] {
            cache.insert(record, 0);
        }
        assert_eq!(seen(&mut cache, records[0].id, 1), "fresh");
        cache.insert(&records[3], 1);
        assert_eq!(cache.len(), 3);
        assert_eq!(seen(&mut cache, records[0].id, 2), "fresh");
        assert_eq!(seen(&mut cache, records[1].id, 2), "miss");
    }

    #[test]
    fn zero_disables_the_cache_and_removed_records_are_missing() {
        let record = record(1);
        let mut off = RecordCache::new(0, 30, 300);
        off.insert(&record, 0);
        assert_eq!(seen(&mut off, record.id, 0), "miss");
        let mut no_time = RecordCache::new(10, 0, 300);
        no_time.insert(&record, 0);
        assert_eq!(seen(&mut no_time, record.id, 0), "miss");
        let mut cache = RecordCache::new(10, 30, 300);
        cache.insert(&record, 0);
        cache.remove(&record.id);
        assert_eq!(seen(&mut cache, record.id, 0), "miss");
        assert!(cache.is_empty());
    }
}
