//! Step 8: the record of an id, from the nearest place that has it.

use std::rc::Rc;

use keygate_core::cache::Cached;
use keygate_core::decide::{LimiterAnswer, Lookup};
use keygate_core::key::KeyId;
use keygate_core::record::{Record, RecordFault, UnixSeconds};

use crate::glue::{self, Env};
use crate::isolate::{Isolate, KEYS};

/// What the isolate itself has.
pub(crate) enum Nearby {
    /// A record that may be used.
    Record(Rc<Record>),
    /// A record to be used only if KV fails.
    Stale(Rc<Record>),
    /// Nothing.
    Nothing,
}

/// What the stores said.
pub(crate) enum Answer {
    NotNeeded,
    Found(Rc<Record>),
    Unknown,
    Failed(String),
    TimedOut,
    Invalid(RecordFault),
}

impl Answer {
    pub(crate) fn as_lookup(&self) -> Lookup<'_> {
        match self {
            Self::NotNeeded => Lookup::NotNeeded,
            Self::Found(record) => Lookup::Found(record),
            Self::Unknown => Lookup::Unknown,
            Self::Failed(error) => Lookup::Failed(error.clone()),
            Self::TimedOut => Lookup::TimedOut,
            Self::Invalid(fault) => Lookup::Invalid(fault.clone()),
        }
    }
}

/// Milliseconds since 1970. In production the clock stands still while code runs, and moves with I/O.
pub(crate) fn now_ms() -> u64 {
    let now = js_sys::Date::now();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a clock's milliseconds are a positive whole number far below 2^53"
    )]
    let now = now as u64;
    now
}

/// The same in seconds; a clock past the year 9999 has reached every deadline.
pub(crate) fn now() -> UnixSeconds {
    UnixSeconds::new(now_ms() / 1000).unwrap_or(UnixSeconds::MAX)
}

/// Looks where no waiting is needed: `STATIC_KEYS`, then the isolate's cache.
pub(crate) fn nearby(isolate: &Isolate, id: &KeyId) -> Nearby {
    if let Some(record) = isolate.gate.secrets.static_key(id) {
        return Nearby::Record(Rc::clone(record));
    }
    match isolate.cache.borrow_mut().look_up(id, now_ms()) {
        Cached::Fresh(record) => Nearby::Record(record),
        Cached::Stale(record) => Nearby::Stale(record),
        Cached::Miss => Nearby::Nothing,
    }
}

/// Looks in all places; KV comes last.
pub(crate) async fn find(isolate: &Isolate, env: &Env, id: &KeyId) -> Answer {
    let stale = match nearby(isolate, id) {
        Nearby::Record(record) => return Answer::Found(record),
        Nearby::Stale(record) => Some(record),
        Nearby::Nothing => None,
    };
    match (read_kv(isolate, env, id).await, stale) {
        // A store that fails has not said that the key is bad.
        (Answer::Failed(_) | Answer::TimedOut, Some(record)) => Answer::Found(record),
        (answer, _) => {
            let mut cache = isolate.cache.borrow_mut();
            match &answer {
                Answer::Found(record) => cache.keep(record, now_ms()),
                Answer::Unknown | Answer::Invalid(_) => cache.forget(id),
                Answer::NotNeeded | Answer::Failed(_) | Answer::TimedOut => {}
            }
            answer
        }
    }
}

async fn read_kv(isolate: &Isolate, env: &Env, id: &KeyId) -> Answer {
    let policy = &isolate.gate.policy;
    let (ttl, timeout) = (policy.kv_cache_ttl_secs(), policy.kv_timeout_ms());
    match glue::awaited(glue::read_kv(env, KEYS, &id.kv_name(), ttl, timeout)).await {
        Ok(value) if value.is_undefined() => Answer::TimedOut,
        Ok(value) => match value.as_string().map(|json| Record::parse_entry(*id, &json)) {
            None => Answer::Unknown,
            Some(Ok(record)) => Answer::Found(Rc::new(record)),
            Some(Err(fault)) => Answer::Invalid(fault),
        },
        Err(error) => Answer::Failed(error),
    }
}

/// Counts one request of `counted` at the limiter bound as `limiter`.
pub(crate) async fn ask_limiter(env: &Env, limiter: &str, counted: &str) -> LimiterAnswer {
    match glue::awaited(glue::within_limit(env, limiter, counted)).await {
        Ok(within) if within.is_truthy() => LimiterAnswer::Within,
        Ok(_) => LimiterAnswer::Exceeded,
        Err(error) => LimiterAnswer::Failed(error),
    }
}
