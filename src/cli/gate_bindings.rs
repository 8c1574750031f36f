//! What the configuration binds for the gate, as the gate would find it at runtime.

use std::collections::BTreeMap;

use keygate_core::policy::bindings::{Binding, SECRETS, is_read_as_variable, is_variable};
use keygate_core::policy::{Policy, PolicyErrors};
use serde_json::{Map, Value, json};

use crate::wrangler_config::{WranglerConfig, bound};

/// The settings whose bindings the gate tells apart, and what these are to it. All others are other objects of the platform.
const KINDS: [(&str, Binding); 12] = [
    ("kv_namespaces", Binding::Kv),
    ("ratelimits", Binding::RateLimiter),
    ("analytics_engine_datasets", Binding::Dataset),
    ("durable_objects", Binding::DurableObjects),
    ("secrets_store_secrets", Binding::StoredSecret),
    ("services", Binding::Service),
    ("mtls_certificates", Binding::Service),
    ("vpc_services", Binding::Service),
    ("vpc_networks", Binding::Service),
    ("assets", Binding::Service),
    ("browser", Binding::Service),
    ("version_metadata", Binding::Value),
];

/// The types of `unsafe.bindings` that the gate tells apart.
const UNSAFE_KINDS: [(&str, Binding); 2] =
    [("ratelimit", Binding::RateLimiter), ("service", Binding::Service)];

/// What stands for a required variable whose value is in a secret that is not known here.
const UNKNOWN_VALUES: [(&str, &str); 2] = [("ORIGIN", "https://origin.invalid"), ("KEY_PREFIX", "unknown")];

/// The bindings of the chosen environment, by name.
#[derive(Debug, Default)]
pub(crate) struct GateBindings {
    bound: BTreeMap<String, Bound>,
    /// What the gate reads as variables.
    variables: Map<String, Value>,
    /// Variables whose values are in secrets, and so not known here.
    unknown: Vec<String>,
}

#[derive(Debug)]
struct Bound {
    kind: Binding,
    /// The setting, as it is written in the file.
    place: String,
}

impl GateBindings {
    /// Reads them from the configuration alone: `.dev.vars` is for the local gate.
    pub(crate) fn of(config: &WranglerConfig) -> Self {
        let mut all = Self::default();
        // The one setting that binds something and is inherited.
        let assets = config.setting("assets").map(|value| ("assets", value));
        let own = config.own_settings().filter(|(setting, _)| *setting != "assets");
        for (setting, value) in own.chain(assets) {
            for (name, place) in names(setting, value) {
                let (kinds, sort) = match setting {
                    "unsafe" => (UNSAFE_KINDS.as_slice(), unsafe_type(value, name)),
                    _ => (KINDS.as_slice(), setting),
                };
                let kind = match kinds.iter().find(|(known, _)| *known == sort) {
                    // At runtime it looks like a stored secret, and fails when it is asked for one.
                    Some((_, Binding::Service)) if is_secret(name) => Binding::Other,
                    Some((_, kind)) => *kind,
                    None => Binding::Other,
                };
                let metadata = json!({"id": "", "tag": "", "timestamp": ""});
                all.bind(name, kind, config.place(&place), Some(metadata));
            }
        }
        if let Value::Object(vars) = config.vars() {
            for (name, value) in vars {
                let place = config.place(&format!("vars.{name}"));
                all.bind(&name, kind_of(&value), place, Some(value));
            }
        }
        let required: Vec<&str> =
            config.required_secrets().filter(|name| !all.bound.contains_key(*name)).collect();
        for name in required {
            all.bind(name, Binding::Text, config.place("secrets.required"), None);
        }
        all
    }

    /// The same with values that override those of the configuration, as `.dev.vars` does.
    pub(crate) fn with<'v>(
        config: &WranglerConfig,
        values: impl Iterator<Item = (&'v str, &'v str)>,
    ) -> Self {
        let mut all = Self::of(config);
        for (name, value) in values {
            all.bind(name, Binding::Text, name.to_owned(), Some(value.into()));
        }
        all
    }

    fn bind(&mut self, name: &str, kind: Binding, place: String, value: Option<Value>) {
        if is_read_as_variable(name) && (kind.is_value() || value == Some(Value::Null)) {
            let unknown = UNKNOWN_VALUES.iter().find(|(known, _)| *known == name);
            match value {
                Some(value) => drop(self.variables.insert(name.to_owned(), value)),
                None if !is_variable(name) => drop(self.variables.insert(name.to_owned(), Value::Null)),
                None => {
                    self.unknown.push(name.to_owned());
                    self.variables.extend(unknown.map(|(name, value)| ((*name).to_owned(), (*value).into())));
                }
            }
        }
        self.bound.insert(name.to_owned(), Bound { kind, place });
    }

    /// The policy, as the gate reads it.
    ///
    /// # Errors
    /// Those of [`Policy::from_json`].
    pub(crate) fn policy(&self) -> Result<Policy, PolicyErrors> {
        Policy::from_json(&Value::from(self.variables.clone()).to_string())
    }

    /// What is bound under a name.
    pub(crate) fn kind(&self, name: &str) -> Binding {
        self.bound.get(name).map_or(Binding::Unbound, |bound| bound.kind)
    }

    /// Where a name is bound.
    pub(crate) fn place(&self, name: &str) -> Option<&str> {
        self.bound.get(name).map(|bound| bound.place.as_str())
    }

    /// Variables whose values are in secrets, and so not known here.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().map(String::as_str)
    }
}

/// The setting that binds such a thing.
pub(crate) fn setting_of(kind: Binding) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("vars", |(setting, _)| setting)
}

/// Whether the gate reads a secret under this name.
pub(crate) fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

/// What a value of `[vars]` is to the gate.
fn kind_of(value: &Value) -> Binding {
    match value {
        Value::Null => Binding::Unbound,
        Value::String(_) => Binding::Text,
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Binding::Value,
    }
}

/// The type of a binding in `unsafe`.
fn unsafe_type<'v>(value: &'v Value, name: &str) -> &'v str {
    let entry = bound(value.get("bindings"), "name", name);
    entry.and_then(|entry| entry.get("type")?.as_str()).unwrap_or_default()
}

/// The names that a setting binds, and where: a table or an array of tables, or one table below.
fn names<'v>(setting: &str, value: &'v Value) -> Vec<(&'v str, String)> {
    let field = match setting {
        "ratelimits" | "send_email" => "name",
        _ => "binding",
    };
    let name = |table: &'v Value, field: &str| table.get(field).and_then(Value::as_str);
    let each = |list: &'v Value, path: &str, field: &str| -> Vec<(&'v str, String)> {
        let tables = list.as_array().into_iter().flatten().enumerate();
        tables
            .filter_map(|(at, table)| Some((name(table, field)?, format!("{path}[{at}].{field}"))))
            .collect()
    };
    match (setting, value) {
        ("durable_objects" | "unsafe", Value::Object(table)) => table
            .get("bindings")
            .map_or_else(Vec::new, |list| each(list, &format!("{setting}.bindings"), "name")),
        ("queues", Value::Object(table)) => {
            table.get("producers").map_or_else(Vec::new, |list| each(list, "queues.producers", "binding"))
        }
        (_, Value::Array(_)) => each(value, setting, field),
        (_, Value::Object(_)) => {
            name(value, field).map(|name| (name, format!("{setting}.{field}"))).into_iter().collect()
        }
        _ => Vec::new(),
    }
}
