//! The deployed Worker and its routes, as Cloudflare's API shows them.

use keygate_core::policy::bindings::KEYS;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cloudflare::{DeployedGate, NOT_LOOKED_AT, Permission};
use crate::commands::check::loops::check_patterns;
use crate::commands::doctor::version::check_version;
use crate::error::Outcome;
use crate::findings::{Findings, Level};
use crate::gate_bindings::GateBindings;
use crate::static_keys::STATIC_KEYS;
use crate::wrangler_config::WranglerConfig;

#[derive(Deserialize)]
struct Subdomain {
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    previews_enabled: bool,
}

#[derive(Deserialize)]
struct Zone {
    id: String,
}

#[derive(Deserialize)]
struct Route {
    pattern: String,
    script: Option<String>,
    #[serde(default)]
    request_limit_fail_open: bool,
}

#[derive(Deserialize)]
struct Ruleset {
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    action: Option<String>,
    #[serde(default)]
    enabled: bool,
    description: Option<String>,
    #[serde(default)]
    action_parameters: Value,
}

/// Checks what runs under the gate's name. What may not be looked at is a finding, and the rest is looked at.
pub(super) fn check_deployment(gate: &DeployedGate, config: &WranglerConfig, findings: &mut Findings) {
    let Some(name) = config.worker_name() else {
        return findings.advise(
            Level::Error,
            config.name(),
            config.place("name"),
            "is not set",
            "name the Worker",
        );
    };
    let mut check = Check { gate, place: format!("the Worker {name}"), config, findings };
    check.settings();
    check.version();
    check.subdomain();
    let zones = config.zones();
    let has_no_routes = config.is_at_workers_dev_alone() || config.is_at_custom_domains_alone();
    if zones.is_empty() && !has_no_routes {
        check.warn(
            "routes",
            "no zone is named in the configuration, so routes and cache rules were not looked at",
            "write each route as a table with `pattern` and `zone_name`",
        );
    }
    for zone in zones {
        check.zone(&zone, &name);
    }
}

struct Check<'c> {
    gate: &'c DeployedGate,
    place: String,
    config: &'c WranglerConfig,
    findings: &'c mut Findings,
}

