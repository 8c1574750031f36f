//! The gate: a Cloudflare Worker that lets holders of a key through to an origin.
//!
//! Everything that decides is in `keygate-core`; here are bindings, KV, `fetch` and the log.
//! Request and response never enter wasm: bodies stream past, and web sockets pass.
//!
//! Nothing waits in here. `judge` answers at once, or has glue.js ask a store, and is then called again from the start with
//! what the store said: a request keeps no state in an instance, and outlives one that dies.
//!
//! There is no code that writes KV, and `forward` takes a `Permit`, which only `decide` can make.

mod answer;
mod forward;
mod glue;
mod isolate;
mod log;
mod lookup;
mod request;

use keygate_core::admission::{Admission, Head};
use keygate_core::decide::{Lookup, Verdict, decide};
use keygate_core::denial::Denial;
use keygate_core::lookup::LookupStep;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use zeroize::Zeroizing;

use crate::isolate::Isolate;
use crate::lookup::{Moment, Said};
use crate::request::RequestText;

/// Every request allocates its text; each call here takes the same time whatever is kept (TLSF).
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static HEAP: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// Runs once in each instance: a panic ends the instance, and its text goes to the log.
#[wasm_bindgen(start)]
pub fn panics_are_logged() {
    std::panic::set_hook(Box::new(log::panicked));
}

/// Step 1: reads what is configured, once. The peppers are handed in because they may have had to be awaited.
#[wasm_bindgen]
pub fn start(pepper: Option<String>, previous: Option<String>) {
    let [pepper, previous] = [pepper, previous].map(|text| text.map(Zeroizing::new));
    isolate::start(pepper.as_deref(), previous.as_deref());
}

/// Answers a request, or asks a store first; `false`: [`start`] has to be called before.
///
/// 1. configuration, once per isolate: 503 `gate_misconfigured`
/// 2. to 7. `Gate::admit`: transport, method, path, route, credential, shape and tag of the key
/// 8. the record: the isolate's cache, KV, `STATIC_KEYS` where KV fails or has none; 503 `key_store_unavailable`, `key_record_invalid`
/// 9. `decide`: digest, state, time, address, subject, scopes, limits
/// 10. forward: 502 `origin_unreachable`, 504 `origin_timeout`
/// 11. log
///
/// What KV and the limiter said is 0 as long as they have not been asked; the other numbers are those of glue.js.
#[wasm_bindgen]
#[must_use]
pub fn judge(
    text: String,
    now_ms: f64,
    kv: u32,
    entry: Option<String>,
    limiter: u32,
    error: Option<String>,
) -> bool {
    let text = RequestText::new(text);
    let now = Moment::of(now_ms);
    let isolate = match isolate::started() {
        Some(Ok(isolate)) => isolate,
        Some(Err(what)) => {
            answer::misconfigured(&text, now, what);
            return true;
        }
        None => return false,
    };
    let parts = text.parts();
    let head = parts.head();
    let said = Said { kv: lookup::kv_said(kv, entry), limiter: lookup::limiter_said(limiter, error) };
    if let Err(denial) = decide_on(isolate, &head, now, said) {
        answer::denied(Some(isolate), &head, now, &denial);
    }
    true
}

fn decide_on(isolate: &Isolate, head: &Head<'_>, now: Moment, said: Said) -> Result<(), Denial> {
    let admitted = match isolate.gate.admit(head)? {
        Admission::Proceed(admitted) => admitted,
        Admission::AnswerPreflight => {
            answer::preflight(isolate, head);
            return Ok(());
        }
    };
    let known;
    let (found, holder) = match admitted.key_id() {
        None => (Lookup::NotNeeded, &JsValue::UNDEFINED),
        Some(id) => match lookup::find(isolate, &id, now, said.kv) {
            Ok(LookupStep::Found(record)) => {
                known = record;
                (Lookup::Found(&known.record), &known.holder)
            }
            Ok(LookupStep::AskStore) => {
                lookup::ask_kv(isolate, &id);
                return Ok(());
            }
            Err(error) => (error.into(), &JsValue::UNDEFINED),
        },
    };
    match decide(&isolate.gate, &admitted, found, now.seconds())? {
        Verdict::Permit(permit) => forward::forward(isolate, head, now, &permit, holder),
        Verdict::Limited(limited) => match said.limiter {
            None => {
                glue::ask_limiter(limited.limiter(), limited.counted());
                Ok(())
            }
            Some(answer) => forward::forward(isolate, head, now, &limited.settle(answer)?, holder),
        },
    }
}

/// Answers for an origin that failed; no reason means no answer in time. `false`: as for [`judge`].
#[wasm_bindgen(js_name = originFailed)]
#[must_use]
pub fn origin_failed(
    text: String,
    now_ms: f64,
    key_id: Option<String>,
    subject: Option<String>,
    reason: String,
) -> bool {
    let Some(isolate) = isolate::started() else {
        return false;
    };
    let denial = forward::failure(key_id, subject, reason);
    answer::denied(isolate.ok(), &RequestText::new(text).parts().head(), Moment::of(now_ms), &denial);
    true
}

/// Turns a request away because the gate cannot start.
#[wasm_bindgen]
pub fn misconfigured(text: String, now_ms: f64, what: &str) {
    answer::misconfigured(&RequestText::new(text), Moment::of(now_ms), what);
}
