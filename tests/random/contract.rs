//! The answers that the documentation promises, and those that the runtime gives by itself.

use keygate_testbed::http::Message;
use serde_json::Value;

use crate::expected::Expected;
use crate::request::Request;

/// Code, status, what follows `Bearer realm="api"` in the challenge, and whether there is a `Retry-After`.
const CONTRACT: [(&str, u16, Option<&str>, bool); 27] = {
    const INVALID: Option<&str> = Some(", error=\"invalid_token\"");
    [
        ("credential_missing", 401, Some(""), false),
        ("credential_malformed", 401, INVALID, false),
        ("credential_ambiguous", 400, None, false),
        ("key_invalid", 401, INVALID, false),
        ("key_expired", 401, INVALID, false),
        ("key_not_yet_valid", 401, INVALID, false),
        ("key_disabled", 401, INVALID, false),
        ("key_revoked", 401, INVALID, false),
        ("ip_not_allowed", 403, None, false),
        ("scope_missing", 403, Some(", error=\"insufficient_scope\", scope=\"admin\""), false),
        ("subject_not_allowed", 403, None, false),
        ("route_denied", 403, None, false),
        ("https_required", 403, None, false),
        ("path_ambiguous", 400, None, false),
        ("method_ambiguous", 400, None, false),
        ("destination_not_allowed", 403, None, false),
        ("method_not_allowed", 405, None, false),
        ("rate_limited", 429, None, true),
        ("quota_exceeded", 429, None, true),
        ("loop_detected", 508, None, false),
        ("too_many_hops", 400, None, false),
        ("key_store_unavailable", 503, None, true),
        ("key_record_invalid", 503, None, true),
        ("quota_unavailable", 503, None, true),
        ("gate_misconfigured", 503, None, true),
        ("origin_unreachable", 502, None, false),
        ("origin_timeout", 504, None, false),
    ]
};

/// What the runtime answers by itself to what it cannot read: status and text, as workerd writes them.
pub(crate) const RUNTIME: [(u16, &str); 9] = [
    (400, "Bad Request"),
    (400, "invalid HTTP header parsed"),
    (400, "invalid HTTP method parsed"),
    (400, "invalid HTTP version parsed"),
    (400, "invalid URI"),
    (400, "invalid content-length parsed"),
    (400, "invalid transfer-encoding parsed"),
    (400, "unexpected transfer-encoding parsed"),
    (501, "ERROR: Unrecognized request method"),
];
/// Its answer to CONNECT, for which a Worker has to have another handler.
pub(crate) const TO_CONNECT: (u16, &str) = (500, "Internal Server Error");

/// The code of a refusal whose status, headers and body are as the contract says.
pub(crate) fn refusal_code(sent: &Request, answer: &Message) -> Result<&'static str, String> {
    let status = answer.status();
    let challenge: Vec<&str> = answer.all("www-authenticate").collect();
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let member = |name| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let is_head = sent.method == "HEAD";
    // A HEAD shows no code: of those that look alike it is the expected one, if that is among them.
    let may_be = |code: &str| match sent.expected {
        Expected::Code(expected) if is_head => code == expected,
        _ => is_head || code == member("code"),
    };
    let fits = |(code, row_status, row_challenge, retries): &(&str, u16, Option<&str>, bool)| {
        let expected = row_challenge.map(|more| format!("Bearer realm=\"api\"{more}"));
        *row_status == status
            && challenge == expected.as_deref().as_slice()
            && *retries == answer.header("retry-after").is_some_and(|secs| secs.parse::<u32>().is_ok())
            && may_be(code)
    };
    let Some((code, ..)) = CONTRACT.iter().find(|row| fits(row)) else {
        return Err(format!("a refusal that is not in the contract: {status} {challenge:?} {body}"));
    };
    if answer.all("cache-control").collect::<Vec<_>>() != ["no-store"] {
        return Err(format!("{code} can be stored"));
    }
    if (status == 405) != answer.header("allow").is_some() {
        return Err(format!("{code}, and Allow is {:?}", answer.header("allow")));
    }
    if is_head {
        return if answer.body.is_empty() {
            Ok(code)
        } else {
            Err("a HEAD was answered with a body".to_owned())
        };
    }
    let is_whole = member("type") == format!("urn:problem-type:keygate:{code}")
        && body.get("status").and_then(Value::as_u64) == Some(u64::from(status))
        && ["title", "detail", "request_id"].iter().all(|name| !member(name).is_empty())
        && (member("error") == "Unauthorized access") == (status == 401);
    if is_whole { Ok(code) } else { Err(format!("{code} has another body than the contract says: {body}")) }
}
