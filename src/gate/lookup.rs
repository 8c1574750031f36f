//! Step 8: the record of an id, from the nearest place that has it.

use std::borrow::Borrow;
use std::rc::Rc;

use keygate_core::cache::Cached;
use keygate_core::decide::{LimiterAnswer, Lookup};
use keygate_core::key::KeyId;
use keygate_core::record::{Record, UnixSeconds};
use keygate_core::token::joined;
use wasm_bindgen::JsValue;

use crate::glue;
use crate::isolate::Isolate;

/// When a request is judged. In production the clock stands still while code runs, and moves with I/O.
#[derive(Clone, Copy)]
pub(crate) struct Moment(u64);

impl Moment {
    /// Milliseconds since 1970.
    pub(crate) fn of(now_ms: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a clock's milliseconds are a positive whole number far below 2^53"
        )]
        let now_ms = now_ms as u64;
        Self(now_ms)
    }

    pub(crate) fn millis(self) -> u64 {
        self.0
    }

    /// A clock past the year 9999 has reached every deadline.
    pub(crate) fn seconds(self) -> UnixSeconds {
        UnixSeconds::new(self.0 / 1000).unwrap_or(UnixSeconds::MAX)
    }
}

/// A record, and whom the origin is told of when its key comes.
pub(crate) struct Known {
    pub(crate) record: Record,
    /// What [`glue::holder`] made of the record: these texts cross into JavaScript once.
    pub(crate) holder: JsValue,
}

impl Borrow<Record> for Known {
    fn borrow(&self) -> &Record {
        &self.record
    }
}

/// Whom the origin is told of.
pub(crate) fn holder(record: &Record) -> JsValue {
    let scopes = joined(record.scopes.as_slice());
    glue::holder(record.id.as_str(), record.subject.as_str(), &scopes)
}

/// What KV said of an id.
pub(crate) enum KvAnswer {
    Found(String),
    Absent,
    Failed(String),
    TimedOut,
}

/// What the stores have said of a request so far.
pub(crate) struct Said {
    pub(crate) kv: Option<KvAnswer>,
    pub(crate) limiter: Option<LimiterAnswer>,
}

/// Reads a number of glue.js; one that is not known is a failure.
pub(crate) fn kv_said(kv: u32, entry: Option<String>) -> Option<KvAnswer> {
    let text = entry.unwrap_or_default();
    match kv {
        0 => None,
        1 => Some(KvAnswer::Found(text)),
        2 => Some(KvAnswer::Absent),
        4 => Some(KvAnswer::TimedOut),
        _ => Some(KvAnswer::Failed(text)),
    }
}

/// As [`kv_said`].
pub(crate) fn limiter_said(limiter: u32, error: Option<String>) -> Option<LimiterAnswer> {
    match limiter {
        0 => None,
        1 => Some(LimiterAnswer::Within),
        2 => Some(LimiterAnswer::Exceeded),
        _ => Some(LimiterAnswer::Failed(error.unwrap_or_default())),
    }
}

/// What is to be had of an id without waiting.
pub(crate) enum Nearby<'a> {
    Known(Rc<Known>),
    Static(&'a Record),
    /// No record: KV has been asked, and this is what came of it.
    Nothing(Lookup<'a>),
    /// KV has not been asked.
    AskKv,
}

/// Looks into `STATIC_KEYS`, the isolate's cache, and what KV has said.
///
/// `is_known` says that what KV said has been looked at before.
pub(crate) fn find<'a>(
    isolate: &'a Isolate,
    id: &KeyId,
    now: Moment,
    said: Option<KvAnswer>,
    is_known: bool,
) -> Nearby<'a> {
    if let Some(record) = isolate.gate.secrets.static_key(id) {
        return Nearby::Static(record);
    }
    let mut cache = isolate.cache.borrow_mut();
    let stale = match cache.look_up(id, now.millis()) {
        Cached::Fresh(record) => return Nearby::Known(record),
        Cached::Stale(record) => Some(record),
        Cached::Miss => None,
    };
    let Some(said) = said else {
        return Nearby::AskKv;
    };
    match said {
        KvAnswer::Found(json) => match Record::parse_entry(*id, &json) {
            Ok(record) => {
                let known = Rc::new(Known { holder: holder(&record), record });
                if !is_known {
                    cache.keep(&known, now.millis());
                }
                Nearby::Known(known)
            }
            Err(fault) => {
                cache.forget(id);
                Nearby::Nothing(Lookup::Invalid(fault))
            }
        },
        KvAnswer::Absent => {
            cache.forget(id);
            Nearby::Nothing(Lookup::Unknown)
        }
        // A store that fails has not said that the key is bad.
        KvAnswer::Failed(error) => stale.map_or(Nearby::Nothing(Lookup::Failed(error)), Nearby::Known),
        KvAnswer::TimedOut => stale.map_or(Nearby::Nothing(Lookup::TimedOut), Nearby::Known),
    }
}

/// Has KV asked for the record of an id.
pub(crate) fn ask_kv(isolate: &Isolate, id: &KeyId) {
    let policy = &isolate.gate.policy;
    glue::look_up(&id.kv_name(), policy.kv_cache_ttl_secs(), policy.kv_timeout_ms());
}
