//! Step 10: the request goes to the origin, with what the permit says and nothing else changed.

use keygate_core::admission::Head;
use keygate_core::decide::{Authorization, Destination, Permit};
use keygate_core::hygiene;
use keygate_core::key::KeyId;
use wasm_bindgen::JsValue;
use web_sys::Request;

use crate::glue::{self, Env};
use crate::isolate::Isolate;
use crate::log;

/// Sends the request on; the promise is the origin's response, or the gate's own if the origin fails.
pub(crate) fn forward(
    isolate: &Isolate,
    request: &Request,
    env: &Env,
    head: &Head<'_>,
    permit: &Permit<'_>,
) -> JsValue {
    log::accepted(isolate, request, env, head, permit);
    let policy = &isolate.gate.policy;
    let (service, url) = match permit.destination() {
        Destination::Url(url) => ("", url),
        Destination::Service { binding, url } => (binding, url),
    };
    let holder = permit.holder();
    let id = holder.map(|holder| holder.id);
    let scopes = holder.and_then(|holder| holder.scopes_header());
    let (keep_authorization, authorization) = match permit.authorization() {
        Authorization::Keep => (true, ""),
        Authorization::Strip => (false, ""),
        Authorization::Replace(secret) => (false, secret),
    };
    let allow_origin = head.origin.and_then(|origin| policy.cors().allowed(origin));
    let mut plan = [
        url.as_str(),
        id.as_ref().map_or("", KeyId::as_str),
        holder.map_or("", |holder| holder.subject),
        scopes.as_deref().unwrap_or_default(),
        permit.client_ip().unwrap_or_default(),
        permit.forwarded_host(),
        permit.forwarded_proto(),
        authorization,
        allow_origin.unwrap_or_default(),
    ]
    .join("\n");
    let doubtful = glue::doubtful(request).unwrap_or_default();
    let dropped = hygiene::dropped(policy.places(), head.method, &doubtful);
    let places = policy.places().header_names().iter().map(AsRef::as_ref);
    for name in places.chain(dropped) {
        plan.push('\n');
        plan.push_str(name);
    }
    glue::forward(request, env, service, &plan, keep_authorization, permit.no_store()).into()
}
