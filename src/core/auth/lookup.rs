//! Step 8: finding the record of an id, without I/O. The caller reads the store when it is told to, and passes the reply.
//!
//! The cache comes first, then KV. A record of `STATIC_KEYS` is used if KV fails, does not answer in time, or has no entry of
//! that id: an entry in KV, such as a revocation, takes precedence over the static record.

use alloc::string::String;
use core::borrow::Borrow;
use core::fmt;
use core::ops::Deref;

use crate::auth::cache::{Cached, RecordCache};
use crate::auth::decide::Lookup;
use crate::auth::secrets::Secrets;
use crate::key::KeyId;
use crate::record::{Record, RecordError};

/// The next step of a lookup.
#[derive(Clone, Debug)]
pub enum LookupStep<R> {
    /// Done: this is the record.
    Found(R),
    /// Read KV, and pass the reply to [`after_store`].
    AskStore,
}

/// The reply of KV for the entry of an id.
// Absent on purpose: a derived Debug, which would print digests.
#[derive(Clone)]
pub enum StoreReply {
    /// The value of the entry.
    Found(String),
    /// There is no entry.
    Absent,
    /// An error.
    Failed(String),
    /// No reply in time.
    TimedOut,
}

impl fmt::Debug for StoreReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Found(_) => "Found(..)",
            Self::Absent => "Absent",
            Self::Failed(_) => "Failed(..)",
            Self::TimedOut => "TimedOut",
        })
    }
}

/// Why no record was found.
#[derive(Clone, Debug)]
pub enum LookupError {
    /// No store has a record of this id.
    Unknown,
    /// KV failed, and neither the cache nor `STATIC_KEYS` has one.
    Failed(String),
    /// KV did not answer in time, and neither the cache nor `STATIC_KEYS` has one.
    TimedOut,
    /// The entry is not a valid record.
    Invalid(RecordError),
}

impl From<LookupError> for Lookup<'_> {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Unknown => Self::Unknown,
            LookupError::Failed(error) => Self::Failed(error),
            LookupError::TimedOut => Self::TimedOut,
            LookupError::Invalid(error) => Self::Invalid(error),
        }
    }
}

/// Looks for a fresh record in the cache.
pub fn before_store<R>(cache: &mut RecordCache<R>, id: &KeyId, now_ms: u64) -> LookupStep<R>
where
    R: Clone + Deref<Target: Borrow<Record>>,
{
    match cache.get(id, now_ms) {
        Cached::Fresh(record) => LookupStep::Found(record),
        Cached::Stale(_) | Cached::Miss => LookupStep::AskStore,
    }
}

/// Finds the record after KV has replied; `make` creates the pointer that is cached.
///
/// # Errors
/// Every variant of [`LookupError`].
pub fn after_store<R>(
    cache: &mut RecordCache<R>,
    secrets: &Secrets,
    id: &KeyId,
    now_ms: u64,
    reply: StoreReply,
    make: impl FnOnce(Record) -> R,
) -> Result<R, LookupError>
where
    R: Clone + Deref<Target: Borrow<Record>>,
{
    // Another request has cached it in the meantime. This reply may be older, and must not undo a revocation that was read since.
    if let Cached::Fresh(record) = cache.get(id, now_ms) {
        return Ok(record);
    }
    let error = match reply {
        StoreReply::Found(json) => match Record::parse_entry(*id, &json) {
            Ok(record) => return Ok(insert(cache, make(record), now_ms)),
            // The entry may be stricter than the static record, so that one is not used either.
            Err(error) => {
                cache.remove(id);
                return Err(LookupError::Invalid(error));
            }
        },
        StoreReply::Absent => {
            cache.remove(id);
            LookupError::Unknown
        }
        StoreReply::Failed(error) => LookupError::Failed(error),
        StoreReply::TimedOut => LookupError::TimedOut,
    };
    // A store that fails says nothing about the key.
    if let Cached::Stale(record) = cache.get(id, now_ms) {
        return Ok(record);
    }
    match secrets.static_key(id) {
        // Cached, so that requests do not wait for a KV that hangs; and only briefly, so that a revocation takes effect soon after
        // KV replies again.
        Some(record) => {
            let record = make(Record::clone(record));
            cache.insert_for(&record, now_ms, STATIC_FRESH_MS);
            Ok(record)
        }
        None => Err(error),
    }
}

/// How long a static record is used without reading KV again.
const STATIC_FRESH_MS: u64 = 5_000;

fn insert<R>(cache: &mut RecordCache<R>, record: R, now_ms: u64) -> R
where
    R: Clone + Deref<Target: Borrow<Record>>,
{
    cache.insert(&record, now_ms);
    record
}

#[cfg(test)]
mod tests {
    use alloc::rc::Rc;
    use alloc::string::String;

    use super::{LookupError, LookupStep, StoreReply, after_store, before_store};
    use crate::auth::cache::RecordCache;
    use crate::auth::secrets::{SecretValues, Secrets};
    use crate::key::KeyId;
    use crate::key::digest::ImportedKey;
    use crate::record::Record;

    const PEPPER: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    const READ_AT_MS: u64 = 1_000_000;

