//! Step 1: the configuration, read and checked once per isolate.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use js_sys::{Array, JSON, Object, Reflect};
use keygate_core::auth::admission::Gate;
use keygate_core::auth::cache::RecordCache;
use keygate_core::auth::secrets::{SecretValues, Secrets};
use keygate_core::policy::Policy;
use keygate_core::policy::bindings::{
    Binding, KEY_USAGE, KEYS, QUOTA, USAGE, check_bindings, is_read_as_variable,
};
use wasm_bindgen::{JsCast, JsValue};
use worker::kv::KvStore;
use worker::{Env, SecretStore};
use zeroize::Zeroizing;

use crate::answers::Answers;
use crate::log_limit;
use crate::quota::Quotas;
use crate::runtime::{has_method, intern_all, is_nullish, message, property};
use crate::usage::Counters;

const PEPPER: &str = "PEPPER";
const PEPPER_PREVIOUS: &str = "PEPPER_PREVIOUS";
const STATIC_KEYS: &str = "STATIC_KEYS";
const DENIED_IDS: &str = "DENIED_IDS";
const ORIGIN_AUTHORIZATION: &str = "ORIGIN_AUTHORIZATION";
const ORIGIN_SIGNING_KEY: &str = "ORIGIN_SIGNING_KEY";

/// The state of an isolate.
pub(crate) struct Isolate {
    pub(crate) gate: Gate,
    pub(crate) keys: KvStore,
    /// Whether an accepted request is logged as a data point, not as a line.
    pub(crate) has_dataset: bool,
    /// Where requests are counted, if that is bound.
    pub(crate) counters: Option<Rc<Counters>>,
    /// Where quotas are counted, if that is bound.
    pub(crate) quotas: Option<Rc<Quotas>>,
    pub(crate) cache: RefCell<RecordCache>,
    pub(crate) answers: Answers,
}

thread_local! {
    static LOADED: OnceCell<Result<Rc<Isolate>, String>> = const { OnceCell::new() };
}

/// Returns the isolate's state, which the first call creates; that one waits only if a pepper comes from a Secrets Store.
/// `interned`: strings that are passed to JavaScript with every request.
///
/// # Errors
/// The errors of the configuration, which are cached like the state. After a failure of a Secrets Store the next call tries again.
pub(crate) async fn load(env: &Env, interned: &[&str]) -> Result<Rc<Isolate>, String> {
    if let Some(loaded) = LOADED.with(|loaded| loaded.get().cloned()) {
        return loaded;
    }
    let pepper = secret(env, PEPPER).await?;
    let previous = secret(env, PEPPER_PREVIOUS).await?;
    let texts = [&pepper, &previous].map(|text| text.as_ref().map(|text| text.as_str()));
    let [pepper, previous] = texts;
    LOADED.with(|loaded| loaded.get_or_init(|| read(env, interned, pepper, previous).map(Rc::new)).clone())
}

/// The value of a secret or of a Secrets Store binding; `None` if it is not set, or not a string.
async fn secret(env: &Env, name: &str) -> Result<Option<Zeroizing<String>>, String> {
    let value = property(env, name);
    if !value.is_object() {
        return Ok(value.as_string().map(Zeroizing::new));
    }
    let failed =
        |error: &dyn ToString| format!("the Secrets Store binding {name} failed: {}", error.to_string());
    if !has_method(&value, "get") {
        return Err(failed(&"it is not a Secrets Store binding"));
    }
    match SecretStore::from(value).get().await {
        Ok(value) => Ok(value.map(Zeroizing::new)),
        Err(error) => Err(failed(&message(&error.into()))),
    }
}

