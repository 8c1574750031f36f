//! Step 11: a rejection is logged as a line; an accepted request as a data point, or as a line if no dataset is bound.

use std::cell::Cell;
use std::panic;

use keygate_core::auth::decide::Permit;
use keygate_core::policy::bindings::USAGE;
use keygate_core::request::head::RequestHead;
use keygate_core::response::Denial;
use keygate_core::telemetry::event::{AcceptedResponse, Event, RequestContext};
use keygate_core::telemetry::log_budget::Allowance;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::console;
use worker::{AnalyticsEngineDataPointBuilder, AnalyticsEngineDataset, Env};

use crate::config::Isolate;
use crate::incoming::Incoming;
use crate::{log_limit, runtime, usage};

thread_local! {
    static HAS_PANIC_HOOK: Cell<bool> = const { Cell::new(false) };
}

/// Installs a panic hook that logs the location in the code. The `worker` crate's own hook would log the message, which could
/// quote a request.
pub(crate) fn log_panics() {
    if !HAS_PANIC_HOOK.replace(true) {
        panic::set_hook(Box::new(|panic| {
            let location = panic.location().map(ToString::to_string).unwrap_or_default();
            write(&Event::panicked(&runtime::rfc3339(runtime::now()), &location));
        }));
    }
}

/// Logs a rejection, unless the limit of this minute is reached.
pub(crate) fn denied(
    isolate: Option<&Isolate>,
    incoming: &Incoming,
    head: &RequestHead<'_>,
    denial: &Denial,
) {
    if let Some(isolate) = isolate {
        usage::refused(isolate, incoming, head, denial);
    }
    let now = runtime::now();
    let suppressed = match log_limit::spend(now) {
        Allowance::Suppress => return,
        Allowance::LogAfter { suppressed } => Some(suppressed),
        Allowance::Log => None,
    };
    let time = runtime::rfc3339(now);
    if let Some(suppressed) = suppressed {
        write(&Event::suppressed(&time, suppressed));
    }
    let policy = isolate.map(|isolate| &isolate.gate.policy);
    write(&Event::denied(&time, denial, &context(incoming, head), policy));
}

/// Counts an accepted request, and as a data point, if a dataset is bound.
pub(crate) fn counted(
    isolate: &Isolate,
    incoming: &Incoming,
    head: &RequestHead<'_>,
    env: &Env,
    permit: &Permit<'_>,
) {
    usage::accepted(isolate, incoming, head, permit);
    if !isolate.has_dataset {
        return;
    }
    let holder = permit.holder();
    let id = holder.as_ref().map_or("public", |holder| holder.id.as_str());
    let subject = holder.map_or("", |holder| holder.subject);
    let point = AnalyticsEngineDataPointBuilder::new()
        .indexes([id])
        .add_blob(subject)
        .add_blob(head.method)
        .add_double(1.0)
        .build();
    let dataset = runtime::property(env, USAGE).unchecked_into::<AnalyticsEngineDataset>();
    // A lost data point must not fail the request.
    drop(dataset.write_data_point(&point));
}

/// Logs an accepted request as a line, if no dataset is bound.
pub(crate) fn accepted(
    isolate: &Isolate,
    incoming: &Incoming,
    head: &RequestHead<'_>,
    permit: &Permit<'_>,
    response: AcceptedResponse,
) {
    let sample = isolate.gate.policy.access_log_sample();
    // For 0 and 1 no random number is needed.
    if isolate.has_dataset || sample <= 0.0 || (sample < 1.0 && js_sys::Math::random() >= sample) {
        return;
    }
    let holder = permit.holder().map(|holder| (holder.id, holder.subject));
    let policy = Some(&isolate.gate.policy);
    let time = runtime::rfc3339(runtime::now());
    write(&Event::access(&time, holder, response, &context(incoming, head), policy));
}

fn context<'a>(incoming: &'a Incoming, head: &RequestHead<'a>) -> RequestContext<'a> {
    RequestContext {
        request_id: incoming.id(head),
        method: head.method,
        path: head.path(),
        client_ip: head.client_ip(),
        user_agent: head.header("user-agent"),
    }
}

fn write(event: &Event<'_>) {
    console::log_1(&JsValue::from(event.to_line()));
}
