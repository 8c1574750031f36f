//! The gate's own answers.

use keygate_core::admission::Head;
use keygate_core::cors::{Cors, Header};
use keygate_core::denial::{Cause, Denial};
use keygate_core::policy::Policy;

use crate::isolate::Isolate;
use crate::lookup::Moment;
use crate::request::RequestText;
use crate::{glue, log};

/// The realm of answers that are given before the policy could be read.
const REALM: &str = "api";
/// The kind of an answer that depends on more than its code. Codes are fewer.
const ONCE: u8 = 31;

/// Turns a request away, and logs it.
pub(crate) fn denied(isolate: Option<&Isolate>, head: &Head<'_>, now: Moment, denial: &Denial) {
    log::denied(isolate, head, now, denial);
    let policy = isolate.map(|isolate| &isolate.gate.policy);
    let cors = policy.map(Policy::cors);
    // A page that may call the API may also read why it was turned away.
    let allowed = cors.and_then(|cors| cors.allowed(head.origin?));
    let kind = denial.kind().filter(|_| allowed.is_none());
    if let (Some(kind), Some(isolate)) = (kind, isolate)
        && isolate.define(kind)
    {
        glue::respond(kind.into());
        return;
    }
    let answer = denial.answer(policy.map_or(REALM, Policy::realm));
    let mut headers = lines(&answer.headers);
    if let Some(allowed) = allowed {
        headers += "access-control-allow-origin\n";
        headers += allowed;
        headers += "\naccess-control-expose-headers\nWWW-Authenticate, Retry-After\n";
    }
    if cors.is_some_and(Cors::varies) {
        headers += "vary\nOrigin\n";
    }
    let kind = kind.filter(|_| isolate.is_some()).unwrap_or(ONCE);
    let [before, after] = answer.body_around_id();
    glue::define(kind, answer.status, &headers, before, after);
    glue::respond(kind.into());
}

/// Turns every request away: the gate cannot start.
pub(crate) fn misconfigured(text: &RequestText, now: Moment, what: &str) {
    denied(None, &text.parts().head(), now, &Denial::from(Cause::Misconfigured(what.into())));
}

/// Answers a CORS preflight; the origin is not asked.
pub(crate) fn preflight(isolate: &Isolate, head: &Head<'_>) {
    let asked = glue::header("access-control-request-headers");
    let cors = isolate.gate.policy.cors();
    let answer = cors.preflight_answer(head.origin.unwrap_or_default(), asked.as_deref());
    glue::respond_to_preflight(&lines(&answer));
}

/// Names and values in turn, each ended by a line feed.
fn lines(headers: &[Header<'_>]) -> String {
    let mut text = String::with_capacity(256);
    for (name, value) in headers {
        text.extend([*name, "\n", value, "\n"]);
    }
    text
}
