//! Quotas: units are spent in the isolate's memory, and lent by the Durable Object of the subject, which is bound as `QUOTA`.
//!
//! A request waits for the object only if the isolate holds too few units. Each request asks for itself: a promise of one request cannot
//! be awaited by another.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_timers::future::TimeoutFuture;
use keygate_core::auth::decide::{Charged, Permit, QuotaAnswer};
use keygate_core::quota::{
    Allowances, Asked, Lease, LeaseId, LeaseMessage, LeaseRequest, Payer, Remaining, ReturnMessage, Spending,
};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::future_to_promise;
use web_sys::{AbortSignal, RequestInit, Response};
use worker::ObjectNamespace;
use worker::worker_sys::{Context, Fetcher};

use crate::config::Isolate;
use crate::incoming::Incoming;
use crate::runtime;

/// The host is not looked at.
const LEASES: &str = "https://quota/leases";
const RETURNS: &str = "https://quota/returns";

/// How long a request waits for the object, in all.
const TIMEOUT_MS: u32 = 2_000;
/// A flush gives back what was not used for a while; one begins so long after a request.
const FLUSH_MS: u32 = 5_000;
/// A request begins another flush if none is to come after so long.
const COVERED_MS: u64 = 4_000;
/// The runtime ends what goes on for longer than 30 s after a response.
const FLUSHING_MS: u64 = 20_000;

/// What an isolate may spend without asking, and whom it asks.
pub(crate) struct Quotas {
    objects: ObjectNamespace,
    allowances: RefCell<Allowances>,
    /// When the last flush begins.
    flush_at_ms: Cell<u64>,
}

impl Quotas {
    pub(crate) fn new(objects: ObjectNamespace) -> Self {
        Self { objects, allowances: RefCell::default(), flush_at_ms: Cell::new(0) }
    }
}

/// Charges a request, and says what is left.
pub(crate) async fn charge(isolate: &Isolate, incoming: &Incoming, charged: &Charged<'_>) -> QuotaAnswer {
    let Some(quotas) = &isolate.quotas else {
        return QuotaAnswer::Failed("QUOTA is not bound".to_owned());
    };
    let (payer, cost) = (charged.payer(), charged.cost());
    // A lease that came too late is given back with the second request.
    for _ in 0..2 {
        let Some(id) = new_id() else { return QuotaAnswer::Failed("there are no random numbers".to_owned()) };
        let asked = runtime::now();
        let spending = quotas.allowances.borrow_mut().spend(&payer, cost, asked, || id);
        flush_later(quotas, incoming.context.as_ref());
        let Spending::Ask(request) = spending else {
            return QuotaAnswer::Paid(quotas.allowances.borrow().remaining(&payer, asked));
        };
        let lease = ask(quotas, &payer, &request).await;
        let now = runtime::now();
        let mut allowances = quotas.allowances.borrow_mut();
        let lease = match lease {
            Ok(lease) => lease,
            Err(error) => {
                allowances.fail(&payer, request, now);
                return QuotaAnswer::Failed(error);
            }
        };
        match allowances.add(&payer, &request, lease, asked, now) {
            Asked::Paid => return QuotaAnswer::Paid(allowances.remaining(&payer, now)),
            Asked::Exceeded => {
                let units = lease.left.saturating_add(allowances.held(&payer, now));
                return QuotaAnswer::Exceeded(Remaining { units, resets_in_secs: lease.resets_in_secs });
            }
            Asked::TooLate => {}
        }
    }
    QuotaAnswer::Failed("the leases had ended when they came".to_owned())
}

/// What is left of the quota of a permitted request, without charging anything.
pub(crate) async fn look(isolate: &Isolate, permit: &Permit<'_>) -> Option<Remaining> {
    let (quotas, payer) = (isolate.quotas.as_ref()?, permit.payer()?);
    let lease = ask(quotas, &payer, &LeaseRequest::look(new_id()?)).await.ok()?;
    let held = quotas.allowances.borrow().held(&payer, runtime::now());
    Some(Remaining { units: lease.left.saturating_add(held), resets_in_secs: lease.resets_in_secs })
}

