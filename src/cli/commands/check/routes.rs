//! What `keygate check` says of routes that the gate accepts, and that may not do what was meant.

use serde_json::Value;

use crate::dev_vars::DevVars;
use crate::findings::{Findings, Level};
use crate::wrangler_config::WranglerConfig;

/// The path of a route that matches every path.
const EVERYTHING: &str = "/*";

/// What origins do to a path before they look for a handler: the variable that makes the gate do it too, what they do, and who
/// does it by default.
const LOOSE_MATCHING: [(&str, &str, &str); 2] = [
    ("CASE_INSENSITIVE_PATHS", "with other upper and lower case", "Express and ASP.NET"),
    ("FORMAT_EXTENSIONS", "with a format extension, such as `.json`", "Django REST framework and Rails"),
];

/// The secrets that go to the origin, and the field by which a route with its own origin takes or leaves them.
const ORIGIN_SECRETS: [(&str, &str); 2] =
    [("ORIGIN_AUTHORIZATION", "origin_authorization"), ("ORIGIN_SIGNING_KEY", "origin_signature")];

/// Checks the routes of a policy that has no faults.
pub(crate) fn check_routes(config: &WranglerConfig, findings: &mut Findings) {
    let vars = config.vars();
    let routes = vars.get("ROUTES").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let field = |at: usize, name: &str| config.place(&format!("vars.ROUTES[{at}].{name}"));
    let is_everything = |route: &Value| text(route, "path") == EVERYTHING && route.get("methods").is_none();
    let (last, is_restricting) = (routes.last(), routes.iter().any(names_holders));
    let ends_denied = last.is_some_and(|last| is_everything(last) && is_denied(last));
    if is_restricting && !last.is_some_and(is_everything) {
        findings.advise(
            Level::Note,
            config.name(),
            config.place("vars.ROUTES"),
            "has scopes or subjects, and its last rule is not for `/*`: what no rule names needs any valid key, whoever holds it",
            "end with a rule whose `path` is `/*` and whose `access` is `deny`",
        );
    }
    let restricts = |route: &Value| is_restricted(route) && text(route, "path") != EVERYTHING;
    for (variable, spelling, who) in LOOSE_MATCHING {
        let restricting = routes.iter().position(restricts).filter(|_| vars.get(variable).is_none());
        // Where nothing but a last rule that denies follows, another spelling of the path is denied.
        let is_open = |at: &usize| routes.iter().skip(at + 1).any(|route| !is_denied(route)) || !ends_denied;
        if let Some(at) = restricting.filter(is_open) {
            findings.advise(
                Level::Note,
                config.name(),
                field(at, "path"),
                format!("does not match the same path {spelling}; {who} take it for the same by default, and the rule would not hold"),
                &format!("set `{variable}` to true if the origin does so, else to false"),
            );
        }
    }
    for (at, path) in routes.iter().map(|route| text(route, "path")).enumerate() {
        if looks_like_placeholder(path) {
            findings.advise(
                Level::Warning,
                config.name(),
                field(at, "path"),
                format!("`{path}` has a name after a `:`, and is matched as it is written: `:name` is not a placeholder here"),
                "write `*` if any segment is meant, and `%3A` for `:` if it is itself",
            );
        }
    }
    let file = DevVars::of(config).ok().flatten();
    let is_set = |secret: &str| {
        let is_local = file.as_ref().is_some_and(|file| file.value(secret).is_some());
        config.requires_secret(secret) || is_local
    };
    for (secret, name) in ORIGIN_SECRETS.into_iter().filter(|(secret, _)| is_set(secret)) {
        // Without a key there is no ORIGIN_AUTHORIZATION, and the field means nothing.
        let has_it = |route: &Value| name != "origin_authorization" || text(route, "access") != "public";
        let says_nothing =
            |route: &Value| route.get("origin").is_some() && route.get(name).is_none() && has_it(route);
        for (at, _) in routes.iter().enumerate().filter(|(_, route)| says_nothing(route)) {
            findings.advise(
                Level::Warning,
                config.name(),
                field(at, "origin"),
                format!("is not given {secret}: that goes to the top `ORIGIN` alone, which is the safe default"),
                &format!("confirm it with `{name} = false` on the route, or set it to true if this origin is to have it"),
            );
        }
    }
}

/// Whether a `:` stands between a single letter and a name, as in `/v:version`; `/things/order:cancel` is an ordinary path.
fn looks_like_placeholder(path: &str) -> bool {
    path.match_indices(':').any(|(at, _)| {
        let (before, rest) = path.split_at(at);
        let mut before = before.chars().rev();
        before.next().is_some_and(char::is_alphabetic)
            && before.next().is_some_and(|c| !c.is_alphanumeric())
            && rest.chars().nth(1).is_some_and(char::is_alphabetic)
    })
}

fn text<'r>(route: &'r Value, field: &str) -> &'r str {
    route.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn names_holders(route: &Value) -> bool {
    let is_filled =
        |field: &str| route.get(field).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    is_filled("scopes") || is_filled("subjects")
}

fn is_denied(route: &Value) -> bool {
    text(route, "access") == "deny"
}

