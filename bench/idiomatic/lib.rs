//! The gate's job as one would write it with the `worker` crate: its `Request`, `Headers`, `Response` and `Fetch`, an
//! `async` handler, and KV by its own binding. What decides is the same `keygate-core`, so the difference to the gate is
//! what the types cost.
//!
//! Kept small: no Secrets Store, no limits, no CORS, no preflight, no origin timeout.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use js_sys::{JSON, Object, Reflect};
use keygate_core::auth::admission::{Admission, Gate, Head, UrlParts};
use keygate_core::auth::cache::{Cached, RecordCache};
use keygate_core::auth::decide::{Destination, Lookup, Permit, Verdict, decide};
use keygate_core::response::denial::{Cause, Denial};
use keygate_core::telemetry::event::{Event, Scene};
use keygate_core::telemetry::log_budget::{Allowance, LogBudget};
use keygate_core::policy::Policy;
use keygate_core::record::Record;
use keygate_core::time::UnixSeconds;
use keygate_core::auth::secrets::{SecretTexts, Secrets};
use wasm_bindgen::JsValue;
use worker::{
    CacheMode, Context, Date, Env, Error, Fetch, Headers, Method, Request, RequestInit, RequestRedirect,
    Response, console_log, event,
};

struct Isolate {
    gate: Gate,
    cache: RefCell<RecordCache>,
    log_budget: RefCell<LogBudget>,
}

thread_local! {
    static ISOLATE: OnceCell<&'static Isolate> = const { OnceCell::new() };
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, _context: Context) -> worker::Result<Response> {
    let isolate = ISOLATE.with(|isolate| match isolate.get() {
        Some(isolate) => Ok(*isolate),
        None => start(&env).map(|started| *isolate.get_or_init(|| started)),
    })?;
    match handle(isolate, &request, &env).await? {
        Ok(response) => Ok(response),
        Err(denial) => refuse(isolate, &request, &denial),
    }
}

fn start(env: &Env) -> worker::Result<&'static Isolate> {
    const VARIABLES: [&str; 7] = [
        "ORIGIN",
        "KEY_PREFIX",
        "CREDENTIALS",
        "ROUTES",
        "CACHE_SECONDS",
        "CACHE_ENTRIES",
        "REJECTION_LOGS_PER_MINUTE",
    ];
    let variables = Object::new();
    for name in VARIABLES {
        let name = JsValue::from_str(name);
        Reflect::set(&variables, &name, &Reflect::get(env, &name)?)?;
    }
    let variables = String::from(JSON::stringify(&variables)?);
    let policy = Policy::from_json(&variables);
    let policy = policy.map_err(|_| Error::from("the policy is wrong"))?;
    let pepper = env.secret("PEPPER")?.to_string();
    let secrets = Secrets::parse(&SecretTexts {
        pepper: Some(&pepper),
        pepper_previous: None,
        static_keys: None,
        denied_ids: None,
        origin_authorization: None,
        origin_signing_key: None,
    });
    let secrets = secrets.map_err(|_| Error::from("the secrets are wrong"))?;
    Ok(Box::leak(Box::new(Isolate {
        cache: RefCell::new(RecordCache::new(
            policy.cache_entries(),
            policy.cache_secs(),
            policy.stale_secs(),
        )),
        log_budget: RefCell::new(LogBudget::new(policy.rejection_logs_per_minute())),
        gate: Gate { policy, secrets },
    })))
}

