//! Step 1: the configuration, read and checked once per isolate.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use js_sys::{Array, JSON, Object, Reflect};
use keygate_core::auth::admission::Gate;
use keygate_core::auth::cache::RecordCache;
use keygate_core::auth::secrets::{SecretValues, Secrets};
use keygate_core::policy::Policy;
use keygate_core::policy::bindings::{is_read_as_variable, is_variable};
use wasm_bindgen::{JsCast, JsValue};
use worker::kv::KvStore;
use worker::{Env, SecretStore};
use zeroize::Zeroizing;

use crate::answers::Answers;
use crate::log_limit;
use crate::runtime::{has_method, intern_all, is_nullish, message, property};
use crate::usage::{Counters, KEY_USAGE};

/// The KV namespace of the records.
const KEYS: &str = "KEYS";
/// The Analytics Engine dataset; optional.
pub(crate) const USAGE: &str = "USAGE";
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
    pub(crate) has_usage: bool,
    /// Where requests are counted, if that is bound.
    pub(crate) usage: Option<Rc<Counters>>,
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
    pepper: Option<Zeroizing<String>>,
    previous: Option<Zeroizing<String>>,
) -> Result<Isolate, String> {
    let mut errors: Vec<String> = Vec::new();
    let keys = env.kv(KEYS).ok().filter(|_| has_method(&property(env, KEYS), "get"));
    if keys.is_none() {
        errors.push(format!("the KV binding {KEYS} is missing or is not a KV namespace"));
    }
    let usage = property(env, USAGE);
    let has_usage = has_method(&usage, "writeDataPoint");
    if !has_usage && !is_nullish(&usage) {
        errors.push(format!("the binding {USAGE} is not an Analytics Engine dataset"));
    }
    let key_usage = property(env, KEY_USAGE);
    let counters = env.durable_object(KEY_USAGE).ok().map(|object| Rc::new(Counters::new(object)));
    if counters.is_none() && !is_nullish(&key_usage) {
        errors.push(format!("the binding {KEY_USAGE} is not a Durable Object namespace"));
    }
    let mut checked = |name: &str, value: Option<Zeroizing<String>>| {
        if value.is_none() && !is_nullish(&property(env, name)) {
            errors.push(format!("secret {name} is not a string"));
        }
        value
    };
    let string = |name: &str| property(env, name).as_string().map(Zeroizing::new);
    let pepper = checked(PEPPER, pepper);
    let previous = checked(PEPPER_PREVIOUS, previous);
    let [static_keys, denied_ids, origin_authorization, origin_signing_key] =
        [STATIC_KEYS, DENIED_IDS, ORIGIN_AUTHORIZATION, ORIGIN_SIGNING_KEY]
            .map(|name| checked(name, string(name)));
    let secrets = Secrets::parse(&SecretValues {
        pepper: pepper.as_ref().map(|text| text.as_str()),
        pepper_previous: previous.as_ref().map(|text| text.as_str()),
        static_keys: static_keys.as_ref().map(|text| text.as_str()),
        denied_ids: denied_ids.as_ref().map(|text| text.as_str()),
        origin_authorization: origin_authorization.as_ref().map(|text| text.as_str()),
        origin_signing_key: origin_signing_key.as_ref().map(|text| text.as_str()),
    });
    let policy = Policy::from_json(&variables(env, &mut errors));
    if let Ok(policy) = &policy {
        let services = policy.services().filter(|name| !has_method(&property(env, name), "fetch"));
        errors.extend(services.map(|name| format!("the service binding {name} is missing")));
        let limiters = policy.limiters().filter(|name| !has_method(&property(env, name), "limit"));
        errors.extend(limiters.map(|name| format!("the rate limiter binding {name} is missing")));
    }
    match (policy, secrets, keys) {
        (Ok(policy), Ok(secrets), Some(keys)) if errors.is_empty() => {
            log_limit::set(policy.rejection_logs_per_minute());
            intern_all(policy.read_headers().chain(interned.iter().copied()));
            let cache = RecordCache::new(policy.cache_entries(), policy.cache_secs(), policy.stale_secs());
            Ok(Isolate {
                keys,
                has_usage,
                usage: counters,
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
fn variables(env: &Env, errors: &mut Vec<String>) -> String {
    let plain = Object::new();
    for key in Object::keys(env.unchecked_ref::<Object>()).iter() {
        let Some(name) = key.as_string().filter(|name| is_read_as_variable(name)) else {
            continue;
        };
        let value = Reflect::get(env, &key).unwrap_or_default();
        if is_plain(&value) {
            // Cannot fail on a new object.
            let _ = Reflect::set(&plain, &key, &value);
        } else if is_variable(&name) && !value.is_undefined() {
            errors.push(format!("{name} is a binding, not a variable"));
        }
    }
    JSON::stringify(&plain).map(String::from).unwrap_or_default()
}

/// Whether a binding is a value of `[vars]`, and not an object of the platform.
fn is_plain(value: &JsValue) -> bool {
    if !value.is_object() {
        return !value.is_function() && !value.is_undefined();
    }
    if Array::is_array(value) {
        return true;
    }
    // Locally some bindings are simulated by object literals with methods.
    let is_literal = Object::get_prototype_of(value) == Object::get_prototype_of(&Object::new());
    let members = Object::values(value.unchecked_ref::<Object>());
    is_literal && !members.iter().any(|member| member.is_function())
}
