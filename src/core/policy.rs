//! The policy: the Worker's variables, fully checked, compiled for the path of a request.
//!
//! One parser serves the gate, `keygate check` and the tests.

mod fault;
mod read;
mod vars;

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::cors::Cors;
use crate::credential::Places;
use crate::header_filter::HeaderFilter;
use crate::key::KeyPrefix;
use crate::method::Methods;
use crate::origin::Origin;
use crate::path::PathRules;
use crate::route::{Route, RouteTable};
use crate::token::Plan;

pub use fault::{PolicyFault, PolicyFaults};
pub use vars::{VARIABLES, Variable};

/// The headers whose values the gate reads, besides those that hold a credential. `Content-Digest` is signed, `CF-Ray` and
/// `User-Agent` are logged.
const READ_HEADERS: [&str; 17] = [
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "cf-connecting-ip",
    "cf-ray",
    "connection",
    "content-digest",
    "destination",
    "origin",
    "upgrade",
    "user-agent",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-method",
    "x-override-method",
    "x-requested-method",
];

/// Whether the shell has to read the value of a header although it has no policy: what an answer and its log line need.
#[must_use]
pub fn reads_header_without_policy(name: &str) -> bool {
    READ_HEADERS.contains(&name)
}

/// The variables, checked and compiled.
#[derive(Clone, Debug)]
pub struct Policy {
    origin: Origin,
    key_prefix: KeyPrefix,
    places: Places,
    header_filter: HeaderFilter,
    routes: RouteTable,
    methods: Methods,
    path_rules: PathRules,
    allow_http: bool,
    imported_keys: bool,
    cors: Cors,
    realm: Box<str>,
    kv_cache_ttl_secs: u32,
    kv_timeout_ms: u32,
    cache_entries: u32,
    cache_secs: u32,
    stale_secs: u32,
    origin_timeout_secs: u32,
    max_connection_secs: u32,
    access_log_sample: f64,
    rejection_logs_per_minute: u32,
    plans: Vec<(Box<str>, Limiter)>, // INVARIANT: sorted, none twice
}

#[derive(Clone, Debug)]
struct Limiter {
    binding: Box<str>,
    period_secs: u32,
}

/// What holds for the keys of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanLimit<'p> {
    /// No plan has limits here.
    Unlimited,
    /// Requests are counted.
    Limiter {
        /// The limiter's binding.
        binding: &'p str,
        /// Its period: 10 or 60.
        period_secs: u32,
    },
    /// Other plans have limits, and this one is not among them.
    Unknown,
}

impl Policy {
    /// Reads the variables: one JSON object that holds all of them, and nothing else.
    ///
    /// # Errors
    /// Everything that is wrong, each with its field, the value and what is allowed.
    pub fn from_json(json: &str) -> Result<Self, PolicyFaults> {
        read::read(json)
    }

    /// Where requests go that no route sends elsewhere.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What every key begins with.
    #[must_use]
    pub fn key_prefix(&self) -> &KeyPrefix {
        &self.key_prefix
    }

    /// Where a request may carry its key.
    #[must_use]
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Whether the shell has to read the value of a header, whose name is in lower case.
    #[must_use]
    pub fn reads_header(&self, name: &str) -> bool {
        READ_HEADERS.contains(&name) || self.places.header_names().iter().any(|source| **source == *name)
    }

    /// All headers whose values the shell reads.
    pub fn read_headers(&self) -> impl Iterator<Item = &str> {
        READ_HEADERS.into_iter().chain(self.places.header_names().iter().map(|name| &**name))
    }

    /// Which of a request's headers are not forwarded.
    #[must_use]
    pub fn header_filter(&self) -> &HeaderFilter {
        &self.header_filter
    }

    /// What holds where.
    #[must_use]
    pub fn routes(&self) -> &RouteTable {
        &self.routes
    }

    /// The methods that are let through at all.
    #[must_use]
    pub fn methods(&self) -> &Methods {
        &self.methods
    }

    /// How the origin reads paths.
    #[must_use]
    pub fn path_rules(&self) -> PathRules {
        self.path_rules
    }

    /// Whether plain HTTP is taken from loopback.
    #[must_use]
    pub fn allow_http(&self) -> bool {
        self.allow_http
    }

    /// Whether keys without our prefix are looked up.
    #[must_use]
    pub fn imported_keys(&self) -> bool {
        self.imported_keys
    }

    /// Cross-origin requests.
    #[must_use]
    pub fn cors(&self) -> &Cors {
        &self.cors
    }

    /// The realm that a 401 names; it stands between quotes as it is.
    #[must_use]
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// How long an edge location may serve its copy of a record.
    #[must_use]
    pub fn kv_cache_ttl_secs(&self) -> u32 {
        self.kv_cache_ttl_secs
    }

