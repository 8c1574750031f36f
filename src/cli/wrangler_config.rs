//! The configuration of wrangler: which gate a command is about.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use keygate_core::key::KeyPrefix;
use keygate_core::policy::bindings::{KEY_USAGE, KEYS};
use serde_json::{Map, Value};

use crate::error::{Error, Outcome};
use crate::wrangler_file::{Found, found, parse};

/// One gate's configuration: wrangler's file, seen through the chosen environment.
#[derive(Clone, Debug)]
pub(crate) struct WranglerConfig {
    /// As it was given or found, for messages.
    name: String,
    path: PathBuf,
    /// Other files of wrangler, which it does not read.
    ignored: Vec<String>,
    /// What leads wrangler to another file.
    redirection: Option<String>,
    environment: Option<String>,
    /// The environment whose own `.dev.vars` and `.env` files are read.
    environment_of_secrets: Option<String>,
    whole: Map<String, Value>,
}

/// Settings that an environment does not take from the top: bindings, and what the Worker reads.
const NOT_INHERITED: [&str; 42] = [
    "agent_memory",
    "ai",
    "ai_search",
    "ai_search_namespaces",
    "analytics",
    "analytics_engine_datasets",
    "artifacts",
    "browser",
    "cloudchamber",
    "connect",
    "containers",
    "d1_databases",
    "define",
    "dispatch_namespaces",
    "durable_objects",
    "flagship",
    "hyperdrive",
    "images",
    "k2",
    "kv_namespaces",
    "media",
    "mtls_certificates",
    "pipelines",
    "queues",
    "r2_buckets",
    "ratelimits",
    "secrets",
    "secrets_store_secrets",
    "send_email",
    "services",
    "stream",
    "streaming_tail_consumers",
    "tail_consumers",
    "unsafe",
    "unsafe_hello_world",
    "vars",
    "vectorize",
    "version_metadata",
    "vpc_networks",
    "vpc_services",
    "worker_loaders",
    "workflows",
];

