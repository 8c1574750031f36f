//! What operators ask, with an admin key: a key of the gate's own format whose record is in the secret `ADMIN_KEYS`.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/usage` | `keygate_core::usage::Report` |
//! | `GET /v1/last-uses` | `keygate_core::usage::LastUsesReport` |
//! | `GET /v1/anomalies` | `keygate_core::usage::AnomalyReport` |
//!
//! The core admits and decides as it does for the gate. Without `PEPPER` and `ADMIN_KEYS` every request is answered 503.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use keygate_core::auth::admission::{Admission, Gate};
use keygate_core::auth::decide::{Decision, Lookup, decide};
use keygate_core::auth::secrets::{SecretValues, Secrets};
use keygate_core::key::KeyId;
use keygate_core::policy::Policy;
use keygate_core::request::head::RequestHead;
use keygate_core::request::url::UrlParts;
use keygate_core::response::{Answer, Cause, Denial, Row, Wording};
use keygate_core::telemetry::event::{AcceptedResponse, Event, RequestContext};
use keygate_core::telemetry::log_budget::{Allowance, LogBudget};
use keygate_core::time::UnixSeconds;
use keygate_core::usage::{Hour, Query, Step};
use serde_json::json;
use worker::{Env, Headers, Method, Request, RequestInit, Response, Result, console_log};

use crate::runtime;
use crate::warning::variable;

/// A binding of the control Worker to its own objects.
const KEY_USAGE: &str = "KEY_USAGE";
/// The one object that all gates send to.
const OBJECT: &str = "usage";
/// At most so many keys in one answer.
const KEYS_MAX: usize = 1000;

const QUERY_INVALID: Row = Row {
    code: "query_invalid",
    status: 400,
    title: "Query not valid",
    detail: "A parameter is not understood.",
};
const NOT_FOUND: Row = Row {
    code: "not_found",
    status: 404,
    title: "Not found",
    detail: "GET /v1/usage, GET /v1/last-uses and GET /v1/anomalies are here.",
};

thread_local! {
    static GATE: OnceCell<core::result::Result<Rc<Gate>, String>> = const { OnceCell::new() };
}

/// Answers a request.
///
/// # Errors
/// The runtime's.
pub(crate) async fn answer(request: &Request, env: &Env) -> Result<Response> {
    let gate = GATE.with(|gate| gate.get_or_init(|| gate_of(env)).clone());
    let asking = Asking::read(request);
    let gate = match gate {
        Ok(gate) => gate,
        Err(what) => return refuse(&asking, &Cause::Misconfigured(what).into(), None),
    };
    let (id, subject) = match asking.with_head(&gate.policy, |head| authorize(&gate, head)) {
        Ok(holder) => holder,
        Err(denial) => return refuse(&asking, &denial, Some(&gate.policy)),
    };
    let answer = tell(request, env, &asking.id).await?;
    let response = AcceptedResponse { status: Some(answer.status_code()), origin_ms: None };
    let time = runtime::rfc3339(runtime::now());
    let event = Event::access(&time, Some((id, &subject)), response, &asking.context(), Some(&gate.policy));
    console_log!("{}", event.to_line());
    Ok(answer)
}

async fn tell(request: &Request, env: &Env, request_id: &str) -> Result<Response> {
    let object = env.durable_object(KEY_USAGE)?.get_by_name(OBJECT)?;
    let url = request.url()?;
    match url.path() {
        "/v1/last-uses" => object.fetch_with_str("https://usage/last-uses").await,
        "/v1/anomalies" => {
            let mut init = RequestInit::new();
            init.with_method(Method::Post);
            object.fetch_with_request(Request::new_with_init("https://usage/anomalies", &init)?).await
        }
        "/v1/usage" => match query_of(&url, runtime::now().seconds()) {
            Ok(query) => {
                let mut init = RequestInit::new();
                init.with_method(Method::Post).with_body(Some(serde_json::to_string(&query)?.into()));
                object.fetch_with_request(Request::new_with_init("https://usage/reports", &init)?).await
            }
            Err(what) => respond(&Answer::of_problem(QUERY_INVALID, &what), request_id),
        },
        _ => respond(&Answer::of_problem(NOT_FOUND, NOT_FOUND.detail), request_id),
    }
}

/// What is read of a request. Any of it may contain a key.
struct Asking {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    id: String,
}

impl Asking {
    fn read(request: &Request) -> Self {
        Self {
            method: request.method().to_string(),
            url: request.inner().url(),
            headers: request.headers().entries().collect(),
            id: runtime::random_id(),
        }
    }

    fn with_head<T>(&self, policy: &Policy, with: impl FnOnce(&RequestHead<'_>) -> T) -> T {
        let names = self.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join("\n");
        let read = self.headers.iter().filter(|(name, _)| policy.reads_header(name));
        let pairs: Vec<(&str, &str)> = read.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        with(&RequestHead { method: &self.method, url: &self.url, header_names: &names, headers: &pairs })
    }

    fn context(&self) -> RequestContext<'_> {
        let header = |wanted: &str| {
            self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
        };
        RequestContext {
            request_id: &self.id,
            method: &self.method,
            path: UrlParts::of(&self.url).path,
            client_ip: header("cf-connecting-ip"),
            user_agent: header("user-agent"),
        }
    }
}