    /// How long a read of KV may take, in milliseconds.
    #[must_use]
    pub fn kv_timeout_ms(&self) -> u32 {
        self.kv_timeout_ms
    }

    /// How many records an isolate keeps; 0: none.
    #[must_use]
    pub fn cache_entries(&self) -> u32 {
        self.cache_entries
    }

    /// How long an isolate serves a record it keeps; 0: not at all.
    #[must_use]
    pub fn cache_secs(&self) -> u32 {
        self.cache_secs
    }

    /// How much longer while KV fails.
    #[must_use]
    pub fn stale_secs(&self) -> u32 {
        self.stale_secs
    }

    /// How long the origin may take until its response headers.
    #[must_use]
    pub fn origin_timeout_secs(&self) -> u32 {
        self.origin_timeout_secs
    }

    /// How long a WebSocket or a response body of unstated length may last that a key opened; 0: as long as both ends like.
    #[must_use]
    pub fn max_connection_secs(&self) -> u32 {
        self.max_connection_secs
    }

    /// Which share of accepted requests is logged as a line, from 0 to 1.
    #[must_use]
    pub fn access_log_sample(&self) -> f64 {
        self.access_log_sample
    }

    /// How many rejections an isolate logs in a minute.
    #[must_use]
    pub fn rejection_logs_per_minute(&self) -> u32 {
        self.rejection_logs_per_minute
    }

