//! The sources of a credential, and the headers that stay at the gate.
//!
//! Lines: which sources are configured, `Authorization`, `X-API-Key`, `X-Key`, the query.
#![no_main]

use std::sync::LazyLock;

use base64ct::{Base64, Encoding};
use keygate_core::policy::Policy;
use keygate_core::request::credential::{AuthorizationHandling, CredentialSources, Presented};
use keygate_core::request::header_filter::HopHeaders;
use keygate_fuzz::{PREFIX, form_decoded, text};
use libfuzzer_sys::fuzz_target;

const SOURCES: [&str; 6] =
    ["bearer", "basic", "header:x-api-key", "header:x-key", "query:api_key", "authorization"];
/// All sources, for an input whose first line names none.
const ALL: usize = (1 << SOURCES.len()) - 1;

/// A policy for each choice of sources: bit 0 is the first.
static POLICIES: LazyLock<Vec<Policy>> = LazyLock::new(|| {
    let chosen = |mask: usize| (0..SOURCES.len()).filter(move |at| mask >> at & 1 == 1).map(|at| SOURCES[at]);
    let vars = |mask| {
        serde_json::json!({
            "ORIGIN": "https://origin.example", "KEY_PREFIX": "acme_live",
            "CREDENTIALS": chosen(mask).collect::<Vec<_>>(),
        })
    };
    (1..=ALL).map(|mask| Policy::from_json(&vars(mask).to_string()).expect("it is a policy")).collect()
});

fuzz_target!(|data: &[u8]| {
    let input = text(data);
    let mut lines = input.splitn(5, '\n');
    let mask = lines.next().and_then(|line| line.bytes().next()).map_or(ALL, |byte| usize::from(byte) & ALL);
    let policy = &POLICIES[mask.max(1) - 1];
    let [authorization, x_api_key, x_key, query] = std::array::from_fn(|_| lines.next());

    let sources = policy.credential_sources();
    let header = |name: &str| if name == "x-api-key" { x_api_key } else { x_key };
    let headers: Vec<Option<&str>> = sources.header_names().iter().map(|name| header(name)).collect();
    let presented = Presented { authorization, headers: &headers, query };
    extracted(policy, &presented);
    public_route(policy, &presented);
    stripped(policy, &input);
});

fn extracted(policy: &Policy, presented: &Presented<'_, '_>) {
    let sources = policy.credential_sources();
    let Ok(found) = sources.extract(policy.key_prefix(), presented, false) else { return };
    without_the_key(sources, presented.query, found.query.as_deref());
    let elsewhere = elsewhere(sources, presented);
    let Some(credential) = &found.credential else {
        assert!(elsewhere.is_empty(), "a credential was left unread");
        return;
    };
    assert_eq!(format!("{credential:?}"), "CredentialText(..)");
    let credential = credential.expose();
    // Next to a text with a key of ours, also a basic one, another text has none; otherwise every source holds the credential.
    let may_hold_key = credential.contains(PREFIX) || credential.to_ascii_lowercase().contains("basic");
    let fits = |text: &String| text == credential || may_hold_key && !text.contains(PREFIX);
    assert!(elsewhere.iter().all(fits), "two credentials became one");
    let authorization = presented.authorization.unwrap_or_default();
    let is_in_authorization = in_authorization(sources, authorization).iter().any(|text| text == credential);
    let is_elsewhere = elsewhere.iter().any(|text| text == credential);
    assert!(is_in_authorization || is_elsewhere, "a credential that nobody sent");
    if found.authorization == AuthorizationHandling::Keep {
        assert!(is_elsewhere, "the only credential goes to the origin");
        assert!(!authorization.contains(credential) || credential.len() > 512);
        holds_no_key(authorization);
    }
}

fn public_route(policy: &Policy, presented: &Presented<'_, '_>) {
    let sources = policy.credential_sources();
    for imported_keys in [false, true] {
        let public = sources.for_public_route(policy.key_prefix(), presented, imported_keys);
        without_the_key(sources, presented.query, public.query.as_deref());
        let authorization = presented.authorization.unwrap_or_default();
        if public.authorization == AuthorizationHandling::Keep {
            holds_no_key(authorization);
            // Where a key of any form may be meant, it is only the origin's if the gate's came by another source.
            let is_alone = elsewhere(sources, presented).is_empty();
            assert!(!imported_keys || !is_alone || in_authorization(sources, authorization).is_empty());
        }
    }
}

