use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::{any, prop_assert, proptest};
use proptest::strategy::{Just, Strategy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{PlanLimits, Policy, VARIABLES};
use crate::policy::route::{Access, Found};
use crate::record::token::Plan;
use crate::request::credential::Presented;
use crate::request::path::CanonicalPath;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    vars: Value,
    /// The beginnings of the error lines.
    errors: Vec<String>,
}

fn policy(vars: &Value) -> Policy {
    Policy::from_json(&vars.to_string()).unwrap()
}

fn least() -> Value {
    json!({"ORIGIN": "https://api.example.com", "KEY_PREFIX": "acme_live"})
}

fn least_and(name: &str, value: Value) -> Value {
    let mut vars = least();
    vars[name] = value;
    vars
}

#[test]
fn frozen_vectors() {
    let vectors: Vectors = serde_json::from_str(include_str!("../../../tests/vectors/policy.json")).unwrap();
    for case in vectors.cases {
        let errors = Policy::from_json(&case.vars.to_string()).err();
        let text = errors.as_ref().map(ToString::to_string).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(errors.is_some(), !case.errors.is_empty(), "{}: {text}", case.name);
        assert_eq!(lines.len(), case.errors.len(), "{}: {text}", case.name);
        for error in &case.errors {
            assert!(
                lines.iter().any(|line| line.starts_with(error.as_str())),
                "{}: {error}\n{text}",
                case.name
            );
        }
        assert!(!text.contains("canary-secret"), "{}", case.name);
        assert_eq!(errors.map_or(0, |errors| errors.iter().count()), lines.len(), "{}", case.name);
    }
}

#[test]
fn defaults_match_the_table() {
    let policy = std::format!("{:?}", policy(&least()));
    for variable in VARIABLES {
        if variable.default != "required" {
            let vars = least_and(variable.name, serde_json::from_str(variable.default).unwrap());
            assert_eq!(std::format!("{:?}", self::policy(&vars)), policy, "{}", variable.name);
        }
    }
}

#[test]
fn every_variable_of_the_table_is_read() {
    for variable in VARIABLES {
        let vars = least_and(variable.name, json!([{"no": "such value"}]));
        let errors = Policy::from_json(&vars.to_string()).unwrap_err();
        assert!(errors.iter().all(|error| error.field().starts_with(variable.name)), "{errors}");
    }
}

#[test]
fn bounds_match_the_table() {
    for variable in VARIABLES {
        let bounds: Option<Vec<i64>> = variable.form.split(" to ").map(|bound| bound.parse().ok()).collect();
        let Some(&[low, high]) = bounds.as_deref() else {
            continue;
        };
        let reads =
            |value: i64| Policy::from_json(&least_and(variable.name, value.into()).to_string()).is_ok();
        assert!(reads(low) && reads(high), "{}", variable.name);
        assert!(!reads(low - 1) && !reads(high + 1), "{}", variable.name);
    }
}

