//! What an isolate keeps from request to request: the gate, read once, and the records that were used last.

use std::cell::{Cell, OnceCell, RefCell};
use std::mem;
use std::rc::Rc;

use keygate_core::admission::Gate;
use keygate_core::cache::RecordCache;
use keygate_core::origin::OriginUrl;
use keygate_core::policy::Policy;
use keygate_core::secrets::{SecretTexts, Secrets};
use zeroize::Zeroizing;

use crate::lookup::Known;
use crate::request::header_names;
use crate::{glue, log};

/// The KV namespace.
pub(crate) const KEYS: &str = "KEYS";
/// The Analytics Engine dataset; optional.
pub(crate) const USAGE: &str = "USAGE";
const PEPPER: &str = "PEPPER";
const PEPPER_PREVIOUS: &str = "PEPPER_PREVIOUS";
const STATIC_KEYS: &str = "STATIC_KEYS";
const DENIED_IDS: &str = "DENIED_IDS";
const ORIGIN_AUTHORIZATION: &str = "ORIGIN_AUTHORIZATION";
const ORIGIN_SIGNING_KEY: &str = "ORIGIN_SIGNING_KEY";
/// Bindings that are no variables, whatever JavaScript type they have.
const NOT_VARIABLES: [&str; 8] =
    [KEYS, USAGE, PEPPER, PEPPER_PREVIOUS, STATIC_KEYS, DENIED_IDS, ORIGIN_AUTHORIZATION, ORIGIN_SIGNING_KEY];

/// One isolate's state. It is made once and never dropped.
pub(crate) struct Isolate {
    pub(crate) gate: Gate,
    /// Whether each accepted request is a data point; else it is a line.
    pub(crate) has_usage: bool,
    pub(crate) cache: RefCell<RecordCache<Rc<Known>>>,
    /// The origin whose URL the last request went to: JavaScript has it.
    pub(crate) base: Cell<Option<*const OriginUrl>>,
    /// Which kinds of answers JavaScript has, as bits.
    defined: Cell<u32>,
}

thread_local! {
    static STARTED: OnceCell<Result<&'static Isolate, &'static str>> = const { OnceCell::new() };
}

/// The isolate's state; an error is what is wrong with the configuration, for as long as the isolate lives.
pub(crate) fn started() -> Option<Result<&'static Isolate, &'static str>> {
    STARTED.with(|started| started.get().copied())
}

/// Makes the isolate's state.
pub(crate) fn start(pepper: Option<&String>, previous: Option<&String>) {
    STARTED.with(|started| {
        started.get_or_init(|| read(pepper, previous));
    });
}

/// Step 1: everything that is configured is read and checked, once.
fn read(pepper: Option<&String>, previous: Option<&String>) -> Result<&'static Isolate, &'static str> {
    let mut faults: Vec<String> = Vec::new();
    if !glue::can(KEYS, "get") {
        faults.push(format!("the KV binding {KEYS} is missing, or is no KV namespace"));
    }
    let texts = [STATIC_KEYS, DENIED_IDS, ORIGIN_AUTHORIZATION, ORIGIN_SIGNING_KEY]
        .map(|name| glue::text(name).map(Zeroizing::new));
    let [static_keys, denied_ids, origin_authorization, origin_signing_key] =
        texts.each_ref().map(|text| text.as_ref().map(|text| text.as_str()));
    let [pepper, pepper_previous] = [pepper, previous].map(|text| text.map(String::as_str));
    for (name, text) in [
        (PEPPER, pepper),
        (PEPPER_PREVIOUS, pepper_previous),
        (STATIC_KEYS, static_keys),
        (DENIED_IDS, denied_ids),
        (ORIGIN_AUTHORIZATION, origin_authorization),
        (ORIGIN_SIGNING_KEY, origin_signing_key),
    ] {
        // A list in `[vars]`, or a Secrets Store binding where none can be awaited: it must not count as not set.
        if text.is_none() && glue::has(name) {
            faults.push(format!("the secret {name} is no text"));
        }
    }
    let secrets = Secrets::parse(&SecretTexts {
        pepper,
        pepper_previous,
        static_keys,
        denied_ids,
        origin_authorization,
        origin_signing_key,
    });
    let policy = Policy::from_json(&glue::variables(&NOT_VARIABLES.join("\n")));
    if let Ok(policy) = &policy {
        let services = policy.services().filter(|name| !glue::can(name, "fetch"));
        faults.extend(services.map(|name| format!("the service binding {name} is missing")));
        let limiters = policy.limiters().filter(|name| !glue::can(name, "limit"));
        faults.extend(limiters.map(|name| format!("the rate limiter's binding {name} is missing")));
    }
    match (policy, secrets) {
        (Ok(policy), Ok(secrets)) if faults.is_empty() => {
            Ok(Box::leak(Box::new(Isolate::new(Gate { policy, secrets }))))
        }
        (policy, secrets) => {
            if let Err(list) = &policy {
                faults.extend(list.iter().map(ToString::to_string));
            }
            if let Err(list) = &secrets {
                faults.extend(list.iter().map(ToString::to_string));
            }
            // An isolate keeps for its life what it has read; to drop it here would be more code than to keep it.
            mem::forget((policy, secrets));
            Err(String::leak(faults.join("; ")))
        }
    }
}

impl Isolate {
    fn new(gate: Gate) -> Self {
        let policy = &gate.policy;
        let timeout_ms = policy.origin_timeout_secs().saturating_mul(1000);
        glue::configure(&header_names(policy), policy.cors().reads_origin(), timeout_ms);
        log::set_cap(policy.rejection_logs_per_minute());
        Self {
            has_usage: glue::has(USAGE),
            cache: RefCell::new(RecordCache::new(
                policy.cache_entries(),
                policy.cache_secs(),
                policy.stale_secs(),
            )),
            base: Cell::new(None),
            defined: Cell::new(0),
            gate,
        }
    }

    /// Notes that JavaScript has the answer of this kind; `true` if it had it before.
    pub(crate) fn define(&self, kind: u8) -> bool {
        let bit = 1_u32.checked_shl(kind.into()).unwrap_or_default();
        let defined = self.defined.replace(self.defined.get() | bit);
        defined & bit != 0
    }
}
