//! The rate and the quota of a key.

use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::{NOW, REQUEST, Request, code, gate, issued, outcome, with};
use crate::auth::admission::{Admission, Gate};
use crate::auth::decide::{Decision, LimiterAnswer, Lookup, QuotaAnswer, decide};
use crate::auth::secrets::SecretValues;
use crate::quota::Remaining;
use crate::record::Record;
use crate::request::head::RequestHead;
use crate::response::{Denial, Wording};
use crate::time::UnixSeconds;

const LEFT: Remaining = Remaining { units: 7, resets_in_secs: Some(90) };

fn default_gate() -> Gate {
    gate(&[("WHOAMI_PATH", "\"/whoami\"")], &SecretValues::default())
}

/// What is asked on the way of a request, and what its response says of the limits.
fn way(
    gate: &Gate,
    key: &str,
    record: &Record,
    path: &str,
    rate: &LimiterAnswer,
    quota: &QuotaAnswer,
) -> (Vec<String>, Result<Vec<String>, Denial>) {
    let url = format!("https://gate.example{path}");
    let headers = [("x-api-key", key)];
    let head = RequestHead { method: "GET", url: &url, header_names: "", headers: &headers };
    let Admission::Proceed(admitted) = gate.admit(&head).unwrap() else { panic!() };
    let now = UnixSeconds::new(NOW).unwrap();
    let mut asked = Vec::new();
    let mut decision = decide(gate, &admitted, Lookup::Found(record), now);
    loop {
        decision = match decision {
            Ok(Decision::Permit(permit)) => {
                let headers = permit.limit_headers();
                return (asked, Ok(headers.iter().map(|(name, value)| format!("{name}: {value}")).collect()));
            }
            Ok(Decision::Limited(limited)) => {
                asked.push(format!("{} of {}", limited.limiter(), limited.counted()));
                limited.settle(rate.clone())
            }
            Ok(Decision::Charged(charged)) => {
                let payer = charged.payer();
                asked.push(format!("{} of {} in {}", charged.cost(), payer.subject, payer.quota));
                charged.settle(quota.clone()).map(Decision::Permit)
            }
            Err(denial) => return (asked, Err(denial)),
        }
    }
}

