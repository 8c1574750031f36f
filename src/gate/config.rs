//! Step 1: what is configured, read and checked once in each isolate.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use js_sys::{Array, JSON, Object, Reflect};
use keygate_core::auth::admission::Gate;
use keygate_core::auth::cache::RecordCache;
use keygate_core::auth::secrets::{SecretTexts, Secrets};
use keygate_core::policy::Policy;
use wasm_bindgen::{JsCast, JsValue};
use worker::kv::KvStore;
use worker::{Env, SecretStore};
use zeroize::Zeroizing;

use crate::respond::Answers;
use crate::runtime::{has_method, intern_all, message, property};
use crate::{origin, telemetry};

/// The KV namespace.
const KEYS: &str = "KEYS";
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

/// What an isolate keeps from request to request.
pub(crate) struct Isolate {
    pub(crate) gate: Gate,
    pub(crate) keys: KvStore,
    /// Whether each accepted request is a data point; else it is a line.
    pub(crate) has_usage: bool,
    pub(crate) cache: RefCell<RecordCache>,
    pub(crate) answers: Answers,
}

thread_local! {
    static LOADED: OnceCell<Result<Rc<Isolate>, String>> = const { OnceCell::new() };
}

/// The isolate's state; it is awaited only where a pepper comes from a Secrets Store, and then once.
///
/// # Errors
/// What is wrong with the configuration, for as long as the isolate lives. A Secrets Store that fails is asked again.
pub(crate) async fn load(env: &Env) -> Result<Rc<Isolate>, String> {
    if let Some(loaded) = LOADED.with(|loaded| loaded.get().cloned()) {
        return loaded;
    }
    let pepper = stored_text(env, PEPPER).await?;
    let previous = stored_text(env, PEPPER_PREVIOUS).await?;
    LOADED.with(|loaded| loaded.get_or_init(|| read(env, pepper, previous).map(Rc::new)).clone())
}

/// The text of a secret binding, or of a binding to a Secrets Store; nothing where it is not set.
async fn stored_text(env: &Env, name: &str) -> Result<Option<Zeroizing<String>>, String> {
    let value = property(env, name);
    if !value.is_object() {
        return Ok(value.as_string().map(Zeroizing::new));
    }
    let failed =
        |error: &dyn ToString| format!("the Secrets Store binding {name} failed: {}", error.to_string());
    if !has_method(&value, "get") {
        return Err(failed(&"it is no binding to a Secrets Store"));
    }
    match SecretStore::from(value).get().await {
        Ok(text) => Ok(text.map(Zeroizing::new)),
        Err(error) => Err(failed(&message(&error.into()))),
    }
}

fn read(
    env: &Env,
    pepper: Option<Zeroizing<String>>,
    previous: Option<Zeroizing<String>>,
) -> Result<Isolate, String> {
    let mut faults: Vec<String> = Vec::new();
    let keys = env.kv(KEYS).ok().filter(|_| has_method(&property(env, KEYS), "get"));
    if keys.is_none() {
        faults.push(format!("the KV binding {KEYS} is missing, or is no KV namespace"));
    }
    let mut text = |name: &str, value: Option<Zeroizing<String>>| {
        let is_set = !property(env, name).is_null() && !property(env, name).is_undefined();
        if is_set && value.is_none() {
            faults.push(format!("secret {name} is not a text"));
        }
        value
    };
    let plain = |name: &str| property(env, name).as_string().map(Zeroizing::new);
    let pepper = text(PEPPER, pepper);
    let previous = text(PEPPER_PREVIOUS, previous);
    let [static_keys, denied_ids, origin_authorization, origin_signing_key] =
        [STATIC_KEYS, DENIED_IDS, ORIGIN_AUTHORIZATION, ORIGIN_SIGNING_KEY]
            .map(|name| text(name, plain(name)));
    let secrets = Secrets::parse(&SecretTexts {
        pepper: pepper.as_ref().map(|text| text.as_str()),
        pepper_previous: previous.as_ref().map(|text| text.as_str()),
        static_keys: static_keys.as_ref().map(|text| text.as_str()),
        denied_ids: denied_ids.as_ref().map(|text| text.as_str()),
        origin_authorization: origin_authorization.as_ref().map(|text| text.as_str()),
        origin_signing_key: origin_signing_key.as_ref().map(|text| text.as_str()),
    });
    let policy = Policy::from_json(&variables(env));
    if let Ok(policy) = &policy {
        let services = policy.services().filter(|name| !has_method(&property(env, name), "fetch"));
        faults.extend(services.map(|name| format!("the service binding {name} is missing")));
        let limiters = policy.limiters().filter(|name| !has_method(&property(env, name), "limit"));
        faults.extend(limiters.map(|name| format!("the rate limiter's binding {name} is missing")));
    }
    match (policy, secrets, keys) {
        (Ok(policy), Ok(secrets), Some(keys)) if faults.is_empty() => {
            telemetry::set_cap(policy.rejection_logs_per_minute());
            intern_all(policy.read_headers().chain(origin::HEADERS));
            let cache = RecordCache::new(policy.cache_entries(), policy.cache_secs(), policy.stale_secs());
            Ok(Isolate {
                keys,
                has_usage: property(env, USAGE).is_object(),
                cache: RefCell::new(cache),
                answers: Answers::default(),
                gate: Gate { policy, secrets },
            })
        }
        (policy, secrets, _) => {
            if let Err(list) = &policy {
                faults.extend(list.iter().map(ToString::to_string));
            }
            if let Err(list) = &secrets {
                faults.extend(list.iter().map(ToString::to_string));
            }
            Err(faults.join("; "))
        }
    }
}

/// The plain values among the bindings, as JSON: the variables.
fn variables(env: &Env) -> String {
    let plain = Object::new();
    for name in Object::keys(env.unchecked_ref::<Object>()).iter() {
        let value = Reflect::get(env, &name).unwrap_or_default();
        let is_hidden = name.as_string().is_none_or(|name| NOT_VARIABLES.contains(&name.as_str()));
        if !is_hidden && is_plain(&value) {
            // A new object takes any property.
            let _ = Reflect::set(&plain, &name, &value);
        }
    }
    JSON::stringify(&plain).map(String::from).unwrap_or_default()
}

/// Whether a binding is a value of `[vars]`, and not an object of the platform's.
fn is_plain(value: &JsValue) -> bool {
    if !value.is_object() {
        return !value.is_function() && !value.is_undefined();
    }
    if Array::is_array(value) {
        return true;
    }
    // The local simulation of some bindings is an object literal with methods.
    let is_literal = Object::get_prototype_of(value) == Object::get_prototype_of(&Object::new());
    let members = Object::values(value.unchecked_ref::<Object>());
    is_literal && !members.iter().any(|member| member.is_function())
}
