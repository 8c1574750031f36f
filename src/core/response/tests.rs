use alloc::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::code::Row;
use super::{Answer, Cause, Code, Denial, ErrorFormat, Wording};
use crate::key::PepperId;
use crate::key::{KeyError, KeyId};
use crate::quota::Remaining;
use crate::record::Record;
use crate::record::token::{Plan, Scope};
use crate::request::credential::{CredentialError, CredentialSources, SourceKind, Wrapper};
use crate::request::path::PathError;
use crate::time::UnixSeconds;

const TIME: UnixSeconds = UnixSeconds::MAX;

fn tag_mismatch() -> Cause {
    let id = |text: &str| text.parse::<PepperId>().unwrap();
    Cause::Tag { current: id("1a2b3c4d"), previous: Some(id("5e6f7a8b")) }
}

fn quota_exceeded() -> Cause {
    let remaining = Remaining { units: 2, resets_in_secs: Some(90) };
    Cause::QuotaExceeded { policies: "\"plan\";q=5;w=3600".into(), remaining }
}

/// One cause of each kind, and its code.
fn causes() -> Vec<(Cause, Code)> {
    let record = Record::parse("{}").unwrap_err();
    let required = vec!["admin".parse::<Scope>().unwrap(), "audit".parse::<Scope>().unwrap()];
    vec![
        (Cause::Loop, Code::LoopDetected),
        (Cause::TooManyHops, Code::TooManyHops),
        (Cause::PlainHttp { authority: "canary".into(), allow_http: false }, Code::HttpsRequired),
        (Cause::Method { allow: "GET, HEAD".into() }, Code::MethodNotAllowed),
        (Cause::Path(PathError::DotSegment), Code::PathAmbiguous),
        (Cause::GateFailed("RuntimeError: unreachable".into()), Code::GateFailed),
        (Cause::MethodOverride, Code::MethodAmbiguous),
        (Cause::Destination, Code::DestinationNotAllowed),
        (Cause::RouteDenied, Code::RouteDenied),
        (Cause::CredentialMissing, Code::CredentialMissing),
        (Cause::Credential(CredentialError::Different), Code::CredentialAmbiguous),
        (
            Cause::Credential(CredentialError::Malformed(SourceKind::Header, Wrapper::Quotes)),
            Code::CredentialMalformed,
        ),
        (Cause::Key(KeyError::Length), Code::KeyInvalid),
        (tag_mismatch(), Code::KeyInvalid),
        (Cause::KeyUnknown, Code::KeyInvalid),
        (Cause::DigestMismatch, Code::KeyInvalid),
        (Cause::KeyDenied, Code::KeyRevoked),
        (Cause::KeyRevoked, Code::KeyRevoked),
        (Cause::KeyDisabled, Code::KeyDisabled),
        (Cause::KeyExpired { not_after: TIME }, Code::KeyExpired),
        (Cause::KeyNotYetValid { not_before: TIME }, Code::KeyNotYetValid),
        (Cause::Address, Code::IpNotAllowed),
        (Cause::SubjectNotAllowed, Code::SubjectNotAllowed),
        (Cause::ScopeMissing { required }, Code::ScopeMissing),
        (Cause::RateLimited { retry_after_secs: 60, policies: None }, Code::RateLimited),
        (quota_exceeded(), Code::QuotaExceeded),
        (Cause::QuotaFailed("canary".into()), Code::QuotaUnavailable),
        (Cause::PlanUnknown("paid".parse::<Plan>().unwrap()), Code::KeyRecordInvalid),
        (Cause::StoreFailed("canary".into()), Code::KeyStoreUnavailable),
        (Cause::StoreTimeout, Code::KeyStoreUnavailable),
        (Cause::LimiterFailed("canary".into()), Code::GateMisconfigured),
        (Cause::Record(record), Code::KeyRecordInvalid),
        (Cause::PepperUnknown("1a2b3c4d".parse::<PepperId>().unwrap()), Code::KeyRecordInvalid),
        (Cause::Misconfigured("canary".into()), Code::GateMisconfigured),
        (Cause::OriginUnreachable { error: "canary".into(), has_body: false }, Code::OriginUnreachable),
        (Cause::OriginUnreachable { error: "canary".into(), has_body: true }, Code::OriginUnreachable),
        (Cause::ClientDisconnected, Code::ClientDisconnected),
        (Cause::OriginTimeout, Code::OriginTimeout),
    ]
}