fn read(
    env: &Env,
    interned: &[&str],
    pepper: Option<&str>,
    pepper_previous: Option<&str>,
) -> Result<Isolate, String> {
    let keys = env.kv(KEYS).ok();
    let has_dataset = binding(&property(env, USAGE)) == Binding::Dataset;
    let counters = env.durable_object(KEY_USAGE).ok().map(|object| Rc::new(Counters::new(object)));
    let quotas = env.durable_object(QUOTA).ok().map(|objects| Rc::new(Quotas::new(objects)));
    let string = |name: &str| property(env, name).as_string().map(Zeroizing::new);
    let [static_keys, denied_ids, origin_authorization, origin_signing_key] =
        [STATIC_KEYS, DENIED_IDS, ORIGIN_AUTHORIZATION, ORIGIN_SIGNING_KEY].map(string);
    let secrets = Secrets::parse(&SecretValues {
        pepper,
        pepper_previous,
        static_keys: static_keys.as_ref().map(|text| text.as_str()),
        denied_ids: denied_ids.as_ref().map(|text| text.as_str()),
        origin_authorization: origin_authorization.as_ref().map(|text| text.as_str()),
        origin_signing_key: origin_signing_key.as_ref().map(|text| text.as_str()),
    });
    let policy = Policy::from_json(&variables(env));
    let faults = check_bindings(policy.as_ref().ok(), |name| binding(&property(env, name)));
    let mut errors: Vec<String> = faults.iter().map(ToString::to_string).collect();
    match (policy, secrets, keys) {
        (Ok(policy), Ok(secrets), Some(keys)) if errors.is_empty() => {
            log_limit::set(policy.rejection_logs_per_minute());
            intern_all(policy.read_headers().chain(interned.iter().copied()));
            let cache = RecordCache::new(policy.cache_entries(), policy.cache_secs(), policy.stale_secs());
            Ok(Isolate {
                keys,
                has_dataset,
                counters,
                quotas,
                cache: RefCell::new(cache),
                answers: Answers::default(),
                gate: Gate { policy, secrets },
            })
        }
        (policy, secrets, _) => {
            if let Err(list) = &policy {
                errors.extend(list.iter().map(ToString::to_string));
            }
            if let Err(list) = &secrets {
                errors.extend(list.iter().map(ToString::to_string));
            }
            Err(errors.join("; "))
        }
    }
}

/// The variables as JSON: the bindings that are plain values and have the name of a variable, or nearly.
fn variables(env: &Env) -> String {
    let plain = Object::new();
    for key in Object::keys(env.unchecked_ref::<Object>()).iter() {
        let is_ours = key.as_string().is_some_and(|name| is_read_as_variable(&name));
        let value = Reflect::get(env, &key).unwrap_or_default();
        // `null` is not an absent variable.
        if is_ours && (value.is_null() || binding(&value).is_value()) {
            // Cannot fail on a new object.
            let _ = Reflect::set(&plain, &key, &value);
        }
    }
    JSON::stringify(&plain).map(String::from).unwrap_or_default()
}

/// What a value of the environment is, by its methods: the platform's objects have no common type.
fn binding(value: &JsValue) -> Binding {
    if is_nullish(value) {
        return Binding::Unbound;
    }
    if value.is_string() {
        return Binding::Text;
    }
    if is_json(value) {
        return Binding::Value;
    }
    // The stub of a Worker has a method of every name.
    if has_method(value, "keygateHasNoSuchMethod") {
        return Binding::Service;
    }
    let kinds = [
        ("getWithMetadata", Binding::Kv),
        ("limit", Binding::RateLimiter),
        ("writeDataPoint", Binding::Dataset),
        ("fetch", Binding::Service),
        ("idFromName", Binding::DurableObjects),
        ("get", Binding::StoredSecret),
    ];
    kinds.into_iter().find(|(method, _)| has_method(value, method)).map_or(Binding::Other, |(_, kind)| kind)
}

/// Whether a binding is a value of `[vars]`, and not an object of the platform.
fn is_json(value: &JsValue) -> bool {
    if !value.is_object() {
        return !value.is_function();
    }
    if Array::is_array(value) {
        return true;
    }
    // Locally some bindings are simulated by object literals with methods.
    let is_literal = Object::get_prototype_of(value) == Object::get_prototype_of(&Object::new());
    let members = Object::values(value.unchecked_ref::<Object>());
    is_literal && !members.iter().any(|member| member.is_function())
}
