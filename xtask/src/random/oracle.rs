//! What must hold of every request, read from its bytes and from the documentation, not from the gate's code.
//!
//! 1. What reaches the origin may reach it: a public path, or one intact key that is good for the path.
//! 2. Every answer is the origin's, or is in the error contract, or is one that the runtime gives by itself.
//! 3. No secret is where it does not belong.

use super::keys::{Kind, PEPPER, Ring};
use super::message::Message;
use super::request::Request;
use serde_json::Value;

pub(super) const ORIGIN_AUTHORIZATION: &str = "Bearer provider-canary-8Jq2WvN4";
pub(super) const SIGNING_KEY: &str = "2026-11:Y2FuYXJ5LXNpZ25pbmcta2V5LW9mLXRoZS1kcml2ZXI=";
/// In `CORS_ORIGINS`.
pub(super) const LISTED_PAGE: &str = "https://app.example.com";
/// With which the origin marks its answers.
pub(super) const ORIGIN_MARK: &str = "x-origin-answer";

/// What can be said of a request's answer before it is sent.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) enum Expected {
    /// Nothing: it is odd in more than its credential.
    #[default]
    Anything,
    Forwarded,
    /// With some code.
    Refused,
    /// With this one.
    Code(&'static str),
}

/// What a request's credential headers hold.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Carried {
    Nothing,
    /// One key of the ring, by its place there, and nothing else.
    Key(usize),
    /// One text that is no key of the ring, with no sign in it that could make it two.
    Other,
    /// Anything else.
    Unclear,
}

/// Reads the credential headers of a request's bytes; every sign that may end a line ends one here.
pub(super) fn carried(bytes: &[u8], ring: &Ring) -> Carried {
    let text: String = bytes.iter().copied().map(char::from).collect();
    // A line that begins with a blank goes on the line before.
    let text = text.replace("\r\n ", "  ").replace("\r\n", "\n").replace('\r', "\n");
    let head = text.split("\n\n").next().unwrap_or_default();
    let lines = |wanted: &str| {
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let values = lines.filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
        values.map(|value| value.trim_matches([' ', '\t']).to_owned()).collect::<Vec<_>>()
    };
    let (keys, authorizations) = (lines("x-api-key"), lines("authorization"));
    if keys.len() > 1 || authorizations.len() > 1 {
        return Carried::Unclear;
    }
    let key = keys.first().map(String::as_str).unwrap_or_default();
    let authorization = authorizations.first().map(String::as_str).unwrap_or_default();
    let (scheme, token) = authorization.split_once([' ', '\t']).unwrap_or((authorization, ""));
    let token = token.trim_matches([' ', '\t']);
    let is_bearer = scheme.eq_ignore_ascii_case("bearer");
    let is_ours = is_bearer && token.starts_with("acme_live_");
    // An `Authorization` of another kind may hold no key: neither one of ours nor the other header's.
    let holds_key = authorization.contains("acme_live_") || !key.is_empty() && authorization.contains(key);
    let is_key = is_ours || is_bearer && token == key;
    let is_wrapped = !key.starts_with("acme_live_") && key.contains("acme_live_");
    if is_wrapped || holds_key && !is_key || is_bearer && token.contains(',') {
        return Carried::Unclear;
    }
    let found = match (key, is_bearer && !token.is_empty()) {
        ("", false) => return Carried::Nothing,
        // Beside a key of ours, so is a value of the other header.
        (key, true) if is_ours && !key.contains("acme_live_") && !key.contains(',') => token,
        ("", true) => token,
        // A bearer token without our prefix is the origin's own business beside a key.
        (key, _) if !is_ours || key == token => key,
        _ => return Carried::Unclear,
    };
    if !found.bytes().all(|byte| byte.is_ascii_graphic() && !b",;>\"'`".contains(&byte)) {
        return Carried::Unclear;
    }
    ring.keys.iter().position(|key| key.text == found).map_or(Carried::Other, Carried::Key)
}

/// What must become of a request that is odd in nothing but its credential.
pub(super) fn foretell(
    method: &str,
    path: &str,
    is_https: bool,
    from_home: bool,
    carried: &Carried,
    ring: &Ring,
) -> Expected {
    let first = path.split('/').nth(1).unwrap_or_default();
    match first {
        _ if !is_https => Expected::Code("https_required"),
        "closed" => Expected::Code("route_denied"),
        "public" => Expected::Forwarded,
        "read-only" if method != "GET" && method != "HEAD" => Expected::Code("method_not_allowed"),
        _ => match carried {
            Carried::Nothing => Expected::Code("credential_missing"),
            Carried::Other => Expected::Code("key_invalid"),
            Carried::Unclear => Expected::Refused,
            Carried::Key(at) => {
                let kind = ring.keys.get(*at).map(|key| key.kind).unwrap_or_default();
                with_key(kind, first == "admin", from_home)
            }
        },
    }
}

fn with_key(kind: Kind, needs_scope: bool, from_home: bool) -> Expected {
    match kind {
        Kind::Networked if !from_home => Expected::Code("ip_not_allowed"),
        Kind::Active | Kind::Static | Kind::Networked if needs_scope => Expected::Code("scope_missing"),
        Kind::Active | Kind::Static | Kind::Networked | Kind::Admin => Expected::Forwarded,
        Kind::Revoked | Kind::Denied => Expected::Code("key_revoked"),
        Kind::Disabled => Expected::Code("key_disabled"),
        Kind::Expired => Expected::Code("key_expired"),
        Kind::NotYetValid => Expected::Code("key_not_yet_valid"),
        Kind::BadRecord => Expected::Code("key_record_invalid"),
        Kind::Unknown | Kind::WrongDigest | Kind::Forged | Kind::OtherPrefix => Expected::Code("key_invalid"),
    }
}

/// Holds rules 1 and 3 against a request that has reached the origin; the error says which is broken.
pub(super) fn check_sighting(sent: &Request, seen: &Message, ring: &Ring) -> Result<(), String> {
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

/// Code, status, what follows `Bearer realm="api"` in the challenge, and whether there is a `Retry-After`.
const CONTRACT: [(&str, u16, Option<&str>, bool); 24] = {
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
        ("loop_detected", 508, None, false),
        ("key_store_unavailable", 503, None, true),
        ("key_record_invalid", 503, None, true),
        ("gate_misconfigured", 503, None, true),
        ("origin_unreachable", 502, None, false),
        ("origin_timeout", 504, None, false),
    ]
};

/// What the runtime answers by itself to what it cannot read: status and text, as workerd writes them.
const RUNTIME: [(u16, &str); 9] = [
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
const TO_CONNECT: (u16, &str) = (500, "Internal Server Error");

/// Holds rules 2 and 3 against an answer, and names its outcome; `sightings` is how often the origin saw the request.
pub(super) fn judge(
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
        let code = in_contract(sent, answer)?;
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

/// The code of a refusal whose status, headers and body are as the contract says.
fn in_contract(sent: &Request, answer: &Message) -> Result<&'static str, String> {
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
