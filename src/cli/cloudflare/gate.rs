//! A deployed gate in its account: its namespace, what is bound to its Worker, and its code.

use std::cell::OnceCell;

use keygate_core::policy::bindings::KEYS;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::args::StoreArgs;
use crate::cloudflare::api::{Api, Call};
use crate::cloudflare::refusal::Permission;
use crate::cloudflare::{account, identifier, named_namespace};
use crate::error::{Error, Outcome};
use crate::wrangler_config::WranglerConfig;

/// What a command does not do where it goes on without what it could not read.
pub(crate) const NOT_LOOKED_AT: &str = "not looked at";

/// The gate that the options and the configuration name.
// Absent on purpose: Debug; the API holds the token.
pub(crate) struct DeployedGate {
    pub(super) api: Api,
    pub(super) account: String,
    /// The Worker's name, if the configuration has one.
    worker: Outcome<String>,
    /// The namespace that the options or the configuration name; `None` where a deploy finds or makes one.
    pub(crate) named_namespace: Option<String>,
    /// Asked for once.
    settings: OnceCell<WorkerSettings>,
}

/// The part of the Worker's settings that is looked at.
#[derive(Default, Deserialize)]
pub(crate) struct WorkerSettings {
    #[serde(default)]
    bindings: Vec<Binding>,
    pub(crate) compatibility_date: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Binding {
    name: String,
    pub(crate) namespace_id: Option<String>,
}

impl WorkerSettings {
    /// What is bound under a name, secrets too.
    pub(crate) fn bound(&self, name: &str) -> Option<&Binding> {
        self.bindings.iter().find(|binding| binding.name == name)
    }

    /// The KV namespace that holds the records.
    ///
    /// # Errors
    /// None is bound.
    fn keys_namespace(&self) -> Outcome<String> {
        let id = self.bound(KEYS).and_then(|binding| binding.namespace_id.as_deref());
        let id = id.ok_or_else(|| {
            Error::failed(
                format!("the deployed Worker has no KV namespace bound as `{KEYS}`"),
                "deploy the gate: `wrangler deploy`, or `npm run deploy` where `keygate init` made the folder",
            )
        })?;
        identifier(id, &format!("what Cloudflare says is bound as `{KEYS}`"))
    }
}

impl DeployedGate {
    /// # Errors
    /// Those of [`named_namespace`], [`account`] and [`Api::from_environment`].
    pub(crate) fn find(args: &StoreArgs, config: &WranglerConfig) -> Outcome<Self> {
        let named_namespace = named_namespace(args.namespace.as_deref(), config)?;
        let account = account(args.account.as_deref(), config)?;
        let worker = config.worker_name().ok_or_else(|| {
            let (file, field) = (config.name(), config.place("name"));
            Error::failed(format!("{file}: `{field}` is not set"), "name the Worker")
        });
        let api = Api::from_environment()?;
        Ok(Self { api, account, worker, named_namespace, settings: OnceCell::new() })
    }

    /// The namespace that the options or the configuration name, or, where these leave its id to wrangler, the one that is bound to
    /// the deployed Worker.
    ///
    /// # Errors
    /// As [`DeployedGate::settings`], or no namespace is bound.
    pub(crate) fn namespace(&self) -> Outcome<String> {
        match &self.named_namespace {
            Some(id) => Ok(id.clone()),
            None => self.settings("cannot tell which KV namespace the deployed gate has")?.keys_namespace(),
        }
    }

    /// The same, as far as it can be told without asking.
    pub(crate) fn known_namespace(&self) -> Option<String> {
        self.named_namespace.clone().or_else(|| self.settings.get()?.keys_namespace().ok())
    }

    /// The Worker's settings; `doing` is what fails if they cannot be read.
    ///
    /// # Errors
    /// The configuration does not name the Worker, or Cloudflare could not be asked, or refused.
    pub(crate) fn settings(&self, doing: &str) -> Outcome<&WorkerSettings> {
        if let Some(settings) = self.settings.get() {
            return Ok(settings);
        }
        let needs = match self.named_namespace {
            Some(_) => Permission::Scripts,
            None => Permission::ScriptsOfNamespace,
        };
        let settings = self.get(&self.script(&["settings"])?, &[], needs, doing)?.unwrap_or_default();
        Ok(self.settings.get_or_init(|| settings))
    }

    /// Whether something is bound to the Worker under this name, such as a secret.
    ///
    /// # Errors
    /// As [`DeployedGate::settings`].
    pub(super) fn has(&self, name: &str) -> Outcome<bool> {
        Ok(self.settings("cannot look at the deployed gate's secrets")?.bound(name).is_some())
    }

    /// The modules that run, as Cloudflare sends them: parts of one body, each as it was uploaded.
    ///
    /// # Errors
    /// As [`DeployedGate::settings`].
    pub(crate) fn modules(&self) -> Outcome<Vec<u8>> {
        // The settings name no version, and no client can ask the gate for it.
        let path = self.script(&["content", "v2"])?;
        self.api.ask_for_bytes(&call(&path, &[], Permission::Scripts, NOT_LOOKED_AT))
    }

    /// What stands at `path`.
    ///
    /// # Errors
    /// As [`Api::ask`].
    pub(crate) fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        needs: Permission,
        doing: &str,
    ) -> Outcome<Option<T>> {
        Ok(self.api.ask(&call(path, query, needs, doing))?.result)
    }

    /// The segments of a path below the Worker.
    ///
    /// # Errors
    /// The configuration does not name the Worker.
    pub(crate) fn script<'p>(&'p self, below: &[&'p str]) -> Outcome<Vec<&'p str>> {
        let name = self.worker.as_ref().map_err(Clone::clone)?;
        Ok([&["accounts", &self.account, "workers", "scripts", name], below].concat())
    }
}

fn call<'c>(
    path: &'c [&'c str],
    query: &'c [(&'c str, &'c str)],
    needs: Permission,
    doing: &'c str,
) -> Call<'c> {
    Call { method: "GET", path, query, body: None, needs, doing }
}
