//! A path and the routes that may match it.
//!
//! Line 1: a byte of flags; line 2: the path; then routes, one a line: a letter for the access, methods, a pattern.
#![no_main]

use keygate_core::policy::Policy;
use keygate_core::policy::route::{Access, Found};
use keygate_core::request::path::{CanonicalPath, PathRules};
use keygate_fuzz::{percent_decoded, text};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "DELETE"];

/// A route as it was written.
struct Written<'i> {
    access: &'static str,
    methods: Vec<&'static str>,
    pattern: &'i str,
}

fuzz_target!(|data: &[u8]| {
    let input = text(data);
    let mut lines = input.split('\n');
    let flags = lines.next().and_then(|line| line.bytes().next()).unwrap_or(0);
    let rules = PathRules {
        allow_encoded_slash: flags & 1 == 1,
        case_insensitive: flags & 2 == 2,
        ..PathRules::default()
    };
    let method = METHODS[usize::from(flags >> 2 & 3)];
    let Ok(path) = CanonicalPath::parse(lines.next().unwrap_or("/"), rules) else { return };
    one_reading(&input, &path, rules);

    let routes: Vec<Written<'_>> = lines.take(12).filter_map(written).collect();
    let vars = json!({
        "ORIGIN": "https://origin.example", "KEY_PREFIX": "acme_live", "METHODS": METHODS,
        "ALLOW_ENCODED_SLASH": rules.allow_encoded_slash, "CASE_INSENSITIVE_PATHS": rules.case_insensitive,
        "ROUTES": routes.iter().map(|route| json!({
            "path": route.pattern, "access": route.access, "methods": route.methods,
        })).collect::<Vec<_>>(),
    });
    // A table with a route that nothing reaches is refused; the fuzzer finds plenty of others.
    let Ok(policy) = Policy::from_json(&vars.to_string()) else { return };
    let index = policy.methods().index_of(method).expect("it is in the list");
    let found = match policy.routes().find(&path, index) {
        Found::Route(route) => {
            let at = policy.routes().as_slice().iter().position(|other| std::ptr::eq(other, route));
            let at = at.expect("a route of the table");
            let access = match route.access() {
                Access::Public => "public",
                Access::Key => "key",
                Access::Deny => "deny",
            };
            assert_eq!((route.path(), access), (routes[at].pattern, routes[at].access));
            Outcome::Route(at)
        }
        Found::Default => Outcome::Default,
        Found::MethodNotAllowed(set) => {
            assert!(!set.contains(index) && !set.is_empty());
            Outcome::Method(policy.methods().allow_header(set))
        }
        Found::Ambiguous(_) => Outcome::Ambiguous,
    };
    assert_eq!(found, reference(&routes, path.normalized(), method, rules));
});

/// The line of a route: `k13 /a/*` has access `key` and the methods 1 and 3.
fn written(line: &str) -> Option<Written<'_>> {
    let (head, pattern) = line.split_once(' ')?;
    let access = match head.bytes().next()? {
        b'p' => "public",
        b'd' => "deny",
        _ => "key",
    };
    let digit = |b: u8| METHODS.get(usize::from(b.wrapping_sub(b'0'))).copied();
    let mut methods: Vec<&str> = head.bytes().filter_map(digit).collect();
    methods.sort_unstable();
    methods.dedup();
    let methods = if methods.is_empty() { METHODS.to_vec() } else { methods };
    Some(Written { access, methods, pattern })
}

