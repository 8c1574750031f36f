//! The gate's own responses: refusals and CORS preflights.

use keygate_core::policy::cors::Header;
use keygate_core::request::head::RequestHead;
use keygate_core::response::{Denial, Wording};
use web_sys::{Headers, Response, ResponseInit};

use crate::answers::Prepared;
use crate::config::Isolate;
use crate::incoming::Incoming;
use crate::telemetry;

/// Refuses a request and logs the refusal.
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
            isolate.answers.get_or_prepare(kind, || prepare(Some(isolate), denial, &cors))
        }
        _ => prepare(isolate, denial, &cors),
    };
    let [before, after] = prepared.body.each_ref().map(String::as_str);
    respond(Some(&[before, incoming.id(head), after].concat()), &prepared.init)
}

fn prepare(isolate: Option<&Isolate>, denial: &Denial, cors: &[Header<'_>]) -> Prepared {
    let answer = match isolate {
        Some(isolate) => denial.answer(isolate.gate.policy.wording()),
        None => denial.answer(&Wording::default()),
    };
    let init = init(answer.status, answer.headers.iter().chain(cors));
    Prepared { init, body: answer.body_around_id().map(str::to_owned) }
}

/// Answers a CORS preflight without the origin.
pub(crate) fn preflight(isolate: &Isolate, head: &RequestHead<'_>) -> Response {
    let requested = head.header("access-control-request-headers");
    let headers = isolate.gate.policy.cors().preflight_answer(head.origin().unwrap_or_default(), requested);
    respond(None, &init(204, headers.iter()))
}

fn init<'h, 'v: 'h>(status: u16, headers: impl Iterator<Item = &'h Header<'v>>) -> ResponseInit {
    let init = ResponseInit::new();
    init.set_status(status);
    if let Ok(object) = Headers::new() {
        for (name, value) in headers {
            // Cannot fail: names and values are constants of core, or checked by it.
            let _ = object.append(name, value);
        }
        init.set_headers(&object);
    }
    init
}

fn respond(body: Option<&str>, init: &ResponseInit) -> Response {
    // Cannot fail with a status of core's table and headers that the runtime has accepted; a network error is a refusal too.
    Response::new_with_opt_str_and_init(body, init).unwrap_or_else(|_| Response::error())
}
