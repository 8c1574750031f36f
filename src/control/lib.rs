//! The control Worker: what the gates count is stored here, in a Durable Object, and shown to operators.
//!
//! All decisions are made in `keygate-core`; this crate does the I/O: SQLite, alarms, HTTP.

mod admin;
mod runtime;
mod usage;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Env, Request, Response, Result};

pub use usage::UsageObject;

/// Handles a request to the Worker's own address.
///
/// # Errors
/// The runtime's.
#[wasm_bindgen]
pub async fn fetch(request: web_sys::Request, env: Env) -> core::result::Result<web_sys::Response, JsValue> {
    Ok(admin::answer(&Request::from(request), &env).await?.into())
}

fn not_found() -> Result<Response> {
    Response::error("not found", 404)
}
