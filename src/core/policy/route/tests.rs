use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::{any, prop_assert_eq, proptest};
use proptest::strategy::Strategy;

use super::{Access, Found, Route, RouteTable};
use crate::policy::pattern::Pattern;
use crate::request::method::{MethodSet, Methods};
use crate::request::path::{CanonicalPath, PathRules};

fn methods() -> Methods {
    let mut methods = Methods::default();
    for name in ["GET", "HEAD", "POST", "DELETE"] {
        methods.add(name).unwrap();
    }
    methods
}

fn route(path: &str, names: &[&str]) -> Route {
    let methods = methods();
    let set = names.iter().map(|name| methods.implied_by(name).unwrap()).reduce(MethodSet::union);
    Route {
        pattern: path.parse::<Pattern>().unwrap(),
        access: Access::Key,
        methods: set.unwrap_or(methods.all()),
        scopes: [].into(),
        subjects: [].into(),
        origin: None,
        origin_authorization: None,
        origin_signature: None,
        cache: false,
        cost: 1,
    }
}

/// The result as a string: a pattern, `default`, `405 …` or `400`.
fn found(table: &RouteTable, path: &str, method: &str, rules: PathRules) -> String {
    let path = CanonicalPath::parse(path, rules).unwrap();
    match table.find(&path, methods().index_of(method).unwrap()) {
        Found::Route(route) => route.path().into(),
        Found::Default => "default".into(),
        Found::MethodNotAllowed(set) => std::format!("405 {}", methods().allow_header(set)),
        Found::Ambiguous(_) => "400".into(),
    }
}

fn table(routes: &[(&str, &[&str])]) -> RouteTable {
    let routes = routes.iter().map(|(path, methods)| route(path, methods)).collect();
    RouteTable::compile(routes, PathRules::default()).0
}

#[test]
fn patterns_match_whole_segments_and_a_trailing_slash() {
    let table = table(&[
        ("/", &[]),
        ("/admin/*", &[]),
        ("/exact", &[]),
        ("/users/*/keys", &[]),
        ("/deep/*/*", &[]),
        ("/café", &[]),
    ]);
    for (path, pattern) in [
        ("/", "/"),
        ("/admin", "/admin/*"),
        ("/admin/", "/admin/*"),
        ("/admin/a/b/c/", "/admin/*"),
        ("/%61dmin/x", "/admin/*"),
        ("/admins", "default"),
        ("/ADMIN", "default"),
        ("/admin.", "default"),
        ("/exact", "/exact"),
        ("/exact/", "/exact"),
        ("/exact/more", "default"),
        ("/users/7/keys", "/users/*/keys"),
        ("/users/7/keys/", "/users/*/keys"),
        ("/users/*/keys", "/users/*/keys"),
        ("/users/keys", "default"),
        ("/users/7/8/keys", "default"),
        ("/deep", "default"),
        ("/deep/a", "/deep/*/*"),
        ("/deep/a/b/c", "/deep/*/*"),
        ("/caf%C3%A9", "/café"),
        ("/other", "default"),
    ] {
        assert_eq!(found(&table, path, "GET", PathRules::default()), pattern, "{path}");
    }
}

#[test]
fn first_route_that_matches_path_and_method_applies() {
    let table = table(&[
        ("/a/*/c", &["GET"]),
        ("/a/b/*", &["POST"]),
        ("/a/b/c", &["GET", "POST", "DELETE"]),
        ("/a/*", &["POST"]),
    ]);
    for (path, method, pattern) in [
        ("/a/b/c", "GET", "/a/*/c"),
        ("/a/b/c", "HEAD", "/a/*/c"),
        ("/a/b/c", "POST", "/a/b/*"),
        ("/a/b/c", "DELETE", "/a/b/c"),
        ("/a/x/c", "POST", "/a/*"),
        ("/a/x/c", "DELETE", "405 GET, HEAD, POST"),
        ("/a", "GET", "405 POST"),
        ("/b", "GET", "default"),
    ] {
        assert_eq!(found(&table, path, method, PathRules::default()), pattern, "{method} {path}");
    }
}

