//! wrangler.toml: which gate a command is about.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use keygate_core::key::KeyPrefix;
use serde_json::{Map, Value};

use crate::error::{Error, Outcome};

/// The KV namespace that holds the records, by the name under which the gate knows it.
pub(crate) const KEYS_BINDING: &str = "KEYS";

/// One gate's configuration: wrangler.toml, seen through the chosen environment.
#[derive(Debug)]
pub(crate) struct WranglerToml {
    /// As it was given, for messages.
    name: String,
    path: PathBuf,
    environment: Option<String>,
    whole: Map<String, Value>,
}

/// Settings that an environment takes from the top when it has none of its own; all others it must repeat.
const INHERITED: [&str; 7] =
    ["account_id", "name", "route", "routes", "workers_dev", "preview_urls", "compatibility_date"];

impl WranglerToml {
    /// Reads the file.
    ///
    /// # Errors
    /// It is missing, cannot be read, is not TOML, or has no such environment.
    pub(crate) fn read(path: &Path, environment: Option<&str>) -> Outcome<Self> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|e| {
            let remedy = if e.kind() == io::ErrorKind::NotFound {
                "run the command where wrangler.toml is, or name the file with `--config FILE`"
            } else {
                "make the file readable"
            };
            Error::failed(format!("cannot read {name}: {e}"), remedy)
        })?;
        // Absolute, because wrangler is started in the file's own folder.
        let path = path.canonicalize().map_err(|e| {
            Error::failed(
                format!("cannot find the folder of {name}: {e}"),
                "name the file with `--config FILE`",
            )
        })?;
        let file = Self {
            whole: parse(&text).map_err(|e| Error::failed(format!("{name} {e}"), "correct the file"))?,
            environment: environment.map(str::to_owned),
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

    /// The same file, seen through another environment.
    pub(crate) fn through(&self, environment: Option<&str>) -> Self {
        Self {
            name: self.name.clone(),
            path: self.path.clone(),
            environment: environment.map(str::to_owned),
            whole: self.whole.clone(),
        }
    }

    /// The file, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file as it was given, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The folder in which `.dev.vars`, `node_modules` and `.wrangler` lie.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// The chosen environment; none is the top of the file.
    pub(crate) fn environment(&self) -> Option<&str> {
        self.environment.as_deref()
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
        if INHERITED.contains(&name) { own.or_else(|| self.whole.get(name)) } else { own }
    }

    /// The path of a setting as it is written in the file, for messages.
    pub(crate) fn place(&self, setting: &str) -> String {
        match &self.environment {
            Some(environment) => format!("env.{environment}.{setting}"),
            None => setting.to_owned(),
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

    /// The zones that the routes name.
    pub(crate) fn zones(&self) -> Vec<String> {
        let several = self.setting("routes").and_then(Value::as_array).into_iter().flatten();
        let zone = |route: &Value| Some(route.get("zone_name")?.as_str()?.to_owned());
        let mut zones: Vec<String> = several.chain(self.setting("route")).filter_map(zone).collect();
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

    /// Whether `wrangler dev` takes the secret from `.dev.vars`: all of them, unless `secrets.required` names some.
    pub(crate) fn takes_secret(&self, name: &str) -> bool {
        self.required_secrets().is_none_or(|required| required.iter().any(|known| known == name))
    }

    /// Whether `secrets.required` names the secret.
    pub(crate) fn requires_secret(&self, name: &str) -> bool {
        self.required_secrets().is_some_and(|required| required.iter().any(|known| known == name))
    }

    fn required_secrets(&self) -> Option<&Vec<Value>> {
        self.setting("secrets")?.get("required")?.as_array()
    }

    /// The entry that binds `KEYS`.
    pub(crate) fn keys_namespace(&self) -> Option<&Value> {
        bound(self.setting("kv_namespaces"), "binding", KEYS_BINDING)
    }

    /// The error that [`WranglerToml::keys_namespace`] is `None`.
    pub(crate) fn no_namespace(&self) -> Error {
        Error::failed(
            format!(
                "{} has no KV namespace bound as `{KEYS_BINDING}` in `{}`",
                self.name,
                self.place("kv_namespaces"),
            ),
            "add one: `[[kv_namespaces]]`, `binding = \"KEYS\"`, `id = \"…\"` (`wrangler kv namespace create KEYS` prints the id)",
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

/// The element of a list of tables whose `field` is `name`.
pub(crate) fn bound<'v>(list: Option<&'v Value>, field: &str, name: &str) -> Option<&'v Value> {
    list?.as_array()?.iter().find(|entry| entry.get(field).and_then(Value::as_str) == Some(name))
}

/// The file as the Worker's runtime would be given its variables, which is as JSON.
fn parse(text: &str) -> Result<Map<String, Value>, String> {
    toml::from_str(text).map_err(|e: toml::de::Error| {
        // Not the whole error: it repeats the line, and somebody's secret may stand there.
        let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("is not TOML: line {}: {}", before.matches('\n').count() + 1, e.message())
    })
}

#[cfg(test)]
mod tests {
    use super::{WranglerToml, parse};
    use std::path::PathBuf;

    fn file(text: &str) -> WranglerToml {
        WranglerToml {
            name: "wrangler.toml".to_owned(),
            path: PathBuf::from("/gate/wrangler.toml"),
            environment: None,
            whole: parse(text).unwrap(),
        }
    }

    #[test]
    fn an_environment_inherits_what_wrangler_inherits_and_nothing_else() {
        let file = file(
            "workers_dev = false\n\
             [vars]\nKEY_PREFIX = 'acme_live'\n\
             [[kv_namespaces]]\nbinding = 'KEYS'\nid = 'a'\n\
             [env.test.vars]\nKEY_PREFIX = 'acme_test'\n\
             [env.bare]\nname = 'bare'\n",
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
