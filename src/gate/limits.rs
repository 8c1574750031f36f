//! Rate limits: the binding of the holder's plan counts one more request.

use js_sys::{Object, Promise, Reflect};
use keygate_core::auth::decide::LimiterAnswer;
use wasm_bindgen::{JsCast, JsValue};
use worker::Env;
use worker::worker_sys::RateLimiter;

use crate::runtime::{message, property, settled_within};

/// A limiter counts in the location that handles the request, and answers within milliseconds.
const TIMEOUT_MS: u32 = 1000;

/// Counts one more request of `counted`, and returns whether it is within the limit.
///
/// Not `worker::RateLimiter`: it checks the class name of the binding, which the local simulation does not have.
pub(crate) async fn count(env: &Env, limiter: &str, counted: &str) -> LimiterAnswer {
    let call = || -> Result<Promise, JsValue> {
        let options = Object::new();
        Reflect::set(&options, &"key".into(), &counted.into())?;
        property(env, limiter).unchecked_into::<RateLimiter>().limit(options)
    };
    let outcome = match call() {
        Ok(promise) => settled_within(TIMEOUT_MS, &promise).await,
        Err(error) => Some(Err(error)),
    };
    match outcome {
        Some(Ok(outcome)) if property(&outcome, "success") == true => LimiterAnswer::Within,
        Some(Ok(_)) => LimiterAnswer::Exceeded,
        Some(Err(error)) => LimiterAnswer::Failed(message(&error)),
        None => LimiterAnswer::Failed(format!("no answer within {TIMEOUT_MS} ms")),
    }
}
