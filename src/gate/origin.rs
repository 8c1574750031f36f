//! Step 10: forwards the request to the origin, changed only as the permit says.

use js_sys::Promise;
use keygate_core::auth::decide::{Authorization, Destination, Permit};
use keygate_core::request::head::RequestHead;
use keygate_core::request::via::VIA_HEADER;
use keygate_core::response::{Cause, Denial};
use keygate_core::signature::{ContentDigest, NONCE_LEN, Signature, SignedComponents, SigningKey};
use keygate_core::telemetry::event::AcceptedResponse;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Headers, Request, RequestCache, RequestInit, RequestRedirect, Response, Url};
use worker::Env;
use worker::worker_sys::Fetcher;

use crate::config::Isolate;
use crate::incoming::Incoming;
use crate::{connection, respond, runtime, telemetry};

/// Strings that are passed to JavaScript with every forwarded request.
pub(crate) const INTERNED: [&str; 14] = [
    "authorization",
    "content-digest",
    VIA_HEADER,
    "signature",
    "signature-input",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-keygate-key-id",
    "x-keygate-scopes",
    "x-keygate-subject",
    "GET",
    "https",
    "webSocket",
];

/// Forwards the request, and returns the origin's response.
///
/// # Errors
/// The origin fails or does not respond in time; the client disconnects while it sends the body; or there is a signing key, and the
/// request cannot be signed.
pub(crate) async fn forward(
    isolate: &Isolate,
    incoming: &Incoming,
    head: &RequestHead<'_>,
    env: &Env,
    permit: &Permit<'_>,
) -> Result<Response, Denial> {
    let (service, url) = match permit.destination() {
        Destination::Url(url) => (None, url),
        Destination::Service { binding, url } => (Some(binding), url),
    };
    let signing = match permit.signing_key() {
        None => None,
        Some(key) => Some(sign(key, &url, head, permit)?),
    };
    let url = signing.as_ref().map_or(url.as_str(), |signing| &signing.url);
    let has_body = || permit.forwards_body() && incoming.request.body().is_some();
    let failed = |error: JsValue| {
        let error = runtime::message(&error);
        permit.withdraw(Cause::OriginUnreachable { error, has_body: has_body() })
    };
    telemetry::counted(isolate, incoming, head, env, permit);
    let headers = headers(incoming, head, permit, signing.as_ref()).map_err(failed)?;
    let start = runtime::now();
    let sent = send(incoming, head, env, permit, service, url, &headers).map_err(failed)?;
    let limit_ms = isolate.gate.policy.origin_timeout_secs().saturating_mul(1000);
    let settled = runtime::settled_within(limit_ms, &sent).await;
    let response = settled.map(|settled| settled.map(JsCast::unchecked_into::<Response>));
    let status = response.as_ref().and_then(|response| response.as_ref().ok()).map(Response::status);
    let origin_ms = Some(runtime::now().0.saturating_sub(start.0));
    telemetry::accepted(isolate, incoming, head, permit, AcceptedResponse { status, origin_ms });
    let response = match response {
        Some(Ok(response)) => response,
        Some(Err(_)) if has_body() && incoming.has_disconnected() => {
            return Err(permit.withdraw(Cause::ClientDisconnected));
        }
        Some(Err(error)) => return Err(failed(error)),
        None => return Err(permit.withdraw(Cause::OriginTimeout)),
    };
    let answer = match permit.max_connection_secs() {
        None => Ok(response),
        Some(secs) => connection::ended_after(secs, response),
    };
    answer.and_then(|answer| respond::with_headers(answer, head, permit)).map_err(failed)
}

