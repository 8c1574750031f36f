//! The gate's own answers.

use keygate_core::admission::Head;
use keygate_core::denial::{Cause, Denial};
use keygate_core::key::KeyId;
use keygate_core::policy::Policy;
use keygate_core::token::Subject;
use web_sys::{Request, Response};

use crate::glue;
use crate::isolate::{self, Isolate};
use crate::log::{self, Described};
use crate::request::RequestText;

/// The realm of answers that are given before the policy could be read.
const REALM: &str = "api";

/// Turns a request away, and logs it.
pub(crate) fn denied(isolate: &Isolate, request: &Request, text: &RequestText, denial: &Denial) -> Response {
    let described = Described::of(request);
    let parts = text.parts();
    let head = parts.head();
    log::denied(Some(isolate), &described, &head, denial);
    refuse(Some(isolate), &head, denial, described.request_id())
}

/// Turns every request away: the gate cannot start.
pub(crate) fn misconfigured(request: &Request, what: &str) -> Response {
    let described = Described::of(request);
    let text = RequestText::read(request);
    let parts = text.parts();
    let head = parts.head();
    let denial = Denial::from(Cause::Misconfigured(what.into()));
    log::denied(None, &described, &head, &denial);
    refuse(None, &head, &denial, described.request_id())
}

/// Answers for an origin that failed; `text` is `key id LF subject LF reason`, and no reason means no answer in time.
pub(crate) fn origin_failed(request: &Request, text: &str) -> Response {
    let mut parts = text.splitn(3, '\n');
    let key_id = parts.next().and_then(|id| KeyId::parse(id).ok());
    let subject = parts.next().and_then(|subject| Subject::parse(subject).ok());
    let cause = match parts.next() {
        None | Some("") => Cause::OriginTimeout,
        Some(reason) => Cause::OriginUnreachable(reason.into()),
    };
    let denial = Denial { cause, key_id, subject };
    let described = Described::of(request);
    let text = RequestText::read(request);
    let parts = text.parts();
    let head = parts.head();
    let isolate = isolate::started();
    log::denied(isolate, &described, &head, &denial);
    refuse(isolate, &head, &denial, described.request_id())
}

fn refuse(isolate: Option<&Isolate>, head: &Head<'_>, denial: &Denial, request_id: &str) -> Response {
    let policy = isolate.map(|isolate| &isolate.gate.policy);
    let answer = denial.answer(policy.map_or(REALM, Policy::realm), request_id);
    let mut headers = answer.headers;
    if let Some(cors) = policy.map(Policy::cors) {
        // A page that may call the API may also read why it was turned away.
        if let Some(allowed) = head.origin.and_then(|origin| cors.allowed(origin)) {
            headers.push(("access-control-allow-origin", allowed.to_string().into()));
            headers.push(("access-control-expose-headers", "WWW-Authenticate, Retry-After".into()));
        }
        if cors.varies() {
            headers.push(("vary", "Origin".into()));
        }
    }
    let headers = headers.iter().flat_map(|(name, value)| [*name, value.as_ref()]);
    glue::respond(answer.status, &join(headers), Some(&answer.body))
}

/// Answers a CORS preflight; the origin is not asked.
pub(crate) fn preflight(isolate: &Isolate, request: &Request, head: &Head<'_>) -> Response {
    let asked = glue::header(request, "access-control-request-headers");
    let cors = isolate.gate.policy.cors();
    let answer = cors.preflight_answer(head.origin.unwrap_or_default(), asked.as_deref());
    let headers = answer.iter().flat_map(|(name, value)| [*name, value.as_ref()]);
    glue::respond(204, &join(headers), None)
}

fn join<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let parts: Vec<&str> = parts.collect();
    parts.join("\n")
}
