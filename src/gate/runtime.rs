//! What the Workers runtime gives: the clock, random ids, time limits, and words for what went wrong.

use std::pin::pin;

use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Array, Date, Object, Promise, Reflect};
use keygate_core::telemetry::event::without_urls;
use keygate_core::time::UnixMillis;
use wasm_bindgen::{JsCast, JsValue, intern};
use wasm_bindgen_futures::JsFuture;
use web_sys::WorkerGlobalScope;

/// The time. In production the clock stands still while code runs, and moves with I/O.
pub(crate) fn now() -> UnixMillis {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a clock's milliseconds are a positive whole number far below 2^53"
    )]
    let now_ms = Date::now() as u64;
    UnixMillis(now_ms)
}

/// A moment as RFC 3339 writes it.
pub(crate) fn rfc3339(moment: UnixMillis) -> String {
    #[expect(clippy::cast_precision_loss, reason = "as above")]
    let date = Date::new(&JsValue::from_f64(moment.0 as f64));
    date.to_iso_string().into()
}

/// The runtime's global object.
pub(crate) fn global() -> WorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// A random id for a request that has none.
pub(crate) fn random_id() -> String {
    global().crypto().map_or_else(|_| String::new(), |crypto| crypto.random_uuid())
}

/// Texts that cross into JavaScript at every request: each is made there once, and found again by its content.
pub(crate) fn intern_all<'t>(texts: impl IntoIterator<Item = &'t str>) {
    for text in texts {
        intern(text);
    }
}

/// What a promise comes to within `ms` milliseconds; `None`: the time is over, or it came to undefined. What was waited for goes
/// on, and nobody hears of it.
///
/// A race of promises, not a `select` of futures: each future is two closures more.
pub(crate) async fn settled_within(ms: u32, promise: &Promise) -> Option<Result<JsValue, JsValue>> {
    let race = Promise::race(&Array::of2(promise, &timer(ms)));
    Some(JsFuture::from(race).await).filter(|settled| !settled.as_ref().is_ok_and(JsValue::is_undefined))
}

/// Comes to undefined after `ms` milliseconds. It ends with the request, so nothing clears it.
fn timer(ms: u32) -> Promise {
    Promise::new(&mut |resolve, _| {
        // A delay that a `setTimeout` does not take is over at once.
        let ms = i32::try_from(ms).unwrap_or(i32::MAX);
        let _ = global().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms);
    })
}

/// Waits for at most `ms` milliseconds; `None`: the time is over. What was waited for goes on, and nobody hears of it.
///
/// Not `worker::Delay`: it keeps the waker of its first poll, which here is that of the synchronous one in `fetch`. Not a `JsFuture`
/// of `timer`: one whose promise never settles is never freed.
pub(crate) async fn within<F: Future>(ms: u32, future: F) -> Option<F::Output> {
    match select(pin!(future), TimeoutFuture::new(ms)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// What an exception says, without the URLs that some messages quote.
pub(crate) fn message(error: &JsValue) -> String {
    let text = error.dyn_ref::<Object>().map(|error| String::from(error.to_string()));
    without_urls(&text.or_else(|| error.as_string()).unwrap_or_else(|| format!("{error:?}")))
}

/// What ended an instance. Only of a trap the whole message: another error's may quote a request.
pub(crate) fn failure_of_instance(error: &JsValue) -> String {
    let name = Reflect::get(error, &"name".into()).ok().and_then(|name| name.as_string());
    match name.as_deref() {
        // V8 reports a stack overflow inside wasm as a RangeError.
        Some("RuntimeError" | "RangeError") => message(error),
        Some(name) => name.to_owned(),
        None => "an exception".to_owned(),
    }
}

/// A property of an object; undefined where there is none.
pub(crate) fn property(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// Whether an object has a method of this name.
pub(crate) fn has_method(object: &JsValue, name: &str) -> bool {
    object.is_object() && property(object, name).is_function()
}
