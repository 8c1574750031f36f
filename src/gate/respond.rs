//! The gate's own responses (refusals, CORS preflights, what a key is), and the headers that it adds to the origin's.

use std::borrow::Cow;

use keygate_core::auth::decide::Permit;
use keygate_core::policy::cors::{AnswerCors, Header};
use keygate_core::quota::Remaining;
use keygate_core::request::head::RequestHead;
use keygate_core::response::{Cause, Denial, Wording};
use keygate_core::telemetry::event::AcceptedResponse;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{Headers, Response, ResponseInit};
use worker::Env;

use crate::answers::Prepared;
use crate::config::Isolate;
use crate::incoming::Incoming;
use crate::{connection, runtime, telemetry};

/// When the key of the request expires, in the response to a request of its last days.
const EXPIRES: &str = "x-keygate-key-expires";

const WHOAMI_HEADERS: [Header<'static>; 3] = [
    ("content-type", Cow::Borrowed("application/json")),
    ("cache-control", Cow::Borrowed("no-store")),
    ("x-content-type-options", Cow::Borrowed("nosniff")),
];

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

/// What the gate itself answers at `WHOAMI_PATH`.
pub(crate) fn whoami(
    isolate: &Isolate,
    incoming: &Incoming,
    head: &RequestHead<'_>,
    env: &Env,
    permit: &Permit<'_>,
    remaining: Option<Remaining>,
) -> Result<Response, Denial> {
    let whoami = permit.whoami(remaining, runtime::now().seconds());
    let body = whoami.filter(|_| head.method != "HEAD").map(|whoami| whoami.to_json());
    let answer = respond(body.as_deref(), &init(200, WHOAMI_HEADERS.iter()));
    let answer = with_headers(answer, head, permit)
        .map_err(|error| permit.withdraw(Cause::GateFailed(runtime::message(&error))))?;
    telemetry::counted(isolate, incoming, head, env, permit);
    let response = AcceptedResponse { status: Some(200), origin_ms: None };
    telemetry::accepted(isolate, incoming, head, permit, response);
    Ok(answer)
}

/// Adds the CORS headers, unless the origin has set its own, the warning of the key's expiry and its limits; not to a response that cannot
/// be rebuilt.
pub(crate) fn with_headers(
    response: Response,
    head: &RequestHead<'_>,
    permit: &Permit<'_>,
) -> Result<Response, JsValue> {
    let cors = permit.cors(head.origin());
    let adds_cors = !cors.is_empty() && !response.headers().has("access-control-allow-origin")?;
    let expiry = permit.expires_soon(runtime::now().seconds());
    let mut own = permit.limit_headers();
    own.extend(expiry.map(|expiry| (EXPIRES, runtime::http_date(expiry).into())));
    if !adds_cors && own.is_empty() || !connection::is_rebuildable(&response) {
        return Ok(response);
    }
    let answer = Response::new_with_opt_readable_stream_and_init(
        response.body().as_ref(),
        response.unchecked_ref::<ResponseInit>(),
    )?;
    let headers = answer.headers();
    if adds_cors {
        add_cors(&headers, cors)?;
    }
    for (name, value) in &own {
        headers.set(name, value)?;
    }
    if !own.is_empty() && adds_cors && cors.allow_origin.is_some() {
        let names: Vec<&str> = own.iter().map(|(name, _)| *name).collect();
        headers.append("access-control-expose-headers", &names.join(", "))?;
    }
    Ok(answer)
}

fn add_cors(headers: &Headers, cors: AnswerCors<'_>) -> Result<(), JsValue> {
    if let Some(allow_origin) = cors.allow_origin {
        headers.set("access-control-allow-origin", allow_origin)?;
    }
    if cors.varies {
        headers.append("vary", "Origin")?;
    }
    Ok(())
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
