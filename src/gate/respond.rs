//! The gate's own answers.

use std::cell::RefCell;
use std::collections::HashMap;

use keygate_core::policy::Policy;
use keygate_core::policy::cors::Header;
use keygate_core::request::head::RequestHead;
use keygate_core::response::denial::Denial;
use wasm_bindgen::JsValue;
use web_sys::{Headers, Response, ResponseInit};

use crate::config::Isolate;
use crate::incoming::Incoming;
use crate::telemetry;

/// The realm of answers that are given before the policy could be read.
const REALM: &str = "api";

/// Answers that depend on their code alone, ready to be sent: `Headers` are copied faster than they are written.
#[derive(Default)]
pub(crate) struct Answers(RefCell<HashMap<u8, Prepared>>);

/// An answer but for the request's id, which stands between the two parts of the body.
#[derive(Clone)]
struct Prepared {
    init: ResponseInit,
    body: [String; 2],
}

/// Turns a request away, and logs it.
pub(crate) fn refuse(
    isolate: Option<&Isolate>,
    incoming: &Incoming,
    head: &RequestHead<'_>,
    denial: &Denial,
) -> Response {
    telemetry::denied(isolate, incoming, head, denial);
    let cors = isolate.map_or_else(Vec::new, |isolate| isolate.gate.policy.cors().of_refusal(head.origin()));
    let kind = denial.kind().filter(|_| cors.is_empty());
    let prepared = match (isolate, kind) {
        (Some(isolate), Some(kind)) => {
            let mut answers = isolate.answers.0.borrow_mut();
            answers.entry(kind).or_insert_with(|| prepare(Some(isolate), denial, &cors)).clone()
        }
        _ => prepare(isolate, denial, &cors),
    };
    let [before, after] = prepared.body.each_ref().map(String::as_str);
    respond(Some(&[before, incoming.id(head), after].concat()), &prepared.init)
}

fn prepare(isolate: Option<&Isolate>, denial: &Denial, cors: &[Header<'_>]) -> Prepared {
    let answer = denial.answer(isolate.map_or(REALM, |isolate| Policy::realm(&isolate.gate.policy)));
    let init = init(answer.status, answer.headers.iter().chain(cors));
    Prepared { init, body: answer.body_around_id().map(str::to_owned) }
}

/// Answers a CORS preflight; the origin is not asked.
pub(crate) fn preflight(isolate: &Isolate, head: &RequestHead<'_>) -> Response {
    let asked = head.header("access-control-request-headers");
    let headers = isolate.gate.policy.cors().preflight_answer(head.origin().unwrap_or_default(), asked);
    respond(None, &init(204, headers.iter()))
}

fn init<'h, 'v: 'h>(status: u16, headers: impl Iterator<Item = &'h Header<'v>>) -> ResponseInit {
    let init = ResponseInit::new();
    init.set_status(status);
    if let Ok(object) = Headers::new() {
        for (name, value) in headers {
            // Names and values are constants of core's, or were checked by it.
            let _ = object.append(name, value);
        }
        init.set_headers(&object);
    }
    init
}

fn respond(body: Option<&str>, init: &ResponseInit) -> Response {
    // A status of core's table and headers that the runtime has taken make a response; should they not, the request is answered
    // all the same, by no word of the origin's.
    Response::new_with_opt_str_and_init(body, init).unwrap_or_else(|_| Response::error())
}

/// Whether JavaScript has no value here.
pub(crate) fn is_nothing(value: &JsValue) -> bool {
    value.is_null() || value.is_undefined()
}