/// What stands in sources other than `Authorization`.
fn elsewhere(sources: &CredentialSources, presented: &Presented<'_, '_>) -> Vec<String> {
    let mut texts: Vec<String> =
        presented.headers.iter().flatten().map(|value| trimmed(value).into()).collect();
    if sources.query_name().is_some() {
        for pair in presented.query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if form_decoded(name) != b"api_key" {
                continue;
            }
            // Too long to be decoded, or no text when it is: it is judged as it stands.
            let text = if value.len() > 3 * 512 { value.into() } else { form_decoded(value) };
            texts.push(String::from_utf8(text).unwrap_or_else(|_| value.to_owned()));
        }
    }
    texts.retain(|text| !trimmed(text).is_empty());
    texts
}

/// What a bearer or basic `Authorization` could mean as a credential.
fn in_authorization(sources: &CredentialSources, value: &str) -> Vec<String> {
    let value = trimmed(value);
    let (scheme, token) = value.split_once([' ', '\t']).unwrap_or((value, ""));
    let token = trimmed(token);
    if sources.bearer() && scheme.eq_ignore_ascii_case("bearer") {
        return if token.is_empty() { Vec::new() } else { vec![token.into()] };
    }
    if sources.authorization() && token.is_empty() {
        let is_scheme_alone = sources.basic() && scheme.eq_ignore_ascii_case("basic");
        return if value.is_empty() || is_scheme_alone { Vec::new() } else { vec![value.into()] };
    }
    // Too long for any key: it is not decoded, and it is nobody's.
    let basic = sources.basic() && scheme.eq_ignore_ascii_case("basic") && token.len() <= 4 * 512;
    let pair = Base64::decode_vec(token).ok().filter(|_| basic).and_then(|pair| String::from_utf8(pair).ok());
    let Some(pair) = pair else { return Vec::new() };
    let (user, password) = pair.split_once(':').unwrap_or((&pair, ""));
    [user, password].into_iter().filter(|text| !trimmed(text).is_empty()).map(String::from).collect()
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// An `Authorization` that goes to the origin holds no key of ours, in the clear or in what a strict decoder reads.
fn holds_no_key(authorization: &str) {
    assert!(!authorization.contains(PREFIX), "a key goes to the origin");
    let mut words = authorization.split([' ', '\t', ',']).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let Some(decoded) = words.clone().next().filter(|_| word.eq_ignore_ascii_case("basic")) else {
            continue;
        };
        let decoded = Base64::decode_vec(decoded).unwrap_or_default();
        assert!(
            !decoded.windows(PREFIX.len()).any(|part| part == PREFIX.as_bytes()),
            "an encoded key goes on"
        );
    }
}

/// The query that is left is the query without the pairs of ours, and not another byte is changed.
fn without_the_key(sources: &CredentialSources, query: Option<&str>, left: Option<&str>) {
    let is_ours = |pair: &str| {
        sources.query_name().is_some()
            && form_decoded(pair.split('=').next().unwrap_or_default()) == b"api_key"
    };
    let pairs: Vec<&str> = query.map(|query| query.split('&').collect()).unwrap_or_default();
    let others: Vec<&str> = pairs.iter().copied().filter(|pair| !is_ours(pair)).collect();
    let expected =
        if others.len() == pairs.len() { query.unwrap_or_default().into() } else { others.join("&") };
    assert_eq!(left.unwrap_or_default(), expected);
}

/// Headers that the origin could take for the gate's word stay here; what a message needs cannot be taken away.
fn stripped(policy: &Policy, names: &str) {
    let hop = HopHeaders { connection: Some(names), upgrade: Some(names) };
    let stripped = policy.header_filter().stripped("GET", names, hop);
    for name in &stripped {
        assert!(!name.is_empty() && names.contains(name));
        let lower = name.to_ascii_lowercase();
        assert!(!["content-length", "content-type", "host"].contains(&&*lower));
    }
    for name in names.split('\n').filter(|name| !["", "connection", "upgrade"].contains(name)) {
        let as_variable = name.replace('_', "-");
        let is_source =
            policy.credential_sources().header_names().iter().any(|source| **source == *as_variable);
        if as_variable.starts_with("x-keygate-") || is_source || name != as_variable {
            assert!(stripped.contains(&name), "{name}");
        }
    }
}
