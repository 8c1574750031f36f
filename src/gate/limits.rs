//! Rate limits: one more request is counted by the binding of the holder's plan.

use js_sys::{Object, Promise, Reflect};
use keygate_core::auth::decide::LimiterAnswer;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use worker::Env;
use worker::worker_sys::RateLimiter;

use crate::runtime::{message, property};

/// Asks whether one more request of `counted` is within the limit.
///
/// Not `worker::RateLimiter`: it checks the name of the binding's class, and the local simulation has another one.
pub(crate) async fn ask(env: &Env, limiter: &str, counted: &str) -> LimiterAnswer {
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
