//! What `glue.js` does for the gate. All of it is about the one request that wasm is being asked about.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

// Beside the bundle's other modules, because glue.js calls the gate as well.
#[wasm_bindgen(raw_module = "./glue.js")]
extern "C" {
    pub(crate) fn configure(header_names: &str, reads_origin: bool, origin_timeout_ms: u32);
    pub(crate) fn describe() -> String;
    pub(crate) fn define(kind: u8, status: u16, headers: &str, before_id: &str, after_id: &str);
    /// `u32` has wasm-bindgen name each function that it imports; of a `u8` it makes a namespace with a getter for each.
    pub(crate) fn respond(kind: u32);
    #[wasm_bindgen(js_name = respondToPreflight)]
    pub(crate) fn respond_to_preflight(headers: &str);
    #[wasm_bindgen(js_name = lookUp)]
    pub(crate) fn look_up(name: &str, cache_ttl_secs: u32, timeout_ms: u32);
    #[wasm_bindgen(js_name = askLimiter)]
    pub(crate) fn ask_limiter(limiter: &str, counted: &str);
    pub(crate) fn holder(id: &str, subject: &str, scopes: &str) -> JsValue;
    #[wasm_bindgen(js_name = setBase)]
    pub(crate) fn set_base(base: &str);
    pub(crate) fn forward(
        service: Option<&str>,
        holder: &JsValue,
        flags: u32,
        max_secs: u32,
        stripped: &str,
        path_at: u32,
        plan: Option<&str>,
    );
    pub(crate) fn written(url: &str) -> Option<String>;
    #[wasm_bindgen(js_name = fillRandom)]
    pub(crate) fn fill_random(bytes: &mut [u8]);
    pub(crate) fn variables(secrets: &str) -> String;
    pub(crate) fn text(name: &str) -> Option<String>;
    pub(crate) fn header(name: &str) -> Option<String>;
    #[wasm_bindgen(js_name = headerNames)]
    pub(crate) fn header_names() -> String;
    pub(crate) fn can(name: &str, method: &str) -> bool;
    pub(crate) fn has(name: &str) -> bool;
    pub(crate) fn usage(parts: &str);
    pub(crate) fn now() -> String;
    pub(crate) fn log(line: &str);
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = Math)]
    pub(crate) fn random() -> f64;
}