fn header(denial: &Denial, name: &str) -> Option<String> {
    let answer = denial.answer(&Wording::default());
    let mut values = answer.headers.iter().filter(|(other, _)| *other == name);
    let value = values.next().map(|(_, value)| value.to_string());
    assert_eq!(values.count(), 0, "{name} appears twice");
    value
}

#[test]
fn every_cause_has_its_code_and_a_distinct_reason() {
    let mut reasons = BTreeSet::new();
    for (cause, code) in causes() {
        assert_eq!(cause.code(), code, "{cause:?}");
        assert!(!cause.reason().is_empty() && reasons.insert(cause.reason().into_owned()), "{cause:?}");
    }
    assert_eq!(
        causes().iter().map(|(_, code)| code.row().code).collect::<BTreeSet<_>>().len(),
        Code::ALL.len()
    );
}

#[test]
fn reasons_contain_the_details() {
    for (cause, part) in [
        (Cause::KeyExpired { not_after: TIME }, "253402300799"),
        (Cause::KeyNotYetValid { not_before: TIME }, "253402300799"),
        (Cause::ScopeMissing { required: vec!["admin".parse::<Scope>().unwrap()] }, "`admin`"),
        (Cause::PlanUnknown("paid".parse::<Plan>().unwrap()), "`paid`"),
        (Cause::PepperUnknown("1a2b3c4d".parse::<PepperId>().unwrap()), "1a2b3c4d"),
        (tag_mismatch(), "1a2b3c4d and 5e6f7a8b"),
        (Cause::PlainHttp { authority: "api.example".into(), allow_http: true }, "ALLOW_HTTP is true"),
        (Cause::PlainHttp { authority: "api.example".into(), allow_http: true }, "`api.example`"),
        (Cause::StoreFailed("error 500".into()), "error 500"),
        (Cause::LimiterFailed("no binding".into()), "no binding"),
        (Cause::OriginUnreachable { error: "reset".into(), has_body: false }, "reset"),
        (
            Cause::OriginUnreachable { error: "reset".into(), has_body: true },
            "or the client ended the connection",
        ),
        (Cause::QuotaFailed("no binding".into()), "no binding"),
        (quota_exceeded(), "2 units"),
        (Cause::Misconfigured("KEYS is missing".into()), "KEYS is missing"),
    ] {
        assert!(cause.reason().contains(part), "{cause:?}");
    }
}

#[test]
fn answers_of_one_kind_are_equal() {
    let mut seen = std::collections::BTreeMap::new();
    for (cause, code) in causes() {
        let denial = Denial::from(cause);
        let answer = denial.answer(&Wording::default());
        let varies = matches!(
            code,
            Code::MethodNotAllowed | Code::ScopeMissing | Code::RateLimited | Code::QuotaExceeded
        );
        assert_eq!(denial.kind().is_none(), varies, "{code:?}");
        if let Some(kind) = denial.kind() {
            assert!(kind < 31);
            assert_eq!(seen.entry(kind).or_insert_with(|| answer.clone()), &answer, "{code:?}");
        }
    }
    assert_eq!(seen.len(), Code::ALL.len() - 4);
}

