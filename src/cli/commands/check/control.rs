//! The check of the control Worker's configuration that belongs to the gate's.

use keygate_core::key::KeyPrefix;
use keygate_core::policy::bindings::{KEY_USAGE, QUOTA};
use keygate_core::warning::{Settings, Variables};
use serde_json::Value;

use crate::control_config::control_file;
use crate::findings::{Findings, Level};
use crate::wrangler_config::WranglerConfig;

/// The gate's bindings to Durable Objects of the control Worker.
const BINDINGS: [&str; 2] = [KEY_USAGE, QUOTA];

/// The variables that the control Worker reads.
const VARIABLES: [&str; 6] =
    ["KEY_PREFIX", "ALLOW_HTTP", "WEBHOOK_URL", "EXPIRY_WARNING_DAYS", "UNUSED_WARNING_DAYS", "GATE_NAME"];

/// Of the form of a webhook's secret, which is not known here.
const SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Checks the file beside the gate's, if there is one, with all its environments.
pub(super) fn check_control(gate: &WranglerConfig, findings: &mut Findings) {
    let Some(file) = control_file(gate) else { return };
    let control = match WranglerConfig::read(Some(&file), None) {
        Ok(control) => control,
        Err(error) => {
            let name = file.display().to_string();
            return findings.advise(Level::Error, &name, ".", error.problem(), error.remedy());
        }
    };
    check_scripts(gate, &control, findings);
    control.each_environment().for_each(|control| check_variables(&control, findings));
}

/// Whether the gate's bindings name the Worker of this file.
fn check_scripts(gate: &WranglerConfig, control: &WranglerConfig, findings: &mut Findings) {
    let names: Vec<String> = control.each_environment().filter_map(|control| control.worker_name()).collect();
    let bindings = gate.setting("durable_objects").and_then(|objects| objects.get("bindings")?.as_array());
    for (at, binding) in bindings.into_iter().flatten().enumerate() {
        let text = |field| binding.get(field).and_then(Value::as_str);
        let (Some(name), Some(script)) = (text("name"), text("script_name")) else { continue };
        if BINDINGS.contains(&name) && !names.iter().any(|known| known == script) {
            findings.advise(
                Level::Error,
                gate.name(),
                gate.place(&format!("durable_objects.bindings[{at}].script_name")),
                format!("is `{script}`, and the Worker of {} is `{}`", control.name(), names.join("` or `")),
                "write the same name in both files",
            );
        }
    }
}

/// Whether the control Worker can be asked, and whether its warnings can be sent.
fn check_variables(control: &WranglerConfig, findings: &mut Findings) {
    let (file, vars) = (control.name(), control.vars());
    let text = |name: &str| match vars.get(name)? {
        Value::String(text) => Some(text.clone()),
        value => Some(value.to_string()),
    };
    if let Some(Err(error)) = text("KEY_PREFIX").map(|prefix| prefix.parse::<KeyPrefix>()) {
        findings.add(
            Level::Error,
            file,
            control.place("vars.KEY_PREFIX"),
            format!("{error}; the control Worker would answer 503 to every question"),
        );
    }
    let [url, expiry, unused, name] =
        ["WEBHOOK_URL", "EXPIRY_WARNING_DAYS", "UNUSED_WARNING_DAYS", "GATE_NAME"].map(text);
    let variables = Variables {
        webhook_url: url.as_deref(),
        webhook_secret: Some(SECRET),
        expiry_warning_days: expiry.as_deref(),
        unused_warning_days: unused.as_deref(),
        gate_name: name.as_deref(),
        allow_http: text("ALLOW_HTTP").as_deref() == Some("true"),
    };
    if let Err(error) = Settings::parse(&variables) {
        findings.add(Level::Error, file, control.place("vars"), format!("{error}; no warning would be sent"));
    }
    for name in vars.as_object().into_iter().flat_map(|vars| vars.keys()) {
        if !VARIABLES.contains(&name.as_str()) {
            findings.advise(
                Level::Warning,
                file,
                control.place(&format!("vars.{name}")),
                "is not a variable of the control Worker, which ignores it",
                &format!("correct the name, or take it out; there are {}", VARIABLES.join(", ")),
            );
        }
    }
}
