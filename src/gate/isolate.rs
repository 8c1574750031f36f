//! What an isolate keeps from request to request: the gate, read once, and the records that were used last.

use std::cell::{OnceCell, RefCell};

use keygate_core::admission::Gate;
use keygate_core::cache::RecordCache;
use keygate_core::hygiene;
use keygate_core::policy::Policy;
use keygate_core::secrets::{SecretTexts, Secrets};
use zeroize::Zeroizing;

use crate::glue::{self, Env};
use crate::request::HEADERS;
use crate::{answer, log};

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
    pub(crate) cache: RefCell<RecordCache>,
    /// JavaScript calls these for as long as the instance lives.
    _callbacks: (glue::OnOriginFailure, glue::OnDoubtfulHeaders),
}

/// What stands in the way of an isolate's start.
pub(crate) enum Halt {
    /// Variables, secrets or bindings are wrong; they will be for as long as the isolate lives.
    Misconfigured(&'static str),
    /// The pepper comes from a Secrets Store, which has to be awaited.
    NeedsSecretsStore,
}

thread_local! {
    static STARTED: OnceCell<Result<&'static Isolate, &'static str>> = const { OnceCell::new() };
}

/// The isolate's state, made at the first call.
pub(crate) fn get(env: &Env) -> Result<&'static Isolate, Halt> {
    STARTED.with(|started| {
        if let Some(result) = started.get() {
            return result.map_err(Halt::Misconfigured);
        }
        let pepper = secret_text(env, PEPPER);
        if pepper.is_none() && glue::has(env, PEPPER) {
            return Err(Halt::NeedsSecretsStore);
        }
        let previous = secret_text(env, PEPPER_PREVIOUS);
        if previous.is_none() && glue::has(env, PEPPER_PREVIOUS) {
            return Err(Halt::NeedsSecretsStore);
        }
        let result = started.get_or_init(|| start(env, pepper.as_deref(), previous.as_deref()));
        result.map_err(Halt::Misconfigured)
    })
}

/// As [`get`], with peppers that may have to be fetched from a Secrets Store.
///
/// # Errors
/// What is wrong, for the log. A store that fails is asked again by the next request.
pub(crate) async fn get_with_store(env: &Env) -> Result<&'static Isolate, String> {
    let pepper = fetch_secret(env, PEPPER).await?;
    let previous = fetch_secret(env, PEPPER_PREVIOUS).await?;
    STARTED
        .with(|started| *started.get_or_init(|| start(env, pepper.as_deref(), previous.as_deref())))
        .map_err(Into::into)
}

fn secret_text(env: &Env, name: &str) -> Option<Zeroizing<String>> {
    glue::text(env, name).map(Zeroizing::new)
}

async fn fetch_secret(env: &Env, name: &str) -> Result<Option<Zeroizing<String>>, String> {
    if !glue::has(env, name) {
        return Ok(None);
    }
    if let Some(text) = secret_text(env, name) {
        return Ok(Some(text));
    }
    match glue::awaited(glue::text_from_store(env, name)).await {
        Ok(text) => Ok(text.as_string().map(Zeroizing::new)),
        Err(error) => Err(format!("the Secrets Store binding {name} failed: {error}")),
    }
}

/// Step 1: everything that is configured is read and checked, once.
fn start(
    env: &Env,
    pepper: Option<&String>,
    previous: Option<&String>,
) -> Result<&'static Isolate, &'static str> {
    let mut faults: Vec<String> = Vec::new();
    if !glue::can(env, KEYS, "get") {
        faults.push(format!("the KV binding {KEYS} is missing, or is no KV namespace"));
    }
    let [static_keys, denied_ids, origin_authorization, origin_signing_key] =
        [STATIC_KEYS, DENIED_IDS, ORIGIN_AUTHORIZATION, ORIGIN_SIGNING_KEY].map(|name| {
            let text = secret_text(env, name);
            // A list in `[vars]`, or a Secrets Store binding: it must not count as not set.
            if text.is_none() && glue::has(env, name) {
                faults.push(format!("the secret {name} is no text"));
            }
            text
        });
    let secrets = Secrets::parse(&SecretTexts {
        pepper: pepper.map(String::as_str),
        pepper_previous: previous.map(String::as_str),
        static_keys: static_keys.as_ref().map(|text| text.as_str()),
        denied_ids: denied_ids.as_ref().map(|text| text.as_str()),
        origin_authorization: origin_authorization.as_ref().map(|text| text.as_str()),
        origin_signing_key: origin_signing_key.as_ref().map(|text| text.as_str()),
    });
    let policy = Policy::from_json(&glue::variables(env, &NOT_VARIABLES.join("\n")));
    if let Ok(policy) = &policy {
        let services = policy.services().filter(|name| !glue::can(env, name, "fetch"));
        faults.extend(services.map(|name| format!("the service binding {name} is missing")));
        let limiters = policy.limiters().filter(|name| !glue::can(env, name, "limit"));
        faults.extend(limiters.map(|name| format!("the rate limiter's binding {name} is missing")));
    }
    match (policy, secrets) {
        (Ok(policy), Ok(secrets)) if faults.is_empty() => {
            Ok(Box::leak(Box::new(Isolate::new(env, Gate { policy, secrets }))))
        }
        (policy, secrets) => {
            if let Err(list) = policy {
                faults.extend(list.iter().map(ToString::to_string));
            }
            if let Err(list) = secrets {
                faults.extend(list.iter().map(ToString::to_string));
            }
            Err(String::leak(faults.join("; ")))
        }
    }
}

impl Isolate {
    fn new(env: &Env, gate: Gate) -> Self {
        let policy = &gate.policy;
        let places = policy.places().header_names().iter().map(AsRef::as_ref);
        let names: Vec<&str> = HEADERS.into_iter().chain(places).collect();
        glue::read_headers(&names.join("\n"));
        let on_origin_failure =
            glue::OnOriginFailure::new(|request, text: String| answer::origin_failed(&request, &text));
        let timeout_ms = policy.origin_timeout_secs().saturating_mul(1000);
        glue::on_origin_failure(timeout_ms, &on_origin_failure);
        let places = policy.places().clone();
        let on_doubtful_headers = glue::OnDoubtfulHeaders::new(move |method: String, headers: String| {
            hygiene::dropped(&places, &method, &headers).collect::<Vec<_>>().join("\n")
        });
        glue::on_doubtful_headers(&on_doubtful_headers);
        log::set_cap(policy.rejection_logs_per_minute());
        Self {
            has_usage: glue::has(env, USAGE),
            cache: RefCell::new(RecordCache::new(
                policy.cache_entries(),
                policy.cache_secs(),
                policy.stale_secs(),
            )),
            _callbacks: (on_origin_failure, on_doubtful_headers),
            gate,
        }
    }
}

/// The isolate's state if it has been made.
pub(crate) fn started() -> Option<&'static Isolate> {
    STARTED.with(|started| started.get().and_then(|result| result.ok()))
}
