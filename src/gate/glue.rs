//! What `glue.js` does for the gate.

use js_sys::Promise;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Request, Response};

/// Called when an origin fails: the request, and `key id LF subject LF reason`; an empty reason is a timeout.
pub(crate) type OnOriginFailure = Closure<dyn Fn(Request, String) -> Response>;

/// Called where a request has headers that may have to stay here: the method and the headers, to the names to drop.
pub(crate) type OnDoubtfulHeaders = Closure<dyn Fn(String, String) -> String>;

#[wasm_bindgen(module = "/src/gate/glue.js")]
extern "C" {
    /// The Worker's bindings. Opaque: what is asked of it is asked in `glue.js`.
    #[derive(Clone)]
    pub type Env;

    #[wasm_bindgen(js_name = readHeaders)]
    pub(crate) fn read_headers(names: &str);
    #[wasm_bindgen(js_name = onOriginFailure)]
    pub(crate) fn on_origin_failure(timeout_ms: u32, answer: &OnOriginFailure);
    pub(crate) fn read(request: &Request) -> String;
    pub(crate) fn describe(request: &Request) -> String;
    #[wasm_bindgen(js_name = onDoubtfulHeaders)]
    pub(crate) fn on_doubtful_headers(decide: &OnDoubtfulHeaders);
    pub(crate) fn respond(status: u16, headers: &str, body: Option<&str>) -> Response;
    pub(crate) fn forward(
        request: &Request,
        env: &Env,
        service: &str,
        plan: &str,
        keep_authorization: bool,
        no_store: bool,
    ) -> Promise;
    pub(crate) fn written(url: &str) -> Option<String>;
    #[wasm_bindgen(js_name = fillRandom)]
    pub(crate) fn fill_random(bytes: &mut [u8]);
    pub(crate) fn variables(env: &Env, secrets: &str) -> String;
    pub(crate) fn text(env: &Env, name: &str) -> Option<String>;
    #[wasm_bindgen(js_name = textFromStore, catch)]
    pub(crate) fn text_from_store(env: &Env, name: &str) -> Result<Promise, JsValue>;
    #[wasm_bindgen(js_name = readKv, catch)]
    pub(crate) fn read_kv(
        env: &Env,
        binding: &str,
        name: &str,
        cache_ttl_secs: u32,
        timeout_ms: u32,
    ) -> Result<Promise, JsValue>;
    #[wasm_bindgen(js_name = withinLimit, catch)]
    pub(crate) fn within_limit(env: &Env, limiter: &str, counted: &str) -> Result<Promise, JsValue>;
    pub(crate) fn header(request: &Request, name: &str) -> Option<String>;
    pub(crate) fn can(env: &Env, name: &str, method: &str) -> bool;
    pub(crate) fn has(env: &Env, name: &str) -> bool;
    pub(crate) fn usage(env: &Env, parts: &str);
    pub(crate) fn mortal(promise: Promise) -> Promise;
    pub(crate) fn now() -> String;
    pub(crate) fn log(line: &str);
}

/// Awaits what a glue function promised; an error is its text.
pub(crate) async fn awaited(promise: Result<Promise, JsValue>) -> Result<JsValue, String> {
    match promise {
        Ok(promise) => JsFuture::from(promise).await.map_err(|error| error_text(&error)),
        Err(error) => Err(error_text(&error)),
    }
}

fn error_text(error: &JsValue) -> String {
    js_sys::Object::from(error.clone()).to_string().into()
}
