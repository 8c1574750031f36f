//! Step 11: a rejection is a line; an accepted request is a data point, or a line where no dataset is bound.

use std::cell::RefCell;
use std::panic::PanicHookInfo;

use keygate_core::admission::{Head, UrlParts};
use keygate_core::decide::Permit;
use keygate_core::denial::Denial;
use keygate_core::event::{Event, Scene};
use keygate_core::log_budget::{Allowance, LogBudget};

use crate::glue;
use crate::isolate::Isolate;
use crate::lookup::Moment;

/// When an event is, and what it is about; `described` is what [`glue::describe`] says.
fn scene<'a>(described: &'a str, head: &Head<'a>) -> (&'a str, Scene<'a>) {
    let (request_id, rest) = described.split_once('\n').unwrap_or((described, ""));
    let (time, user_agent) = rest.split_once('\n').unwrap_or((rest, ""));
    let scene = Scene {
        request_id,
        method: head.method,
        path: UrlParts::of(head.url).path,
        client_ip: head.client_ip,
        user_agent: Some(user_agent).filter(|name| !name.is_empty()),
    };
    (time, scene)
}

thread_local! {
    // Until the policy is read: enough to see what is wrong with it.
    static BUDGET: RefCell<LogBudget> = RefCell::new(LogBudget::new(60));
}

/// Caps the rejections that are logged in a minute.
pub(crate) fn set_cap(per_minute: u32) {
    BUDGET.set(LogBudget::new(per_minute));
}

/// Logs a rejection, unless the isolate has logged too many in this minute.
pub(crate) fn denied(isolate: Option<&Isolate>, head: &Head<'_>, now: Moment, denial: &Denial) {
    let suppressed = match BUDGET.with_borrow_mut(|budget| budget.ask(now.millis())) {
        Allowance::Suppress => return,
        Allowance::LogAfter { suppressed } => Some(suppressed),
        Allowance::Log => None,
    };
    let described = glue::describe();
    let (time, scene) = scene(&described, head);
    if let Some(suppressed) = suppressed {
        glue::log(&Event::suppressed(time, suppressed).to_line());
    }
    let prefix = isolate.map(|isolate| isolate.gate.policy.key_prefix());
    let event = Event::denied(time, denial, &scene, prefix);
    glue::log(&event.to_line());
}

/// Records an accepted request.
pub(crate) fn accepted(isolate: &Isolate, head: &Head<'_>, permit: &Permit<'_>) {
    let holder = permit.holder();
    if isolate.has_usage {
        let id = holder.as_ref().map_or("public", |holder| holder.id.as_str());
        let subject = holder.map_or("", |holder| holder.subject);
        glue::usage(&[id, subject, head.method].join("\n"));
        return;
    }
    let sample = isolate.gate.policy.access_log_sample();
    // Most policies say 0 or 1, and need no random number.
    if sample <= 0.0 || (sample < 1.0 && glue::random() >= sample) {
        return;
    }
    let described = glue::describe();
    let (time, scene) = scene(&described, head);
    let holder = holder.map(|holder| (holder.id, holder.subject));
    let prefix = Some(isolate.gate.policy.key_prefix());
    let event = Event::access(time, holder, &scene, prefix);
    glue::log(&event.to_line());
}

/// Logs the panic that ends this instance: the place in the code, and not its message, which could quote a request.
pub(crate) fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    glue::log(&Event::panicked(&glue::now(), &place).to_line());
}
