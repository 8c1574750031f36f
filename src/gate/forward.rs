//! Step 10: the request goes to the origin, with what the permit says and nothing else changed.

use keygate_core::admission::Head;
use keygate_core::decide::{Authorization, Destination, Permit};
use keygate_core::denial::{Cause, Denial};
use keygate_core::key::KeyId;
use keygate_core::signature::{ContentDigest, NONCE_LEN, Sent};
use wasm_bindgen::JsValue;
use web_sys::Request;

use crate::glue::{self, Env};
use crate::isolate::Isolate;
use crate::{log, lookup};

/// Sends the request on; the promise is the origin's response, or the gate's own if the origin fails.
///
/// # Errors
/// There is a signing key, and the request cannot be signed.
pub(crate) fn forward(
    isolate: &Isolate,
    request: &Request,
    env: &Env,
    head: &Head<'_>,
    permit: &Permit<'_>,
) -> Result<JsValue, Denial> {
    let policy = &isolate.gate.policy;
    let (service, mut url) = match permit.destination() {
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
    let received_digest;
    let (mut content_digest, mut signature) = (None, None);
    if let Some(key) = permit.signing_key() {
        // A URL that cannot be parsed fails in `fetch`, as it would without a signature.
        url = glue::written(&url).unwrap_or(url);
        received_digest = glue::header(request, "content-digest");
        content_digest = received_digest.as_deref().and_then(ContentDigest::parse);
        let sent = Sent {
            method: head.method,
            url: &url,
            content_digest,
            key_id: id.as_ref().map(KeyId::as_str),
            subject: holder.map(|holder| holder.subject),
            scopes: scopes.as_deref(),
        };
        let mut nonce = [0; NONCE_LEN];
        glue::fill_random(&mut nonce);
        match key.sign(&sent, lookup::now(), &nonce) {
            Ok(signed) => signature = Some(signed),
            Err(unsignable) => return Err(permit.withdraw(Cause::Misconfigured(unsignable.to_string()))),
        }
    }
    log::accepted(isolate, request, env, head, permit);
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
        signature.as_ref().map_or("", |signature| &signature.input),
        signature.as_ref().map_or("", |signature| &signature.signature),
        content_digest.map_or("", |digest| digest.as_str()),
    ]
    .join("\n");
    for name in policy.places().header_names() {
        plan.push('\n');
        plan.push_str(name);
    }
    Ok(glue::forward(request, env, service, &plan, keep_authorization, permit.no_store()).into())
}