#[test]
fn every_variable_is_read_as_set() {
    let policy = policy(&json!({
        "ORIGIN": "https://api.example.com/base", "KEY_PREFIX": "acme_test", "REALM": "Acme", "IMPORTED_KEYS": "true",
        "KV_CACHE_TTL_SECONDS": "60", "KV_TIMEOUT_MS": 500, "CACHE_ENTRIES": 5, "CACHE_SECONDS": 6, "STALE_SECONDS": 7,
        "ORIGIN_TIMEOUT_SECONDS": 8, "ACCESS_LOG_SAMPLE": "0.5", "REJECTION_LOGS_PER_MINUTE": 9, "ALLOW_HTTP": true,
        "ALLOW_ENCODED_SLASH": true, "CORS_ORIGINS": ["*"],
        "PLANS": {
            "free": {"rate": {"limiter": "FREE", "period": 10, "limit": 5}},
            "paid": {"rate": {"limiter": "PAID", "period": 60}, "quota": {"limit": 1000, "period": "month"}},
        },
        "ROUTES": [
            {"path": "/healthz", "access": "public"},
            {"path": "/closed/*", "access": "deny"},
            {"path": "/v1/*", "methods": ["GET"], "scopes": ["a"], "subjects": ["acme"], "origin": "zone", "cache": true, "cost": 7},
        ],
    }));
    assert_eq!(policy.key_prefix().as_str(), "acme_test");
    assert_eq!(policy.wording().challenge(), "Bearer realm=\"Acme\"");
    assert_eq!((policy.imported_keys(), policy.allow_http()), (true, true));
    assert_eq!((policy.kv_cache_ttl_secs(), policy.kv_timeout_ms()), (60, 500));
    assert_eq!((policy.cache_entries(), policy.cache_secs(), policy.stale_secs()), (5, 6, 7));
    assert_eq!((policy.origin_timeout_secs(), policy.rejection_logs_per_minute()), (8, 9));
    assert!((policy.access_log_sample() - 0.5).abs() < f64::EPSILON);
    assert!(policy.path_rules().allow_encoded_slash && !policy.path_rules().case_insensitive);
    assert_eq!(policy.cors().allowed("https://a.example"), Some("*"));
    assert!(policy.credential_sources().bearer() && !policy.credential_sources().basic());
    let path = CanonicalPath::parse("/v1/x", policy.path_rules()).unwrap();
    let get = policy.methods().index_of("GET").unwrap();
    let Found::Route(route) = policy.routes().find(&path, get) else { panic!("no route") };
    assert_eq!((route.path(), route.access(), route.cache(), route.cost()), ("/v1/*", Access::Key, true, 7));
    assert_eq!(policy.routes().as_slice()[0].cost(), 1);
    assert_eq!((route.scopes()[0].as_str(), route.subjects()[0].as_str()), ("a", "acme"));
    assert_eq!(policy.methods().allow_header(route.methods()), "GET, HEAD");
    assert_eq!(policy.routes().as_slice()[1].access(), Access::Deny);
    let plan = |name: &str| policy.plan(&name.parse::<Plan>().unwrap());
    let limits = |name: &str| {
        let PlanLimits::Limits(limits) = plan(name) else { panic!("no limits") };
        let rate = limits.rate().map(|rate| (rate.binding(), rate.period_secs(), rate.limit()));
        (rate, limits.quota().map(|quota| quota.to_string()))
    };
    assert_eq!(limits("free"), (Some(("FREE", 10, Some(5))), None));
    assert_eq!(limits("paid"), (Some(("PAID", 60, None)), Some("1000/month".into())));
    assert_eq!(plan("gold"), PlanLimits::Unknown);
    assert_eq!(self::policy(&least()).plan(&"paid".parse::<Plan>().unwrap()), PlanLimits::Unlimited);
}

#[test]
fn required_bindings_are_listed() {
    let policy = policy(&json!({
        "ORIGIN": "service:API", "KEY_PREFIX": "acme_live",
        "ROUTES": [
            {"path": "/a", "origin": "service:OTHER"}, {"path": "/b", "origin": "zone"},
            {"path": "/c", "origin": "https://c.example"}, {"path": "/d"},
        ],
        "PLANS": {
            "free": {"rate": {"limiter": "FREE", "period": 10}}, "paid": {"rate": {"limiter": "PAID", "period": 60}},
            "counted": {"quota": {"limit": 5, "period": "day"}},
        },
    }));
    assert_eq!(policy.services().collect::<Vec<_>>(), ["API", "OTHER"]);
    assert_eq!(policy.limiters().collect::<Vec<_>>(), ["FREE", "PAID"]);
    let none = self::policy(&least());
    assert_eq!((none.services().count(), none.limiters().count()), (0, 0));
    assert_eq!((policy.has_quotas(), none.has_quotas()), (true, false));
}