    /// A record in JSON; its name is the place it comes from.
    fn json(from: &str, state: &str) -> String {
        let key = ImportedKey::of_sha256([7; 32]);
        let secrets = secrets(None);
        let digest = secrets.peppers().current.imported_digest(&key);
        std::format!(
            r#"{{"v":1,"id":"{}","subject":"acme","name":"{from}","digest":"{digest}","state":"{state}","created":0}}"#,
            key.id()
        )
    }

    fn secrets(static_keys: Option<&str>) -> Secrets {
        Secrets::parse(&SecretValues { pepper: Some(PEPPER), static_keys, ..SecretValues::default() })
            .unwrap()
    }

    fn id() -> KeyId {
        ImportedKey::of_sha256([7; 32]).id()
    }

    /// The origin of the record that is found `after_secs` after a first read of KV, or why there is none.
    fn found(cached: Option<&str>, after_secs: u64, reply: StoreReply, is_static: bool) -> String {
        let mut cache: RecordCache = RecordCache::new(10, 30, 300);
        let static_keys = std::format!("[{}]", json("static", "active"));
        let secrets = secrets(is_static.then_some(&*static_keys));
        if let Some(state) = cached {
            let reply = StoreReply::Found(json("cached", state));
            after_store(&mut cache, &secrets, &id(), READ_AT_MS, reply, Rc::new).unwrap();
        }
        let now_ms = READ_AT_MS + after_secs * 1000;
        let name = |record: &Record| record.name.as_str().into();
        if let LookupStep::Found(record) = before_store(&mut cache, &id(), now_ms) {
            return name(&record);
        }
        match after_store(&mut cache, &secrets, &id(), now_ms, reply, Rc::new) {
            Ok(record) => name(&record),
            Err(LookupError::Unknown) => "unknown".into(),
            Err(LookupError::Failed(error)) => error,
            Err(LookupError::TimedOut) => "timed out".into(),
            Err(LookupError::Invalid(_)) => "invalid".into(),
        }
    }

    #[test]
    fn cache_then_store_then_stale_copy_then_static_record() {
        let from_kv = || StoreReply::Found(json("kv", "revoked"));
        let failed = || StoreReply::Failed("failed".into());
        for (cached, after_secs, reply, is_static, expected) in [
            (None, 0, from_kv(), false, "kv"),
            (None, 0, from_kv(), true, "kv"),
            (None, 0, StoreReply::Absent, false, "unknown"),
            (None, 0, StoreReply::Absent, true, "static"),
            (None, 0, failed(), false, "failed"),
            (None, 0, failed(), true, "static"),
            (None, 0, StoreReply::TimedOut, false, "timed out"),
            (None, 0, StoreReply::TimedOut, true, "static"),
            (None, 0, StoreReply::Found("{}".into()), true, "invalid"),
            (Some("active"), 29, from_kv(), true, "cached"),
            (Some("active"), 30, from_kv(), true, "kv"),
            (Some("active"), 30, failed(), true, "cached"),
            (Some("active"), 329, StoreReply::TimedOut, true, "cached"),
            (Some("active"), 330, StoreReply::TimedOut, true, "static"),
            (Some("active"), 330, failed(), false, "failed"),
            // A cached revocation takes precedence over a static record.
            (Some("revoked"), 30, failed(), true, "cached"),
            (Some("active"), 30, StoreReply::Absent, false, "unknown"),
            (Some("active"), 30, StoreReply::Absent, true, "static"),
            (Some("active"), 30, StoreReply::Found("x".into()), true, "invalid"),
        ] {
            let got = found(cached, after_secs, reply.clone(), is_static);
            assert_eq!(got, expected, "{cached:?} {after_secs} {reply:?} {is_static}");
        }
    }

    #[test]
    fn late_reply_does_not_replace_a_newer_record() {
        for reply in [StoreReply::Found(json("late", "active")), StoreReply::Absent, StoreReply::TimedOut] {
            let mut cache: RecordCache = RecordCache::new(10, 30, 300);
            let secrets = secrets(None);
            let newer = StoreReply::Found(json("newer", "revoked"));
            after_store(&mut cache, &secrets, &id(), READ_AT_MS, newer, Rc::new).unwrap();
            let found = after_store(&mut cache, &secrets, &id(), READ_AT_MS + 1, reply, Rc::new).unwrap();
            assert_eq!(found.name.as_str(), "newer");
        }
    }

    #[test]
    fn static_record_is_cached_for_five_seconds_while_the_store_hangs() {
        let mut cache: RecordCache = RecordCache::new(10, 30, 300);
        let static_keys = std::format!("[{}]", json("static", "active"));
        let secrets = secrets(Some(&static_keys));
        after_store(&mut cache, &secrets, &id(), READ_AT_MS, StoreReply::TimedOut, Rc::new).unwrap();
        assert!(matches!(before_store(&mut cache, &id(), READ_AT_MS + 4_999), LookupStep::Found(_)));
        assert!(matches!(before_store(&mut cache, &id(), READ_AT_MS + 5_000), LookupStep::AskStore));
    }
}
