//! Step 11: a rejection is a line; an accepted request is a data point, or a line where no dataset is bound.

use std::cell::RefCell;
use std::panic::PanicHookInfo;

use keygate_core::admission::{Head, UrlParts};
use keygate_core::decide::Permit;
use keygate_core::denial::Denial;
use keygate_core::event::{Event, Scene};
use keygate_core::log_budget::{Allowance, LogBudget};
use web_sys::Request;

use crate::glue::{self, Env};
use crate::isolate::Isolate;
use crate::lookup::now_ms;

/// What only the log and the gate's own answers need of a request.
pub(crate) struct Described(String);

impl Described {
    pub(crate) fn of(request: &Request) -> Self {
        Self(glue::describe(request))
    }

    fn part(&self, at: usize) -> &str {
        self.0.splitn(3, '\n').nth(at).unwrap_or_default()
    }

    pub(crate) fn request_id(&self) -> &str {
        self.part(0)
    }

    fn time(&self) -> &str {
        self.part(1)
    }

    fn scene<'a>(&'a self, head: &Head<'a>) -> Scene<'a> {
        Scene {
            request_id: self.request_id(),
            method: head.method,
            path: UrlParts::of(head.url).path,
            client_ip: head.client_ip,
            user_agent: Some(self.part(2)).filter(|name| !name.is_empty()),
        }
    }
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
pub(crate) fn denied(isolate: Option<&Isolate>, described: &Described, head: &Head<'_>, denial: &Denial) {
    match BUDGET.with_borrow_mut(|budget| budget.ask(now_ms())) {
        Allowance::Suppress => return,
        Allowance::LogAfter { suppressed } => {
            glue::log(&Event::suppressed(described.time(), suppressed).to_line());
        }
        Allowance::Log => {}
    }
    let prefix = isolate.map(|isolate| isolate.gate.policy.key_prefix());
    let event = Event::denied(described.time(), denial, &described.scene(head), prefix);
    glue::log(&event.to_line());
}

/// Records an accepted request.
pub(crate) fn accepted(
    isolate: &Isolate,
    request: &Request,
    env: &Env,
    head: &Head<'_>,
    permit: &Permit<'_>,
) {
    let holder = permit.holder();
    if isolate.has_usage {
        let id = holder.as_ref().map_or("public", |holder| holder.id.as_str());
        let subject = holder.map_or("", |holder| holder.subject);
        glue::usage(env, &[id, subject, head.method].join("\n"));
        return;
    }
    let sample = isolate.gate.policy.access_log_sample();
    if sample < 1.0 && js_sys::Math::random() >= sample {
        return;
    }
    let described = Described::of(request);
    let holder = holder.map(|holder| (holder.id, holder.subject));
    let prefix = Some(isolate.gate.policy.key_prefix());
    let event = Event::access(described.time(), holder, &described.scene(head), prefix);
    glue::log(&event.to_line());
}

/// Logs the panic that ends this instance: the place in the code, and not its message, which could quote a request.
pub(crate) fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    glue::log(&Event::panicked(&glue::now(), &place).to_line());
}
