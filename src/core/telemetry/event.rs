//! The log: one JSON object on one line for each event, with a closed set of fields.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::string::String;
use alloc::string::ToString as _;

use crate::key::{KeyId, KeyPrefix};
use crate::response::denial::Denial;

use crate::telemetry::event_kind::EventKind;

/// What is known of the request that an event is about. All of it may be hostile.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scene<'a> {
    /// Names this request in the answer and in the log.
    pub request_id: &'a str,
    /// The raw method.
    pub method: &'a str,
    /// The path without its query.
    pub path: &'a str,
    /// The client's address as the platform states it.
    pub client_ip: Option<&'a str>,
    /// The client's own name for itself.
    pub user_agent: Option<&'a str>,
}

/// One line of the log.
#[derive(Debug)]
pub struct Event<'a> {
    time: &'a str,
    kind: EventKind,
    code: Option<&'static str>,
    reason: Option<Cow<'a, str>>,
    status: Option<u16>,
    request_id: Option<&'a str>,
    key_id: Option<KeyId>,
    subject: Option<&'a str>,
    method: Option<Cow<'a, str>>,
    path: Option<Cow<'a, str>>,
    client_ip: Option<Cow<'a, str>>,
    user_agent: Option<Cow<'a, str>>,
    suppressed: Option<u64>,
}

/// Long enough to recognise an attack by, short enough that a flood does not fill a log.
const METHOD_MAX: usize = 32;
const PATH_MAX: usize = 512;
const ADDRESS_MAX: usize = 64;
const USER_AGENT_MAX: usize = 256;
const REASON_MAX: usize = 512;

impl<'a> Event<'a> {
    /// A request was turned away.
    #[must_use]
    pub fn denied(time: &'a str, denial: &'a Denial, scene: &Scene<'a>, prefix: Option<&KeyPrefix>) -> Self {
        let row = denial.cause.code().row();
        Self {
            code: Some(row.code),
            reason: Some(clean_owned(denial.cause.reason(), REASON_MAX, prefix)),
            status: Some(row.status),
            key_id: denial.key_id,
            subject: denial.subject.as_ref().map(crate::record::token::Subject::as_str),
            ..Self::about(time, row.event, scene, prefix)
        }
    }