#[test]
fn limits_are_those_of_the_plan_and_the_record() {
    let (key, record) = issued();
    let gate = default_gate();
    let (rate, quota) = ("RATE_FREE of acme", "1 of acme in 1000/day");
    let own = r#","quota":{"limit":5,"period":"total"}"#;
    for (more, path, asked, headers) in [
        ("", "/v1/x", vec![], vec![]),
        (r#","plan":"free""#, "/v1/x", vec![rate], vec![r#"ratelimit-policy: "rate";q=5;w=60"#]),
        (
            r#","plan":"paid""#,
            "/v1/x",
            vec![quota],
            vec![r#"ratelimit-policy: "plan";q=1000;w=86400"#, r#"ratelimit: "plan";r=7;t=90"#],
        ),
        (
            r#","plan":"both""#,
            "/v1/x",
            vec![rate, quota],
            vec![r#"ratelimit-policy: "plan";q=1000;w=86400"#, r#"ratelimit: "plan";r=7;t=90"#],
        ),
        (
            own,
            "/v1/x",
            vec!["1 of acme in 5/total"],
            vec![r#"ratelimit-policy: "plan";q=5"#, r#"ratelimit: "plan";r=7;t=90"#],
        ),
        (
            &format!(r#","plan":"free"{own}"#),
            "/v1/x",
            vec![rate, "1 of acme in 5/total"],
            vec![r#"ratelimit-policy: "plan";q=5, "rate";q=5;w=60"#, r#"ratelimit: "plan";r=7;t=90"#],
        ),
        (
            &format!(r#","plan":"paid"{own}"#),
            "/v1/x",
            vec!["1 of acme in 5/total"],
            vec![r#"ratelimit-policy: "plan";q=5"#, r#"ratelimit: "plan";r=7;t=90"#],
        ),
        (
            r#","plan":"paid""#,
            "/dear/x",
            vec!["10000 of acme in 1000/day"],
            vec![r#"ratelimit-policy: "plan";q=1000;w=86400"#, r#"ratelimit: "plan";r=7;t=90"#],
        ),
        (
            r#","plan":"both""#,
            "/free-of-charge/x",
            vec![rate],
            vec![r#"ratelimit-policy: "plan";q=1000;w=86400"#],
        ),
        (r#","plan":"both""#, "/whoami", vec![rate], vec![r#"ratelimit-policy: "plan";q=1000;w=86400"#]),
        (r#","plan":"paid""#, "/cached/x", vec![quota], vec![]),
        (r#","plan":"paid""#, "/public/x", vec![], vec![]),
    ] {
        let paid = QuotaAnswer::Paid(Some(LEFT));
        let (got, said) = way(&gate, &key, &with(&record, more), path, &LimiterAnswer::Within, &paid);
        assert_eq!(got, asked, "{more} {path}");
        assert_eq!(said.unwrap(), headers, "{more} {path}");
    }
}

#[test]
fn request_is_refused_if_a_limit_is_exceeded_or_cannot_be_counted() {
    let (key, record) = issued();
    let gate = default_gate();
    let (within, paid) = (LimiterAnswer::Within, QuotaAnswer::Paid(Some(LEFT)));
    let nothing = Remaining { units: 0, resets_in_secs: None };
    for (plan, limiter, quota, asked, code, retry_after) in [
        ("free", LimiterAnswer::Exceeded, &paid, 1, "rate_limited", Some("60")),
        ("free", LimiterAnswer::Failed("no binding".into()), &paid, 1, "gate_misconfigured", Some("5")),
        // What the rate refuses is not charged.
        ("both", LimiterAnswer::Exceeded, &paid, 1, "rate_limited", Some("60")),
        ("both", within.clone(), &QuotaAnswer::Exceeded(LEFT), 2, "quota_exceeded", Some("90")),
        ("paid", within.clone(), &QuotaAnswer::Exceeded(nothing), 1, "quota_exceeded", None),
        (
            "paid",
            within.clone(),
            &QuotaAnswer::Failed("no binding".into()),
            1,
            "quota_unavailable",
            Some("5"),
        ),
        ("gold", within, &paid, 0, "key_record_invalid", Some("5")),
    ] {
        let record = with(&record, &format!(r#","plan":"{plan}""#));
        let (got, said) = way(&gate, &key, &record, "/v1/x", &limiter, quota);
        let denial = said.unwrap_err();
        assert_eq!((got.len(), denial.cause.code().row().code), (asked, code), "{plan}");
        assert_eq!((denial.key_id, denial.subject.as_ref()), (Some(record.id), Some(&record.subject)));
        let answer = denial.answer(&Wording::default());
        let header = |name: &str| {
            let found = answer.headers.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| value.to_string())
        };
        assert_eq!(header("retry-after").as_deref(), retry_after, "{code}");
        let policy = match (plan, code) {
            ("free", "rate_limited") => Some(r#""rate";q=5;w=60"#),
            ("both", "rate_limited") | (_, "quota_exceeded") => Some(r#""plan";q=1000;w=86400"#),
            _ => None,
        };
        assert_eq!(header("ratelimit-policy").as_deref(), policy, "{code}");
        assert_eq!(header("ratelimit").is_some(), code == "quota_exceeded");
    }
}

#[test]
fn without_plans_a_plan_has_no_limit_and_a_record_may_have_one() {
    let (key, record) = issued();
    let gate = gate(&[("PLANS", "{}")], &SecretValues::default());
    let request = Request { x_api_key: Some(&key), ..REQUEST };
    let record = with(&record, r#","plan":"gold""#);
    assert_eq!(code(&gate, &request, Lookup::Found(&record), NOW), "permit");
    let record = with(&record, r#","plan":"gold","quota":{"limit":5,"period":"hour"}"#);
    let exceeded = QuotaAnswer::Exceeded(LEFT);
    let (asked, said) = way(&gate, &key, &record, "/v1/x", &LimiterAnswer::Within, &exceeded);
    assert_eq!((asked, said.is_err()), (vec!["1 of acme in 5/hour".to_string()], true));
}

#[test]
fn whoami_says_what_is_left() {
    let (key, record) = issued();
    let gate = default_gate();
    let record = with(&record, r#","plan":"paid""#);
    let url = "https://gate.example/whoami";
    let request = Request { url, x_api_key: Some(&key), ..REQUEST };
    for (remaining, expected) in [
        (Some(LEFT), r#""quota":{"limit":1000,"period":"day","left":7,"resets_at":1800000090}}"#),
        (
            Some(Remaining { resets_in_secs: None, ..LEFT }),
            r#""quota":{"limit":1000,"period":"day","left":7}}"#,
        ),
        (None, r#""quota":{"limit":1000,"period":"day"}}"#),
    ] {
        let now = UnixSeconds::new(NOW).unwrap();
        let said = outcome(&gate, &request, Lookup::Found(&record), NOW, |permit| {
            assert!(permit.is_whoami());
            permit.whoami(remaining, now).unwrap().to_json()
        });
        let said = said.unwrap();
        assert!(said.ends_with(expected), "{said}");
    }
}