#[test]
fn parameters_that_change_the_outcome_are_ambiguous() {
    let table = table(&[("/admin/*", &[]), ("/users/*/keys", &[]), ("/post", &["POST"])]);
    for (path, pattern) in [
        ("/admin;x/users", "400"),
        ("/admin/;x", "/admin/*"),
        ("/admin/a;x/b", "/admin/*"),
        ("/adm;in", "default"),
        ("/users/7;x=1/keys", "/users/*/keys"),
        ("/users/7/keys;x", "400"),
        ("/users/7/keys/;x", "400"),
        ("/post;x", "400"),
        ("/post", "405 POST"),
        ("/;x", "default"),
    ] {
        assert_eq!(found(&table, path, "GET", PathRules::default()), pattern, "{path}");
    }
}

#[test]
fn path_rules_apply_to_patterns_too() {
    let rules = PathRules { allow_encoded_slash: true, case_insensitive: true, ..PathRules::default() };
    let (table, _) = RouteTable::compile([route("/Admin/*", &[]), route("/files/*/meta", &[])].into(), rules);
    for (path, pattern) in [
        ("/aDMIN/x", "/Admin/*"),
        ("/adm%C4%B1n", "/Admin/*"),
        ("/admin%2Fx", "default"),
        ("/files/a%2fb/META", "/files/*/meta"),
        ("/files/a/b/meta", "default"),
    ] {
        assert_eq!(found(&table, path, "GET", rules), pattern, "{path}");
    }
}

#[test]
fn extension_that_changes_the_outcome_is_ambiguous_if_the_origin_ignores_it() {
    let rules = PathRules { format_extensions: true, ..PathRules::default() };
    let routes =
        [route("/admin/*", &[]), route("/v1/report.json", &[]), route("/post", &["POST"]), route("/", &[])];
    let (table, _) = RouteTable::compile(routes.into(), rules);
    for (path, pattern) in [
        ("/admin.json", "400"),
        ("/admin.json/", "400"),
        ("/admin.tar.gz", "400"),
        ("/admin.", "400"),
        ("/admin.json;x=1", "400"),
        ("/admin%2Ejson", "400"),
        ("/.json", "400"),
        ("/admin/.json", "/admin/*"),
        ("/admin/users.json", "/admin/*"),
        ("/administration.json", "default"),
        ("/other.json", "default"),
        ("/a.b/admin", "default"),
        ("/v1/report.json", "400"),
        ("/post.json", "400"),
        ("/post", "405 POST"),
    ] {
        assert_eq!(found(&table, path, "GET", rules), pattern, "{path}");
    }
    let (table, _) = RouteTable::compile([route("/admin/*", &[])].into(), PathRules::default());
    assert_eq!(found(&table, "/admin.json", "GET", PathRules::default()), "default");
}

#[test]
fn unreachable_route_is_reported() {
    for (routes, unreachable) in [
        (&[("/a", &[][..]), ("/b", &[])][..], &[][..]),
        (&[("/a", &["GET"]), ("/a", &["POST"]), ("/a", &["GET", "POST"])], &[2]),
        (&[("/a", &["GET"]), ("/a", &["GET", "POST"])], &[]),
        (&[("/*", &[]), ("/healthz", &[]), ("/", &[]), ("/a/*", &[])], &[1, 2, 3]),
        (&[("/a/*", &[]), ("/a", &[]), ("/a/b", &[]), ("/a/*/c", &[]), ("/*", &[])], &[1, 2, 3]),
        (&[("/*/c", &[]), ("/a/c", &[]), ("/*/*", &[]), ("/a/b", &[])], &[1, 3]),
        (&[("/a/b", &[]), ("/*/b", &[]), ("/a/*", &[])], &[]),
        (&[("/a/*/*", &[]), ("/a", &[]), ("/a/*", &[])], &[]),
    ] {
        let routes = routes.iter().map(|(path, methods)| route(path, methods)).collect();
        assert_eq!(RouteTable::compile(routes, PathRules::default()).1, unreachable);
    }
}

