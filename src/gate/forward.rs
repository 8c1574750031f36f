//! Step 10: the request goes to the origin, with what the permit says and nothing else changed.

use std::ptr;

use keygate_core::admission::Head;
use keygate_core::decide::{Authorization, Destination, Permit, Unchanged};
use keygate_core::denial::{Cause, Denial};
use keygate_core::header_filter::HopHeaders;
use keygate_core::key::KeyId;
use keygate_core::origin::OriginUrl;
use keygate_core::signature::{ContentDigest, NONCE_LEN, Sent, SigningKey};
use keygate_core::token::Subject;
use wasm_bindgen::JsValue;

use crate::isolate::Isolate;
use crate::lookup::Moment;
use crate::{glue, log};

/// Flags of glue.js.
const KEEP_AUTHORIZATION: u32 = 1;
const NO_STORE: u32 = 2;
const KNOWN_CLIENT: u32 = 4;
const VARIES: u32 = 8;
const NO_BODY: u32 = 16;

/// Sends the request on; the answer is the origin's response, or the gate's own if the origin fails.
///
/// # Errors
/// There is a signing key, and the request cannot be signed.
pub(crate) fn forward(
    isolate: &Isolate,
    head: &Head<'_>,
    now: Moment,
    permit: &Permit<'_>,
    holder: &JsValue,
) -> Result<(), Denial> {
    let (keep_authorization, authorization) = match permit.authorization() {
        Authorization::Keep => (true, ""),
        Authorization::Strip => (false, ""),
        Authorization::Replace(secret) => (false, secret),
    };
    let cors_policy = isolate.gate.policy.cors();
    let flag = |is_set, flag| if is_set { flag } else { 0 };
    let flags = flag(keep_authorization, KEEP_AUTHORIZATION)
        | flag(permit.no_store(), NO_STORE)
        | flag(permit.client_ip().is_some(), KNOWN_CLIENT)
        | flag(!permit.forwards_body(), NO_BODY)
        // What no cache stores need not say how it varies: most answers are not rebuilt.
        | flag(cors_policy.varies() && !permit.no_store(), VARIES);
    let names = glue::header_names();
    let value = |name| names.split('\n').any(|other| other == name).then(|| glue::header(name)).flatten();
    let (connection, upgrade) = (value("connection"), value("upgrade"));
    let hop = HopHeaders { connection: connection.as_deref(), upgrade: upgrade.as_deref() };
    let stripped = permit.headers_to_strip(head.method, &names, hop).join("\n");
    let max_secs = permit.max_connection_secs().unwrap_or(0);
    let cors = head.origin.and_then(|origin| cors_policy.allowed(origin));
    let is_ordinary = authorization.is_empty() && cors.is_none();
    match (permit.unchanged(head.url), permit.signing_key()) {
        (Some(Unchanged { service, base, path_at }), None) if is_ordinary => {
            log::accepted(isolate, head, permit);
            set_base(isolate, base);
            let path_at = u32::try_from(path_at).unwrap_or(u32::MAX);
            glue::forward(service, holder, flags, max_secs, &stripped, path_at, None);
        }
        (_, key) => {
            let (service, url) = match permit.destination() {
                Destination::Url(url) => (None, url),
                Destination::Service { binding, url } => (Some(binding), url),
            };
            let (host, scheme) = (permit.forwarded_host(), permit.forwarded_proto());
            let sent = match key {
                None => [url, String::new(), String::new(), String::new()],
                Some(key) => sign(key, url, head.method, now, permit)?,
            };
            log::accepted(isolate, head, permit);
            let [url, signature @ ..] = sent.each_ref().map(String::as_str);
            let [input, signature, digest] = signature;
            let plan = [url, host, scheme, authorization, cors.unwrap_or_default(), input, signature, digest];
            glue::forward(service, holder, flags, max_secs, &stripped, 0, Some(&plan.join("\n")));
        }
    }
    Ok(())
}

/// The base crosses into JavaScript when it is another one than the last request's: almost never.
fn set_base(isolate: &Isolate, base: Option<&OriginUrl>) {
    let place = base.map_or(ptr::null(), ptr::from_ref);
    if isolate.base.replace(Some(place)) != Some(place) {
        glue::set_base(&base.map_or(String::new(), |base| [base.base(), base.base_path()].concat()));
    }
}

/// URL, `Signature-Input`, `Signature` and `Content-Digest` of a signed request.
fn sign(
    key: &SigningKey,
    url: String,
    method: &str,
    now: Moment,
    permit: &Permit<'_>,
) -> Result<[String; 4], Denial> {
    // A URL that cannot be parsed fails in `fetch`, as it would without a signature.
    let url = glue::written(&url).unwrap_or(url);
    let received_digest = glue::header("content-digest");
    let content_digest = received_digest.as_deref().and_then(ContentDigest::parse);
    let holder = permit.holder();
    let scopes = holder.and_then(|holder| holder.scopes_header());
    let sent = Sent {
        method,
        url: &url,
        content_digest,
        key_id: holder.as_ref().map(|holder| holder.id.as_str()),
        subject: holder.map(|holder| holder.subject),
        scopes: scopes.as_deref(),
    };
    let mut nonce = [0; NONCE_LEN];
    glue::fill_random(&mut nonce);
    let signed = key
        .sign(&sent, now.seconds(), &nonce)
        .map_err(|unsignable| permit.withdraw(Cause::Misconfigured(unsignable.to_string())))?;
    let digest = content_digest.map(|digest| digest.as_str().to_owned());
    Ok([url, signed.input, signed.signature, digest.unwrap_or_default()])
}

/// Why an origin's failure turns a request away; no reason means no answer in time.
pub(crate) fn failure(key_id: Option<String>, subject: Option<String>, reason: String) -> Denial {
    Denial {
        cause: if reason.is_empty() { Cause::OriginTimeout } else { Cause::OriginUnreachable(reason) },
        key_id: key_id.and_then(|id| id.parse::<KeyId>().ok()),
        subject: subject.and_then(|subject| subject.parse::<Subject>().ok()),
    }
}