    /// The service bindings that the policy sends requests to.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let routes = self.routes.as_slice().iter().filter_map(Route::origin);
        core::iter::once(&self.origin).chain(routes).filter_map(|origin| match origin {
            Origin::Service(binding) => Some(binding.as_ref()),
            Origin::Url(_) | Origin::Zone => None,
        })
    }

    /// The rate limiters' bindings that the policy counts with.
    pub fn limiters(&self) -> impl Iterator<Item = &str> {
        self.plans.iter().map(|(_, limiter)| &*limiter.binding)
    }

    /// What holds for the keys of a plan.
    #[must_use]
    pub fn plan(&self, plan: &Plan) -> PlanLimit<'_> {
        let found = self.plans.binary_search_by(|(name, _)| (**name).cmp(plan.as_str()));
        match found.ok().and_then(|at| self.plans.get(at)) {
            Some((_, limiter)) => {
                PlanLimit::Limiter { binding: &limiter.binding, period_secs: limiter.period_secs }
            }
            None if self.plans.is_empty() => PlanLimit::Unlimited,
            None => PlanLimit::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use proptest::prelude::{any, prop_assert, proptest};
    use proptest::strategy::{Just, Strategy};
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::{PlanLimit, Policy, VARIABLES};
    use crate::credential::Presented;
    use crate::path::CanonicalPath;
    use crate::route::{Access, Found};
    use crate::token::Plan;

    #[derive(Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        vars: Value,
        /// How the lines of the faults begin.
        faults: Vec<String>,
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
        let vectors: Vectors = serde_json::from_str(include_str!("../../tests/vectors/policy.json")).unwrap();
        for case in vectors.cases {
            let faults = Policy::from_json(&case.vars.to_string()).err();
            let text = faults.as_ref().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(faults.is_some(), !case.faults.is_empty(), "{}: {text}", case.name);
            assert_eq!(lines.len(), case.faults.len(), "{}: {text}", case.name);
            for fault in &case.faults {
                assert!(
                    lines.iter().any(|line| line.starts_with(fault.as_str())),
                    "{}: {fault}\n{text}",
                    case.name
                );
            }
            assert!(!text.contains("canary-secret"), "{}", case.name);
            assert_eq!(faults.map_or(0, |faults| faults.iter().count()), lines.len(), "{}", case.name);
        }
    }

    #[test]
    fn defaults_are_those_of_the_table() {
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
            let faults = Policy::from_json(&vars.to_string()).unwrap_err();
            assert!(faults.iter().all(|fault| fault.field().starts_with(variable.name)), "{faults}");
        }
    }

    #[test]
    fn bounds_of_the_table_are_those_of_the_parser() {
        for variable in VARIABLES {
            let bounds: Option<Vec<i64>> =
                variable.form.split(" to ").map(|bound| bound.parse().ok()).collect();
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
    fn what_is_set_is_what_is_read() {
        let policy = policy(&json!({
            "ORIGIN": "https://api.example.com/base", "KEY_PREFIX": "acme_test", "REALM": "Acme", "IMPORTED_KEYS": "true",
            "KV_CACHE_TTL_SECONDS": "60", "KV_TIMEOUT_MS": 500, "CACHE_ENTRIES": 5, "CACHE_SECONDS": 6, "STALE_SECONDS": 7,
            "ORIGIN_TIMEOUT_SECONDS": 8, "ACCESS_LOG_SAMPLE": "0.5", "REJECTION_LOGS_PER_MINUTE": 9, "ALLOW_HTTP": true,
            "ALLOW_ENCODED_SLASH": true, "CORS_ORIGINS": ["*"],
            "PLANS": {"free": {"limiter": "FREE", "period": 10}},
            "ROUTES": [
                {"path": "/healthz", "access": "public"},
                {"path": "/closed/*", "access": "deny"},
                {"path": "/v1/*", "methods": ["GET"], "scopes": ["a"], "subjects": ["acme"], "origin": "zone", "cache": true},
            ],
        }));
        assert_eq!(policy.key_prefix().as_str(), "acme_test");
        assert_eq!((policy.realm(), policy.imported_keys(), policy.allow_http()), ("Acme", true, true));
        assert_eq!((policy.kv_cache_ttl_secs(), policy.kv_timeout_ms()), (60, 500));
        assert_eq!((policy.cache_entries(), policy.cache_secs(), policy.stale_secs()), (5, 6, 7));
        assert_eq!((policy.origin_timeout_secs(), policy.rejection_logs_per_minute()), (8, 9));
        assert!((policy.access_log_sample() - 0.5).abs() < f64::EPSILON);
        assert!(policy.path_rules().allow_encoded_slash && !policy.path_rules().case_insensitive);
        assert_eq!(policy.cors().allowed("https://a.example"), Some("*"));
        assert!(policy.places().bearer() && !policy.places().basic());
        let path = CanonicalPath::parse("/v1/x", policy.path_rules()).unwrap();
        let get = policy.methods().index_of("GET").unwrap();
        let Found::Route(route) = policy.routes().find(&path, get) else { panic!("no route") };
        assert_eq!((route.path(), route.access(), route.cache()), ("/v1/*", Access::Key, true));
        assert_eq!((route.scopes()[0].as_str(), route.subjects()[0].as_str()), ("a", "acme"));
        assert_eq!(policy.methods().allow_header(route.methods()), "GET, HEAD");
        assert_eq!(policy.routes().as_slice()[1].access(), Access::Deny);
        let plan = |name| policy.plan(&Plan::parse(name).unwrap());
        assert_eq!(plan("free"), PlanLimit::Limiter { binding: "FREE", period_secs: 10 });
        assert_eq!(plan("paid"), PlanLimit::Unknown);
        assert_eq!(self::policy(&least()).plan(&Plan::parse("paid").unwrap()), PlanLimit::Unlimited);
    }

    #[test]
    fn the_bindings_that_a_policy_needs_are_named() {
        let policy = policy(&json!({
            "ORIGIN": "service:API", "KEY_PREFIX": "acme_live",
            "ROUTES": [
                {"path": "/a", "origin": "service:OTHER"}, {"path": "/b", "origin": "zone"},
                {"path": "/c", "origin": "https://c.example"}, {"path": "/d"},
            ],
            "PLANS": {"free": {"limiter": "FREE", "period": 10}, "paid": {"limiter": "PAID", "period": 60}},
        }));
        assert_eq!(policy.services().collect::<Vec<_>>(), ["API", "OTHER"]);
        assert_eq!(policy.limiters().collect::<Vec<_>>(), ["FREE", "PAID"]);
        let none = self::policy(&least());
        assert_eq!((none.services().count(), none.limiters().count()), (0, 0));
    }

    #[test]
    fn a_long_list_of_faults_is_cut() {
        let faults =
            Policy::from_json(&least_and("ROUTES", json!(std::vec![1; 2000])).to_string()).unwrap_err();
        assert_eq!(faults.iter().count(), 100);
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
            let name = "(path|access|methods|scopes|origin|limiter|period|\\PC{0,4})";
            proptest::prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                proptest::collection::btree_map(name, inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_it_panic(text in any::<String>(), at in 0..VARIABLES.len(), value in value()) {
            let _ = Policy::from_json(&text);
            let vars = least_and(VARIABLES[at].name, value);
            match Policy::from_json(&vars.to_string()) {
                Ok(policy) => {
                    let headers = std::vec![Some("x"); policy.places().header_names().len()];
                    let presented = Presented { headers: &headers, ..Presented::default() };
                    let _ = policy.places().extract(policy.key_prefix(), &presented, policy.imported_keys());
                }
                Err(faults) => {
                    prop_assert!(faults.iter().count() > 0);
                    prop_assert!(faults.to_string().lines().count() == faults.iter().count());
                }
            }
        }
    }
}
