//! The Workers runtime: the clock, and transactions.

use std::cell::Cell;
use std::panic;

use js_sys::Date;
use keygate_core::telemetry::event::{Event, without_urls};
use keygate_core::time::UnixMillis;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::WorkerGlobalScope;
use worker::worker_sys::DurableObjectStorage;
use worker::{Response, console_log};

#[wasm_bindgen]
extern "C" {
    type Transactional;

    /// Undoes all writes of `work` if it throws, or if the instance traps in it. The `worker` crate has no binding of it.
    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    fn transaction_sync(
        this: &Transactional,
        work: &mut dyn FnMut() -> Result<(), JsValue>,
    ) -> Result<JsValue, JsValue>;
}

/// The current time.
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

thread_local! {
    static HAS_PANIC_HOOK: Cell<bool> = const { Cell::new(false) };
}

/// Installs a panic hook that logs the location in the code.
pub(crate) fn log_panics() {
    if !HAS_PANIC_HOOK.replace(true) {
        panic::set_hook(Box::new(|panic| {
            let location = panic.location().map(ToString::to_string).unwrap_or_default();
            console_log!("{}", Event::panicked(&rfc3339(now()), &location).to_line());
        }));
    }
}

/// The answer, or 503 and a line in the log.
///
/// # Errors
/// None is known. An exception would end the instance.
pub(crate) fn answered(answer: worker::Result<Response>) -> worker::Result<Response> {
    answer.or_else(|error| {
        let why = without_urls(&error.to_string());
        console_log!("{}", Event::control_failed(&rfc3339(now()), &why).to_line());
        Ok(Response::empty()?.with_status(503))
    })
}

/// A random id for an answer.
pub(crate) fn random_id() -> String {
    let global: WorkerGlobalScope = js_sys::global().unchecked_into();
    global.crypto().map_or_else(|_| String::new(), |crypto| crypto.random_uuid())
}

/// Does `work` in one transaction: all of its writes are made, or none.
///
/// # Errors
/// That of `work`.
pub(crate) fn in_transaction(
    storage: &DurableObjectStorage,
    mut work: impl FnMut() -> worker::Result<()>,
) -> worker::Result<()> {
    let storage: &Transactional = storage.unchecked_ref();
    storage.transaction_sync(&mut || work().map_err(JsValue::from))?;
    Ok(())
}
