//! Requests through the whole core: admission, lookup, decision.

mod decision;
mod limits;
mod permit;

use std::format;
use std::string::{String, ToString};

use super::{Decision, LimiterAnswer, Lookup, Permit, QuotaAnswer, decide};
use crate::auth::admission::{Admission, Gate};
use crate::auth::secrets::{SecretValues, Secrets};
use crate::key::pepper::Pepper;
use crate::key::{KeyPrefix, NewKey};
use crate::policy::Policy;
use crate::record::Record;
use crate::request::head::RequestHead;
use crate::response::Denial;
use crate::time::UnixSeconds;

const PEPPER: &str = "Zk9wVGVzdFBlcHBlck5vdEZvclVzZTAxMjM0NTY3ODkrLw";
const NOW: u64 = 1_800_000_000;

const POLICY: &str = r#"{
    "ORIGIN":"https://origin.example/base", "KEY_PREFIX":"acme_live",
    "CREDENTIALS":["bearer","header:x-api-key","query:api_key"],
    "CORS_ORIGINS":["https://app.example"], "ALLOW_HTTP":true,
    "PLANS":{"free":{"rate":{"limiter":"RATE_FREE","period":60,"limit":5}},"paid":{"quota":{"limit":1000,"period":"day"}},
        "both":{"rate":{"limiter":"RATE_FREE","period":60},"quota":{"limit":1000,"period":"day"}}},
    "ROUTES":[
        {"path":"/public/*","access":"public"}, {"path":"/closed/*","access":"deny"},
        {"path":"/admin/*","scopes":["admin","audit"]}, {"path":"/acme/*","subjects":["acme"]},
        {"path":"/read/*","methods":["GET"]}, {"path":"/zone/*","origin":"zone","cache":true},
        {"path":"/free-of-charge/*","cost":0}, {"path":"/dear/*","cost":10000}, {"path":"/cached/*","cache":true},
        {"path":"/service/*","origin":"service:BACKEND"},
        {"path":"/trusted/*","origin":"https://other.example","origin_authorization":true,"origin_signature":true},
        {"path":"/bare/*","origin_authorization":false,"origin_signature":false}]
}"#;

/// A gate with the policy above, and more variables or other secrets.
fn gate(vars: &[(&str, &str)], secrets: &SecretValues<'_>) -> Gate {
    let mut all: serde_json::Map<String, serde_json::Value> = serde_json::from_str(POLICY).unwrap();
    for (name, json) in vars {
        all.insert((*name).into(), serde_json::from_str(json).unwrap());
    }
    let pepper = secrets.pepper.or(Some(PEPPER));
    Gate {
        policy: Policy::from_json(&serde_json::to_string(&all).unwrap()).unwrap(),
        secrets: Secrets::parse(&SecretValues { pepper, ..*secrets }).unwrap(),
    }
}

/// A key, the same each time, and its record.
fn issued() -> (String, Record) {
    let pepper = PEPPER.parse::<Pepper>().unwrap();
    let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
    let mut byte = 0_u8;
    let key = NewKey::from_entropy(&prefix, &pepper, |bytes| {
        for b in bytes {
            *b = byte;
            byte = byte.wrapping_add(7);
        }
        Ok::<(), ()>(())
    })
    .unwrap();
    let digest = pepper.digest(&key.as_presented());
    let record = json_record(&key.id().to_string(), &digest.to_string(), "");
    (key.reveal().to_string(), record)
}

fn json_record(id: &str, digest: &str, more: &str) -> Record {
    let json = format!(
        r#"{{"v":1,"id":"{id}","subject":"acme","digest":"{digest}","created":1764000000{}{more}}}"#,
        if more.contains("state") { "" } else { r#","state":"active""# },
    );
    Record::parse(&json).unwrap()
}

/// The record with other fields: `more` is JSON that begins with a comma.
fn with(record: &Record, more: &str) -> Record {
    json_record(record.id.as_str(), &record.digest.to_string(), more)
}

struct Request<'a> {
    method: &'a str,
    url: &'a str,
    client_ip: Option<&'a str>,
    origin: Option<&'a str>,
    preflight_method: Option<&'a str>,
    authorization: Option<&'a str>,
    x_api_key: Option<&'a str>,
}

const REQUEST: Request<'static> = Request {
    method: "GET",
    url: "https://gate.example/v1/things?a=%2f&b=+",
    client_ip: Some("203.0.113.9"),
    origin: None,
    preflight_method: None,
    authorization: None,
    x_api_key: None,
};

/// The outcome for a request: the result of `check` for a permit, or the refusal.
fn outcome<T>(
    gate: &Gate,
    request: &Request<'_>,
    found: Lookup<'_>,
    now: u64,
    check: impl Fn(&Permit<'_>) -> T,
) -> Result<T, Denial> {
    let headers = [
        ("cf-connecting-ip", request.client_ip),
        ("origin", request.origin),
        ("access-control-request-method", request.preflight_method),
        ("authorization", request.authorization),
        ("x-api-key", request.x_api_key),
    ]
    .map(|(name, value)| (name, value.unwrap_or_default()));
    let head = RequestHead { method: request.method, url: request.url, header_names: "", headers: &headers };
    let Admission::Proceed(admitted) = gate.admit(&head)? else {
        panic!("a preflight was answered");
    };
    let found = if admitted.key_id().is_none() { Lookup::NotNeeded } else { found };
    let mut decision = decide(gate, &admitted, found, UnixSeconds::new(now).unwrap())?;
    loop {
        decision = match decision {
            Decision::Permit(permit) => return Ok(check(&permit)),
            Decision::Limited(limited) => limited.settle(LimiterAnswer::Within)?,
            Decision::Charged(charged) => Decision::Permit(charged.settle(QuotaAnswer::Paid(None))?),
        }
    }
}

fn code(gate: &Gate, request: &Request<'_>, found: Lookup<'_>, now: u64) -> &'static str {
    match outcome(gate, request, found, now, |_| ()) {
        Ok(()) => "permit",
        Err(denial) => denial.cause.code().row().code,
    }
}
