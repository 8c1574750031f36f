//! What must hold of every request, read from its bytes and from the documentation, not from the gate's code.
//!
//! 1. What reaches the origin may reach it: a public path, or one intact key that is good for the path.
//! 2. Every answer is the origin's, or is in the error contract, or is one that the runtime gives by itself.
//! 3. No secret is where it does not belong.

use keygate_testbed::http::Message;

use crate::contract::{RUNTIME, TO_CONNECT, refusal_code};
use crate::expected::{Carried, Expected, carried};
use crate::keys::{Kind, PEPPER, Ring};
use crate::request::Request;

pub(crate) const ORIGIN_AUTHORIZATION: &str = "Bearer provider-canary-8Jq2WvN4";
pub(crate) const SIGNING_KEY: &str = "2026-11:Y2FuYXJ5LXNpZ25pbmcta2V5LW9mLXRoZS1kcml2ZXI=";
/// In `CORS_ORIGINS`.
pub(crate) const LISTED_PAGE: &str = "https://app.example.com";
/// With which the origin marks its answers.
pub(crate) const ORIGIN_MARK: &str = "x-origin-answer";

/// Holds rules 1 and 3 against a request that has reached the origin; the error says which is broken.
pub(crate) fn check_sighting(sent: &Request, seen: &Message, ring: &Ring) -> Result<(), String> {
    let path = seen.target().split('?').next().unwrap_or_default();
    let decoded = decoded_once(path);
    let segments: Vec<&str> = decoded.split('/').skip(1).collect();
    let (last, before) = segments.split_last().unwrap_or((&"", &[]));
    let without_parameters = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    let is_odd =
        |segment: &str| matches!(without_parameters(segment).as_str(), "." | "..") || segment.contains('\\');
    if !path.starts_with('/')
        || before.iter().any(|segment| segment.is_empty())
        || segments.iter().any(|segment| is_odd(segment))
        || path.to_ascii_lowercase().contains("%2f")
        || decoded.bytes().any(|byte| byte < b' ' || byte == 0x7f)
    {
        return Err(format!(
            "a path with a second reading reached the origin: {path}, last segment `{last}`"
        ));
    }
    if !sent.is_malformed && seen.method() != sent.method {
        return Err(format!("`{}` reached the origin as `{}`", sent.method, seen.method()));
    }
    if sent
        .target
        .as_ref()
        .is_some_and(|target| target != seen.target() && *target != format!("{}?", seen.target()))
    {
        return Err(format!("another target reached the origin: {}", seen.target()));
    }
    // What has no stated length is not sent on with these two; docs/transparency.md says so.
    let may_be_dropped = matches!(seen.method(), "GET" | "HEAD") && seen.body.is_empty();
    if !sent.is_malformed && seen.body != sent.body && !may_be_dropped {
        return Err("the body reached the origin changed".to_owned());
    }
    let first = without_parameters(segments.first().unwrap_or(&""));
    let holder = match first.as_str() {
        "closed" => return Err("a closed route was forwarded".to_owned()),
        "public" => None,
        _ => Some(may_pass(sent, seen.method(), &first, ring)?),
    };
    check_headers(seen, holder.and_then(|at| ring.keys.get(at)).map(|key| [&key.id, &key.subject]))?;
    let head = seen.head();
    let is_leaked = |secret: &str| head.contains(secret);
    if is_leaked(PEPPER) || is_leaked(SIGNING_KEY) || !sent.is_exposing && ring.secrets().any(is_leaked) {
        return Err("a secret reached the origin".to_owned());
    }
    Ok(())
}

/// The key by which a request may be at the origin.
fn may_pass(sent: &Request, method: &str, first: &str, ring: &Ring) -> Result<usize, String> {
    let Carried::Key(at) = carried(&sent.bytes, ring) else {
        return Err("forwarded without one intact key".to_owned());
    };
    let kind = ring.keys.get(at).map(|key| key.kind).unwrap_or_default();
    let usable = match kind {
        Kind::Admin => true,
        Kind::Active | Kind::Static => first != "admin",
        // `CF-Connecting-IP` is the driver's own.
        Kind::Networked => first != "admin" && sent.bytes.windows(11).any(|window| window == b"203.0.113.7"),
        _ => false,
    };
    if !usable {
        return Err(format!("forwarded with a key that is {kind:?}, to /{first}"));
    }
    if first == "read-only" && !matches!(method, "GET" | "HEAD") {
        return Err("forwarded with a method that the route does not have".to_owned());
    }
    Ok(at)
}

