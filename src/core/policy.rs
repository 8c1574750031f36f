//! The policy: the Worker's variables, checked, and compiled for matching requests.
//!
//! One parser serves the gate, `keygate check` and the tests.

pub mod bindings;
pub mod cors;
mod error;
pub mod origin;
pub(crate) mod pattern;
mod plans;
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
use crate::request::credential::CredentialSources;
use crate::request::header_filter::{HeaderFilter, METHOD_HEADERS};
use crate::request::method::Methods;
use crate::request::path::PathRules;
use crate::request::via::VIA_HEADER;
use crate::response::Wording;

pub use error::{PolicyError, PolicyErrors};
pub use plans::{Limits, PlanLimits, Rate};
pub use vars::{VARIABLES, Variable};

/// The headers whose values the gate reads, besides [`METHOD_HEADERS`] and the credential headers. `Content-Digest` is signed,
/// `CF-Ray` and `User-Agent` are logged.
const READ_HEADERS: [&str; 12] = [
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "cf-connecting-ip",
    "cf-ray",
    "connection",
    "content-digest",
    "destination",
    VIA_HEADER,
    "origin",
    "upgrade",
    "user-agent",
];

/// Read only where a query parameter is a credential source: it may hold the URL of another request, with its key.
pub(crate) const REFERER: &str = "referer";

/// Whether the gate reads the value of a header, whose name is in lower case, whatever the policy says.
#[must_use]
pub fn reads_header_without_policy(name: &str) -> bool {
    READ_HEADERS.contains(&name) || METHOD_HEADERS.contains(&name)
}

/// The variables, checked and compiled.
#[derive(Clone, Debug)]
pub struct Policy {
    origin: Origin,
    key_prefix: KeyPrefix,
    credential_sources: CredentialSources,
    header_filter: HeaderFilter,
    routes: RouteTable,
    methods: Methods,
    path_rules: PathRules,
    allow_http: bool,
    imported_keys: bool,
    cors: Cors,
    wording: Wording,
    kv_cache_ttl_secs: u32,
    kv_timeout_ms: u32,
    cache_entries: u32,
    cache_secs: u32,
    stale_secs: u32,
    origin_timeout_secs: u32,
    max_connection_secs: u32,
    access_log_sample: f64,
    rejection_logs_per_minute: u32,
    expiry_warning_days: u32,
    whoami_path: Option<Box<str>>,
    plans: BTreeMap<String, Limits>,
}

impl Policy {
    /// Reads the variables from a JSON object that contains them and nothing else.
    ///
    /// # Errors
    /// Every invalid field, with its value and what is allowed.
    pub fn from_json(json: &str) -> Result<Self, PolicyErrors> {
        read::read(json)
    }

    /// The origin of all routes that have none of their own.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The prefix of every key.
    #[must_use]
    pub fn key_prefix(&self) -> &KeyPrefix {
        &self.key_prefix
    }

    /// Where a request may carry its key.
    #[must_use]
    pub fn credential_sources(&self) -> &CredentialSources {
        &self.credential_sources
    }

    /// Whether the gate reads the value of a header, whose name is in lower case.
    #[must_use]
    pub fn reads_header(&self, name: &str) -> bool {
        reads_header_without_policy(name)
            || self.credential_sources.header_names().iter().any(|source| **source == *name)
            || (name == REFERER && self.credential_sources.query_name().is_some())
    }

    /// All headers whose values the gate reads.
    pub fn read_headers(&self) -> impl Iterator<Item = &str> {
        READ_HEADERS
            .into_iter()
            .chain(METHOD_HEADERS)
            .chain(self.credential_sources.header_names().iter().map(|name| &**name))
    }

    /// Which of a request's headers are not forwarded.
    #[must_use]
    pub fn header_filter(&self) -> &HeaderFilter {
        &self.header_filter
    }

    /// The access rules.
    #[must_use]
    pub fn routes(&self) -> &RouteTable {
        &self.routes
    }

    /// The methods that the gate accepts.
    #[must_use]
    pub fn methods(&self) -> &Methods {
        &self.methods
    }

    /// How the origin interprets paths.
    #[must_use]
    pub fn path_rules(&self) -> PathRules {
        self.path_rules
    }

    /// Whether plain HTTP is accepted from loopback.
    #[must_use]
    pub fn allow_http(&self) -> bool {
        self.allow_http
    }

    /// Whether keys that another system issued are looked up.
    #[must_use]
    pub fn imported_keys(&self) -> bool {
        self.imported_keys
    }

    /// The rules for cross-origin requests.
    #[must_use]
    pub fn cors(&self) -> &Cors {
        &self.cors
    }

    /// How refusals are worded.
    #[must_use]
    pub fn wording(&self) -> &Wording {
        &self.wording
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

    /// How many records an isolate caches; 0: none.
    #[must_use]
    pub fn cache_entries(&self) -> u32 {
        self.cache_entries
    }

    /// How long an isolate serves a cached record without reading KV; 0: it caches none.
    #[must_use]
    pub fn cache_secs(&self) -> u32 {
        self.cache_secs
    }

    /// How long after that it still serves the record while KV fails.
    #[must_use]
    pub fn stale_secs(&self) -> u32 {
        self.stale_secs
    }

    /// How long the origin may take to send its response headers.
    #[must_use]
    pub fn origin_timeout_secs(&self) -> u32 {
        self.origin_timeout_secs
    }

    /// How long a WebSocket or a response body of unknown length may stay open after a key has opened it; 0: no limit.
    #[must_use]
    pub fn max_connection_secs(&self) -> u32 {
        self.max_connection_secs
    }

    /// The share of accepted requests that are logged as a line, from 0 to 1.
    #[must_use]
    pub fn access_log_sample(&self) -> f64 {
        self.access_log_sample
    }

    /// How many rejections an isolate logs per minute.
    #[must_use]
    pub fn rejection_logs_per_minute(&self) -> u32 {
        self.rejection_logs_per_minute
    }

    /// From how many days before its expiry a key's holder is warned; 0: never.
    #[must_use]
    pub fn expiry_warning_days(&self) -> u32 {
        self.expiry_warning_days
    }

    /// The path where the gate itself answers what the presented key is.
    #[must_use]
    pub fn whoami_path(&self) -> Option<&str> {
        self.whoami_path.as_deref()
    }

    /// The names of the service bindings that are origins.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        let routes = self.routes.as_slice().iter().filter_map(Route::origin);
        core::iter::once(&self.origin).chain(routes).filter_map(|origin| match origin {
            Origin::Service(binding) => Some(binding.as_ref()),
            Origin::Url(_) | Origin::Zone => None,
        })
    }

    /// The names of the rate limiter bindings of all plans.
    pub fn limiters(&self) -> impl Iterator<Item = &str> {
        self.plans.values().filter_map(Limits::rate).map(Rate::binding)
    }

    /// Whether a plan has a quota.
    #[must_use]
    pub fn has_quotas(&self) -> bool {
        self.plans.values().any(|limits| limits.quota().is_some())
    }

    /// The limits of the keys of a plan.
    #[must_use]
    pub fn plan(&self, plan: &Plan) -> PlanLimits<'_> {
        match self.plans.get(plan.as_str()) {
            Some(limits) => PlanLimits::Limits(limits),
            None if self.plans.is_empty() => PlanLimits::Unlimited,
            None => PlanLimits::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
