//! Usage: counts requests in the isolate's memory, and sends the counts to the Durable Object that is bound as `KEY_USAGE`.
//!
//! No request waits for it, and none fails with it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_timers::future::TimeoutFuture;
use keygate_core::address::client_address;
use keygate_core::auth::decide::Permit;
use keygate_core::key::KeyId;
use keygate_core::request::head::RequestHead;
use keygate_core::response::{Code, Denial};
use keygate_core::usage::{Event, Tally};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::future_to_promise;
use web_sys::{RequestInit, Response};
use worker::ObjectNamespace;
use worker::worker_sys::Fetcher;

use crate::config::Isolate;
use crate::incoming::Incoming;
use crate::runtime;

/// The one object that all isolates send to.
const OBJECT: &str = "usage";
/// The host is not looked at.
const URL: &str = "https://usage/batches";

/// How long counts are collected before they are sent.
const INTERVAL_MS: u32 = 5_000;
/// The object answers when it has stored a batch, which it does every few seconds.
const ANSWER_MS: u32 = 10_000;
/// One that did not arrive before, and what was counted since. With the interval that is 25 s: the runtime ends what goes on for
/// longer than 30 s after a response.
const BATCHES: usize = 2;
/// After so long a flush that was to begin was ended by the runtime.
const FLUSH_MS: u64 = 30_000;

/// What an isolate has counted, and where it goes.
pub(crate) struct Counters {
    object: ObjectNamespace,
    tally: RefCell<Tally>,
    /// Until then a flush is about to begin.
    flushing_until_ms: Cell<u64>,
}

impl Counters {
    pub(crate) fn new(object: ObjectNamespace) -> Self {
        Self { object, tally: RefCell::default(), flushing_until_ms: Cell::new(0) }
    }
}

/// Counts an accepted request.
pub(crate) fn accepted(isolate: &Isolate, incoming: &Incoming, head: &RequestHead<'_>, permit: &Permit<'_>) {
    count(isolate, incoming, head, permit.holder().map(|holder| holder.id), None);
}

/// Counts a refused request; one that was forwarded was accepted.
pub(crate) fn refused(isolate: &Isolate, incoming: &Incoming, head: &RequestHead<'_>, denial: &Denial) {
    let code = denial.cause.code();
    if !code.is_of_forwarding() {
        count(isolate, incoming, head, denial.key_id, Some(code));
    }
}

fn count(
    isolate: &Isolate,
    incoming: &Incoming,
    head: &RequestHead<'_>,
    key: Option<KeyId>,
    refused: Option<Code>,
) {
    let (Some(counters), Some(context)) = (&isolate.counters, &incoming.context) else {
        return;
    };
    let now = runtime::now();
    let event = Event { at: now.seconds(), key, refused, client: head.client_ip().and_then(client_address) };
    let is_full = counters.tally.borrow_mut().count(&event);
    if is_full || now.0 >= counters.flushing_until_ms.get() {
        counters.flushing_until_ms.set(now.0 + FLUSH_MS);
        let delay_ms = if is_full { 0 } else { INTERVAL_MS };
        let counters = Rc::clone(counters);
        let flushed = future_to_promise(async move {
            flush(&counters, delay_ms).await;
            Ok(JsValue::UNDEFINED)
        });
        // Fails if the request is over, which it is not.
        drop(context.wait_until(&flushed));
    }
}

/// Sends what was counted, after the batch that did not arrive before; what does not arrive is sent again by a later flush.
async fn flush(counters: &Counters, delay_ms: u32) {
    TimeoutFuture::new(delay_ms).await;
    // What is counted from now on begins the next flush.
    counters.flushing_until_ms.set(0);
    for _ in 0..BATCHES {
        let now = runtime::now().seconds();
        let Some(id) = runtime::random_uuid() else { return };
        let batch = counters.tally.borrow_mut().batch(now, id).cloned();
        let Some(batch) = batch else { return };
        let Some(body) = batch.to_json() else { return };
        match send(counters, &body).await {
            Some(200..300) => counters.tally.borrow_mut().settled(&batch.id),
            Some(400..500) => counters.tally.borrow_mut().refused(&batch.id),
            _ => return,
        }
    }
}

/// The status of the object's answer, if it came: 4xx says that the object will never take the batch.
async fn send(counters: &Counters, body: &str) -> Option<u16> {
    let call = || -> Result<_, JsValue> {
        let object = counters.object.get_by_name(OBJECT)?.into_rpc::<Fetcher>();
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_body(&body.into());
        object.fetch_with_str_and_init(URL, &init)
    };
    let promise = call().ok()?;
    match runtime::settled_within(ANSWER_MS, &promise).await {
        Some(Ok(response)) => Some(response.unchecked_into::<Response>().status()),
        Some(Err(_)) | None => None,
    }
}