#[test]
fn every_answer_matches_the_contract() {
    for (cause, code) in causes() {
        let row = code.row();
        let denial = Denial::from(cause);
        let answer = denial.answer(&Wording::default());
        assert_eq!(answer.status, row.status);
        assert_eq!(header(&denial, "content-type").as_deref(), Some("application/problem+json"));
        assert_eq!(header(&denial, "cache-control").as_deref(), Some("no-store"));
        assert_eq!(header(&denial, "x-content-type-options").as_deref(), Some("nosniff"));
        assert_eq!(header(&denial, "allow").is_some(), row.status == 405);
        assert_eq!(header(&denial, "retry-after").is_some(), row.status == 429 || row.status == 503);

        let body: serde_json::Value = serde_json::from_str(&answer.body("r-1")).unwrap();
        if code == Code::QuotaExceeded {
            assert_eq!(body["type"], "https://iana.org/assignments/http-problem-types#quota-exceeded");
            assert_eq!(body["violated-policies"].to_string(), r#"["plan"]"#);
        } else {
            assert_eq!(body["type"], std::format!("urn:problem-type:keygate:{}", row.code));
            assert!(body.get("violated-policies").is_none());
        }
        let names_sources = matches!(code, Code::CredentialMissing | Code::CredentialMalformed);
        let advice = if names_sources { " Send the API key as `Authorization: Bearer <key>`." } else { "" };
        assert_eq!(
            (&body["title"], &body["detail"]),
            (&row.title.into(), &[row.detail, advice].concat().into())
        );
        assert_eq!((&body["status"], &body["code"]), (&row.status.into(), &row.code.into()));
        assert_eq!(body["request_id"], "r-1");
        assert_eq!(body.get("error").is_some(), row.status == 401);
        // Details are for the log only.
        assert!(!answer.body("r-1").contains("canary"), "{}", answer.body("r-1"));

        let challenge = header(&denial, "www-authenticate");
        let expected = match code {
            Code::CredentialMissing => Some("Bearer realm=\"api\"".to_string()),
            Code::ScopeMissing => {
                Some("Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"admin audit\"".to_string())
            }
            _ if row.status == 401 => Some("Bearer realm=\"api\", error=\"invalid_token\"".to_string()),
            _ => None,
        };
        assert_eq!(challenge, expected, "{code:?}");
    }
    let policies = Some("\"rate\";q=5;w=60".into());
    let limited = Denial::from(Cause::RateLimited { retry_after_secs: 60, policies });
    for (denial, name, value) in [
        (&limited, "retry-after", Some("60")),
        (&limited, "ratelimit-policy", Some("\"rate\";q=5;w=60")),
        (&limited, "ratelimit", None),
        (&quota_exceeded().into(), "retry-after", Some("90")),
        (&quota_exceeded().into(), "ratelimit-policy", Some("\"plan\";q=5;w=3600")),
        (&quota_exceeded().into(), "ratelimit", Some("\"plan\";r=2;t=90")),
    ] {
        assert_eq!(header(denial, name).as_deref(), value, "{name}");
    }
}

#[test]
fn openai_format_has_an_error_object() {
    let wording = Wording::new(&CredentialSources::default(), "api", ErrorFormat::OpenAi);
    for (cause, code) in causes() {
        let row = code.row();
        let denial = Denial::from(cause);
        let (answer, problem) = (denial.answer(&wording), denial.answer(&Wording::default()));
        assert_eq!(answer.status, row.status);
        assert_eq!(answer.headers[0], ("content-type", "application/json".into()));
        let names = |answer: &Answer| answer.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        assert_eq!(names(&answer), names(&problem), "{code:?}");
        let body: serde_json::Value = serde_json::from_str(&answer.body("r-1")).unwrap();
        let kind = match row.status {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400 | 405 | 499 => "invalid_request_error",
            _ => "api_error",
        };
        let error = &body["error"];
        assert!(error["message"].as_str().unwrap().starts_with(row.detail), "{body}");
        assert_eq!((&error["type"], &error["code"]), (&kind.into(), &row.code.into()));
        assert!(error["param"].is_null() && error.as_object().unwrap().len() == 4);
        assert_eq!((&body["request_id"], body.as_object().unwrap().len()), (&"r-1".into(), 2));
    }
}

#[test]
fn all_answers_are_equal_until_the_digest_has_matched() {
    let id = "4fTz0Qw9Lr2K".parse::<KeyId>().ok();
    let answer = |cause, key_id| Denial { cause, key_id, subject: None }.answer(&Wording::default());
    let first = answer(Cause::Key(KeyError::Prefix), None);
    for other in [
        answer(Cause::Key(KeyError::Length), None),
        answer(Cause::Key(KeyError::Character), None),
        answer(tag_mismatch(), None),
        answer(Cause::KeyUnknown, id),
        answer(Cause::DigestMismatch, id),
    ] {
        assert_eq!(other, first);
    }
}

#[test]
fn responses_document_has_every_code_with_its_status_and_title() {
    let document = include_str!("../../../docs/responses.md");
    let (_, after) = document.split_once("| code | status | title | when |\n|---|---|---|---|\n").unwrap();
    let rows: Vec<&str> = after.lines().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows.len(), Code::ALL.len());
    for (row, code) in rows.into_iter().zip(Code::ALL) {
        let Row { code, status, title, .. } = code.row();
        let expected = format!("| `{code}` | {status} | {title} | ");
        assert!(row.starts_with(&expected), "docs/responses.md should hold: {expected}… |");
    }
}