    /// A request was let through; `holder` is absent on public routes.
    #[must_use]
    pub fn access(
        time: &'a str,
        holder: Option<(KeyId, &'a str)>,
        scene: &Scene<'a>,
        prefix: Option<&KeyPrefix>,
    ) -> Self {
        Self {
            key_id: holder.map(|(id, _)| id),
            subject: holder.map(|(_, subject)| subject),
            ..Self::about(time, EventKind::Access, scene, prefix)
        }
    }

    /// `count` rejections were not logged one by one.
    #[must_use]
    pub fn suppressed(time: &'a str, count: u64) -> Self {
        Self { suppressed: Some(count), ..Self::bare(time, EventKind::Suppressed) }
    }

    /// A panic ended a wasm instance; `what` is a place in the code, and no request is in it.
    #[must_use]
    pub fn panicked(time: &'a str, what: &'a str) -> Self {
        Self { reason: Some(clean(what, REASON_MAX, None)), ..Self::bare(time, EventKind::Panic) }
    }

    fn bare(time: &'a str, kind: EventKind) -> Self {
        Self {
            time,
            kind,
            code: None,
            reason: None,
            status: None,
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

    fn about(time: &'a str, kind: EventKind, scene: &Scene<'a>, prefix: Option<&KeyPrefix>) -> Self {
        let field = |text, max| Some(clean(text, max, prefix));
        Self {
            request_id: Some(scene.request_id),
            method: field(scene.method, METHOD_MAX),
            path: field(scene.path, PATH_MAX),
            client_ip: scene.client_ip.map(|ip| clean(ip, ADDRESS_MAX, prefix)),
            user_agent: scene.user_agent.map(|ua| clean(ua, USER_AGENT_MAX, prefix)),
            ..Self::bare(time, kind)
        }
    }

    /// The event as one line of ASCII: control characters, line separators and bidi marks cannot appear.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut line = Line(String::with_capacity(512));
        line.text("time", self.time);
        line.text("level", self.kind.level());
        line.text("event", self.kind.as_str());
        line.any("code", self.code);
        line.any("reason", self.reason.as_deref());
        if let Some(status) = self.status {
            line.number("status", status.into());
        }
        line.any("request_id", self.request_id);
        line.any("key_id", self.key_id.as_ref().map(KeyId::as_str));
        line.any("subject", self.subject);
        line.any("method", self.method.as_deref());
        line.any("path", self.path.as_deref());
        line.any("client_ip", self.client_ip.as_deref());
        line.any("user_agent", self.user_agent.as_deref());
        if let Some(suppressed) = self.suppressed {
            line.number("suppressed", suppressed);
        }
        line.0.push('}');
        line.0
    }
}

/// A JSON object while it is written. Not `serde_json`, which leaves DEL and everything beyond ASCII as it is.
struct Line(String);

impl Line {
    fn name(&mut self, name: &str) {
        self.0.push_str(if self.0.is_empty() { "{\"" } else { ",\"" });
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn any(&mut self, name: &str, text: Option<&str>) {
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

/// The id of a request that `CF-Ray` names, if it is one that an answer and a log line can hold as it is.
#[must_use]
pub fn request_id_of_ray(ray: &str) -> Option<&str> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    ((1..=48).contains(&ray.len()) && ray.bytes().all(is_plain)).then_some(ray)
}

/// What the runtime said of a failure, with `[URL]` in place of each URL: some messages quote one, and with it the query.
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

/// Cuts `text` to `max` characters and takes out what looks like a key, also one that the cut would go through.
fn clean<'t>(text: &'t str, max: usize, prefix: Option<&KeyPrefix>) -> Cow<'t, str> {
    let text = cut(text, max.saturating_add(LONG_RUN));
    let without_keys = match prefix {
        Some(prefix) if prefix.is_in(text) => Cow::Owned(redact(text, prefix)),
        _ => Cow::Borrowed(text),
    };
    if has_long_run(&without_keys) {
        return cut(&hide_long_runs(&without_keys), max).to_owned().into();
    }
    match without_keys {
        Cow::Borrowed(text) => cut(text, max).into(),
        Cow::Owned(text) => cut(&text, max).to_owned().into(),
    }
}

fn cut(text: &str, max: usize) -> &str {
    // A character is a byte or more.
    if text.len() <= max {
        return text;
    }
    match text.char_indices().nth(max) {
        Some((end, _)) => text.get(..end).unwrap_or_default(),
        None => text,
    }
}

/// As long as a key's body is with some of it missing, and shorter than 256 bits in hex or base64: whatever it is, no path
/// needs it in a log. The prefix before it may be percent-encoded.
const LONG_RUN: usize = 40;

fn has_long_run(text: &str) -> bool {
    let mut run = 0;
    text.len() >= LONG_RUN
        && text.bytes().any(|b| {
            run = if b.is_ascii_alphanumeric() { run + 1 } else { 0 };
            run >= LONG_RUN
        })
}

fn hide_long_runs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let end = piece.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(piece.len());
        if end >= LONG_RUN {
            out.push_str("[redacted]");
            out.push_str(piece.get(end..).unwrap_or_default());
        } else {
            out.push_str(piece);
        }
    }
    out
}

