use super::{AcceptedResponse, Event, RequestContext, without_urls};
use crate::policy::Policy;
use crate::response::{Cause, Denial};
use std::string::String;

#[test]
fn urls_are_removed_from_messages() {
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

fn policy() -> Policy {
    Policy::from_json(r#"{"ORIGIN":"https://origin.example","KEY_PREFIX":"acme_live"}"#).unwrap()
}

fn line(context: &RequestContext<'_>) -> String {
    let denial = Denial::from(Cause::CredentialMissing);
    Event::denied("2026-01-02T03:04:05.678Z", &denial, context, Some(&policy())).to_line()
}

#[test]
fn hostile_text_stays_inside_one_ascii_line() {
    for hostile in
        ["a\r\nb", "\u{1b}[31mred", "\u{2028}\u{2029}", "\u{202e}evil", "\u{7f}\0", "\"}{\"", "\u{1F600}"]
    {
        let line =
            line(&RequestContext { path: hostile, user_agent: Some(hostile), ..RequestContext::default() });
        assert!(line.bytes().all(|b| (0x20..0x7f).contains(&b)), "{line}");
        let back: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(back["path"], hostile);
        assert_eq!(back["user_agent"], hostile);
    }
}

#[test]
fn long_text_is_truncated() {
    let long = "é".repeat(100_000);
    let line = line(&RequestContext {
        path: &long,
        user_agent: Some(&long),
        method: &long,
        client_ip: Some(&long),
        ..RequestContext::default()
    });
    assert!(line.len() < 8 * 1024, "{}", line.len());
}

#[test]
fn text_that_looks_like_a_key_is_redacted() {
    let key = std::format!("acme_live_{}", "Ab3".repeat(16));
    for path in
        [std::format!("/{key}"), std::format!("/x/{key}/{key}?"), std::format!("{}{key}", "a".repeat(500))]
    {
        let line = line(&RequestContext { path: &path, user_agent: Some(&key), ..RequestContext::default() });
        assert!(!line.contains("Ab3"), "{line}");
    }
    let body = "Ab3".repeat(16);
    for path in [
        std::format!("/acme%5flive_{body}?"),
        std::format!("/{body}/x"),
        std::format!("/{}/acme%5flive_{body}", "-".repeat(480)),
        std::format!("/x/{}", "9f86d081".repeat(8)),
    ] {
        let line = line(&RequestContext { path: &path, ..RequestContext::default() });
        assert!(
            !line.contains("Ab3Ab3") && !line.contains("9f86d081") && line.contains("[redacted]"),
            "{line}"
        );
    }
    let short = std::format!("/x/{}.{}", "a".repeat(39), "b".repeat(39));
    assert!(line(&RequestContext { path: &short, ..RequestContext::default() }).contains(&short));
    assert!(
        line(&RequestContext { path: "/acme_live_", ..RequestContext::default() })
            .contains("/acme_live_[redacted]")
    );
    assert!(
        line(&RequestContext { path: "/acme_live", ..RequestContext::default() }).contains("\"/acme_live\"")
    );
}

#[test]
fn accepted_request_is_logged_with_its_holder() {
    let context =
        RequestContext { request_id: "r-1", method: "GET", path: "/v1", ..RequestContext::default() };
    let id = "4fTz0Qw9Lr2K".parse::<crate::key::KeyId>().unwrap();
    let response = AcceptedResponse { status: Some(200), origin_ms: Some(12) };
    let line =
        Event::access("2026-01-02T03:04:05.678Z", Some((id, "acme")), response, &context, None).to_line();
    assert_eq!(
        line,
        r#"{"time":"2026-01-02T03:04:05.678Z","level":"info","event":"authn_login_success","status":200,"origin_ms":12,"request_id":"r-1","key_id":"4fTz0Qw9Lr2K","subject":"acme","method":"GET","path":"/v1"}"#
    );
    let none = AcceptedResponse { status: None, origin_ms: Some(0) };
    let public = Event::access("2026-01-02T03:04:05.678Z", None, none, &context, None).to_line();
    assert!(!public.contains("key_id") && !public.contains("subject"), "{public}");
    assert!(!public.contains("status") && public.contains(r#""origin_ms":0"#), "{public}");
}

#[test]
fn panic_is_logged_with_its_location() {
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

#[test]
fn reason_of_a_misconfiguration_holds_the_errors_of_all_variables() {
    let many = |len| Denial::from(Cause::Misconfigured("METHODS: no. ".repeat(len)));
    let context = RequestContext::default();
    let reason = |denial: &Denial| {
        let line = Event::denied("2026-01-02T03:04:05.678Z", denial, &context, None).to_line();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        line["reason"].as_str().unwrap().len()
    };
    assert_eq!(reason(&many(300)), 3900);
    assert_eq!(reason(&many(1000)), 4096);
    assert_eq!(reason(&Denial::from(Cause::StoreFailed("no. ".repeat(300)))), 512);
}