fn one_reading(input: &str, path: &CanonicalPath<'_>, rules: PathRules) {
    let raw = input.split('\n').nth(1).unwrap_or("/");
    let (forwarded, normalized) = (path.forwarded(), path.normalized());
    assert!(normalized.starts_with('/') && !normalized.contains("//") && !normalized.contains('\\'));
    assert!(!normalized.chars().any(char::is_control));
    assert!(forwarded.is_ascii() && !forwarded.contains(['?', '#', '\\', ' ']));
    // Whatever an origin cuts or decodes once more than it should, it finds no dot segment.
    let slashes = if rules.case_insensitive { "%2f" } else { "%2F" };
    for segment in normalized.split('/').flat_map(|segment| segment.split(slashes)) {
        let name = segment.split(';').next().unwrap_or_default();
        assert!(name != "." && name != "..", "{normalized}");
    }
    assert!(rules.allow_encoded_slash || !forwarded.to_ascii_lowercase().contains("%2f"));
    // What is forwarded spells what came; and it is normalized the same when it is read again.
    assert_eq!(percent_decoded(forwarded), percent_decoded(raw));
    let again = CanonicalPath::parse(forwarded, rules).expect("what is forwarded is canonical");
    assert_eq!((again.forwarded(), again.normalized()), (forwarded, normalized));
    if !rules.case_insensitive && !rules.allow_encoded_slash {
        assert_eq!(normalized.as_bytes(), percent_decoded(forwarded));
    }
    if rules.case_insensitive {
        assert!(!normalized.bytes().any(|b| b.is_ascii_uppercase()));
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Route(usize),
    Default,
    /// With `Allow`.
    Method(String),
    Ambiguous,
}

/// The rule as it is documented, one route after the other.
fn reference(routes: &[Written<'_>], normalized: &str, method: &str, rules: PathRules) -> Outcome {
    let plain = first(routes, &segments(normalized, false), method, rules);
    if normalized.contains(';') && plain != first(routes, &segments(normalized, true), method, rules) {
        return Outcome::Ambiguous;
    }
    plain
}

fn segments(normalized: &str, cut: bool) -> Vec<&str> {
    let text = |segment| if cut { str::split(segment, ';').next().unwrap_or_default() } else { segment };
    let mut segments: Vec<&str> = normalized[1..].split('/').map(text).collect();
    if segments.last().is_some_and(|last| last.is_empty()) {
        segments.pop();
    }
    segments
}

fn first(routes: &[Written<'_>], path: &[&str], method: &str, rules: PathRules) -> Outcome {
    // HEAD follows GET.
    let allows = |route: &Written<'_>, method: &str| {
        route.methods.contains(&method) || (method == "HEAD" && route.methods.contains(&"GET"))
    };
    let matching = || routes.iter().enumerate().filter(|(_, route)| matches(route.pattern, path, rules));
    if let Some((at, _)) = matching().find(|(_, route)| allows(route, method)) {
        return Outcome::Route(at);
    }
    let allowed: Vec<&str> =
        METHODS.into_iter().filter(|name| matching().any(|(_, route)| allows(route, name))).collect();
    if allowed.is_empty() { Outcome::Default } else { Outcome::Method(allowed.join(", ")) }
}

fn matches(pattern: &str, path: &[&str], rules: PathRules) -> bool {
    let pattern: Vec<&str> = pattern[1..].split('/').filter(|segment| !segment.is_empty()).collect();
    let (pattern, is_open) = match pattern.split_last() {
        Some((&"*", before)) => (before, true),
        _ => (&pattern[..], false),
    };
    let has_length = if is_open { path.len() >= pattern.len() } else { path.len() == pattern.len() };
    let same =
        |wanted: &str, found: &str| wanted == "*" || fold(&unescaped(wanted), rules) == fold(found, rules);
    has_length && pattern.iter().zip(path).all(|(wanted, found)| same(wanted, found))
}

/// Percent-encoded, characters that other routers give a meaning.
fn unescaped(segment: &str) -> String {
    let mut text = String::new();
    let mut rest = segment;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let (digits, behind) = after.split_at(2);
        text.push(char::from(
            u8::from_str_radix(digits, 16).expect("an accepted pattern has no other escapes"),
        ));
        rest = behind;
    }
    text + rest
}

/// As the origin is said to read: by Unicode's own tables, but for letters that only become ASCII on some origins.
fn fold(text: &str, rules: PathRules) -> String {
    if !rules.case_insensitive {
        return text.into();
    }
    text.chars().flat_map(folded).collect()
}

fn folded(c: char) -> Vec<char> {
    let upper = c.to_lowercase().flat_map(char::to_uppercase);
    let lower: Vec<char> = upper.flat_map(char::to_lowercase).collect();
    match c {
        'İ' => vec!['i'],
        _ if lower.iter().all(char::is_ascii) => lower,
        // Outside of ASCII the gate tells cases apart.
        _ => vec![c],
    }
}