impl Check<'_> {
    fn error(&mut self, field: &str, problem: impl Into<String>, remedy: &str) {
        self.findings.advise(Level::Error, &self.place, field, problem, remedy);
    }

    fn warn(&mut self, field: &str, problem: impl Into<String>, remedy: &str) {
        self.findings.advise(Level::Warning, &self.place, field, problem, remedy);
    }

    /// What stands at `path`; that it may not be looked at is a finding.
    fn ask<T: DeserializeOwned>(
        &mut self,
        path: &[&str],
        query: &[(&str, &str)],
        needs: Permission,
        field: &str,
    ) -> Option<T> {
        let answer = self.gate.get(path, query, needs, NOT_LOOKED_AT);
        self.looked_at(answer, field).flatten()
    }

    /// What was found; that it may not be looked at is a finding.
    fn looked_at<T>(&mut self, found: Outcome<T>, field: &str) -> Option<T> {
        found.inspect_err(|error| self.warn(field, error.problem(), error.remedy())).ok()
    }

    fn settings(&mut self) {
        let named = &self.gate.named_namespace;
        let Some(settings) = self.looked_at(self.gate.settings(NOT_LOOKED_AT), "settings") else {
            return;
        };
        let bound = |name: &str| settings.bound(name);
        if bound("PEPPER").is_none() {
            self.error(
                "PEPPER",
                "the secret is not set; the gate answers 503 to every request",
                "put it: `wrangler secret put PEPPER`, from your secret manager",
            );
        }
        if bound("PEPPER_PREVIOUS").is_some() {
            self.warn(
                "PEPPER_PREVIOUS",
                "a rotation of the pepper is not finished",
                "see how far it is and what comes next: `keygate pepper status --remote`",
            );
        }
        if bound(STATIC_KEYS).is_some() && !self.config.requires_secret(STATIC_KEYS) {
            self.warn(
                STATIC_KEYS,
                "the secret is set, and `secrets.required` does not name it: `revoke` and `rotate` cannot warn of its records, which the gate uses while KV fails",
                "`wrangler secret delete STATIC_KEYS` if it is not needed any more, else name it in `secrets.required`",
            );
        }
        match bound(KEYS) {
            None => self.error(
                KEYS,
                "no KV namespace is bound; the gate answers 503 to every request",
                "bind it in the configuration, then `wrangler deploy`",
            ),
            Some(binding) if named.is_some() && binding.namespace_id != *named => {
                self.error(KEYS, "another KV namespace is bound than the configuration names; keys would be issued where the gate does not look", "`wrangler deploy`, or correct the id in the configuration");
            }
            Some(_) => {}
        }
        let date = self.config.setting("compatibility_date").and_then(Value::as_str);
        if settings.compatibility_date.as_deref() != date {
            self.warn(
                "compatibility_date",
                "is another one than in the configuration; what runs is not what the file says",
                "`wrangler deploy`",
            );
        }
    }

    /// Compares the gate's version with this program's.
    fn version(&mut self) {
        if let Some(modules) = self.looked_at(self.gate.modules(), "version") {
            check_version(&modules, &self.place, self.findings);
        }
    }

    fn subdomain(&mut self) {
        const FIELD: &str = "workers_dev";
        let path = self.looked_at(self.gate.script(&["subdomain"]), FIELD).unwrap_or_default();
        let Some(subdomain) = self.ask::<Subdomain>(&path, &[], Permission::Scripts, FIELD) else {
            return;
        };
        if subdomain.enabled && !self.config.is_at_workers_dev_alone() {
            self.error(
                FIELD,
                "the gate's workers.dev address is on: a way round the route and its rules",
                "set `workers_dev` to false in the configuration, then `wrangler deploy`",
            );
        }
        if subdomain.previews_enabled {
            self.error(
                "preview_urls",
                "addresses of earlier versions are on: a way round the route, and to an old policy",
                "set `preview_urls` to false in the configuration, then `wrangler deploy`",
            );
        }
    }

    fn zone(&mut self, zone: &str, worker: &str) {
        let name = [("name", zone)];
        let Some(zones) = self.ask::<Vec<Zone>>(&["zones"], &name, Permission::Zones, zone) else {
            return;
        };
        let Some(Zone { id }) = zones.first() else {
            return self.error(
                zone,
                "there is no such zone, or the token may not see it",
                "correct `zone_name`, and see that the token is for this zone",
            );
        };
        if let Some(routes) =
            self.ask::<Vec<Route>>(&["zones", id, "workers", "routes"], &[], Permission::Routes, "routes")
        {
            let ours: Vec<&Route> =
                routes.iter().filter(|route| route.script.as_deref() == Some(worker)).collect();
            if ours.is_empty() {
                self.error(
                    "routes",
                    format!("no route of the zone {zone} leads to the gate: every request goes past it"),
                    "`wrangler deploy` with `routes` in the configuration",
                );
            }
            if let Ok(policy) = GateBindings::of(self.config).policy() {
                // Those of the file have been looked at.
                let is_new = |pattern: &&str| !self.config.route_patterns().any(|known| known == *pattern);
                let patterns = ours.iter().map(|route| route.pattern.as_str()).filter(is_new);
                check_patterns(self.config, &policy, patterns, self.findings);
            }
            for route in ours.into_iter().filter(|route| route.request_limit_fail_open) {
                self.error("routes", format!("the route {} fails open: past the daily quota of the free plan every request reaches the origin unchecked", route.pattern), "set the route to fail closed in the dashboard: Workers Routes, Edit, Request limit failure mode");
            }
        }
        let rules = ["zones", id, "rulesets", "phases", "http_request_cache_settings", "entrypoint"];
        if let Some(ruleset) = self.ask::<Ruleset>(&rules, &[], Permission::CacheRules, "cache rules") {
            let caches = |rule: &&Rule| {
                rule.enabled
                    && rule.action.as_deref() == Some("set_cache_settings")
                    && rule.action_parameters.get("cache") == Some(&Value::Bool(true))
            };
            for rule in ruleset.rules.iter().filter(caches) {
                let name = rule.description.as_deref().unwrap_or("without a name");
                self.warn("cache rules", format!("the rule `{name}` of the zone {zone} makes answers cacheable; an answer to one key could be given to another"), "see that its expression leaves the gate's paths out, or give it the action to bypass the cache");
            }
        }
    }
}
