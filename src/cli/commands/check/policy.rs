//! The check of one gate's configuration: its policy, what is bound, and the local gate's secrets.

use keygate_core::auth::secrets::{SecretValues, Secrets};
use keygate_core::policy::bindings::{check_bindings, is_read_as_variable, is_variable, nearest_name};
use keygate_core::policy::origin::Origin;
use keygate_core::policy::{PlanLimits, Policy, PolicyErrors};
use keygate_core::record::token::Plan;
use serde_json::Value;

use crate::commands::check::loops::{check_loops, loops};
use crate::commands::check::subpaths::check_subpaths;
use crate::dev_vars::DevVars;
use crate::error::Outcome;
use crate::findings::{Findings, Level};
use crate::gate_bindings::{GateBindings, is_secret, setting_of};
use crate::wrangler_config::{WranglerConfig, bound};

/// Checks `config`, seen through its environment. Returns whether the gate accepts its policy.
///
/// # Errors
/// The local gate's secrets cannot be read.
pub(crate) fn check_policy(config: &WranglerConfig, findings: &mut Findings) -> Outcome<bool> {
    let file = config.name();
    for other in config.ignored() {
        findings.advise(
            Level::Warning,
            other,
            ".",
            format!("is ignored: wrangler reads {file}, and so does keygate"),
            "remove one of the two",
        );
    }
    if let Some(redirection) = config.redirection() {
        findings.advise(
            Level::Warning,
            redirection,
            ".",
            format!("leads `wrangler dev` and `wrangler deploy` to another configuration, and keygate reads {file}"),
            "name that configuration with `--config FILE`, or remove this file if it is left over from a build",
        );
    }
    let gate = GateBindings::of(config);
    let policy = gate.policy();
    for error in policy.as_ref().err().into_iter().flat_map(PolicyErrors::iter) {
        let (field, problem) = match (error.field(), gate.place(error.field())) {
            ("vars", _) => (config.place("vars"), error.problem().to_owned()),
            (name, Some(place)) if !place.ends_with(&format!("vars.{name}")) => {
                (place.to_owned(), format!("`{name}` {}", error.problem()))
            }
            (field, _) => (config.place(&format!("vars.{field}")), error.problem().to_owned()),
        };
        findings.add(Level::Error, file, field, problem);
    }
    let policy = policy.ok();
    for error in check_bindings(policy.as_ref(), |name| gate.kind(name)) {
        let place = gate.place(error.name()).map(str::to_owned);
        let field = place.unwrap_or_else(|| config.place(setting_of(error.needed())));
        findings.add(
            Level::Error,
            file,
            field,
            format!("{error}; the gate would answer 503 to every request"),
        );
    }
    check_names(config, &gate, findings);
    if let Some(policy) = &policy {
        check_rates(config, policy, findings);
        check_loops(config, policy, findings);
        check_development(config, policy, findings);
        check_subpaths(config, policy, findings);
    }
    check_local(config, &gate, findings)?;
    let own_address =
        (!config.is_at_workers_dev_alone()).then_some(("workers_dev", "the gate's workers.dev address is"));
    for (setting, way) in
        own_address.into_iter().chain([("preview_urls", "addresses of earlier versions are")])
    {
        if config.setting(setting) != Some(&Value::Bool(false)) {
            findings.add(
                Level::Warning,
                file,
                config.place(setting),
                format!("is not `false`; {way} a way round the route and its rules"),
            );
        }
    }
    Ok(policy.is_some())
}

/// Settings for `wrangler dev` that a deployed gate must not have.
fn check_development(config: &WranglerConfig, policy: &Policy, findings: &mut Findings) {
    let mut warn = |name: &str, problem: &str, remedy: &str| {
        let field = config.place(&format!("vars.{name}"));
        findings.advise(Level::Warning, config.name(), field, problem, remedy);
    };
    if matches!(policy.origin(), Origin::Url(url) if url.is_loopback()) {
        let problem = "is on this machine, where a deployed gate cannot reach it";
        warn("ORIGIN", problem, "set it to the API's own address before you deploy");
    }
    if policy.allow_http() {
        let problem = "is for `wrangler dev`: the gate would forward over plain HTTP to any origin";
        warn("ALLOW_HTTP", problem, "remove it before you deploy");
    }
}

/// Names that the gate ignores, or that stand where they should not.
fn check_names(config: &WranglerConfig, gate: &GateBindings, findings: &mut Findings) {
    let vars = config.vars();
    for name in vars.as_object().into_iter().flat_map(|vars| vars.keys()) {
        let field = config.place(&format!("vars.{name}"));
        if is_secret(name) {
            findings.advise(
                Level::Warning,
                config.name(),
                field,
                "is a secret, and stands here for everyone who reads the file or the dashboard",
                &format!("take it out, and `wrangler secret put {name}`"),
            );
        } else if !is_read_as_variable(name) {
            findings.advise(
                Level::Warning,
                config.name(),
                field,
                format!(
                    "is not a variable, and the gate ignores it; the nearest name is {}",
                    nearest_name(name)
                ),
                "correct the name, or take it out",
            );
        }
    }
    for name in gate.unknown() {
        findings.add(
            Level::Note,
            config.name(),
            config.place("secrets.required"),
            format!("{name} is a secret here, so its value was not looked at"),
        );
    }
}

