//! The Workers runtime: clock, random ids, time limits, JavaScript values and exceptions.

use std::pin::pin;

use futures_util::future::{Either, select};
use gloo_timers::future::TimeoutFuture;
use js_sys::{Array, Date, Object, Promise, Reflect};
use keygate_core::telemetry::event::without_urls;
use keygate_core::time::{UnixMillis, UnixSeconds};
use uuid::Uuid;
use wasm_bindgen::{JsCast, JsValue, intern};
use wasm_bindgen_futures::JsFuture;
use web_sys::WorkerGlobalScope;

/// The current time. In production the clock only advances with I/O.
pub(crate) fn now() -> UnixMillis {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a clock's milliseconds are a positive whole number far below 2^53"
    )]
    let now_ms = Date::now() as u64;
    UnixMillis(now_ms)
}

/// A time in the format of RFC 3339.
pub(crate) fn rfc3339(time: UnixMillis) -> String {
    #[expect(clippy::cast_precision_loss, reason = "as above")]
    let date = Date::new(&JsValue::from_f64(time.0 as f64));
    date.to_iso_string().into()
}

/// A time in the format of HTTP headers (RFC 9110, section 5.6.7), which `toUTCString` writes.
pub(crate) fn http_date(time: UnixSeconds) -> String {
    #[expect(clippy::cast_precision_loss, reason = "as above")]
    let date = Date::new(&JsValue::from_f64(time.seconds() as f64 * 1000.0));
    date.to_utc_string().into()
}

/// The runtime's global object.
pub(crate) fn global() -> WorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// A random id for a request without a Ray ID.
pub(crate) fn random_id() -> String {
    global().crypto().map_or_else(|_| String::new(), |crypto| crypto.random_uuid())
}

/// A random UUID, whatever the runtime has of `crypto`; `None`: there are no random numbers.
pub(crate) fn random_uuid() -> Option<Uuid> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// Caches strings that are passed to JavaScript with every request, so that each is created there once.
pub(crate) fn intern_all<'t>(strings: impl IntoIterator<Item = &'t str>) {
    for string in strings {
        intern(string);
    }
}

/// Waits at most `ms` milliseconds for a promise; `None`: it did not settle in time, or it resolved to undefined. After the time
/// limit the result is ignored.
///
/// A race of promises, not a `select` of futures, because each future costs two closures.
pub(crate) async fn settled_within(ms: u32, promise: &Promise) -> Option<Result<JsValue, JsValue>> {
    let race = Promise::race(&Array::of2(promise, &timer(ms)));
    Some(JsFuture::from(race).await).filter(|settled| !settled.as_ref().is_ok_and(JsValue::is_undefined))
}

/// Resolves to undefined after `ms` milliseconds. The runtime ends it with the request, so it is not cleared.
fn timer(ms: u32) -> Promise {
    Promise::new(&mut |resolve, _| {
        // `setTimeout` treats a longer delay as zero.
        let ms = i32::try_from(ms).unwrap_or(i32::MAX);
        let _ = global().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms);
    })
}

/// Waits at most `ms` milliseconds for a future; `None`: it was not ready in time.
///
/// Not `worker::Delay`: it keeps the waker of its first poll, which here is the no-op waker in `fetch`. Not a `JsFuture` of
/// `timer`: one whose promise never settles is never freed.
pub(crate) async fn within<F: Future>(ms: u32, future: F) -> Option<F::Output> {
    match select(pin!(future), TimeoutFuture::new(ms)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// The message of an exception, without the URLs that some messages contain.
pub(crate) fn message(error: &JsValue) -> String {
    let text = error.dyn_ref::<Object>().map(|error| String::from(error.to_string()));
    without_urls(&text.or_else(|| error.as_string()).unwrap_or_else(|| format!("{error:?}")))
}

/// Why an instance ended: the message of a trap; of any other exception only the name, because its message may quote a request.
pub(crate) fn failure_of_instance(error: &JsValue) -> String {
    let name = Reflect::get(error, &"name".into()).ok().and_then(|name| name.as_string());
    match name.as_deref() {
        // V8 reports a stack overflow inside wasm as a RangeError.
        Some("RuntimeError" | "RangeError") => message(error),
        Some(name) => name.to_owned(),
        None => "an exception".to_owned(),
    }
}

/// A property of an object; undefined if there is none.
pub(crate) fn property(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// Whether a value is null or undefined.
pub(crate) fn is_nullish(value: &JsValue) -> bool {
    value.is_null() || value.is_undefined()
}

/// Whether an object has a method of this name.
pub(crate) fn has_method(object: &JsValue, name: &str) -> bool {
    object.is_object() && property(object, name).is_function()
}
