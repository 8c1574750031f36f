//! Rate limits: the binding of the holder's plan counts one more request.

use js_sys::{Object, Promise, Reflect};
use keygate_core::auth::decide::LimiterAnswer;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use worker::Env;
use worker::worker_sys::RateLimiter;

use crate::runtime::{message, property};

/// Counts one more request of `counted`, and returns whether it is within the limit.
///
/// Not `worker::RateLimiter`: it checks the name of the binding's class, and the local simulation has another one.
pub(crate) async fn count(env: &Env, limiter: &str, counted: &str) -> LimiterAnswer {
    let call = || -> Result<Promise, JsValue> {
        let options = Object::new();
        Reflect::set(&options, &"key".into(), &counted.into())?;
        property(env, limiter).unchecked_into::<RateLimiter>().limit(options)
    };
    let outcome = match call() {
        Ok(promise) => JsFuture::from(promise).await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(outcome) if property(&outcome, "success") == true => LimiterAnswer::Within,
        Ok(_) => LimiterAnswer::Exceeded,
        Err(error) => LimiterAnswer::Failed(message(&error)),
    }
}