impl WranglerConfig {
    /// Reads the file that is named, or the one that wrangler finds.
    ///
    /// # Errors
    /// It is missing, cannot be read, is not what its name says, or has no such environment.
    pub(crate) fn read(chosen: Option<&Path>, environment: Option<&str>) -> Outcome<Self> {
        let Found { path: given, ignored, redirection } = match chosen {
            Some(path) => Found { path: path.to_owned(), ..Found::default() },
            None => found()?,
        };
        let name = given.display().to_string();
        let text = fs::read_to_string(&given).map_err(|e| {
            let remedy = if e.kind() == io::ErrorKind::NotFound {
                "run the command in the gate's folder, or name the file with `--config FILE`"
            } else {
                "make the file readable, and UTF-8"
            };
            Error::failed(format!("cannot read {name}: {e}"), remedy)
        })?;
        // Absolute, because wrangler is started in the file's own folder. Not where the file itself links to: wrangler keeps its state
        // and looks for .dev.vars beside the link.
        let folder = given.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).canonicalize().map_err(|e| {
            Error::failed(
                format!("cannot find the folder of {name}: {e}"),
                "name the file with `--config FILE`",
            )
        })?;
        let path = folder.join(given.file_name().unwrap_or_default());
        let whole =
            parse(&path, &text).map_err(|e| Error::failed(format!("{name} {e}"), "correct the file"))?;
        let own = environment.map(str::to_owned);
        let file = Self {
            whole,
            environment: own.clone(),
            environment_of_secrets: own,
            ignored,
            redirection,
            name,
            path,
        };
        if let Some(name) = environment
            && !file.environments().contains(&name)
        {
            let known = match file.environments().join("`, `") {
                none if none.is_empty() => "none".to_owned(),
                names => format!("`{names}`"),
            };
            return Err(Error::usage(
                format!("{} has no environment `{name}`", file.name),
                format!("the environments it has: {known}"),
            ));
        }
        Ok(file)
    }

    /// The same, with the local secrets of no environment: wrangler looks for those of one that `--env` names alone.
    pub(crate) fn with_secrets_of_top(self) -> Self {
        Self { environment_of_secrets: None, ..self }
    }

    /// The same file, seen through another environment.
    pub(crate) fn through(&self, environment: Option<&str>) -> Self {
        let environment = environment.map(str::to_owned);
        Self { environment_of_secrets: environment.clone(), environment, ..self.clone() }
    }

    /// The same file, seen through the top and through each environment.
    pub(crate) fn each_environment(&self) -> impl Iterator<Item = Self> {
        let environments = self.environments().into_iter().map(Some);
        [None].into_iter().chain(environments).map(|environment| self.through(environment))
    }

    /// The file, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file as it was given, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Files of wrangler beside this one, which wrangler does not read.
    pub(crate) fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// What leads `wrangler dev` and `wrangler deploy` to another file.
    pub(crate) fn redirection(&self) -> Option<&str> {
        self.redirection.as_deref()
    }

    /// The folder in which `.dev.vars`, `node_modules` and `.wrangler` lie.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// The chosen environment; none is the top of the file.
    pub(crate) fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
    }

    /// The environment whose own `.dev.vars` and `.env` files are read.
    pub(crate) fn environment_of_secrets(&self) -> Option<&str> {
        self.environment_of_secrets.as_deref()
    }

    /// The environments that the file names.
    pub(crate) fn environments(&self) -> Vec<&str> {
        match self.whole.get("env") {
            Some(Value::Object(all)) => all.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// A setting of the chosen environment, inherited where wrangler inherits it.
    pub(crate) fn setting(&self, name: &str) -> Option<&Value> {
        let Some(environment) = &self.environment else {
            return self.whole.get(name);
        };
        let own = self.whole.get("env")?.get(environment)?.get(name);
        if NOT_INHERITED.contains(&name) { own } else { own.or_else(|| self.whole.get(name)) }
    }

    /// The settings of the chosen environment that are not inherited, bindings among them.
    pub(crate) fn own_settings(&self) -> impl Iterator<Item = (&str, &Value)> {
        let own = match &self.environment {
            Some(environment) => self.whole.get("env").and_then(|all| all.get(environment)),
            None => None,
        };
        let table =
            if self.environment.is_some() { own.and_then(Value::as_object) } else { Some(&self.whole) };
        table.into_iter().flatten().map(|(name, value)| (name.as_str(), value))
    }

    /// The path of a setting as it is written in the file, for messages.
    pub(crate) fn place(&self, setting: &str) -> String {
        match &self.environment {
            Some(environment) => format!("env.{environment}.{setting}"),
            None => setting.to_owned(),
        }
    }

    /// `what`, with the chosen environment, for messages.
    pub(crate) fn with_environment(&self, what: &str) -> String {
        match &self.environment {
            Some(name) => format!("{what} (environment {name})"),
            None => what.to_owned(),
        }
    }

    /// The name under which the Worker is deployed: an environment without a name of its own adds its own to the top's.
    pub(crate) fn worker_name(&self) -> Option<String> {
        let name = self.setting("name")?.as_str()?;
        let environment = self.environment.as_deref();
        let own = environment.and_then(|environment| self.whole.get("env")?.get(environment)?.get("name"));
        Some(match environment {
            Some(environment) if own.is_none() => format!("{name}-{environment}"),
            _ => name.to_owned(),
        })
    }

    /// Whether workers.dev is the gate's one address: there is no route that it would be a way around.
    pub(crate) fn is_at_workers_dev_alone(&self) -> bool {
        self.routes().next().is_none() && self.setting("workers_dev") != Some(&Value::Bool(false))
    }

    /// Whether every route is a custom domain, which is no route of its zone's.
    pub(crate) fn is_at_custom_domains_alone(&self) -> bool {
        self.routes().next().is_some() && self.routes().all(is_custom_domain)
    }

    /// The routes, each a pattern or a table.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &Value> {
        let several = self.setting("routes").and_then(Value::as_array).into_iter().flatten();
        several.chain(self.setting("route"))
    }

    /// The patterns of the routes.
    pub(crate) fn route_patterns(&self) -> impl Iterator<Item = &str> {
        self.routes().filter_map(|route| route.as_str().or_else(|| route.get("pattern")?.as_str()))
    }

    /// The zones that the routes name, custom domains aside.
    pub(crate) fn zones(&self) -> Vec<String> {
        let zone = |route: &Value| Some(route.get("zone_name")?.as_str()?.to_owned());
        let routes = self.routes().filter(|route| !is_custom_domain(route));
        let mut zones: Vec<String> = routes.filter_map(zone).collect();
        zones.sort_unstable();
        zones.dedup();
        zones
    }

    /// The gate's variables; empty when there are none.
    pub(crate) fn vars(&self) -> Value {
        match self.setting("vars") {
            Some(vars) => vars.clone(),
            None => Value::Object(Map::new()),
        }
    }

    /// Whether `wrangler dev` takes the value from `.dev.vars`: all of them, unless there is `secrets`, which names some; values of
    /// `[vars]` can always be overridden.
    pub(crate) fn takes_local_value(&self, name: &str) -> bool {
        self.setting("secrets").is_none() || self.requires_secret(name) || self.vars().get(name).is_some()
    }

    /// Whether `secrets.required` names the secret.
    pub(crate) fn requires_secret(&self, name: &str) -> bool {
        self.required_secrets().any(|required| required == name)
    }

    /// What `secrets.required` names.
    pub(crate) fn required_secrets(&self) -> impl Iterator<Item = &str> {
        let required = self.setting("secrets").and_then(|secrets| secrets.get("required")?.as_array());
        required.into_iter().flatten().filter_map(Value::as_str)
    }

    /// The entry that binds `KEYS`.
    pub(crate) fn keys_namespace(&self) -> Option<&Value> {
        bound(self.setting("kv_namespaces"), "binding", KEYS)
    }

    /// The Worker and the class of the Durable Object that is bound as `KEY_USAGE`.
    pub(crate) fn usage_class(&self) -> Option<(String, &str)> {
        let bindings = self.setting("durable_objects").and_then(|objects| objects.get("bindings"));
        let binding = bound(bindings, "name", KEY_USAGE)?;
        let script = binding.get("script_name").and_then(Value::as_str).map(str::to_owned);
        Some((script.or_else(|| self.worker_name())?, binding.get("class_name")?.as_str()?))
    }

    /// The error that [`WranglerConfig::keys_namespace`] is `None`.
    pub(crate) fn no_namespace(&self) -> Error {
        Error::failed(
            format!(
                "{} has no KV namespace bound as `{KEYS}` in `{}`",
                self.name,
                self.place("kv_namespaces"),
            ),
            "add one with `binding` KEYS (`wrangler kv namespace create KEYS` prints what to add); if this is not the gate's configuration, run the command in the gate's folder, or name the file with `--config FILE`",
        )
    }

    /// What every key of this gate begins with.
    ///
    /// # Errors
    /// `KEY_PREFIX` is missing or is no prefix.
    pub(crate) fn key_prefix(&self) -> Outcome<KeyPrefix> {
        let place = self.place("vars.KEY_PREFIX");
        match self.vars().get("KEY_PREFIX") {
            Some(Value::String(text)) => text
                .parse::<KeyPrefix>()
                .map_err(|e| Error::failed(format!("{}: `{place}`: {e}", self.name), "correct it")),
            _ => Err(Error::failed(
                format!("{} has no `{place}`", self.name),
                format!("set it to {}", KeyPrefix::ALLOWED),
            )),
        }
    }
}