fn gate_of(env: &Env) -> core::result::Result<Rc<Gate>, String> {
    let text = |name: &str| variable(env, name);
    let (pepper, admin_keys) = (text("PEPPER"), text("ADMIN_KEYS"));
    let secrets = Secrets::parse(&SecretValues {
        pepper: pepper.as_deref(),
        static_keys: admin_keys.as_deref(),
        ..SecretValues::default()
    });
    let policy = Policy::from_json(
        &json!({
            // Nothing is forwarded.
            "ORIGIN": "https://control.invalid",
            "KEY_PREFIX": text("KEY_PREFIX").unwrap_or_default(),
            "ALLOW_HTTP": text("ALLOW_HTTP").as_deref() == Some("true"),
            "ROUTES": [
                { "path": "/v1/*", "methods": ["GET"], "scopes": ["admin:read"] },
                { "path": "/*", "access": "deny" },
            ],
        })
        .to_string(),
    );
    match (policy, secrets) {
        (Ok(policy), Ok(secrets)) if admin_keys.is_some() => Ok(Rc::new(Gate { policy, secrets })),
        (policy, secrets) => {
            let mut errors: Vec<String> = Vec::new();
            if let Err(list) = &policy {
                errors.extend(list.iter().map(ToString::to_string));
            }
            if let Err(list) = &secrets {
                errors
                    .extend(list.iter().map(|error| error.to_string().replace("STATIC_KEYS", "ADMIN_KEYS")));
            }
            if admin_keys.is_none() {
                errors.push("secret ADMIN_KEYS is missing".to_owned());
            }
            Err(errors.join("; "))
        }
    }
}

/// The admin key of the request, and its holder.
fn authorize(gate: &Gate, head: &RequestHead<'_>) -> core::result::Result<(KeyId, String), Denial> {
    let admitted = match gate.admit(head)? {
        Admission::Proceed(admitted) => admitted,
        Admission::AnswerPreflight => return Err(Cause::RouteDenied.into()),
    };
    let found = match admitted.key_id().map(|id| gate.secrets.static_key(&id)) {
        None => Lookup::NotNeeded,
        Some(None) => Lookup::Unknown,
        Some(Some(record)) => Lookup::Found(record),
    };
    // There are no plans, and no public routes.
    let Decision::Permit(permit) = decide(gate, &admitted, found, runtime::now().seconds())? else {
        return Err(Cause::RouteDenied.into());
    };
    let holder = permit.holder().ok_or(Cause::RouteDenied)?;
    Ok((holder.id, holder.subject.to_owned()))
}

/// Of the parameters `keys` (ids with commas between), `from` and `to` (Unix seconds), `by` (`hour` or `day`) and `keys_max`.
fn query_of(url: &worker::Url, now: UnixSeconds) -> core::result::Result<Query, String> {
    let week = UnixSeconds::new(now.seconds().saturating_sub(7 * 86_400)).unwrap_or(now);
    let (mut keys, mut from, mut to, mut by, mut keys_max) = (None, week, now, Step::default(), 100);
    for (name, value) in url.query_pairs() {
        let seconds = || {
            let time = value.parse().ok().and_then(UnixSeconds::new);
            time.ok_or_else(|| format!("{name} is Unix seconds"))
        };
        match &*name {
            "keys" => {
                let ids: core::result::Result<BTreeSet<_>, _> = value.split(',').map(str::parse).collect();
                keys = Some(ids.map_err(|_| "keys is a list of key ids with commas between".to_owned())?);
            }
            "from" => from = seconds()?,
            "to" => to = seconds()?,
            "by" if value == "hour" => by = Step::Hour,
            "by" if value == "day" => by = Step::Day,
            "by" => return Err("by is `hour` or `day`".to_owned()),
            "keys_max" => {
                let number = value.parse().ok().filter(|number| *number <= KEYS_MAX);
                keys_max = number.ok_or_else(|| format!("keys_max is a number up to {KEYS_MAX}"))?;
            }
            other => return Err(format!("there is no parameter `{other}`: keys, from, to, by, keys_max")),
        }
    }
    if from > to {
        return Err("from is after to".to_owned());
    }
    Ok(Query { keys, hours: Hour::of(from)..=Hour::of(to), by, keys_max })
}

fn refuse(asking: &Asking, denial: &Denial, policy: Option<&Policy>) -> Result<Response> {
    log_refusal(asking, denial, policy);
    respond(&denial.answer(&Wording::default()), &asking.id)
}

fn respond(answer: &Answer, request_id: &str) -> Result<Response> {
    let headers = Headers::new();
    for (name, value) in &answer.headers {
        headers.set(name, value)?;
    }
    Ok(Response::ok(answer.body(request_id))?.with_status(answer.status).with_headers(headers))
}

/// As many a minute as a gate logs by default.
const REFUSALS_PER_MINUTE: u32 = 60;

thread_local! {
    static BUDGET: RefCell<LogBudget> = RefCell::new(LogBudget::new(REFUSALS_PER_MINUTE));
}

fn log_refusal(asking: &Asking, denial: &Denial, policy: Option<&Policy>) {
    let now = runtime::now();
    let time = runtime::rfc3339(now);
    match BUDGET.with_borrow_mut(|budget| budget.spend(now.0)) {
        Allowance::Suppress => return,
        Allowance::LogAfter { suppressed } => {
            console_log!("{}", Event::suppressed(&time, suppressed).to_line());
        }
        Allowance::Log => {}
    }
    console_log!("{}", Event::denied(&time, denial, &asking.context(), policy).to_line());
}