#[test]
fn duplicate_name_is_rejected() {
    let least = r#""ORIGIN": "https://api.example.com", "KEY_PREFIX": "acme_live""#;
    for (twice, field) in [
        (r#""KEY_PREFIX": "acme_test""#, "vars"),
        (r#""\u004fRIGIN": "zone""#, "vars"),
        (r#""ROUTES": [{"path": "/a", "access": "deny", "\u0061ccess": "public"}]"#, "ROUTES[0]"),
        (
            r#""PLANS": {"free": {"rate": {"limiter": "A", "period": 10}}, "free": {"rate": {"limiter": "B", "period": 10}}}"#,
            "PLANS",
        ),
        (r#""PLANS": {"free": {"rate": {"limiter": "A", "period": 10, "period": 60}}}"#, "PLANS.free.rate"),
        (r#""PLANS": {"free": {"quota": {"limit": 1, "limit": 2, "period": "day"}}}"#, "PLANS.free.quota"),
    ] {
        let errors = Policy::from_json(&std::format!("{{{least}, {twice}}}")).unwrap_err();
        let fields: Vec<_> = errors.iter().map(super::PolicyError::field).collect();
        assert_eq!(fields, [field], "{errors}");
    }
}

#[test]
fn null_is_not_an_absent_field() {
    for name in ["path", "access", "methods", "scopes", "subjects", "origin", "origin_signature", "cache"] {
        let mut route = json!({"path": "/a"});
        route[name] = Value::Null;
        let errors = Policy::from_json(&least_and("ROUTES", json!([route])).to_string()).unwrap_err();
        assert!(
            errors.to_string().starts_with(&std::format!("ROUTES[0].{name}: `null` is not ")),
            "{errors}"
        );
    }
    for variable in VARIABLES {
        let errors =
            Policy::from_json(&least_and(variable.name, Value::Null).to_string()).unwrap_err().to_string();
        assert!(errors.starts_with(&std::format!("{}: `null` is not ", variable.name)), "{errors}");
    }
}

#[test]
fn other_forms_that_serde_accepts_are_rejected() {
    let route = json!([["/a", "public", null, null, null, null, null, null, null]]);
    let share = |text: &str| least_and("ACCESS_LOG_SAMPLE", text.into());
    for vars in [
        least_and("ROUTES", route),
        least_and("ROUTES", json!([{"path": "/a", "access": {"public": null}}])),
        least_and("PREFLIGHT", json!({"answer": null})),
        least_and("PLANS", json!({"free": {"rate": ["L", 10]}})),
        least_and("PLANS", json!({"free": {"rate": {"limiter": "L", "period": "10"}}})),
        least_and("PLANS", json!({"free": {"quota": [10, "day"]}})),
        least_and("PLANS", json!({"free": {"quota": {"limit": "10", "period": "day"}}})),
        least_and("PLANS", json!({"free": {"quota": {"limit": 10.0, "period": "day"}}})),
        least_and("PLANS", json!({"free": {"quota": {"limit": 10, "period": {"day": null}}}})),
        share("1e-1"),
        share("+0.5"),
        share(".5"),
        share("0."),
        share(" 0.5"),
        share("0.0000001"),
        share("-0"),
        least_and("ACCESS_LOG_SAMPLE", json!(1e-7)),
        least_and("CACHE_SECONDS", json!("3e1")),
        least_and("CACHE_SECONDS", json!(" 30")),
        least_and("CACHE_SECONDS", json!(30.0)),
        least_and("ALLOW_HTTP", json!("True")),
    ] {
        assert!(Policy::from_json(&vars.to_string()).is_err(), "{vars}");
    }
}

#[test]
fn at_most_100_errors_are_reported() {
    let errors = Policy::from_json(&least_and("ROUTES", json!(std::vec![1; 2000])).to_string()).unwrap_err();
    assert_eq!(errors.iter().count(), 100);
    let long = std::format!("{{\"REALM\": \"{}\"}}", "a".repeat(256 * 1024));
    assert_eq!(Policy::from_json(&long).unwrap_err().to_string(), "vars: are longer than 262144 bytes");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = proptest::prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "(/a|GET|\\*|key|zone|https://a|query:k|10)".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let name = "(path|access|methods|scopes|origin|rate|quota|limiter|limit|period|\\PC{0,4})";
        proptest::prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn parsing_never_panics(text in any::<String>(), at in 0..VARIABLES.len(), value in value()) {
        let _ = Policy::from_json(&text);
        let vars = least_and(VARIABLES[at].name, value);
        match Policy::from_json(&vars.to_string()) {
            Ok(policy) => {
                let headers = std::vec![Some("x"); policy.credential_sources().header_names().len()];
                let presented = Presented { headers: &headers, ..Presented::default() };
                let _ = policy.credential_sources().extract(policy.key_prefix(), &presented, policy.imported_keys());
            }
            Err(errors) => {
                prop_assert!(errors.iter().count() > 0);
                prop_assert!(errors.to_string().lines().count() == errors.iter().count());
            }
        }
    }
}
