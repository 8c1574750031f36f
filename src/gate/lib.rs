//! The gate: a Cloudflare Worker that forwards requests with a valid key to an origin.
//!
//! All decisions are made in `keygate-core`; this crate does the I/O: bindings, KV, `fetch` and the log. Request and response stay
//! objects of the runtime, so that bodies and WebSocket messages stream.
//!
//! No code writes KV, and [`origin::forward`] requires a `Permit`, which only `decide` can create.

mod answers;
mod config;
mod connection;
mod incoming;
mod limits;
mod log_limit;
mod origin;
mod quota;
mod records;
mod respond;
mod runtime;
mod telemetry;
mod usage;
mod version;

use std::task::{Context, Poll, Waker};

use keygate_core::auth::admission::Admission;
use keygate_core::auth::decide::{Decision, Lookup, decide};
use keygate_core::request::head::RequestHead;
use keygate_core::response::{Cause, Denial};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::future_to_promise;
use web_sys::{Request, Response};
use worker::Env;
use worker::worker_sys::Context as WorkerContext;

use crate::config::Isolate;
use crate::incoming::Incoming;

/// Handles a request: returns a `Response` if nothing has to be awaited, as for most refusals, otherwise a promise of one.
#[wasm_bindgen]
#[must_use]
pub fn fetch(request: Request, env: Env, context: WorkerContext) -> JsValue {
    telemetry::log_panics();
    let mut answer = Box::pin(handle(request, env, context));
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => response.into(),
        Poll::Pending => future_to_promise(async { Ok(answer.await.into()) }).into(),
    }
}

/// Answers a request whose instance ended; this instance is a fresh one.
#[wasm_bindgen(js_name = gateFailed)]
#[must_use]
pub fn gate_failed(request: Request, error: &JsValue) -> Response {
    telemetry::log_panics();
    let incoming = Incoming::read(request, None, None);
    incoming.with_head(|head| {
        let denial = Cause::GateFailed(runtime::failure_of_instance(error)).into();
        respond::refuse(None, &incoming, head, &denial)
    })
}

/// Handles a request in these steps:
///
/// 1. configuration, once per isolate: 503 `gate_misconfigured`
/// 2. to 7. `Gate::admit`: transport, method, path, route, credential, shape and tag of the key
/// 8. the record: the isolate's cache, KV, `STATIC_KEYS`; 503 `key_store_unavailable`, `key_record_invalid`
/// 9. `decide`: digest, state, time, address, subject, scopes, limits
/// 10. forward: 502 `origin_unreachable`, 504 `origin_timeout`, 499 `client_disconnected`
/// 11. log
async fn handle(request: Request, env: Env, context: WorkerContext) -> Response {
    let isolate = config::load(&env, &origin::INTERNED).await;
    let incoming =
        Incoming::read(request, Some(context), isolate.as_ref().ok().map(|isolate| &isolate.gate.policy));
    let pairs = incoming.pairs();
    let head = incoming.head(&pairs);
    let isolate = match isolate {
        Ok(isolate) => isolate,
        Err(what) => return respond::refuse(None, &incoming, &head, &Cause::Misconfigured(what).into()),
    };
    match pass(&isolate, &incoming, &head, &env).await {
        Ok(response) => response,
        Err(denial) => respond::refuse(Some(&isolate), &incoming, &head, &denial),
    }
}

/// Steps 2 to 10.
async fn pass(
    isolate: &Isolate,
    incoming: &Incoming,
    head: &RequestHead<'_>,
    env: &Env,
) -> Result<Response, Denial> {
    let admitted = match isolate.gate.admit(head)? {
        Admission::Proceed(admitted) => admitted,
        Admission::AnswerPreflight => return Ok(respond::preflight(isolate, head)),
    };
    let record;
    let found = match admitted.key_id() {
        None => Lookup::NotNeeded,
        Some(id) => match records::find(isolate, &id).await {
            Ok(found) => {
                record = found;
                Lookup::Found(&record)
            }
            Err(error) => error.into(),
        },
    };
    let mut decision = decide(&isolate.gate, &admitted, found, runtime::now().seconds())?;
    let permit = loop {
        decision = match decision {
            Decision::Permit(permit) => break permit,
            Decision::Limited(limited) => {
                let answer = limits::count(env, limited.limiter(), limited.counted()).await;
                limited.settle(answer)?
            }
            Decision::Charged(charged) => {
                let answer = quota::charge(isolate, incoming, &charged).await;
                Decision::Permit(charged.settle(answer)?)
            }
        };
    };
    if permit.is_whoami() {
        let remaining = quota::look(isolate, &permit).await;
        respond::whoami(isolate, incoming, head, env, &permit, remaining)
    } else {
        origin::forward(isolate, incoming, head, env, &permit).await
    }
}