fn is_restricted(route: &Value) -> bool {
    names_holders(route) || is_denied(route)
}

#[cfg(test)]
mod tests {
    use super::check_routes;
    use crate::findings::Findings;
    use crate::wrangler_config::fake::gate;

    /// What is said of routes, as lines of inline tables, and of the variables before them.
    fn said(vars: &str, routes: &[&str], dev_vars: &str) -> String {
        let toml = format!("[vars]\n{vars}\nROUTES = [{}]\n", routes.join(", "));
        let (_folder, config) = gate(&toml, dev_vars);
        let mut findings = Findings::default();
        check_routes(&config, &mut findings);
        findings.to_text()
    }

    const SCOPED: &str = "{ path = '/a/*', scopes = ['a'] }";
    const DENIED: &str = "{ path = '/a/*', access = 'deny' }";
    const PUBLIC: &str = "{ path = '/p', access = 'public' }";
    const LAST: &str = "{ path = '/*', access = 'deny' }";

    #[test]
    fn scopes_without_a_last_rule_are_noted() {
        const NOTE: &str = "its last rule is not for `/*`";
        for (routes, is_noted) in [
            (&[][..], false),
            (&[PUBLIC], false),
            (&[DENIED], false),
            (&[SCOPED], true),
            (&[SCOPED, PUBLIC], true),
            (&[LAST, SCOPED], true),
            (&[SCOPED, LAST], false),
            (&["{ path = '/acme/*', subjects = ['acme'] }"], true),
            (&[SCOPED, "{ path = '/*' }"], false),
            (&[SCOPED, "{ path = '/*', methods = ['GET'] }"], true),
        ] {
            let text = said("", routes, "");
            assert_eq!(text.contains(NOTE), is_noted, "{routes:?}: {text}");
            assert!(!text.contains("warning"), "{text}");
        }
    }

    #[test]
    fn a_rule_that_another_spelling_goes_round_is_noted_once() {
        const NOTE: &str = "note: ";
        for (vars, routes, field) in [
            ("", &[PUBLIC, SCOPED, DENIED][..], "vars.ROUTES[1].path: "),
            ("", &[DENIED], "vars.ROUTES[0].path: "),
            ("", &[DENIED, "{ path = '/*' }"], "vars.ROUTES[0].path: "),
            ("", &[SCOPED, LAST], ""),
            ("", &[SCOPED, DENIED, LAST], ""),
            (
                "",
                &["{ path = '/api/users/*', scopes = ['admin'] }", "{ path = '/api/*' }", LAST],
                "vars.ROUTES[0].path: ",
            ),
            ("", &["{ path = '/acme/*', subjects = ['acme'] }"], "vars.ROUTES[0].path: "),
            ("", &[PUBLIC], ""),
            ("CASE_INSENSITIVE_PATHS = true", &[DENIED], ""),
            ("CASE_INSENSITIVE_PATHS = false", &[DENIED], ""),
        ] {
            let text = said(vars, routes, "");
            let noted: Vec<_> =
                text.lines().filter(|line| line.starts_with(NOTE) && line.contains("upper")).collect();
            assert_eq!(noted.len(), usize::from(!field.is_empty()), "{vars} {routes:?}: {text}");
            assert!(noted.iter().all(|line| line.contains(field)), "{text}");
        }
    }

    #[test]
    fn a_name_after_a_letter_and_a_colon_is_a_warning() {
        for (path, is_warned) in [
            ("/v:version/keys", true),
            ("/api-v:version", true),
            ("/v%3Aversion/keys", false),
            ("/v1/things/order:cancel", false),
            ("/v1:cancel", false),
            ("/v:1", false),
        ] {
            let text = said("", &[&format!("{{ path = '{path}' }}")], "");
            assert_eq!(text.contains("warning: ") && text.contains("write `*`"), is_warned, "{path}: {text}");
        }
    }

    #[test]
    fn an_origin_that_gets_no_secret_without_a_word_is_a_warning() {
        const OWN: &str = "{ path = '/b', origin = 'zone' }";
        let quiet = "{ path = '/b', origin = 'zone', origin_authorization = false, origin_signature = true }";
        for (routes, dev_vars, warnings) in [
            (&[OWN][..], "", 0),
            (&[OWN], "ORIGIN_AUTHORIZATION='Bearer x'\n", 1),
            (&[OWN], "ORIGIN_AUTHORIZATION='Bearer x'\nORIGIN_SIGNING_KEY=a:b\n", 2),
            (
                &["{ path = '/p', access = 'public', origin = 'zone' }"],
                "ORIGIN_AUTHORIZATION='Bearer x'\nORIGIN_SIGNING_KEY=a:b\n",
                1,
            ),
            (&[PUBLIC, quiet], "ORIGIN_AUTHORIZATION='Bearer x'\nORIGIN_SIGNING_KEY=a:b\n", 0),
        ] {
            let text = said("", routes, dev_vars);
            assert_eq!(text.matches("warning: ").count(), warnings, "{routes:?} {dev_vars}: {text}");
            assert!(!text.contains("Bearer"), "{text}");
        }
    }
}
