//! The check of one gate's wrangler.toml: its policy, and that what the policy names is bound.

use keygate_core::policy::origin::Origin;
use keygate_core::policy::route::Route;
use keygate_core::policy::{PlanLimit, Policy};
use keygate_core::record::token::Plan;
use serde_json::Value;

use crate::findings::{Findings, Level};
use crate::wrangler_toml::{KEYS_BINDING, WranglerToml, bound};

/// Checks `config`, seen through its environment. Returns whether the gate accepts its policy.
pub(crate) fn check_policy(config: &WranglerToml, findings: &mut Findings) -> bool {
    let file = config.name();
    let policy = Policy::from_json(&config.vars().to_string());
    match &policy {
        Ok(policy) => check_bindings(config, policy, findings),
        Err(faults) => {
            for error in faults.iter() {
                let field = match error.field() {
                    "vars" => config.place("vars"),
                    field => config.place(&format!("vars.{field}")),
                };
                findings.add(Level::Error, file, field, error.problem());
            }
        }
    }
    if config.keys_namespace().is_none() {
        findings.add(
            Level::Error,
            file,
            config.place("kv_namespaces"),
            format!("binds no namespace as `{KEYS_BINDING}`; the gate would answer 503 to every key that is not in STATIC_KEYS"),
        );
    }
    for (setting, way) in [
        ("workers_dev", "the gate's workers.dev address is"),
        ("preview_urls", "addresses of earlier versions are"),
    ] {
        if config.setting(setting) != Some(&Value::Bool(false)) {
            findings.add(
                Level::Warning,
                file,
                config.place(setting),
                format!("is not `false`; {way} a way round the route and its rules"),
            );
        }
    }
    policy.is_ok()
}

/// What the policy names must be bound under that name.
fn check_bindings(config: &WranglerToml, policy: &Policy, findings: &mut Findings) {
    let file = config.name();
    let mut service = |origin: &Origin, field: String| {
        if let Origin::Service(name) = origin {
            let name: &str = name;
            if bound(config.setting("services"), "binding", name).is_none() {
                let problem = format!(
                    "names the service binding `{name}`, which `{}` does not have",
                    config.place("services")
                );
                findings.add(Level::Error, file, field, problem);
            }
        }
    };
    service(policy.origin(), config.place("vars.ORIGIN"));
    for (at, route) in policy.routes().as_slice().iter().enumerate() {
        if let Some(origin) = Route::origin(route) {
            service(origin, config.place(&format!("vars.ROUTES[{at}].origin")));
        }
    }
    let vars = config.vars();
    let Some(Value::Object(plans)) = vars.get("PLANS") else {
        return;
    };
    for name in plans.keys() {
        let Ok(plan) = name.parse::<Plan>() else {
            continue;
        };
        if let PlanLimit::Limiter { binding, period_secs } = policy.plan(&plan) {
            let field = config.place(&format!("vars.PLANS.{name}"));
            check_limiter(config, &field, binding, period_secs, findings);
        }
    }
}

fn check_limiter(
    config: &WranglerToml,
    field: &str,
    binding: &str,
    period_secs: u32,
    findings: &mut Findings,
) {
    let (file, place) = (config.name(), config.place("ratelimits"));
    let Some(limiter) = bound(config.setting("ratelimits"), "name", binding) else {
        let problem = format!("names the limiter `{binding}`, which `{place}` does not have");
        findings.add(Level::Error, file, format!("{field}.limiter"), problem);
        return;
    };
    let period = limiter.get("simple").and_then(|simple| simple.get("period"));
    if period.and_then(Value::as_u64) != Some(period_secs.into()) {
        let found = period.map_or_else(|| "none".to_owned(), Value::to_string);
        let problem = format!(
            "is {period_secs}, but the limiter `{binding}` in `{place}` has {found}; Retry-After would be wrong"
        );
        findings.add(Level::Error, file, format!("{field}.period"), problem);
    }
}
