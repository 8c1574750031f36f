//! The policy: the Worker's variables, fully checked, compiled for the path of a request.
//!
//! One parser serves the gate, `keygate check` and the tests.

pub mod cors;
mod error;
pub mod origin;
pub(crate) mod pattern;
mod read;
pub mod route;
mod routes;
mod vars;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::key::KeyPrefix;
use crate::policy::cors::Cors;
use crate::policy::origin::Origin;
use crate::policy::route::{Route, RouteTable};
use crate::record::token::Plan;
use crate::request::credential::Places;
use crate::request::header_filter::{HeaderFilter, METHOD_HEADERS};
use crate::request::method::Methods;
use crate::request::path::PathRules;

pub use error::{PolicyError, PolicyErrors};
pub use vars::{VARIABLES, Variable};

/// The headers whose values the gate reads, besides [`METHOD_HEADERS`] and those that hold a credential. `Content-Digest` is
/// signed, `CF-Ray` and `User-Agent` are logged.
const READ_HEADERS: [&str; 11] = [
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
];

/// Whether the shell has to read the value of a header although it has no policy: what an answer and its log line need.
#[must_use]
pub fn reads_header_without_policy(name: &str) -> bool {
    READ_HEADERS.contains(&name) || METHOD_HEADERS.contains(&name)
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
    plans: BTreeMap<String, Limiter>,
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
    pub fn from_json(json: &str) -> Result<Self, PolicyErrors> {
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
        reads_header_without_policy(name)
            || self.places.header_names().iter().any(|source| **source == *name)
    }

    /// All headers whose values the shell reads.
    pub fn read_headers(&self) -> impl Iterator<Item = &str> {
        READ_HEADERS.into_iter().chain(METHOD_HEADERS).chain(self.places.header_names().iter().map(|name| &**name))
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
        self.plans.values().map(|limiter| &*limiter.binding)
    }

    /// What holds for the keys of a plan.
    #[must_use]
    pub fn plan(&self, plan: &Plan) -> PlanLimit<'_> {
        match self.plans.get(plan.as_str()) {
            Some(limiter) => {
                PlanLimit::Limiter { binding: &limiter.binding, period_secs: limiter.period_secs }
            }
            None if self.plans.is_empty() => PlanLimit::Unlimited,
            None => PlanLimit::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
