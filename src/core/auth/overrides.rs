//! Overrides of a request's method and path outside of the request line: a method in the query or in a header, and the
//! `Destination` header of `WebDAV`.
//!
//! A method in the body of a form is not detected: the gate does not read bodies (docs/origins.md).

use alloc::vec::Vec;

use crate::policy::origin::Origin;
use crate::policy::route::RouteTable;
use crate::request::method::{MethodIndex, MethodSet, Methods, is_registered};
use crate::request::path::{CanonicalPath, PathRules};
use crate::request::query::{form_decoded, pairs};
use crate::request::url::UrlParts;
use crate::response::Cause;

/// The query parameters that frameworks take a method from: Laravel, Symfony, Jersey, Apache CXF, Spring, gorilla/handlers and
/// Express' method-override; ASP.NET MVC; Plack; wai-extra. Not Restlet's `method`, which has other meanings elsewhere.
const METHOD_PARAMETERS: [&str; 4] =
    ["_method", "x-http-method-override", "x-tunneled-method", "_method_override"];

/// The parts of the policy that the checks use.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) routes: &'a RouteTable,
    pub(super) methods: &'a Methods,
    pub(super) paths: PathRules,
}

/// Refuses a request whose query or headers name another method to which another rule applies.
///
/// `method` is the one that the route was found with. A forwarded preflight needs no key, so it may name no method but its own.
///
/// # Errors
/// [`Cause::MethodOverride`].
pub(super) fn check_method(
    rules: Rules<'_>,
    path: &CanonicalPath<'_>,
    method: MethodIndex,
    is_preflight: bool,
    query: Option<&str>,
    headers: &[Option<&str>],
) -> Result<(), Cause> {
    // Each method is checked once, however often a query names it.
    let mut checked = MethodSet::default().with(method);
    let mut check = |name: &str| {
        let other = match rules.methods.index_of(name) {
            _ if is_preflight => return if name == PREFLIGHT { Ok(()) } else { Err(Cause::MethodOverride) },
            None => return Err(Cause::MethodOverride),
            Some(other) => other,
        };
        if checked.contains(other) || rules.routes.is_same_rule(path, method, other) {
            checked = checked.with(other);
            return Ok(());
        }
        Err(Cause::MethodOverride)
    };
    for name in headers.iter().flatten().map(|value| value.trim_ascii().to_ascii_uppercase()) {
        if !name.is_empty() {
            check(&name)?;
        }
    }
    for pair in query.into_iter().flat_map(|query| query.split(['&', ';'])) {
        let Some((_, value)) = pairs(pair).next().filter(|(name, _)| names_a_method(name)) else {
            continue;
        };
        let value: Vec<u8> = form_decoded(value).collect();
        // Some languages convert non-ASCII letters to ASCII, so that this could be a method.
        let value = core::str::from_utf8(&value).ok().filter(|value| value.is_ascii());
        let value = value.ok_or(Cause::MethodOverride)?.trim_ascii().to_ascii_uppercase();
        // Other values of such a parameter are left to the application.
        if is_registered(&value) || rules.methods.index_of(&value).is_some() {
            check(&value)?;
        }
    }
    Ok(())
}

/// The method of a preflight.
const PREFLIGHT: &str = "OPTIONS";

/// Whether a framework may take a method from a parameter of this name. PHP strips leading spaces, converts `.` and space to
/// `_`, and ends a name at NUL and `[`.
fn names_a_method(name: &str) -> bool {
    let folded = |b: u8| if matches!(b, b'.' | b' ') { b'_' } else { b.to_ascii_lowercase() };
    let read_by_php = || {
        let name = form_decoded(name).take(LONGEST_NAME).take_while(|b| !matches!(b, 0 | b'['));
        name.skip_while(u8::is_ascii_whitespace).map(folded)
    };
    METHOD_PARAMETERS.iter().any(|known| read_by_php().eq(known.bytes()))
}

/// Longer than any of [`METHOD_PARAMETERS`], with room for the characters that PHP strips.
const LONGEST_NAME: usize = 64;

