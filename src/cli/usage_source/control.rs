//! The deployed control Worker, asked over HTTPS with an admin key.

use std::env;
use std::io::Read as _;

use keygate_core::key::KeyId;
use keygate_core::usage::{AnomalyReport, LastUsesReport, Query, Report, Step};
use keygate_delivery::{Peer, may_carry_secrets, unreachable};
use reqwest::Url;
use reqwest::blocking::{Client, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::cloudflare;
use crate::error::{Error, Outcome};
use crate::output::printable;
use crate::secrets;
use crate::usage_source::UsageSource;

const URL_VARIABLE: &str = "KEYGATE_CONTROL_URL";
/// At most so many keys are in one answer.
const KEYS_MAX: usize = 1000;
/// So many keys are asked for at once: their URL is under 4 KB, and servers take 8 KB.
const KEYS_AT_ONCE: usize = 250;
/// Above any honest answer: 100,000 last uses are 7 MB.
const ANSWER_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The Worker, with one admin key.
// Absent on purpose: Debug; it holds the key.
pub(super) struct ControlWorker {
    client: Client,
    base: Url,
    key: Zeroizing<String>,
    place: String,
    /// Wrangler's file of it, for messages.
    config: String,
}

/// What a refusal says.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    detail: String,
}

impl ControlWorker {
    /// The Worker that the option or `KEYGATE_CONTROL_URL` names; `None` where neither does. `config` is wrangler's file of it.
    ///
    /// # Errors
    /// The address cannot be used, or there is no admin key.
    pub(super) fn find(option: Option<&str>, config: String) -> Outcome<Option<Self>> {
        let variable = env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty());
        let Some(text) = option.map(str::to_owned).or(variable) else {
            return Ok(None);
        };
        let base = base_url(&text)?;
        let key = secrets::admin_key()?.ok_or_else(|| {
            Error::usage(
                "there is no admin key for the control Worker: KEYGATE_ADMIN_KEY is not set",
                make_a_key(&config),
            )
        })?;
        let place = format!("the control Worker at {base}");
        Ok(Some(Self { client: cloudflare::http_client()?, base, key, place, config }))
    }

    fn ask<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Outcome<T> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/v1/{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let no_answer = |error: &(dyn std::error::Error + 'static)| {
            let peer = Peer { name: self.base.as_str(), named_by: URL_VARIABLE, own_trust: None };
            unreachable("cannot read usage", peer, error)
        };
        let response = self.client.get(url).bearer_auth(self.key.as_str()).send();
        let response = response.map_err(|error| no_answer(&error))?;
        let status = response.status().as_u16();
        let body = body(response).map_err(|error| no_answer(&error))?;
        if status != 200 {
            return Err(self.refused(status, &serde_json::from_slice(&body).unwrap_or_default()));
        }
        serde_json::from_slice(&body).map_err(|error| {
            Error::failed(
                format!("{} answered something else than usage: {error}", self.place),
                format!("check KEYGATE_CONTROL_URL; where the control Worker is of another version than this program, deploy it anew (`wrangler deploy -c {}`)", self.config),
            )
        })
    }

    /// The answer about these keys; about all of them where none is named.
    fn report_of(&self, query: &Query, ids: &[KeyId]) -> Outcome<Report> {
        let mut parameters = vec![
            ("from", (query.hours.start().0 * 3600).to_string()),
            ("to", (query.hours.end().0 * 3600).to_string()),
            ("by", if query.by == Step::Hour { "hour" } else { "day" }.to_owned()),
            ("keys_max", query.keys_max.min(KEYS_MAX).to_string()),
        ];
        if !ids.is_empty() {
            let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
            parameters.push(("keys", ids.join(",")));
        }
        self.ask("usage", &parameters)
    }

    fn refused(&self, status: u16, problem: &Problem) -> Error {
        let code = match problem.code.as_str() {
            "" => status.to_string(),
            code => format!("{status} {}", printable(code)),
        };
        let detail = match problem.detail.as_str() {
            "" => String::new(),
            detail => format!(": {}", printable(detail)),
        };
        let remedy = match status {
            401 => make_a_key(&self.config),
            403 if problem.code == "scope_missing" => make_a_key(&self.config),
            403 => "see docs/responses.md for the code; the admin key's record may restrict its networks"
                .to_owned(),
            404 => "check KEYGATE_CONTROL_URL: it is the address of the control Worker, not of the gate"
                .to_owned(),
            503 if problem.code == "gate_misconfigured" => {
                format!(
                    "give the control Worker the secrets PEPPER and ADMIN_KEYS (`wrangler secret put PEPPER -c {}`), and KEY_PREFIX; its log says what is missing",
                    self.config
                )
            }
            _ => "run the command again; the control Worker's log says what failed".to_owned(),
        };
        Error::failed(format!("{} refused the question ({code}){detail}", self.place), remedy)
    }
}

impl UsageSource for ControlWorker {
    fn report(&self, query: &Query) -> Outcome<Report> {
        let Some(ids) = &query.keys else {
            return self.report_of(query, &[]);
        };
        let ids: Vec<KeyId> = ids.iter().copied().collect();
        let mut parts = ids.chunks(KEYS_AT_ONCE).map(|ids| self.report_of(query, ids));
        // INVARIANT: somebody who asks for keys names one at least.
        let mut report = parts.next().unwrap_or_else(|| self.report_of(query, &[]))?;
        for part in parts {
            report.add_other_keys(part?, query.keys_max);
        }
        Ok(report)
    }

    fn last_uses(&self) -> Outcome<LastUsesReport> {
        self.ask("last-uses", &[])
    }

    fn anomalies(&self) -> Outcome<AnomalyReport> {
        self.ask("anomalies", &[])
    }

    fn place(&self) -> &str {
        &self.place
    }
}

fn make_a_key(config: &str) -> String {
    format!(
        "make an admin key (`keygate issue --subject ops --scope admin:read --static admin-keys.json --config {config}`), give its record to the control Worker (`wrangler secret put ADMIN_KEYS -c {config} < admin-keys.json`), and set KEYGATE_ADMIN_KEY to the key"
    )
}

fn body(response: Response) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    response.take(ANSWER_MAX_BYTES).read_to_end(&mut body)?;
    Ok(body)
}

fn base_url(text: &str) -> Outcome<Url> {
    Url::parse(text).ok().filter(|_| may_carry_secrets(text)).ok_or_else(|| {
        Error::usage(
            "the address of the control Worker is not an https:// URL",
            "set KEYGATE_CONTROL_URL to its address, such as https://keygate-control.example.workers.dev; http:// is for this machine alone",
        )
    })
}
