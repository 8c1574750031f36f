//! The configuration beyond the policy: what makes a deployment leak, drift, or fail late.

use keygate_core::time::UnixSeconds;
use serde_json::Value;

use crate::findings::{Findings, Level};
use crate::time::When;
use crate::wrangler_config::WranglerConfig;

/// Cloudflare keeps old dates working; a year without a look at what changed is long enough.
const COMPATIBILITY_MAX_AGE_SECS: u64 = 365 * 24 * 60 * 60;

/// Checks `config`, seen through its environment.
pub(crate) fn check_settings(config: &WranglerConfig, now: UnixSeconds, findings: &mut Findings) {
    let mut warn = |setting: &str, problem: &str, remedy: &str| {
        findings.advise(Level::Warning, config.name(), config.place(setting), problem, remedy);
    };
    let date = config.setting("compatibility_date").and_then(Value::as_str);
    match date.and_then(|date| date.parse().ok()) {
        Some(When::At(date)) if now.seconds().saturating_sub(date.seconds()) > COMPATIBILITY_MAX_AGE_SECS => {
            warn(
                "compatibility_date",
                "is more than a year old",
                "read what changed since (developers.cloudflare.com/workers/configuration/compatibility-dates), set a newer one, run the tests",
            );
        }
        Some(When::At(_)) => {}
        _ => warn(
            "compatibility_date",
            "is not a date",
            "set it to the day on which the gate was tested last, such as \"2026-11-17\"",
        ),
    }
    if !config.requires_secret("PEPPER") {
        warn(
            "secrets.required",
            "does not name PEPPER, so a gate without it can be deployed; it would answer 503 to every request",
            "add PEPPER to the list, and the other secrets that you use",
        );
    }
    let observability = config.setting("observability");
    let logs = observability.and_then(|observability| observability.get("logs"));
    if logs.and_then(|logs| logs.get("invocation_logs")) != Some(&Value::Bool(false)) {
        warn(
            "observability.logs.invocation_logs",
            "is not `false`; Cloudflare's own logs would hold whole URLs, and so keys that clients send in them",
            "set it to false; the gate writes its own lines",
        );
    }
    if may_trace(observability) {
        warn(
            "observability.traces.enabled",
            "is not `false`; Cloudflare's traces would hold whole URLs, and so keys that clients send in them",
            "set it to false, or `observability.redact_query_string` to true",
        );
    }
}

/// Whether traces with query strings are stored, or would be once `enabled` of all observability turns traces on as well.
fn may_trace(observability: Option<&Value>) -> bool {
    let Some(observability) = observability else {
        return false;
    };
    let is_on = |settings: &Value| settings.get("enabled").and_then(Value::as_bool);
    let traces = observability.get("traces").and_then(is_on).or_else(|| is_on(observability));
    traces == Some(true) && observability.get("redact_query_string") != Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use super::may_trace;
    use serde_json::json;

    #[test]
    fn traces_that_hold_query_strings_are_found() {
        for (settings, traces) in [
            (json!({}), false),
            (json!({ "enabled": false }), false),
            (json!({ "enabled": true }), true),
            (json!({ "enabled": true, "traces": {} }), true),
            (json!({ "enabled": true, "traces": { "enabled": false } }), false),
            (json!({ "enabled": false, "traces": { "enabled": true } }), true),
            (json!({ "traces": { "enabled": true } }), true),
            (json!({ "traces": { "enabled": true }, "redact_query_string": true }), false),
            (json!({ "traces": { "enabled": true }, "redact_query_string": false }), true),
        ] {
            assert_eq!(may_trace(Some(&settings)), traces, "{settings}");
        }
        assert!(!may_trace(None));
    }
}
