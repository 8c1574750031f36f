//! `keygate scanner-rules`: rules by which secret scanners find the keys of a gate.

use clap::{Args, ValueEnum};
use keygate_core::key::KeyPrefix;
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::control_config::control_file;
use crate::error::Outcome;
use crate::wrangler_config::WranglerConfig;

/// Print rules by which a secret scanner finds the gate's keys
#[derive(Args, Debug)]
#[command(
    after_help = "The rules are for the KEY_PREFIX of every environment in the configuration, or of the one of --env, and for that of the admin keys if the control Worker's configuration is in control or src/control beside it. Keys that were imported have no prefix, and no rule finds them.\n\nExamples:\n  keygate scanner-rules --format gitleaks > .gitleaks.toml\n  keygate scanner-rules --format github --prefix acme_live | gh api repos/acme/reports/secret-scanning/custom-patterns --input -"
)]
pub(crate) struct ScannerRulesArgs {
    /// The scanner
    #[arg(long, value_enum)]
    format: Format,
    /// Find keys with this prefix, instead of those of the configuration; may be repeated
    #[arg(long, value_name = "PREFIX")]
    prefix: Vec<KeyPrefix>,
}

#[derive(Clone, Copy, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Format {
    /// A configuration (TOML) that extends the scanner's own
    Gitleaks,
    /// A configuration (YAML) with custom detectors
    Trufflehog,
    /// A plugin (Python)
    DetectSecrets,
    /// Custom patterns (JSON), as GitHub's API for secret scanning takes them
    Github,
}

/// The rules, as the scanner reads them.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct RuleFile {
    format: Format,
    prefixes: Vec<String>,
    text: String,
}

/// Prints the rules.
pub(crate) fn run(context: &Context, args: &ScannerRulesArgs) -> Outcome<()> {
    let prefixes = if args.prefix.is_empty() { configured(context)? } else { unique(args.prefix.clone()) };
    let text = match args.format {
        Format::Gitleaks => gitleaks(&prefixes),
        Format::Trufflehog => trufflehog(&prefixes),
        Format::DetectSecrets => detect_secrets(&prefixes),
        Format::Github => github(&prefixes),
    };
    let prefixes = prefixes.iter().map(|prefix| prefix.as_str().to_owned()).collect();
    let file = RuleFile { format: args.format, prefixes, text };
    context.out.result(&file, &file.text)
}

/// The prefixes of the gate's keys and of the admin keys.
fn configured(context: &Context) -> Outcome<Vec<KeyPrefix>> {
    let gate = context.config()?;
    let mut prefixes = prefixes_in(&gate, context.environment())?;
    if prefixes.is_empty() {
        prefixes.push(gate.key_prefix()?);
    }
    if let Some(control) = control_file(&gate) {
        let control = WranglerConfig::read(Some(&control), None)?;
        prefixes.extend(prefixes_in(&control, context.environment())?);
    }
    Ok(unique(prefixes))
}

/// Those of the top of the file and of every environment in it, or that of the chosen environment. A file without that environment
/// is deployed to it as its top is.
fn prefixes_in(file: &WranglerConfig, chosen: Option<&str>) -> Outcome<Vec<KeyPrefix>> {
    let seen = match chosen {
        Some(chosen) => vec![file.through(file.environments().into_iter().find(|own| *own == chosen))],
        None => file.each_environment().collect(),
    };
    let seen = seen.iter().filter(|file| file.vars().get("KEY_PREFIX").is_some());
    seen.map(WranglerConfig::key_prefix).collect()
}

fn unique(prefixes: Vec<KeyPrefix>) -> Vec<KeyPrefix> {
    let mut unique = Vec::new();
    for prefix in prefixes {
        if !unique.contains(&prefix) {
            unique.push(prefix);
        }
    }
    unique
}

/// The name of a rule: `keygate-acme-live`.
fn rule_name(prefix: &KeyPrefix) -> String {
    format!("keygate-{}", prefix.as_str().replace('_', "-"))
}

/// What every key contains, for scanners that look for a word before they try a regular expression.
fn keyword(prefix: &KeyPrefix) -> String {
    format!("{}_", prefix.as_str())
}

// A prefix consists of a-z, 0-9 and `_`, and the regular expressions contain no quote: nothing below needs to be escaped.

fn gitleaks(prefixes: &[KeyPrefix]) -> String {
    let rule = |prefix: &KeyPrefix| {
        format!(
            "\n\n[[rules]]\nid = \"{}\"\ndescription = \"API key of the Keygate gate with the prefix {}\"\nregex = '''{}'''\nsecretGroup = 1\nkeywords = [\"{}\"]",
            rule_name(prefix),
            prefix.as_str(),
            prefix.scanner_regex(),
            keyword(prefix),
        )
    };
    let rules: String = prefixes.iter().map(rule).collect();
    format!(
        "# Keys of a Keygate gate. gitleaks reads this file as .gitleaks.toml in the repository's root, or with --config.\n\n\
         [extend]\nuseDefault = true{rules}"
    )
}

fn trufflehog(prefixes: &[KeyPrefix]) -> String {
    let detector = |prefix: &KeyPrefix| {
        format!(
            "\n  - name: {}\n    description: API key of the Keygate gate with the prefix {}\n    keywords:\n      - {}\n    regex:\n      key: '{}'",
            rule_name(prefix),
            prefix.as_str(),
            keyword(prefix),
            prefix.scanner_regex(),
        )
    };
    let detectors: String = prefixes.iter().map(detector).collect();
    format!("# Keys of a Keygate gate. TruffleHog reads this file with --config.\ndetectors:{detectors}")
}

fn detect_secrets(prefixes: &[KeyPrefix]) -> String {
    let pattern =
        |prefix: &KeyPrefix| format!("        re.compile(r\"{}\", re.ASCII),\n", prefix.scanner_regex());
    let patterns: String = prefixes.iter().map(pattern).collect();
    format!(
        "\"\"\"Keys of a Keygate gate. detect-secrets reads this file with --plugin.\"\"\"\n\n\
         import re\n\n\
         from detect_secrets.plugins.base import RegexBasedDetector\n\n\n\
         class KeygateKeyDetector(RegexBasedDetector):\n    \
         \"\"\"Finds keys of a Keygate gate.\"\"\"\n\n    \
         secret_type = \"Keygate key\"\n    \
         denylist = (\n{patterns}    )"
    )
}

/// The body of `POST …/secret-scanning/custom-patterns`. The delimiters are GitHub's own with `_`, which `\b` counts as a letter, and the
/// escapes.
fn github(prefixes: &[KeyPrefix]) -> String {
    let start = format!(r"\A|[^0-9A-Za-z_]|{}", KeyPrefix::ESCAPE_REGEX);
    let pattern = |prefix: &KeyPrefix| {
        json!({
            "name": format!("Keygate key {}", prefix.as_str()),
            "pattern": prefix.key_regex(),
            "start_delimiter": start,
            "end_delimiter": r"\z|[^0-9A-Za-z_]",
        })
    };
    let patterns: Vec<_> = prefixes.iter().map(pattern).collect();
    format!("{:#}", json!({ "patterns": patterns }))
}
