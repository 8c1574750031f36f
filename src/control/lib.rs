//! The control Worker: what the gates count and spend is stored here, in Durable Objects, and shown to operators.
//!
//! All decisions are made in `keygate-core`; this crate does the I/O: SQLite, alarms, HTTP.

mod admin;
#[expect(missing_docs, reason = "`durable_object` writes methods without")]
mod quota;
mod runtime;
mod usage;
mod warning;

use keygate_core::telemetry::event::Event;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Env, Request, Response, Result, console_log};

pub use quota::QuotaObject;
pub use usage::UsageObject;
pub use warning::WarningsObject;

/// Handles a request to the Worker's own address.
///
/// # Errors
/// The runtime's.
#[wasm_bindgen]
pub async fn fetch(request: web_sys::Request, env: Env) -> core::result::Result<web_sys::Response, JsValue> {
    runtime::log_panics();
    Ok(runtime::answered(admin::answer(&Request::from(request), &env).await)?.into())
}

/// Does what the cron is for: sends the warnings of the day.
///
/// # Errors
/// The runtime's.
#[wasm_bindgen]
pub async fn scheduled(env: Env) -> core::result::Result<(), JsValue> {
    runtime::log_panics();
    runtime::answered(warning::run(&env).await)?;
    Ok(())
}

/// Logs that an instance has ended, by the name of the exception. This instance is a fresh one.
#[wasm_bindgen(js_name = instanceEnded)]
pub fn instance_ended(error: &str) {
    runtime::log_panics();
    let time = runtime::rfc3339(runtime::now());
    console_log!("{}", Event::panicked(&time, error).to_line());
}

fn not_found() -> Result<Response> {
    Response::error("not found", 404)
}
