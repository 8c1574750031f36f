//! Log events: one line of JSON each, with a fixed set of fields.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::string::ToString as _;

use crate::key::KeyId;
use crate::policy::Policy;
use crate::response::{Cause, Denial};

use crate::telemetry::event_kind::EventKind;
use crate::telemetry::redact::clean;

/// The request that an event is about. All values may be hostile.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestContext<'a> {
    /// The id of the request, in the response and in the log.
    pub request_id: &'a str,
    /// The raw method.
    pub method: &'a str,
    /// The path without its query.
    pub path: &'a str,
    /// The client's address as the platform reports it.
    pub client_ip: Option<&'a str>,
    /// `User-Agent`.
    pub user_agent: Option<&'a str>,
}

/// The response to an accepted request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedResponse {
    /// The HTTP status; `None` if there was no response.
    pub status: Option<u16>,
    /// Milliseconds until the origin's headers came, or until it failed; `None`: the gate answered.
    pub origin_ms: Option<u64>,
}

/// One line of the log.
#[derive(Debug)]
pub struct Event<'a> {
    time: &'a str,
    kind: EventKind,
    code: Option<&'static str>,
    reason: Option<Cow<'a, str>>,
    status: Option<u16>,
    origin_ms: Option<u64>,
    request_id: Option<&'a str>,
    key_id: Option<KeyId>,
    subject: Option<&'a str>,
    method: Option<Cow<'a, str>>,
    path: Option<Cow<'a, str>>,
    client_ip: Option<Cow<'a, str>>,
    user_agent: Option<Cow<'a, str>>,
    suppressed: Option<u64>,
}

/// Long enough to recognize an attack, short enough that a flood does not fill the log.
const METHOD_MAX: usize = 32;
const PATH_MAX: usize = 512;
const ADDRESS_MAX: usize = 64;
const USER_AGENT_MAX: usize = 256;
const REASON_MAX: usize = 512;
const CONFIGURATION_MAX: usize = 4096;

impl<'a> Event<'a> {
    /// A request was refused.
    #[must_use]
    pub fn denied(
        time: &'a str,
        denial: &'a Denial,
        context: &RequestContext<'a>,
        policy: Option<&Policy>,
    ) -> Self {
        let code = denial.cause.code();
        let row = code.row();
        // So that the errors of all variables fit.
        let is_configuration = matches!(denial.cause, Cause::Misconfigured(_));
        let reason_max = if is_configuration { CONFIGURATION_MAX } else { REASON_MAX };
        Self {
            code: Some(row.code),
            reason: Some(clean_owned(denial.cause.reason(), reason_max, policy)),
            status: Some(row.status),
            key_id: denial.key_id,
            subject: denial.subject.as_ref().map(crate::record::token::Subject::as_str),
            ..Self::about(time, EventKind::of_refusal(code), context, policy)
        }
    }

