//! Step 8: the record of an id, found without I/O. The shell asks the store when it is told to, and hands in the reply.
//!
//! The cache answers first, then KV. A record of `STATIC_KEYS` serves where KV fails, does not answer in time, or has no
//! entry of that id: what KV says of a key, a revocation for one, holds for static keys too.

use alloc::string::String;
use core::borrow::Borrow;
use core::fmt;
use core::ops::Deref;

use crate::auth::cache::{Cached, RecordCache};
use crate::auth::decide::Lookup;
use crate::auth::secrets::Secrets;
use crate::key::KeyId;
use crate::record::{Record, RecordError};

/// What is needed next.
#[derive(Clone, Debug)]
pub enum LookupStep<R> {
    /// Nothing: this is the record.
    Found(R),
    /// The reply of KV, to be handed to [`after_store`].
    AskStore,
}

/// What KV said of the entry of an id.
// Absent on purpose: a derived Debug, which would print digests.
#[derive(Clone)]
pub enum StoreReply {
    /// Its value.
    Found(String),
    /// There is none.
    Absent,
    /// An error.
    Failed(String),
    /// Nothing in time.
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

/// Why there is no record to decide on.
#[derive(Clone, Debug)]
pub enum LookupError {
    /// No store has one.
    Unknown,
    /// KV failed, and neither the cache nor `STATIC_KEYS` has one.
    Failed(String),
    /// KV did not answer in time, and neither the cache nor `STATIC_KEYS` has one.
    TimedOut,
    /// There is an entry, but no record can be read from it.
    Invalid(RecordError),
}

impl From<LookupError> for Lookup<'_> {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Unknown => Self::Unknown,
            LookupError::Failed(error) => Self::Failed(error),
            LookupError::TimedOut => Self::TimedOut,
            LookupError::Invalid(fault) => Self::Invalid(fault),
        }
    }
}

/// Looks for a record that is at hand.
pub fn before_store<R>(cache: &mut RecordCache<R>, id: &KeyId, now_ms: u64) -> LookupStep<R>
where
    R: Clone + Deref<Target: Borrow<Record>>,
{
    match cache.look_up(id, now_ms) {
        Cached::Fresh(record) => LookupStep::Found(record),
        Cached::Stale(_) | Cached::Miss => LookupStep::AskStore,
    }
}

/// Finds the record by what KV said; `make` is what the shell makes of one that it has not met.
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
    // Another request has read it in the meantime. This read began before that one ended, and may be older: a revocation that was
    // read is not undone.
    if let Cached::Fresh(record) = cache.look_up(id, now_ms) {
        return Ok(record);
    }
    let error = match reply {
        StoreReply::Found(json) => match Record::parse_entry(*id, &json) {
            Ok(record) => return Ok(kept(cache, make(record), now_ms)),
            // It may say more than the static record does, so that one does not serve either.
            Err(fault) => {
                cache.forget(id);
                return Err(LookupError::Invalid(fault));
            }
        },
        StoreReply::Absent => {
            cache.forget(id);
            LookupError::Unknown
        }
        StoreReply::Failed(error) => LookupError::Failed(error),
        StoreReply::TimedOut => LookupError::TimedOut,
    };
    // A store that fails has not said that the key is bad.
    if let Cached::Stale(record) = cache.look_up(id, now_ms) {
        return Ok(record);
    }
    match secrets.static_key(id) {
        // Cached, so that a KV that hangs is not waited for at each request; and not for long, so that a revocation is seen soon
        // after KV answers again.
        Some(record) => {
            let record = make(Record::clone(record));
            cache.keep_for(&record, now_ms, STATIC_FRESH_MS);
            Ok(record)
        }
        None => Err(error),
    }
}

/// How long a static record serves without asking KV again.
const STATIC_FRESH_MS: u64 = 5_000;

fn kept<R>(cache: &mut RecordCache<R>, record: R, now_ms: u64) -> R
where
    R: Clone + Deref<Target: Borrow<Record>>,
{
    cache.keep(&record, now_ms);
    record
}

#[cfg(test)]
mod tests {
    use alloc::rc::Rc;
    use alloc::string::String;

    use super::{LookupError, LookupStep, StoreReply, after_store, before_store};
    use crate::auth::cache::RecordCache;
    use crate::auth::secrets::{SecretTexts, Secrets};
    use crate::key::KeyId;
    use crate::key::digest::ImportedKey;
    use crate::record::Record;

    const PEPPER: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    const READ_AT_MS: u64 = 1_000_000;

    /// A record in JSON; its name tells where it came from.
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
        Secrets::parse(&SecretTexts { pepper: Some(PEPPER), static_keys, ..SecretTexts::default() }).unwrap()
    }

    fn id() -> KeyId {
        ImportedKey::of_sha256([7; 32]).id()
    }

    /// Where the record comes from that is found `after_secs` after KV was read once, or why there is none.
    fn found(cached: Option<&str>, after_secs: u64, reply: StoreReply, is_static: bool) -> String {
        let mut cache: RecordCache = RecordCache::new(10, 30, 300);
        let list = std::format!("[{}]", json("static", "active"));
        let secrets = secrets(is_static.then_some(&*list));
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
            // A revocation that was read once is not forgotten for a static record.
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
    fn a_read_that_ends_late_does_not_replace_what_was_read_in_the_meantime() {
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
    fn a_static_record_is_cached_so_that_a_store_that_hangs_is_not_asked_at_each_request() {
        let mut cache: RecordCache = RecordCache::new(10, 30, 300);
        let list = std::format!("[{}]", json("static", "active"));
        let secrets = secrets(Some(&list));
        after_store(&mut cache, &secrets, &id(), READ_AT_MS, StoreReply::TimedOut, Rc::new).unwrap();
        assert!(matches!(before_store(&mut cache, &id(), READ_AT_MS + 4_999), LookupStep::Found(_)));
        assert!(matches!(before_store(&mut cache, &id(), READ_AT_MS + 5_000), LookupStep::AskStore));
    }
}