/// The documented rule, checked one route after the other.
fn reference(routes: &[(String, Vec<&str>)], path: &str, method: &str) -> String {
    let first = |segments: &[String]| {
        let matching: Vec<_> = routes.iter().filter(|(pattern, _)| naive_match(pattern, segments)).collect();
        let allowed = |names: &[&str]| {
            names.is_empty() || names.contains(&method) || (method == "HEAD" && names.contains(&"GET"))
        };
        match matching.iter().find(|(_, names)| allowed(names)) {
            Some(route) => routes.iter().position(|other| core::ptr::eq(other, *route)).unwrap().to_string(),
            None if matching.is_empty() => "default".into(),
            None => {
                let is_allowed = |name: &str| {
                    let meant = if name == "HEAD" { "GET" } else { name };
                    matching.iter().any(|(_, names)| names.contains(&meant))
                };
                let names: Vec<&str> =
                    ["GET", "HEAD", "POST", "DELETE"].into_iter().filter(|name| is_allowed(name)).collect();
                std::format!("405 {}", names.join(", "))
            }
        }
    };
    let segments = |cut: bool| -> Vec<String> {
        let text = |segment: &str| {
            if cut { segment.split(';').next().unwrap().into() } else { String::from(segment) }
        };
        let mut segments: Vec<String> = path[1..].split('/').map(text).collect();
        if segments.last().is_some_and(String::is_empty) {
            segments.pop();
        }
        segments
    };
    let plain = first(&segments(false));
    if plain == first(&segments(true)) { plain } else { "400".into() }
}

fn naive_match(pattern: &str, path: &[String]) -> bool {
    let pattern: Vec<&str> = pattern[1..].split('/').filter(|segment| !segment.is_empty()).collect();
    let (pattern, is_open) = match pattern.split_last() {
        Some((&"*", before)) => (before, true),
        _ => (&pattern[..], false),
    };
    let has_length = if is_open { path.len() >= pattern.len() } else { path.len() == pattern.len() };
    has_length && pattern.iter().zip(path).all(|(wanted, found)| *wanted == "*" || wanted == found)
}

fn routes() -> impl Strategy<Value = Vec<(String, Vec<&'static str>)>> {
    let names = proptest::sample::subsequence(vec!["GET", "POST", "DELETE"], 0..=2);
    let path = "(/(a|b|\\*)){0,4}".prop_map(|path| if path.is_empty() { String::from("/") } else { path });
    proptest::collection::vec((path, names), 0..12)
}

proptest! {
    #[test]
    fn trie_finds_the_route_of_the_reference_implementation(
        routes in routes(), path in "(/(a|b|c|a;x|;b)){0,5}/?", method in 0..4_usize,
    ) {
        let path = if path.is_empty() { String::from("/") } else { path };
        let method = ["GET", "HEAD", "POST", "DELETE"][method];
        let Ok(canonical) = CanonicalPath::parse(&path, PathRules::default()) else { return Ok(()) };
        let list = routes.iter().map(|(path, names)| route(path, names)).collect();
        let (table, unreachable) = RouteTable::compile(list, PathRules::default());
        let found = match table.find(&canonical, methods().index_of(method).unwrap()) {
            Found::Route(found) => {
                table.as_slice().iter().position(|route| core::ptr::eq(route, found)).unwrap().to_string()
            }
            _ => found(&table, &path, method, PathRules::default()),
        };
        prop_assert_eq!(&found, &reference(&routes, &path, method));
        prop_assert_eq!(unreachable.iter().find(|at| at.to_string() == found), None);
    }

    #[test]
    fn pattern_parsing_never_panics(text in any::<String>()) {
        let _ = text.parse::<Pattern>();
    }
}