/// The client's headers without the stripped ones, and with those that the gate sets.
fn headers(
    incoming: &Incoming,
    head: &RequestHead<'_>,
    permit: &Permit<'_>,
    signing: Option<&Signing>,
) -> Result<Headers, JsValue> {
    let headers = Headers::new_with_headers(&incoming.headers)?;
    for name in permit.headers_to_strip(head) {
        headers.delete(name)?;
    }
    if let Some(holder) = permit.holder() {
        headers.set("x-keygate-key-id", holder.id.as_str())?;
        headers.set("x-keygate-subject", holder.subject)?;
        if let Some(scopes) = holder.scopes_header() {
            headers.set("x-keygate-scopes", &scopes)?;
        }
    }
    set_or_delete(&headers, "x-forwarded-for", permit.client_ip())?;
    headers.set("x-forwarded-host", permit.forwarded_host())?;
    headers.set("x-forwarded-proto", permit.forwarded_proto())?;
    headers.set(VIA_HEADER, &permit.via(head))?;
    match permit.authorization() {
        Authorization::Keep => {}
        Authorization::Strip => headers.delete("authorization")?,
        Authorization::Replace(secret) => headers.set("authorization", secret)?,
    }
    if let Some(signing) = signing {
        headers.set("signature-input", &signing.signature.input)?;
        headers.set("signature", &signing.signature.signature)?;
        set_or_delete(&headers, "content-digest", signing.content_digest.as_deref())?;
    }
    Ok(headers)
}

fn set_or_delete(headers: &Headers, name: &str, value: Option<&str>) -> Result<(), JsValue> {
    match value {
        Some(value) => headers.set(name, value),
        None => headers.delete(name),
    }
}

/// Sends the request with `fetch`, or through the service binding.
fn send(
    incoming: &Incoming,
    head: &RequestHead<'_>,
    env: &Env,
    permit: &Permit<'_>,
    service: Option<&str>,
    url: &str,
    headers: &Headers,
) -> Result<Promise, JsValue> {
    let init = RequestInit::new();
    init.set_headers(headers);
    init.set_redirect(RequestRedirect::Manual);
    if permit.no_store() {
        init.set_cache(RequestCache::NoStore);
    }
    let request = &incoming.request;
    let method = head.method;
    let body = request.body().filter(|_| permit.forwards_body());
    // A GET or HEAD may have a body in HTTP, but not in an init; only copying a request keeps it.
    if body.is_some() && matches!(method, "GET" | "HEAD") {
        let copy = Request::new_with_str_and_init(url, request.unchecked_ref::<RequestInit>())?;
        return match service {
            Some(binding) => fetcher(env, binding).fetch_with_init(&copy, &init),
            None => Ok(runtime::global().fetch_with_request_and_init(&copy, &init)),
        };
    }
    init.set_method(method);
    init.set_body(&body.map_or(JsValue::NULL, JsValue::from));
    match service {
        Some(binding) => fetcher(env, binding).fetch_with_str_and_init(url, &init),
        None => Ok(runtime::global().fetch_with_str_and_init(url, &init)),
    }
}

fn fetcher(env: &Env, binding: &str) -> Fetcher {
    runtime::property(env, binding).unchecked_into()
}

/// The additional parts of a signed request.
struct Signing {
    url: String,
    signature: Signature,
    content_digest: Option<String>,
}

fn sign(key: &SigningKey, url: &str, head: &RequestHead<'_>, permit: &Permit<'_>) -> Result<Signing, Denial> {
    // As `fetch` serializes it: it encodes characters that the URL of a request may contain, such as `{` and `'`. A URL that cannot
    // be parsed fails in `fetch`, as it would without a signature.
    let url = Url::new(url).map_or_else(|_| url.to_owned(), |url| url.href());
    let content_digest = head.header("content-digest").and_then(ContentDigest::parse);
    let holder = permit.holder();
    let scopes = holder.and_then(|holder| holder.scopes_header());
    let components = SignedComponents {
        method: head.method,
        url: &url,
        content_digest,
        key_id: holder.as_ref().map(|holder| holder.id.as_str()),
        subject: holder.map(|holder| holder.subject),
        scopes: scopes.as_deref(),
    };
    let unsignable = |what: &dyn ToString| permit.withdraw(Cause::Misconfigured(what.to_string()));
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|error| unsignable(&error))?;
    let signature =
        key.sign(&components, runtime::now().seconds(), &nonce).map_err(|error| unsignable(&error))?;
    let content_digest = content_digest.map(|digest| digest.as_str().to_owned());
    Ok(Signing { url, signature, content_digest })
}