    /// A request was accepted; `holder` is `None` on public routes.
    #[must_use]
    pub fn access(
        time: &'a str,
        holder: Option<(KeyId, &'a str)>,
        response: AcceptedResponse,
        context: &RequestContext<'a>,
        policy: Option<&Policy>,
    ) -> Self {
        Self {
            status: response.status,
            origin_ms: response.origin_ms,
            key_id: holder.map(|(id, _)| id),
            subject: holder.map(|(_, subject)| subject),
            ..Self::about(time, EventKind::Access, context, policy)
        }
    }

    /// `count` rejections were suppressed.
    #[must_use]
    pub fn suppressed(time: &'a str, count: u64) -> Self {
        Self { suppressed: Some(count), ..Self::bare(time, EventKind::Suppressed) }
    }

    /// A panic ended a wasm instance; `what` is a location in the code, without any data of a request.
    #[must_use]
    pub fn panicked(time: &'a str, what: &'a str) -> Self {
        Self { reason: Some(clean(what, REASON_MAX, None)), ..Self::bare(time, EventKind::Panic) }
    }

    /// The warnings of a day were sent, or there are none: `what` says which.
    #[must_use]
    pub fn webhook(time: &'a str, what: &'a str) -> Self {
        Self { reason: Some(clean(what, REASON_MAX, None)), ..Self::bare(time, EventKind::Webhook) }
    }

    /// The warnings of a day were not sent; `status` is that of the receiver's response.
    #[must_use]
    pub fn webhook_failed(time: &'a str, why: &'a str, status: Option<u16>) -> Self {
        let reason = Some(clean(why, REASON_MAX, None));
        Self { reason, status, ..Self::bare(time, EventKind::WebhookFail) }
    }

    /// The control Worker could not do what it was asked; `why` has nothing of a request.
    #[must_use]
    pub fn control_failed(time: &'a str, why: &'a str) -> Self {
        Self { reason: Some(clean(why, REASON_MAX, None)), ..Self::bare(time, EventKind::ControlFail) }
    }

    fn bare(time: &'a str, kind: EventKind) -> Self {
        Self {
            time,
            kind,
            code: None,
            reason: None,
            status: None,
            origin_ms: None,
            request_id: None,
            key_id: None,
            subject: None,
            method: None,
            path: None,
            client_ip: None,
            user_agent: None,
            suppressed: None,
        }
    }

    fn about(time: &'a str, kind: EventKind, context: &RequestContext<'a>, policy: Option<&Policy>) -> Self {
        let field = |text, max| Some(clean(text, max, policy));
        Self {
            request_id: Some(context.request_id),
            method: field(context.method, METHOD_MAX),
            path: field(context.path, PATH_MAX),
            client_ip: context.client_ip.map(|ip| clean(ip, ADDRESS_MAX, policy)),
            user_agent: context.user_agent.map(|ua| clean(ua, USER_AGENT_MAX, policy)),
            ..Self::bare(time, kind)
        }
    }

    /// The event as one line of ASCII, without control characters, line separators and bidi marks.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = Line(String::with_capacity(512));
        line.text("time", self.time);
        line.text("level", self.kind.level());
        line.text("event", self.kind.as_str());
        line.optional("code", self.code);
        line.optional("reason", self.reason.as_deref());
        if let Some(status) = self.status {
            line.number("status", status.into());
        }
        if let Some(origin_ms) = self.origin_ms {
            line.number("origin_ms", origin_ms);
        }
        line.optional("request_id", self.request_id);
        line.optional("key_id", self.key_id.as_ref().map(KeyId::as_str));
        line.optional("subject", self.subject);
        line.optional("method", self.method.as_deref());
        line.optional("path", self.path.as_deref());
        line.optional("client_ip", self.client_ip.as_deref());
        line.optional("user_agent", self.user_agent.as_deref());
        if let Some(suppressed) = self.suppressed {
            line.number("suppressed", suppressed);
        }
        line.0.push('}');
        line.0
    }
}

/// Writes a JSON object. Not `serde_json`, which does not escape DEL and non-ASCII.
struct Line(String);

impl Line {
    fn name(&mut self, name: &str) {
        self.0.push_str(if self.0.is_empty() { "{\"" } else { ",\"" });
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn number(&mut self, name: &str, number: u64) {
        self.name(name);
        self.0.push_str(&number.to_string());
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.0.push('"');
        let is_plain = |b: &u8| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\');
        if text.as_bytes().iter().all(is_plain) {
            self.0.push_str(text);
        } else {
            self.escaped(text);
        }
        self.0.push('"');
    }

    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                ' '..='~' => self.0.push(c),
                _ => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        self.0.extend(["\\u", &alloc::format!("{unit:04x}")]);
                    }
                }
            }
        }
    }
}

/// The request id in `CF-Ray`, if responses and log lines can contain it without escaping.
#[must_use]
pub fn request_id_of_ray(ray: &str) -> Option<&str> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    ((1..=48).contains(&ray.len()) && ray.bytes().all(is_plain)).then_some(ray)
}

/// A message of the runtime with `[URL]` in place of each URL: some messages contain one, including its query.
#[must_use]
pub fn without_urls(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once("://") {
        out.push_str(before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || c == '_'));
        out.push_str("[URL]");
        rest = after.trim_start_matches(|c: char| !c.is_whitespace());
    }
    out + rest
}

fn clean_owned(text: Cow<'static, str>, max: usize, policy: Option<&Policy>) -> Cow<'static, str> {
    match text {
        Cow::Borrowed(text) => clean(text, max, policy),
        Cow::Owned(text) => clean(&text, max, policy).into_owned().into(),
    }
}

#[cfg(test)]
mod tests;
