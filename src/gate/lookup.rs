//! Step 8: the record of an id, as `keygate_core::lookup` finds it.

use std::borrow::Borrow;
use std::rc::Rc;

use keygate_core::decide::LimiterAnswer;
use keygate_core::key::KeyId;
use keygate_core::lookup::{LookupError, LookupStep, StoreReply, after_store, before_store};
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
fn holder(record: &Record) -> JsValue {
    let scopes = joined(record.scopes.as_slice());
    glue::holder(record.id.as_str(), record.subject.as_str(), &scopes)
}

/// What the stores have said of a request so far.
pub(crate) struct Said {
    pub(crate) kv: Option<StoreReply>,
    pub(crate) limiter: Option<LimiterAnswer>,
}

/// Reads a number of glue.js; one that is not known is a failure.
pub(crate) fn kv_said(kv: u32, entry: Option<String>) -> Option<StoreReply> {
    let text = entry.unwrap_or_default();
    match kv {
        0 => None,
        1 => Some(StoreReply::Found(text)),
        2 => Some(StoreReply::Absent),
        4 => Some(StoreReply::TimedOut),
        _ => Some(StoreReply::Failed(text)),
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

/// Finds the record of an id by what KV said of it; [`LookupStep::AskStore`] if KV has to be asked first.
pub(crate) fn find(
    isolate: &Isolate,
    id: &KeyId,
    now: Moment,
    said: Option<StoreReply>,
) -> Result<LookupStep<Rc<Known>>, LookupError> {
    let mut cache = isolate.cache.borrow_mut();
    let step = before_store(&mut cache, id, now.millis());
    match (step, said) {
        (LookupStep::AskStore, Some(reply)) => {
            let known = |record: Record| Rc::new(Known { holder: holder(&record), record });
            let secrets = &isolate.gate.secrets;
            after_store(&mut cache, secrets, id, now.millis(), reply, known).map(LookupStep::Found)
        }
        (step, _) => Ok(step),
    }
}

/// Has KV asked for the record of an id.
pub(crate) fn ask_kv(isolate: &Isolate, id: &KeyId) {
    let policy = &isolate.gate.policy;
    glue::look_up(&id.kv_name(), policy.kv_cache_ttl_secs(), policy.kv_timeout_ms());
}