/// The names that a client may not speak under.
const OURS: [&str; 6] = [
    "x-keygate-key-id",
    "x-keygate-subject",
    "x-keygate-scopes",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// What the gate answers for is its own word, once; `holder` is the id and the subject.
fn check_headers(seen: &Message, holder: Option<[&String; 2]>) -> Result<(), String> {
    let one = |name: &str, expected: Option<&str>| {
        let found: Vec<&str> = seen.all(name).collect();
        if found == expected.as_slice() {
            Ok(())
        } else {
            Err(format!("{name} is {found:?}, not {expected:?}"))
        }
    };
    one("x-keygate-key-id", holder.map(|[id, _]| id.as_str()))?;
    one("x-keygate-subject", holder.map(|[_, subject]| subject.as_str()))?;
    one("x-api-key", None)?;
    one("forwarded", None)?;
    one("x-forwarded-proto", Some("https"))?;
    if holder.is_some() {
        one("authorization", Some(ORIGIN_AUTHORIZATION))?;
    } else if seen
        .all("authorization")
        .any(|value| value.contains("acme_live_") || value == ORIGIN_AUTHORIZATION)
    {
        return Err("a public route was forwarded with a credential".to_owned());
    }
    for name in ["signature", "signature-input", "x-forwarded-host"] {
        if seen.all(name).count() != 1 {
            return Err(format!("{name} is not there once"));
        }
    }
    for (name, _) in &seen.headers {
        let folded: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let is_claim =
            folded.starts_with("x-keygate-") || folded.starts_with("x-forwarded-") || folded == "x-api-key";
        if is_claim && !OURS.contains(&name.as_str()) {
            return Err(format!("a client's `{name}` reached the origin"));
        }
    }
    Ok(())
}

/// Holds rules 2 and 3 against an answer, and names its outcome; `sightings` is how often the origin saw the request.
pub(crate) fn judge(
    sent: &Request,
    answer: Option<&Message>,
    sightings: usize,
    ring: &Ring,
) -> Result<String, String> {
    let Some(answer) = answer else {
        // The runtime closes a connection that it can make nothing of.
        return if sent.is_malformed && sightings == 0 {
            Ok("no answer to a malformed request".to_owned())
        } else {
            Err("the connection was closed without an answer".to_owned())
        };
    };
    let text = [answer.head(), String::from_utf8_lossy(&answer.body).into_owned()].concat();
    let secrets = ring.secrets().chain([PEPPER, SIGNING_KEY, ORIGIN_AUTHORIZATION]);
    if secrets.into_iter().any(|secret| text.contains(secret)) {
        return Err("an answer holds a secret".to_owned());
    }
    let status = answer.status();
    if let Some(mark) = answer.header(ORIGIN_MARK) {
        return match sent.expected {
            _ if mark != sent.number.to_string() => Err("the answer is another request's".to_owned()),
            _ if sightings == 0 => Err("an answer of the origin's that it did not give".to_owned()),
            Expected::Anything | Expected::Forwarded => Ok("forwarded".to_owned()),
            Expected::Refused | Expected::Code(_) => Err(format!("forwarded, expected {:?}", sent.expected)),
        };
    }
    if sightings > 0 {
        return Err(format!("the origin was asked, and the client got a {status} of another's"));
    }
    if answer.header("content-type") == Some("application/problem+json") {
        let code = refusal_code(sent, answer)?;
        return match sent.expected {
            Expected::Forwarded => Err(format!("refused with {code}, expected to be forwarded")),
            Expected::Code(expected) if expected != code => {
                Err(format!("refused with {code}, expected {expected}"))
            }
            Expected::Anything | Expected::Refused if sent.method == "HEAD" => {
                Ok(format!("{status} to a HEAD"))
            }
            _ => Ok(format!("{status} {code}")),
        };
    }
    // Only a page that is listed is told that it may go on.
    let allows = answer.header("access-control-allow-origin");
    let is_preflight = sent.method == "OPTIONS" && status == 204 && answer.header("vary").is_some();
    if sent.expected == Expected::Anything && is_preflight && allows.is_none_or(|page| page == LISTED_PAGE) {
        return Ok("204 to a preflight".to_owned());
    }
    let body = String::from_utf8_lossy(&answer.body);
    let is = |known: &(u16, &str)| known.0 == status && (body.starts_with(known.1) || sent.method == "HEAD");
    if sent.is_malformed && RUNTIME.iter().any(is) || sent.method == "CONNECT" && is(&TO_CONNECT) {
        return Ok(format!("{status} by the runtime: {body}"));
    }
    Err(format!("an answer that is in no list: {status} {body}"))
}

/// A path with each escape decoded once; bytes as the characters of the same number.
fn decoded_once(path: &str) -> String {
    let mut parts = path.split('%');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let escape = part
            .split_at_checked(2)
            .and_then(|(digits, rest)| Some((char::from(u8::from_str_radix(digits, 16).ok()?), rest)));
        let (byte, rest) = escape.unwrap_or(('%', part));
        decoded.push(byte);
        decoded.push_str(rest);
    }
    decoded
}

#[cfg(test)]
mod tests;