fn clean_owned(text: Cow<'static, str>, max: usize, prefix: Option<&KeyPrefix>) -> Cow<'static, str> {
    match text {
        Cow::Borrowed(text) => clean(text, max, prefix),
        Cow::Owned(text) => clean(&text, max, prefix).into_owned().into(),
    }
}

/// Replaces what follows each `prefix_` by `[redacted]`, as far as it could be a key's body.
fn redact(text: &str, prefix: &KeyPrefix) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(prefix.as_str()) {
        out.push_str(before);
        out.push_str(prefix.as_str());
        rest = after;
        if let Some(body) = after.strip_prefix('_') {
            out.push_str("_[redacted]");
            rest = body.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{Event, Scene, without_urls};
    use crate::key::KeyPrefix;
    use crate::response::denial::{Cause, Denial};
    use std::string::String;

    #[test]
    fn urls_are_taken_out_of_a_message() {
        for (message, expected) in [
            ("TypeError: failed", "TypeError: failed"),
            ("Fetch API cannot load: http://a.example/x?api_key=1", "Fetch API cannot load: [URL]"),
            ("bad https://a/?k=1 and http://b/?k=2.", "bad [URL] and [URL]"),
            ("a://b://c d", "[URL] d"),
            ("://x", "[URL]"),
            ("at 12://", "at [URL]"),
            ("", ""),
        ] {
            assert_eq!(without_urls(message), expected);
        }
    }

    fn line(scene: &Scene<'_>) -> String {
        let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
        let denial = Denial::from(Cause::CredentialMissing);
        Event::denied("2026-01-02T03:04:05.678Z", &denial, scene, Some(&prefix)).to_line()
    }

    #[test]
    fn hostile_text_stays_inside_one_ascii_line() {
        for hostile in
            ["a\r\nb", "\u{1b}[31mred", "\u{2028}\u{2029}", "\u{202e}evil", "\u{7f}\0", "\"}{\"", "\u{1F600}"]
        {
            let line = line(&Scene { path: hostile, user_agent: Some(hostile), ..Scene::default() });
            assert!(line.bytes().all(|b| (0x20..0x7f).contains(&b)), "{line}");
            let back: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(back["path"], hostile);
            assert_eq!(back["user_agent"], hostile);
        }
    }

    #[test]
    fn long_text_is_cut() {
        let long = "é".repeat(100_000);
        let line = line(&Scene {
            path: &long,
            user_agent: Some(&long),
            method: &long,
            client_ip: Some(&long),
            ..Scene::default()
        });
        assert!(line.len() < 8 * 1024, "{}", line.len());
    }

    #[test]
    fn what_looks_like_a_key_is_taken_out() {
        let key = std::format!("acme_live_{}", "Ab3".repeat(16));
        for path in [
            std::format!("/{key}"),
            std::format!("/x/{key}/{key}?"),
            std::format!("{}{key}", "a".repeat(500)),
        ] {
            let line = line(&Scene { path: &path, user_agent: Some(&key), ..Scene::default() });
            assert!(!line.contains("Ab3"), "{line}");
        }
        let body = "Ab3".repeat(16);
        for path in [
            std::format!("/acme%5flive_{body}?"),
            std::format!("/{body}/x"),
            std::format!("/{}/acme%5flive_{body}", "-".repeat(480)),
            std::format!("/x/{}", "9f86d081".repeat(8)),
        ] {
            let line = line(&Scene { path: &path, ..Scene::default() });
            assert!(
                !line.contains("Ab3Ab3") && !line.contains("9f86d081") && line.contains("[redacted]"),
                "{line}"
            );
        }
        let short = std::format!("/x/{}.{}", "a".repeat(39), "b".repeat(39));
        assert!(line(&Scene { path: &short, ..Scene::default() }).contains(&short));
        assert!(line(&Scene { path: "/acme_live_", ..Scene::default() }).contains("/acme_live_[redacted]"));
        assert!(line(&Scene { path: "/acme_live", ..Scene::default() }).contains("\"/acme_live\""));
    }

    #[test]
    fn an_accepted_request_is_one_line_with_its_holder() {
        let scene = Scene { request_id: "r-1", method: "GET", path: "/v1", ..Scene::default() };
        let id = "4fTz0Qw9Lr2K".parse::<crate::key::KeyId>().unwrap();
        let line = Event::access("2026-01-02T03:04:05.678Z", Some((id, "acme")), &scene, None).to_line();
        assert_eq!(
            line,
            r#"{"time":"2026-01-02T03:04:05.678Z","level":"info","event":"authn_login_success","request_id":"r-1","key_id":"4fTz0Qw9Lr2K","subject":"acme","method":"GET","path":"/v1"}"#
        );
        let public = Event::access("2026-01-02T03:04:05.678Z", None, &scene, None).to_line();
        assert!(!public.contains("key_id") && !public.contains("subject"), "{public}");
    }

    #[test]
    fn a_panic_is_one_line_with_its_place() {
        let line = Event::panicked("2026-01-02T03:04:05.678Z", "src/gate/lib.rs:1:2").to_line();
        assert_eq!(
            line,
            r#"{"time":"2026-01-02T03:04:05.678Z","level":"error","event":"sys_crash","reason":"src/gate/lib.rs:1:2"}"#
        );
    }

    #[test]
    fn suppressed_rejections_are_counted() {
        let line = Event::suppressed("2026-01-02T03:04:05.678Z", 7).to_line();
        assert_eq!(
            line,
            r#"{"time":"2026-01-02T03:04:05.678Z","level":"warn","event":"sys_log_suppressed","suppressed":7}"#
        );
    }
}