/// What only the local gate has: `.dev.vars`, or what wrangler takes in its place.
fn check_local(config: &WranglerConfig, deployed: &GateBindings, findings: &mut Findings) -> Outcome<()> {
    let local = DevVars::of(config)?;
    let vars = config.vars();
    let secret = |name: &str| {
        let own = local.as_ref().and_then(|local| local.text(name));
        own.or_else(|| vars.get(name).and_then(Value::as_str))
    };
    let values = SecretValues {
        pepper: secret("PEPPER"),
        pepper_previous: secret("PEPPER_PREVIOUS"),
        static_keys: secret("STATIC_KEYS"),
        denied_ids: secret("DENIED_IDS"),
        origin_authorization: secret("ORIGIN_AUTHORIZATION"),
        origin_signing_key: secret("ORIGIN_SIGNING_KEY"),
    };
    let place = |name: &str| match &local {
        Some(local) if local.text(name).is_some() => (local.place(name), name.to_owned()),
        _ => (config.name().to_owned(), config.place(&format!("vars.{name}"))),
    };
    let given = |name: &str| secret(name).is_some();
    for error in Secrets::parse(&values).err().into_iter().flatten().filter(|error| given(error.binding())) {
        let (file, field) = place(error.binding());
        findings.add(Level::Error, &file, field, error.problem());
    }
    let Some(local) = &local else {
        return Ok(());
    };
    for name in local.dropped().filter(|name| is_secret(name) || is_variable(name)) {
        let remedy = if is_secret(name) {
            format!("add \"{name}\" to `{}`", config.place("secrets.required"))
        } else {
            format!("set it in `{}`", config.place("vars"))
        };
        let problem = "is dropped: `wrangler dev` takes only what `secrets.required` or `vars` names";
        findings.advise(Level::Warning, &local.place(name), name, problem, &remedy);
    }
    check_overridden(config, deployed, local, findings);
    Ok(())
}

/// What the local gate refuses, or sends in a circle, because of its own values.
fn check_overridden(
    config: &WranglerConfig,
    deployed: &GateBindings,
    local: &DevVars,
    findings: &mut Findings,
) {
    let overridden = GateBindings::with(config, local.all());
    let (before, after) = (deployed.policy(), overridden.policy());
    let known: Vec<_> = before.as_ref().err().into_iter().flat_map(PolicyErrors::iter).collect();
    let place = |field: &str| local.place(field.split(['.', '[']).next().unwrap_or_default());
    let errors = after.as_ref().err().into_iter().flat_map(PolicyErrors::iter);
    for error in errors.filter(|error| !known.contains(error)) {
        findings.add(Level::Error, &place(error.field()), error.field(), error.problem());
    }
    let (before, after) = (before.ok(), after.ok());
    let known = check_bindings(before.as_ref(), |name| deployed.kind(name));
    let errors = check_bindings(after.as_ref(), |name| overridden.kind(name));
    for error in errors.iter().filter(|error| !known.contains(error)) {
        findings.add(
            Level::Error,
            &place(error.name()),
            error.name(),
            format!("{}; the local gate would answer 503 to every request", error.problem()),
        );
    }
    let known = before.map(|policy| loops(config, &policy)).unwrap_or_default();
    for found in after.iter().flat_map(|policy| loops(config, policy)).filter(|found| !known.contains(found))
    {
        let field = found.field.clone();
        found.report(&place(&field), field, findings);
    }
}

/// The period and the limit of a plan's rate are what clients are told.
fn check_rates(config: &WranglerConfig, policy: &Policy, findings: &mut Findings) {
    let vars = config.vars();
    for name in vars.get("PLANS").and_then(Value::as_object).into_iter().flat_map(|plans| plans.keys()) {
        let Ok(plan) = name.parse::<Plan>() else {
            continue;
        };
        let PlanLimits::Limits(limits) = policy.plan(&plan) else {
            continue;
        };
        let Some(rate) = limits.rate() else {
            continue;
        };
        let in_unsafe = config.setting("unsafe").and_then(|table| table.get("bindings"));
        let lists = [("ratelimits", config.setting("ratelimits")), ("unsafe.bindings", in_unsafe)];
        let found =
            lists.into_iter().find_map(|(list, all)| Some((list, bound(all, "name", rate.binding())?)));
        let Some((list, limiter)) = found else {
            continue;
        };
        for (field, said, consequence) in [
            ("period", Some(rate.period_secs()), "Retry-After would be wrong"),
            ("limit", rate.limit(), "RateLimit-Policy would be wrong"),
        ] {
            let value = limiter.get("simple").and_then(|simple| simple.get(field));
            let Some(said) = said.filter(|said| value.and_then(Value::as_u64) != Some((*said).into())) else {
                continue;
            };
            let found = value.map_or_else(|| "none".to_owned(), Value::to_string);
            let problem = format!(
                "is {said}, but the limiter `{}` in `{}` has {found}; {consequence}",
                rate.binding(),
                config.place(list)
            );
            let field = config.place(&format!("vars.PLANS.{name}.rate.{field}"));
            findings.add(Level::Warning, config.name(), field, problem);
        }
    }
}