fn new_id() -> Option<LeaseId> {
    runtime::random_uuid().map(|id| LeaseId(id.to_string()))
}

/// Asks the object of the payer; once more with the same id if it fails.
async fn ask(quotas: &Quotas, payer: &Payer, request: &LeaseRequest) -> Result<Lease, String> {
    let body = LeaseMessage { quota: payer.quota, request: request.clone() }.to_json();
    let start = runtime::now().0;
    let first = answer(quotas, payer, &body, TIMEOUT_MS).await;
    let waited = u32::try_from(runtime::now().0.saturating_sub(start)).unwrap_or(TIMEOUT_MS);
    match TIMEOUT_MS.checked_sub(waited).filter(|left| first.is_err() && *left > 0) {
        Some(left_ms) => answer(quotas, payer, &body, left_ms).await,
        None => first,
    }
}

async fn answer(quotas: &Quotas, payer: &Payer, body: &str, ms: u32) -> Result<Lease, String> {
    let response = send(quotas, payer, LEASES, body, ms).await?;
    let text = response.text().map_err(|error| runtime::message(&error))?;
    let text = settled(ms, &text).await?.as_string().unwrap_or_default();
    Lease::from_json(&text).ok_or_else(|| "the answer of QUOTA is not a lease".to_owned())
}

/// Sends a message to the object of the payer. The runtime aborts it after `ms`.
async fn send(quotas: &Quotas, payer: &Payer, url: &str, body: &str, ms: u32) -> Result<Response, String> {
    let call = || -> Result<_, JsValue> {
        let object = quotas.objects.get_by_name(&payer.subject)?.into_rpc::<Fetcher>();
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_body(&body.into());
        init.set_signal(Some(&AbortSignal::timeout_with_u32(ms)));
        object.fetch_with_str_and_init(url, &init)
    };
    let promise = call().map_err(|error| runtime::message(&error))?;
    let response = settled(ms, &promise).await?.unchecked_into::<Response>();
    if response.ok() { Ok(response) } else { Err(format!("QUOTA answered {}", response.status())) }
}

async fn settled(ms: u32, promise: &js_sys::Promise) -> Result<JsValue, String> {
    match runtime::settled_within(ms, promise).await {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(runtime::message(&error)),
        None => Err(format!("QUOTA gave no answer within {TIMEOUT_MS} ms")),
    }
}

/// Begins a flush some time after the response, unless one is to come late enough for this request.
fn flush_later(quotas: &Rc<Quotas>, context: Option<&Context>) {
    let now = runtime::now().0;
    let Some(context) = context.filter(|_| quotas.flush_at_ms.get() < now + COVERED_MS) else { return };
    quotas.flush_at_ms.set(now + u64::from(FLUSH_MS));
    let quotas = Rc::clone(quotas);
    let flushed = future_to_promise(async move {
        TimeoutFuture::new(FLUSH_MS).await;
        flush(&quotas).await;
        Ok(JsValue::UNDEFINED)
    });
    // Fails if the request is over, which it is not.
    drop(context.wait_until(&flushed));
}

/// Gives back what was not used for a while. What does not arrive counts as spent.
async fn flush(quotas: &Quotas) {
    let start = runtime::now().0;
    while runtime::now().0 < start + FLUSHING_MS {
        let unused = quotas.allowances.borrow_mut().next_unused(runtime::now());
        let Some((payer, unused)) = unused else { return };
        let body = ReturnMessage { quota: payer.quota, unused }.to_json();
        if send(quotas, &payer, RETURNS, &body, TIMEOUT_MS).await.is_err() {
            // It takes each lease back once.
            drop(send(quotas, &payer, RETURNS, &body, TIMEOUT_MS).await);
        }
    }
}
