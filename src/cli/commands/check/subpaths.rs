//! Rules that hold for a path, and not for what is below it.

use keygate_core::policy::Policy;
use keygate_core::policy::route::{Access, Found, Route};
use keygate_core::request::path::CanonicalPath;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::findings::{Findings, Level};
use crate::wrangler_config::WranglerConfig;

/// A segment that no rule names.
const ANY: &str = "keygate-check";

/// What a request has percent-encoded, beside all that is not ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ');

/// Checks every rule that denies or restricts one path against the rule that applies below that path.
pub(crate) fn check_subpaths(config: &WranglerConfig, policy: &Policy, findings: &mut Findings) {
    for (at, route) in policy.routes().as_slice().iter().enumerate() {
        let is_restricting =
            route.access() == Access::Deny || !route.scopes().is_empty() || !route.subjects().is_empty();
        let is_exact = route.path() != "/" && !route.path().ends_with("/*");
        if !is_restricting || !is_exact {
            continue;
        }
        if let Some((method, rule)) = laxer_below(policy, route) {
            let path = route.path();
            findings.advise(
                Level::Warning,
                config.name(),
                config.place(&format!("vars.ROUTES[{at}].path")),
                format!(
                    "does not match what is below it: `{method} {path}/x` is for {rule}, which asks for less"
                ),
                &format!(
                    "write `{path}/*` if the rule is for all below it too, else add a rule for `{path}/*`"
                ),
            );
        }
    }
}

/// A method of the route for which a rule that asks for less applies below its path, and that rule in words.
fn laxer_below(policy: &Policy, route: &Route) -> Option<(String, String)> {
    let pattern = route.path().replace('*', ANY);
    let below = format!("{}/{ANY}", utf8_percent_encode(&pattern, ENCODED));
    let path = CanonicalPath::parse(&below, policy.path_rules()).ok()?;
    let methods = policy.methods().allow_header(route.methods());
    methods.split(", ").find_map(|method| {
        let rule = match policy.routes().find(&path, policy.methods().index_of(method)?) {
            Found::Default => "any valid key".to_owned(),
            Found::Route(other) if is_laxer(other, route) => format!("the rule of `{}`", other.path()),
            Found::Route(_) | Found::MethodNotAllowed(_) | Found::Ambiguous(_) => return None,
        };
        Some((method.to_owned(), rule))
    })
}

fn is_laxer(other: &Route, route: &Route) -> bool {
    // Somebody has thought of it.
    let is_meant = other.path().starts_with(&format!("{}/", route.path()));
    let has_scopes = route.scopes().iter().all(|scope| other.scopes().contains(scope));
    let has_subjects = route.subjects().is_empty()
        || !other.subjects().is_empty()
            && other.subjects().iter().all(|subject| route.subjects().contains(subject));
    let asks_for_less = match other.access() {
        Access::Deny => false,
        Access::Public => true,
        Access::Key => route.access() == Access::Deny || !has_scopes || !has_subjects,
    };
    !is_meant && asks_for_less
}

#[cfg(test)]
mod tests {
    use super::check_subpaths;
    use crate::findings::Findings;
    use crate::wrangler_config::fake::gate;
    use keygate_core::policy::Policy;

    const DENIED: &str = r#"{"path": "/internal", "access": "deny"}"#;
    const SCOPED: &str = r#"{"path": "/internal", "scopes": ["a"]}"#;
    const LAST: &str = r#"{"path": "/*", "access": "deny"}"#;

    #[test]
    fn a_rule_that_leaves_what_is_below_its_path_to_a_laxer_one_is_a_warning() {
        let (_folder, config) = gate("", "");
        for (routes, rule) in [
            (&[DENIED][..], "any valid key"),
            (&[SCOPED], "any valid key"),
            (&[r#"{"path": "/internal", "subjects": ["acme"]}"#], "any valid key"),
            (&[DENIED, LAST], ""),
            (&[SCOPED, LAST], ""),
            (&[DENIED, r#"{"path": "/*", "access": "public"}"#], "the rule of `/*`"),
            (&[SCOPED, r#"{"path": "/*", "scopes": ["b"]}"#], "the rule of `/*`"),
            (&[SCOPED, r#"{"path": "/*", "scopes": ["b", "a"]}"#], ""),
            (&[DENIED, r#"{"path": "/internal/*"}"#], ""),
            (&[DENIED, r#"{"path": "/internal/public", "access": "public"}"#], "any valid key"),
            (&[r#"{"path": "/internal/*", "access": "deny"}"#], ""),
            (&[r#"{"path": "/", "access": "deny"}"#], ""),
            (&[r#"{"path": "/internal"}"#], ""),
            (&[r#"{"path": "/caf\u00e9/*/x y/%3A", "access": "deny"}"#], "any valid key"),
            (
                &[r#"{"path": "/internal", "access": "deny", "methods": ["POST"]}"#],
                "POST /internal/x` is for any valid key",
            ),
            (
                &[
                    r#"{"path": "/*", "methods": ["GET"]}"#,
                    r#"{"path": "/internal", "access": "deny", "methods": ["POST"]}"#,
                ],
                "",
            ),
        ] {
            let vars =
                format!(r#"{{"KEY_PREFIX": "acme", "ORIGIN": "zone", "ROUTES": [{}]}}"#, routes.join(", "));
            let mut findings = Findings::default();
            check_subpaths(&config, &Policy::from_json(&vars).unwrap(), &mut findings);
            let text = findings.to_text();
            assert!(text.contains(rule) && text.is_empty() == rule.is_empty(), "{routes:?}: {text}");
        }
    }
}
