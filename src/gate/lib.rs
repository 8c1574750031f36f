//! The gate: a Cloudflare Worker that lets holders of a key through to an origin.
//!
//! Everything that decides is in `keygate-core`; here are bindings, KV, `fetch` and the log.
//! Request and response are never rebuilt in Rust: bodies stream past, and web sockets pass.
//!
//! There is no code that writes KV, and `forward` takes a `Permit`, which only `decide` can make.

mod answer;
mod forward;
mod glue;
mod isolate;
mod log;
mod lookup;
mod request;

use keygate_core::admission::Admission;
use keygate_core::decide::{Lookup, Verdict, decide};
use keygate_core::denial::Denial;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;
use web_sys::Request;

use crate::glue::Env;
use crate::isolate::{Halt, Isolate};
use crate::lookup::{Answer, Nearby};
use crate::request::RequestText;

/// Runs once in each instance: a panic ends the instance, and its text goes to the log.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(log::panicked));
    glue::read_headers(&request::HEADERS.join("\n"));
}

/// Answers one request with a `Response`, or with a promise of one.
///
/// 1. configuration, once per isolate: 503 `gate_misconfigured`
/// 2. to 7. `Gate::admit`: transport, method, path, route, credential, shape and tag of the key
/// 8. the record: `STATIC_KEYS`, the isolate's cache, KV; 503 `key_store_unavailable`, `key_record_invalid`
/// 9. `decide`: digest, state, time, address, subject, scopes, limits
/// 10. forward: 502 `origin_unreachable`, 504 `origin_timeout`
/// 11. log
///
/// While the record is in the isolate (or none is needed), no promise is awaited before the origin is asked.
#[wasm_bindgen]
#[must_use]
pub fn fetch(request: Request, env: Env, _ctx: JsValue) -> JsValue {
    match isolate::get(&env) {
        Ok(isolate) => handle(isolate, request, env),
        Err(Halt::Misconfigured(what)) => answer::misconfigured(&request, what).into(),
        Err(Halt::NeedsSecretsStore) => promised(async move {
            match isolate::get_with_store(&env).await {
                Ok(isolate) => Ok(handle(isolate, request, env)),
                Err(what) => Ok(answer::misconfigured(&request, &what).into()),
            }
        }),
    }
}

/// A promise that the entry module gives up should this instance die before it is settled.
fn promised(answer: impl Future<Output = Result<JsValue, JsValue>> + 'static) -> JsValue {
    glue::mortal(future_to_promise(answer)).into()
}

fn handle(isolate: &'static Isolate, request: Request, env: Env) -> JsValue {
    // Not before the isolate has started: only then is it known which headers hold credentials.
    let text = RequestText::read(&request);
    match at_once(isolate, &request, &env, &text) {
        Ok(Some(answer)) => answer,
        Ok(None) => promised(async move {
            let answer = with_store(isolate, &request, &env, &text).await;
            let denied = |denial| answer::denied(isolate, &request, &text, &denial).into();
            Ok(answer.unwrap_or_else(denied))
        }),
        Err(denial) => answer::denied(isolate, &request, &text, &denial).into(),
    }
}

/// The whole way for a request that needs no I/O of the gate's own; `None` where it needs some.
fn at_once(
    isolate: &Isolate,
    request: &Request,
    env: &Env,
    text: &RequestText,
) -> Result<Option<JsValue>, Denial> {
    let parts = text.parts();
    let head = parts.head();
    let admitted = match isolate.gate.admit(&head)? {
        Admission::Proceed(admitted) => admitted,
        Admission::AnswerPreflight => {
            return Ok(Some(answer::preflight(isolate, request, &head).into()));
        }
    };
    let near;
    let found = match admitted.key_id() {
        None => Lookup::NotNeeded,
        Some(id) => match lookup::nearby(isolate, &id) {
            Nearby::Record(record) => {
                near = record;
                Lookup::Found(&near)
            }
            Nearby::Stale(_) | Nearby::Nothing => return Ok(None),
        },
    };
    match decide(&isolate.gate, admitted, found, lookup::now())? {
        Verdict::Permit(permit) => forward::forward(isolate, request, env, &head, &permit).map(Some),
        Verdict::Limited(_) => Ok(None),
    }
}

/// The same way, with what has to be awaited: KV, and the plan's limiter.
///
/// The request is admitted again rather than handed over: what was admitted borrows from a stack that is gone by now,
/// and admitting costs far less than the read that follows.
async fn with_store(
    isolate: &Isolate,
    request: &Request,
    env: &Env,
    text: &RequestText,
) -> Result<JsValue, Denial> {
    let parts = text.parts();
    let head = parts.head();
    let admitted = match isolate.gate.admit(&head)? {
        Admission::Proceed(admitted) => admitted,
        Admission::AnswerPreflight => return Ok(answer::preflight(isolate, request, &head).into()),
    };
    let found = match admitted.key_id() {
        None => Answer::NotNeeded,
        Some(id) => lookup::find(isolate, env, &id).await,
    };
    let permit = match decide(&isolate.gate, admitted, found.as_lookup(), lookup::now())? {
        Verdict::Permit(permit) => permit,
        Verdict::Limited(limited) => {
            let said = lookup::ask_limiter(env, limited.limiter(), limited.counted()).await;
            limited.settle(said)?
        }
    };
    forward::forward(isolate, request, env, &head, &permit)
}