/// Refuses a MOVE or COPY to a path with another rule or to another host (RFC 4918, section 10.3), and any if the origin has
/// a base path.
///
/// # Errors
/// [`Cause::Destination`].
pub(super) fn check_destination(
    rules: Rules<'_>,
    url: &UrlParts<'_>,
    path: &CanonicalPath<'_>,
    method: MethodIndex,
    destination: &str,
    origin: &Origin,
) -> Result<(), Cause> {
    // The base path is added to the request's path, but not to this one.
    if matches!(origin, Origin::Url(url) if !url.base_path().is_empty()) {
        return Err(Cause::Destination);
    }
    let target = match destination.split_once("://") {
        Some(_) => {
            let target = UrlParts::of(destination);
            if target.scheme != url.scheme || target.authority != url.authority {
                return Err(Cause::Destination);
            }
            target
        }
        None => UrlParts { path: destination, query: None, ..*url },
    };
    if target.query.is_some() || destination.contains('#') {
        return Err(Cause::Destination);
    }
    let target = CanonicalPath::parse(target.path, rules.paths).map_err(|_| Cause::Destination)?;
    if rules.routes.is_same_rule_for(path, &target, method) { Ok(()) } else { Err(Cause::Destination) }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use serde_json::json;

    use super::{Rules, check_destination, check_method};
    use crate::policy::Policy;
    use crate::request::path::CanonicalPath;
    use crate::request::url::UrlParts;

    fn policy() -> Policy {
        let vars = json!({
            "ORIGIN": "https://api.example.com", "KEY_PREFIX": "acme_live",
            "METHODS": ["GET", "HEAD", "POST", "PUT", "DELETE", "MOVE", "COPY"],
            "ROUTES": [
                {"path": "/read-only/*", "methods": ["GET"]},
                {"path": "/things/*", "methods": ["DELETE"], "scopes": ["admin"]},
                {"path": "/things/*"},
                {"path": "/admin/*", "scopes": ["admin"]},
                {"path": "/public/*", "access": "public"},
            ],
        });
        Policy::from_json(&vars.to_string()).unwrap()
    }

    fn rules(policy: &Policy) -> Rules<'_> {
        Rules { routes: policy.routes(), methods: policy.methods(), paths: policy.path_rules() }
    }

    #[test]
    fn overriding_method_is_refused_if_another_rule_applies_to_it() {
        let policy = policy();
        for (path, method, query, header, is_refused) in [
            ("/things/1", "POST", Some("_method=DELETE"), None, true),
            ("/things/1", "POST", Some("a=1&_method=delete"), None, true),
            ("/things/1", "POST", Some("%5fmethod=D%45LETE"), None, true),
            ("/things/1", "POST", Some("_METHOD=+DELETE+"), None, true),
            ("/things/1", "GET", Some("_method=DELETE"), None, true),
            ("/things/1", "POST", Some("X-HTTP-Method-Override=DELETE"), None, true),
            ("/things/1", "POST", Some("x-tunneled-method=DELETE"), None, true),
            ("/things/1", "POST", Some("_method_override=DELETE"), None, true),
            ("/things/1", "POST", Some("method=DELETE"), None, false),
            ("/things/1", "POST", Some("a=1;_method=DELETE"), None, true),
            ("/things/1", "POST", Some(".method=DELETE"), None, true),
            ("/things/1", "POST", Some("+_method=DELETE"), None, true),
            ("/things/1", "POST", Some("%20_method=DELETE"), None, true),
            ("/things/1", "POST", Some("_method%00x=DELETE"), None, true),
            ("/things/1", "POST", Some("_method[]=DELETE"), None, true),
            ("/things/1", "POST", Some("_method=DELETE%C2%A0"), None, true),
            ("/things/1", "POST", Some("_method=lin%E2%84%AA"), None, true),
            ("/things/1", "POST", Some("_method=%ff"), None, true),
            ("/things/1", "POST", Some("_method=SUBSCRIBE"), None, true),
            ("/things/1", "POST", Some("_method=m-search"), None, true),
            ("/things/1", "POST", Some("_method=PUT&_method=DELETE"), None, true),
            ("/things/1", "POST", Some("_method=PUT"), None, false),
            ("/things/1", "DELETE", Some("_method=DELETE"), None, false),
            ("/things/1", "POST", Some("_method="), None, false),
            ("/things/1", "POST", Some("_method=card"), None, false),
            ("/things/1", "POST", Some("x_method=DELETE&_methods=DELETE"), None, false),
            // Not among METHODS.
            ("/other", "POST", Some("_method=PATCH"), None, true),
            ("/other", "POST", Some("_method=TRACE"), None, true),
            ("/other", "POST", Some("_method=DELETE"), None, false),
            ("/things/1", "POST", None, Some("DELETE"), true),
            ("/things/1", "POST", None, Some(" delete "), true),
            ("/things/1", "POST", None, Some("POST, DELETE"), true),
            ("/things/1", "POST", None, Some("PUT"), false),
            ("/things/1", "POST", None, Some(""), false),
            ("/other", "POST", None, Some("anything"), true),
            ("/other", "POST", None, Some("DELETE"), false),
        ] {
            let path = CanonicalPath::parse(path, policy.path_rules()).unwrap();
            let method = policy.methods().index_of(method).unwrap();
            let checked = check_method(rules(&policy), &path, method, false, query, &[None, header]);
            assert_eq!(checked.is_err(), is_refused, "{path:?} {query:?} {header:?}");
        }
    }

    #[test]
    fn preflight_may_name_no_method_but_its_own() {
        let policy = policy();
        let path = CanonicalPath::parse("/admin/x", policy.path_rules()).unwrap();
        let method = policy.methods().index_of("DELETE").unwrap();
        for (query, header, is_refused) in [
            (Some("_method=DELETE"), None, true),
            (Some("_method=OPTIONS"), None, false),
            (None, Some("DELETE"), true),
            (None, Some("options"), false),
            (None, None, false),
        ] {
            let checked = check_method(rules(&policy), &path, method, true, query, &[header]);
            assert_eq!(checked.is_err(), is_refused, "{query:?} {header:?}");
        }
    }

    #[test]
    fn destination_is_refused_if_the_origin_has_a_base_path() {
        let vars = json!({"ORIGIN": "https://api.example.com/tenant1", "KEY_PREFIX": "acme_live", "METHODS": ["MOVE"]});
        let policy = Policy::from_json(&vars.to_string()).unwrap();
        let path = CanonicalPath::parse("/a", policy.path_rules()).unwrap();
        let method = policy.methods().index_of("MOVE").unwrap();
        let url = UrlParts::of("https://gate.example/a");
        for destination in ["/tenant2/b", "/b", "https://gate.example/b"] {
            let checked =
                check_destination(rules(&policy), &url, &path, method, destination, policy.origin());
            assert!(checked.is_err(), "{destination}");
        }
    }

    #[test]
    fn destination_is_refused_if_another_rule_applies_to_it() {
        let policy = policy();
        let url = UrlParts::of("https://gate.example/x/a");
        for (path, destination, is_refused) in [
            ("/x/a", "https://gate.example/x/b", false),
            ("/x/a", "/x/b", false),
            ("/x/a", "https://gate.example/admin/b", true),
            ("/x/a", "/admin/b", true),
            ("/x/a", "/public/b", true),
            ("/admin/a", "/admin/b", false),
            ("/admin/a", "/x", true),
            ("/x/a", "https://other.example/x/b", true),
            ("/x/a", "http://gate.example/x/b", true),
            ("/x/a", "https://gate.example:8443/x/b", true),
            ("/x/a", "https://user@gate.example/x/b", true),
            ("/x/a", "//other.example/x/b", true),
            ("/x/a", "/x/../admin/b", true),
            ("/x/a", "/x/%2e%2e/admin/b", true),
            ("/x/a", "/x/b?c", true),
            ("/x/a", "/x/b#c", true),
            ("/x/a", "x/b", true),
            ("/x/a", "", true),
        ] {
            let path = CanonicalPath::parse(path, policy.path_rules()).unwrap();
            let method = policy.methods().index_of("MOVE").unwrap();
            let checked =
                check_destination(rules(&policy), &url, &path, method, destination, policy.origin());
            assert_eq!(checked.is_err(), is_refused, "{path:?} {destination}");
        }
    }

    #[test]
    fn route_methods_apply_to_destinations_too() {
        let policy = policy();
        let paths: Vec<_> = ["/other", "/read-only/x"]
            .iter()
            .map(|path| CanonicalPath::parse(path, policy.path_rules()).unwrap())
            .collect();
        let copy = policy.methods().index_of("COPY").unwrap();
        assert!(!policy.routes().is_same_rule_for(&paths[0], &paths[1], copy));
    }
}