async fn handle(isolate: &Isolate, request: &Request, env: &Env) -> worker::Result<Result<Response, Denial>> {
    let headers = request.headers();
    let url = request.inner().url();
    let method = request.inner().method();
    let client_ip = headers.get("cf-connecting-ip")?;
    let authorization = headers.get("authorization")?;
    let mut places: Vec<Option<String>> = Vec::new();
    for name in isolate.gate.policy.places().header_names() {
        places.push(headers.get(name)?);
    }
    let places: Vec<Option<&str>> = places.iter().map(Option::as_deref).collect();
    let head = Head {
        method: &method,
        url: &url,
        client_ip: client_ip.as_deref(),
        origin: None,
        preflight_method: None,
        authorization: authorization.as_deref(),
        destination: None,
        method_headers: &[],
        credential_headers: &places,
    };
    let admitted = match isolate.gate.admit(&head) {
        Ok(Admission::Proceed(admitted)) => admitted,
        Ok(Admission::AnswerPreflight) => return Response::empty().map(Ok),
        Err(denial) => return Ok(Err(denial)),
    };
    let record;
    let found = match admitted.key_id() {
        None => Lookup::NotNeeded,
        Some(id) => {
            let now_ms = Date::now().as_millis();
            let cached = isolate.cache.borrow_mut().look_up(&id, now_ms);
            if let Cached::Fresh(cached) = cached {
                record = cached;
                Lookup::Found(&record)
            } else {
                let entry = env.kv("KEYS")?.get(&id.kv_name()).cache_ttl(30).text().await;
                match entry.map(|entry| entry.map(|json| Record::parse_entry(id, &json))) {
                    Ok(Some(Ok(read))) => {
                        record = Rc::new(read);
                        isolate.cache.borrow_mut().keep(&record, now_ms);
                        Lookup::Found(&record)
                    }
                    Ok(Some(Err(fault))) => Lookup::Invalid(fault),
                    Ok(None) => Lookup::Unknown,
                    Err(error) => Lookup::Failed(error.to_string()),
                }
            }
        }
    };
    let now = UnixSeconds::new(Date::now().as_millis() / 1000).unwrap_or(UnixSeconds::MAX);
    match decide(&isolate.gate, &admitted, found, now) {
        Ok(Verdict::Permit(permit)) => match forward(isolate, request, &permit).await {
            Ok(response) => Ok(Ok(response)),
            Err(error) => Ok(Err(Cause::OriginUnreachable(error.to_string()).into())),
        },
        Ok(Verdict::Limited(_)) => Err(Error::from("limits are more than this contender does")),
        Err(denial) => Ok(Err(denial)),
    }
}

async fn forward(isolate: &Isolate, request: &Request, permit: &Permit<'_>) -> worker::Result<Response> {
    let url = match permit.destination() {
        Destination::Url(url) | Destination::Service { url, .. } => url,
    };
    let headers = Headers::new();
    for (name, value) in request.headers() {
        let plain = name.replace('_', "-");
        let is_credential = plain == "authorization"
            || isolate.gate.policy.places().header_names().iter().any(|place| **place == *plain);
        if !is_credential && !plain.starts_with("x-keygate-") {
            headers.append(&name, &value)?;
        }
    }
    if let Some(holder) = permit.holder() {
        headers.set("x-keygate-key-id", holder.id.as_str())?;
        headers.set("x-keygate-subject", holder.subject)?;
        if let Some(scopes) = holder.scopes_header() {
            headers.set("x-keygate-scopes", &scopes)?;
        }
    }
    if let Some(ip) = permit.client_ip() {
        headers.set("x-forwarded-for", ip)?;
    }
    headers.set("x-forwarded-host", permit.forwarded_host())?;
    headers.set("x-forwarded-proto", permit.forwarded_proto())?;
    let mut init = RequestInit::new();
    init.with_method(Method::from(request.inner().method()))
        .with_headers(headers)
        .with_redirect(RequestRedirect::Manual)
        .with_body(request.inner().body().map(Into::into));
    if permit.no_store() {
        init.with_cache(CacheMode::NoStore);
    }
    Fetch::Request(Request::new_with_init(&url, &init)?).send().await
}

fn refuse(isolate: &Isolate, request: &Request, denial: &Denial) -> worker::Result<Response> {
    let incoming = request.headers();
    let request_id = incoming.get("cf-ray")?.unwrap_or_default();
    let allowance = isolate.log_budget.borrow_mut().ask(Date::now().as_millis());
    if !matches!(allowance, Allowance::Suppress) {
        let (url, method) = (request.inner().url(), request.inner().method());
        let (client_ip, user_agent) = (incoming.get("cf-connecting-ip")?, incoming.get("user-agent")?);
        let scene = Scene {
            request_id: &request_id,
            method: &method,
            path: UrlParts::of(&url).path,
            client_ip: client_ip.as_deref(),
            user_agent: user_agent.as_deref(),
        };
        let time = Date::now().to_string();
        console_log!(
            "{}",
            Event::denied(&time, denial, &scene, Some(isolate.gate.policy.key_prefix())).to_line()
        );
    }
    let answer = denial.answer(isolate.gate.policy.realm());
    let headers = Headers::new();
    for (name, value) in &answer.headers {
        headers.set(name, value)?;
    }
    Ok(Response::from_body(worker::ResponseBody::Body(answer.body(&request_id).into_bytes()))?
        .with_status(answer.status)
        .with_headers(headers))
}