/// Whether the route is a custom domain, which is no route of its zone's.
pub(crate) fn is_custom_domain(route: &Value) -> bool {
    route.get("custom_domain") == Some(&Value::Bool(true))
}

/// The element of a list of tables whose `field` is `name`.
pub(crate) fn bound<'v>(list: Option<&'v Value>, field: &str, name: &str) -> Option<&'v Value> {
    list?.as_array()?.iter().find(|entry| entry.get(field).and_then(Value::as_str) == Some(name))
}

/// For tests: a gate.
#[cfg(test)]
pub(crate) mod fake {
    use std::fs;

    use tempfile::TempDir;

    use super::WranglerConfig;

    /// The gate of this wrangler.toml and .dev.vars, in a folder that goes with the first value.
    pub(crate) fn gate(toml: &str, dev_vars: &str) -> (TempDir, WranglerConfig) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wrangler.toml");
        fs::write(&path, toml).unwrap();
        fs::write(folder.path().join(".dev.vars"), dev_vars).unwrap();
        let config = WranglerConfig::read(Some(&path), None).unwrap();
        (folder, config)
    }
}

#[cfg(test)]
mod tests {
    use super::fake::gate;

    #[test]
    fn an_environment_inherits_what_wrangler_inherits_and_nothing_else() {
        let (_folder, file) = gate(
            "workers_dev = false\n\
             [vars]\nKEY_PREFIX = 'acme_live'\n\
             [[kv_namespaces]]\nbinding = 'KEYS'\nid = 'a'\n\
             [env.test.vars]\nKEY_PREFIX = 'acme_test'\n\
             [env.bare]\nname = 'bare'\n",
            "",
        );
        assert_eq!(file.environments(), ["bare", "test"]);
        assert_eq!(file.key_prefix().unwrap().as_str(), "acme_live");
        assert!(file.keys_namespace().is_some());

        let test = file.through(Some("test"));
        assert_eq!(test.key_prefix().unwrap().as_str(), "acme_test");
        assert_eq!(test.setting("workers_dev"), Some(&false.into()));
        assert!(test.keys_namespace().is_none());

        let error = file.through(Some("bare")).key_prefix().unwrap_err().to_string();
        assert!(error.contains("wrangler.toml has no `env.bare.vars.KEY_PREFIX`"), "{error}");
    }
}
