//! The deployed Worker: what is bound to it, and its code.

use serde::Deserialize;

use crate::cloudflare::api::{Api, Call};
use crate::cloudflare::identifier;
use crate::cloudflare::refusal::Permission;
use crate::error::{Error, Outcome};
use crate::wrangler_config::{KEYS_BINDING, WranglerConfig};

/// What a command does not do where it goes on without what it could not read.
pub(crate) const NOT_LOOKED_AT: &str = "not looked at";

/// One gate in its account.
// Absent on purpose: Debug; the API holds the token.
pub(crate) struct DeployedWorker<'w> {
    pub(crate) api: &'w Api,
    pub(crate) account: &'w str,
    pub(crate) config: &'w WranglerConfig,
}

/// The part of the Worker's settings that is looked at.
#[derive(Deserialize)]
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
    pub(crate) fn keys_namespace(&self) -> Outcome<String> {
        let id = self.bound(KEYS_BINDING).and_then(|binding| binding.namespace_id.as_deref());
        let id = id.ok_or_else(|| {
            Error::failed(
                format!("the deployed Worker has no KV namespace bound as `{KEYS_BINDING}`"),
                "deploy the gate: `wrangler deploy`, or `npm run deploy` where `keygate init` made the folder",
            )
        })?;
        identifier(id, &format!("what Cloudflare says is bound as `{KEYS_BINDING}`"))
    }
}

impl DeployedWorker<'_> {
    /// Its settings; `doing` is what fails if they cannot be read.
    ///
    /// # Errors
    /// The configuration does not name the Worker, or Cloudflare could not be asked, or refused.
    pub(crate) fn settings(&self, needs: Permission, doing: &str) -> Outcome<WorkerSettings> {
        let name = self.name()?;
        let answer = self.api.ask::<WorkerSettings>(&Call {
            method: "GET",
            path: &["accounts", self.account, "workers", "scripts", &name, "settings"],
            query: &[],
            body: None,
            needs,
            doing,
        })?;
        Ok(answer.result.unwrap_or(WorkerSettings { bindings: Vec::new(), compatibility_date: None }))
    }

    /// The KV namespace that is bound to it: what the configuration means that leaves the id to wrangler.
    ///
    /// # Errors
    /// As [`DeployedWorker::settings`] and [`WorkerSettings::keys_namespace`].
    pub(crate) fn keys_namespace(&self) -> Outcome<String> {
        let doing = "cannot tell which KV namespace the deployed gate has";
        self.settings(Permission::ScriptsOfNamespace, doing)?.keys_namespace()
    }

    /// Whether something is bound to it under this name, such as a secret.
    ///
    /// # Errors
    /// As [`DeployedWorker::settings`].
    pub(crate) fn has(&self, name: &str) -> Outcome<bool> {
        let doing = "cannot look at the deployed gate's secrets";
        Ok(self.settings(Permission::Scripts, doing)?.bound(name).is_some())
    }

    /// The modules that run, as Cloudflare sends them: parts of one body, each as it was uploaded.
    ///
    /// # Errors
    /// As [`DeployedWorker::settings`].
    pub(crate) fn modules(&self) -> Outcome<Vec<u8>> {
        let name = self.name()?;
        // The settings name no version, and no client can ask the gate for it.
        self.api.ask_for_bytes(&Call {
            method: "GET",
            path: &["accounts", self.account, "workers", "scripts", &name, "content", "v2"],
            query: &[],
            body: None,
            needs: Permission::Scripts,
            doing: NOT_LOOKED_AT,
        })
    }

    fn name(&self) -> Outcome<String> {
        self.config.worker_name().ok_or_else(|| {
            let (file, field) = (self.config.name(), self.config.place("name"));
            Error::failed(format!("{file}: `{field}` is not set"), "name the Worker")
        })
    }
}
