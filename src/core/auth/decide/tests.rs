//! The whole way of a request through the core: admitted, looked up, decided.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::{Authorization, Destination, LimiterAnswer, Lookup, Permit, Verdict, decide};
use crate::auth::admission::{Admission, Gate};
use crate::auth::secrets::{SecretTexts, Secrets};
use crate::key::digest::{Digest, ImportedKey};
use crate::key::pepper::Pepper;
use crate::key::{Key, KeyPrefix, NewKey};
use crate::policy::Policy;
use crate::record::Record;
use crate::request::head::RequestHead;
use crate::response::denial::{Cause, Code, Denial};
use crate::time::UnixSeconds;

const PEPPER: &str = "Zk9wVGVzdFBlcHBlck5vdEZvclVzZTAxMjM0NTY3ODkrLw";
const OTHER_PEPPER: &str = "T2xkUGVwcGVyRm9yVGVzdHNPbmx5QWJjZGVmZ2hpamtsbW4";
const NOW: u64 = 1_800_000_000;
const IMPORTED: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

const POLICY: &str = r#"{
    "ORIGIN":"https://origin.example/base", "KEY_PREFIX":"acme_live",
    "CREDENTIALS":["bearer","header:x-api-key","query:api_key"],
    "CORS_ORIGINS":["https://app.example"], "ALLOW_HTTP":true,
    "PLANS":{"free":{"limiter":"RATE_FREE","period":60}},
    "ROUTES":[
        {"path":"/public/*","access":"public"}, {"path":"/closed/*","access":"deny"},
        {"path":"/admin/*","scopes":["admin","audit"]}, {"path":"/acme/*","subjects":["acme"]},
        {"path":"/read/*","methods":["GET"]}, {"path":"/zone/*","origin":"zone","cache":true},
        {"path":"/service/*","origin":"service:BACKEND"},
        {"path":"/trusted/*","origin":"https://other.example","origin_authorization":true,"origin_signature":true},
        {"path":"/bare/*","origin_authorization":false,"origin_signature":false}]
}"#;

/// The gate of the policy above, with more variables or other secrets.
fn gate(vars: &[(&str, &str)], secrets: &SecretTexts<'_>) -> Gate {
    let mut all: serde_json::Map<String, serde_json::Value> = serde_json::from_str(POLICY).unwrap();
    for (name, json) in vars {
        all.insert((*name).into(), serde_json::from_str(json).unwrap());
    }
    let pepper = secrets.pepper.or(Some(PEPPER));
    Gate {
        policy: Policy::from_json(&serde_json::to_string(&all).unwrap()).unwrap(),
        secrets: Secrets::parse(&SecretTexts { pepper, ..*secrets }).unwrap(),
    }
}

/// The same key each time, and its record.
fn issued() -> (String, Record) {
    let pepper = PEPPER.parse::<Pepper>().unwrap();
    let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
    let mut byte = 0_u8;
    let key = NewKey::from_entropy(&prefix, &pepper, |bytes| {
        for b in bytes {
            *b = byte;
            byte = byte.wrapping_add(7);
        }
        Ok::<(), ()>(())
    })
    .unwrap();
    let digest = pepper.digest(&key.as_presented());
    let record = json_record(&key.id().to_string(), &digest.to_string(), "");
    (key.reveal().to_string(), record)
}

/// What is stored for an imported key.
fn imported_digest(key: &ImportedKey) -> String {
    PEPPER.parse::<Pepper>().unwrap().imported_digest(key).to_string()
}

fn json_record(id: &str, digest: &str, more: &str) -> Record {
    let json = format!(
        r#"{{"v":1,"id":"{id}","subject":"acme","digest":"{digest}","created":1764000000{}{more}}}"#,
        if more.contains("state") { "" } else { r#","state":"active""# },
    );
    Record::parse(&json).unwrap()
}

/// The record with other fields: `more` is JSON that begins with a comma.
fn with(record: &Record, more: &str) -> Record {
    json_record(record.id.as_str(), &record.digest.to_string(), more)
}

struct Ask<'a> {
    method: &'a str,
    url: &'a str,
    client_ip: Option<&'a str>,
    origin: Option<&'a str>,
    preflight_method: Option<&'a str>,
    authorization: Option<&'a str>,
    x_api_key: Option<&'a str>,
}

const ASK: Ask<'static> = Ask {
    method: "GET",
    url: "https://gate.example/v1/things?a=%2f&b=+",
    client_ip: Some("203.0.113.9"),
    origin: None,
    preflight_method: None,
    authorization: None,
    x_api_key: None,
};

/// What becomes of a request: a permit is handed to `check`, a refusal comes back.
fn outcome<T>(
    gate: &Gate,
    ask: &Ask<'_>,
    found: Lookup<'_>,
    now: u64,
    check: impl Fn(&Permit<'_>) -> T,
) -> Result<T, Denial> {
    let headers = [
        ("cf-connecting-ip", ask.client_ip),
        ("origin", ask.origin),
        ("access-control-request-method", ask.preflight_method),
        ("authorization", ask.authorization),
        ("x-api-key", ask.x_api_key),
    ]
    .map(|(name, value)| (name, value.unwrap_or_default()));
    let head = RequestHead { method: ask.method, url: ask.url, header_names: "", headers: &headers };
    let Admission::Proceed(admitted) = gate.admit(&head)? else {
        panic!("a preflight was answered");
    };
    let found = if admitted.key_id().is_none() { Lookup::NotNeeded } else { found };
    match decide(gate, &admitted, found, UnixSeconds::new(now).unwrap())? {
        Verdict::Permit(permit) => Ok(check(&permit)),
        Verdict::Limited(limited) => limited.settle(LimiterAnswer::Within).map(|permit| check(&permit)),
    }
}

fn code(gate: &Gate, ask: &Ask<'_>, found: Lookup<'_>, now: u64) -> &'static str {
    match outcome(gate, ask, found, now, |_| ()) {
        Ok(()) => "permit",
        Err(denial) => denial.cause.code().row().code,
    }
}

#[test]
fn every_cause_of_a_bad_key_has_one_identical_answer() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretTexts::default());
    let other = Record::new(
        record.id,
        record.subject.clone(),
        Digest::Keyed { pepper: PEPPER.parse::<Pepper>().unwrap().id(), mac: [7; 32] },
        record.created,
    );
    let foreign = "acme_test_".to_string() + &key["acme_live_".len()..];
    let mut answers = Vec::new();
    for (key, found) in [
        ("garbage", Lookup::Unknown),
        (&*foreign, Lookup::Unknown),
        (&key[..key.len() - 1], Lookup::Unknown),
        (&(key[..key.len() - 1].to_string() + "-"), Lookup::Unknown),
        (&key.replace('7', "8"), Lookup::Unknown),
        (&key, Lookup::Unknown),
        (&key, Lookup::Found(&other)),
    ] {
        let ask = Ask { x_api_key: Some(key), ..ASK };
        let denial = outcome(&gate, &ask, found, NOW, |_| ()).unwrap_err();
        assert_eq!(denial.cause.code(), Code::KeyInvalid);
        assert!(denial.subject.is_none());
        answers.push(denial.answer("api"));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[test]
fn after_the_digest_has_matched_the_holder_is_told_the_truth() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretTexts::default());
    let ask = Ask { authorization: Some(&format!("Bearer {key}")), ..ASK };
    for (more, expected) in [
        ("", "permit"),
        (r#","state":"disabled""#, "key_disabled"),
        (r#","state":"revoked""#, "key_revoked"),
        (r#","state":"revoked","not_after":1764000001"#, "key_revoked"),
        (r#","not_after":1800000000"#, "key_expired"),
        (r#","not_after":1800000001"#, "permit"),
        (r#","not_before":1800000001"#, "key_not_yet_valid"),
        (r#","not_before":1800000000"#, "permit"),
        (r#","ips":["203.0.113.0/24"]"#, "permit"),
        (r#","ips":["198.51.100.0/24","2001:db8::/32"]"#, "ip_not_allowed"),
        (r#","ips":[]"#, "permit"),
        (r#","ips":null"#, "permit"),
        (r#","plan":"free""#, "permit"),
        (r#","plan":"gold""#, "key_record_invalid"),
    ] {
        assert_eq!(code(&gate, &ask, Lookup::Found(&with(&record, more)), NOW), expected, "{more}");
    }
}

#[test]
fn an_unknown_client_address_fails_every_address_rule() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretTexts::default());
    let record = with(&record, r#","ips":["0.0.0.0/0","::/0"]"#);
    for (client_ip, expected) in [
        (Some("198.51.100.1"), "permit"),
        (Some("::ffff:198.51.100.1"), "permit"),
        (Some("2001:db8::1"), "permit"),
        (None, "ip_not_allowed"),
        (Some("unknown"), "ip_not_allowed"),
        (Some("198.51.100.1, 198.51.100.2"), "ip_not_allowed"),
        (Some("198.51.100.1:443"), "ip_not_allowed"),
    ] {
        let ask = Ask { client_ip, x_api_key: Some(&key), ..ASK };
        assert_eq!(code(&gate, &ask, Lookup::Found(&record), NOW), expected, "{client_ip:?}");
    }
}

#[test]
fn routes_ask_for_all_scopes_and_for_named_subjects() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretTexts::default());
    for (path, more, expected) in [
        ("/admin", "", "scope_missing"),
        ("/admin/x", r#","scopes":["admin"]"#, "scope_missing"),
        ("/admin/x", r#","scopes":["Admin","audit"]"#, "scope_missing"),
        ("/admin/x", r#","scopes":["audit","x","admin"]"#, "permit"),
        ("/acme/x", "", "permit"),
        ("/closed/x", r#","scopes":["admin","audit"]"#, "route_denied"),
        ("/read/x", "", "permit"),
    ] {
        let ask = Ask { url: &format!("https://gate.example{path}"), x_api_key: Some(&key), ..ASK };
        assert_eq!(code(&gate, &ask, Lookup::Found(&with(&record, more)), NOW), expected, "{path} {more}");
    }
    let mut stranger = record.clone();
    stranger.subject = "other".parse::<crate::record::token::Subject>().unwrap();
    let ask = Ask { url: "https://gate.example/acme/x", x_api_key: Some(&key), ..ASK };
    assert_eq!(code(&gate, &ask, Lookup::Found(&stranger), NOW), "subject_not_allowed");
    let denial = outcome(
        &gate,
        &Ask { url: "https://gate.example/admin", x_api_key: Some(&key), ..ASK },
        Lookup::Found(&record),
        NOW,
        |_| (),
    )
    .unwrap_err();
    let answer = denial.answer("api");
    assert!(answer.headers.contains(&(
        "www-authenticate",
        r#"Bearer realm="api", error="insufficient_scope", scope="admin audit""#.into()
    )));
}

#[test]
fn what_needs_no_record_is_refused_before_it_is_read() {
    let (key, _) = issued();
    let gate = gate(&[], &SecretTexts::default());
    for (ask, expected) in [
        (Ask { url: "http://gate.example/v1", x_api_key: Some(&key), ..ASK }, "https_required"),
        (Ask { method: "PROPFIND", ..ASK }, "method_not_allowed"),
        (Ask { method: "get", x_api_key: Some(&key), ..ASK }, "method_not_allowed"),
        (
            Ask { method: "POST", url: "https://gate.example/read/x", x_api_key: Some(&key), ..ASK },
            "method_not_allowed",
        ),
        (Ask { url: "https://gate.example/a%2fb", x_api_key: Some(&key), ..ASK }, "path_ambiguous"),
        (Ask { url: "https://gate.example//a", x_api_key: Some(&key), ..ASK }, "path_ambiguous"),
        (Ask { url: "https://gate.example/closed/x", ..ASK }, "route_denied"),
        (ASK, "credential_missing"),
        (Ask { method: "OPTIONS", ..ASK }, "credential_missing"),
        (Ask { authorization: Some("Bearer"), ..ASK }, "credential_missing"),
        (Ask { authorization: Some("Basic dXNlcjpwYXNz"), ..ASK }, "credential_missing"),
        (Ask { authorization: Some("Bearer foreign.token"), ..ASK }, "key_invalid"),
        (
            Ask { authorization: Some(&format!("Bearer {key}")), x_api_key: Some("another"), ..ASK },
            "credential_ambiguous",
        ),
        (Ask { x_api_key: Some(&format!("{key}, {key}")), ..ASK }, "credential_ambiguous"),
    ] {
        // Were the record looked at, the answer would be a 503.
        assert_eq!(code(&gate, &ask, Lookup::Failed("not asked".into()), NOW), expected);
    }
}

#[test]
fn plain_http_is_for_loopback_and_only_where_it_is_allowed() {
    let (key, record) = issued();
    for (allow, host, expected) in [
        ("true", "localhost:8787", "permit"),
        ("true", "127.0.0.1", "permit"),
        ("true", "127.8.8.8:1", "permit"),
        ("true", "[::1]:8787", "permit"),
        ("true", "gate.example", "https_required"),
        ("true", "localhost.example", "https_required"),
        ("true", "127.0.0.1.example:80", "https_required"),
        ("false", "localhost:8787", "https_required"),
    ] {
        let gate = gate(&[("ALLOW_HTTP", allow)], &SecretTexts::default());
        let ask = Ask { url: &format!("http://{host}/v1"), x_api_key: Some(&key), ..ASK };
        assert_eq!(code(&gate, &ask, Lookup::Found(&record), NOW), expected, "{allow} {host}");
    }
}

#[test]
fn a_failing_store_is_never_a_401_and_never_open() {
    let (key, _) = issued();
    let gate = gate(&[], &SecretTexts::default());
    let fault = Record::parse("{}").unwrap_err();
    for (found, expected) in [
        (Lookup::Failed("error 500".into()), "key_store_unavailable"),
        (Lookup::TimedOut, "key_store_unavailable"),
        (Lookup::Invalid(fault), "key_record_invalid"),
        (Lookup::NotNeeded, "key_invalid"),
    ] {
        assert_eq!(code(&gate, &Ask { x_api_key: Some(&key), ..ASK }, found, NOW), expected);
    }
}

#[test]
fn the_record_of_another_id_is_no_answer() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretTexts::default());
    let mut other = record;
    other.id = "000000000000".parse::<crate::key::KeyId>().unwrap();
    assert_eq!(code(&gate, &Ask { x_api_key: Some(&key), ..ASK }, Lookup::Found(&other), NOW), "key_invalid");
}

#[test]
fn peppers_rotate_and_an_unknown_one_is_loud() {
    let (key, record) = issued();
    let ask = Ask { x_api_key: Some(&key), ..ASK };
    let rotated = gate(
        &[],
        &SecretTexts { pepper: Some(OTHER_PEPPER), pepper_previous: Some(PEPPER), ..SecretTexts::default() },
    );
    assert_eq!(code(&rotated, &ask, Lookup::Found(&record), NOW), "permit");
    let dropped = gate(&[], &SecretTexts { pepper: Some(OTHER_PEPPER), ..SecretTexts::default() });
    assert_eq!(code(&dropped, &ask, Lookup::Found(&record), NOW), "key_invalid");
    // A key whose tag is right, with a record that names a pepper that is not here.
    let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
    let mut elsewhere = record;
    elsewhere.digest = OTHER_PEPPER.parse::<Pepper>().unwrap().digest(&Key::parse(&key, &prefix).unwrap());
    assert_eq!(
        code(&gate(&[], &SecretTexts::default()), &ask, Lookup::Found(&elsewhere), NOW),
        "key_record_invalid"
    );
}

#[test]
fn a_denied_id_is_refused_as_revoked_but_only_told_to_its_holder() {
    let (key, record) = issued();
    let id = record.id.to_string();
    let gate = gate(&[], &SecretTexts { denied_ids: Some(&id), ..SecretTexts::default() });
    let ask = Ask { x_api_key: Some(&key), ..ASK };
    assert_eq!(code(&gate, &ask, Lookup::Found(&record), NOW), "key_revoked");
    let mut other = record;
    other.digest = Digest::ImportedBare([0; 32]);
    assert_eq!(code(&gate, &ask, Lookup::Found(&other), NOW), "key_invalid");
}

#[test]
fn imported_keys_work_where_they_are_enabled() {
    let imported = ImportedKey::parse(IMPORTED).unwrap();
    let record = json_record(imported.id().as_str(), &imported_digest(&imported), "");
    for (enabled, key, expected) in [
        ("true", IMPORTED, "permit"),
        ("false", IMPORTED, "key_invalid"),
        ("true", "tooshort", "key_invalid"),
        ("true", "sixty-four characters, but with blanks and a comma in between", "credential_ambiguous"),
    ] {
        let gate = gate(&[("IMPORTED_KEYS", enabled)], &SecretTexts::default());
        assert_eq!(
            code(&gate, &Ask { x_api_key: Some(key), ..ASK }, Lookup::Found(&record), NOW),
            expected,
            "{enabled} {key}"
        );
    }
    // The stored digest is no key, of either kind.
    let gate = gate(&[("IMPORTED_KEYS", "true")], &SecretTexts::default());
    let stored = record.digest.to_string();
    assert_eq!(code(&gate, &Ask { x_api_key: Some(&stored), ..ASK }, Lookup::Unknown, NOW), "key_invalid");
}

#[test]
fn a_limiter_that_refuses_or_fails_lets_nobody_through() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretTexts::default());
    let record = with(&record, r#","plan":"free""#);
    for (answer, expected) in [
        (LimiterAnswer::Within, "permit"),
        (LimiterAnswer::Exceeded, "rate_limited"),
        (LimiterAnswer::Failed("no binding".into()), "gate_misconfigured"),
    ] {
        let headers = [("x-api-key", &*key)];
        let head = RequestHead { method: "GET", url: ASK.url, header_names: "", headers: &headers };
        let Admission::Proceed(admitted) = gate.admit(&head).unwrap() else { panic!() };
        let Verdict::Limited(limited) =
            decide(&gate, &admitted, Lookup::Found(&record), UnixSeconds::new(NOW).unwrap()).unwrap()
        else {
            panic!("no limiter was asked");
        };
        assert_eq!((limited.limiter(), limited.counted()), ("RATE_FREE", "acme"));
        let got = match limited.settle(answer) {
            Ok(_) => "permit",
            Err(denial) => {
                assert!(denial.answer("api").headers.iter().any(|(name, _)| *name == "retry-after"));
                denial.cause.code().row().code
            }
        };
        assert_eq!(got, expected);
    }
}

#[test]
fn a_permitted_request_goes_to_the_routes_origin_on_the_judged_path_without_its_credential() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretTexts::default());
    let url = |text: &str| Destination::Url(text.into());
    let service = Destination::Service { binding: "BACKEND", url: "https://gate.example/service/x".into() };
    for (path, expected, no_store) in [
        ("/v1/x?a=%2f&b=+&c=%31", url("https://origin.example/base/v1/x?a=%2f&b=+&c=%31"), true),
        ("/v1/x?", url("https://origin.example/base/v1/x?"), true),
        ("/v1/%78", url("https://origin.example/base/v1/x"), true),
        ("/v1/x#y", url("https://origin.example/base/v1/x"), true),
        (&format!("/v1/x?a=1&api_key={key}&b=2"), url("https://origin.example/base/v1/x?a=1&b=2"), true),
        (&format!("/v1/x?api%5Fkey={key}"), url("https://origin.example/base/v1/x"), true),
        ("/zone/x?y", url("https://gate.example/zone/x?y"), false),
        ("/service/x", service, true),
        (&format!("/public/x?api_key={key}"), url("https://origin.example/base/public/x"), false),
        ("/public/x", url("https://origin.example/base/public/x"), false),
    ] {
        let ask = Ask { url: &format!("https://gate.example{path}"), x_api_key: Some(&key), ..ASK };
        outcome(&gate, &ask, Lookup::Found(&record), NOW, |permit| {
            assert_eq!(permit.destination(), expected);
            assert_eq!(permit.no_store(), no_store, "{path}");
            assert_eq!(permit.holder().is_none(), path.starts_with("/public"));
        })
        .unwrap();
    }
}

#[test]
fn authorization_is_kept_for_the_origin_only_if_it_is_the_origins() {
    let (key, record) = issued();
    let bearer = format!("Bearer {key}");
    let own = SecretTexts { origin_authorization: Some("Bearer provider"), ..SecretTexts::default() };
    let none = SecretTexts::default();
    let public = "https://gate.example/public/x";
    for (secrets, url, authorization, expected) in [
        (&none, ASK.url, None, Authorization::Strip),
        (&none, ASK.url, Some(&*bearer), Authorization::Strip),
        (&none, ASK.url, Some("Bearer origins.token"), Authorization::Keep),
        (&none, ASK.url, Some("Digest a=\"b\", c=d"), Authorization::Keep),
        (&own, ASK.url, Some("Bearer origins.token"), Authorization::Replace("Bearer provider")),
        (&own, ASK.url, None, Authorization::Replace("Bearer provider")),
        (&none, public, Some("Bearer origins.token"), Authorization::Keep),
        (&none, public, Some(&*bearer), Authorization::Strip),
        (&own, public, Some("Bearer origins.token"), Authorization::Keep),
    ] {
        let ask = Ask { url, authorization, x_api_key: Some(&key), ..ASK };
        let got = outcome(&gate(&[], secrets), &ask, Lookup::Found(&record), NOW, |permit| {
            match permit.authorization() {
                Authorization::Keep => "keep".to_string(),
                Authorization::Strip => "strip".to_string(),
                Authorization::Replace(with) => with.to_string(),
            }
        });
        let expected = match expected {
            Authorization::Keep => "keep",
            Authorization::Strip => "strip",
            Authorization::Replace(with) => with,
        };
        // Without Authorization there is nothing to keep.
        let got = got.unwrap();
        assert!(
            got == expected || authorization.is_none() && got == "keep",
            "{url} {authorization:?}: {got}"
        );
    }
}

#[test]
fn a_permit_has_the_signing_key_on_public_routes_too() {
    let (key, record) = issued();
    let bearer = format!("Bearer {key}");
    let text = "2026-11:v3IBMFPq0jvVjfQtT0hZpWm1bPqk1bFqXyQy3R1zq2E=";
    let signing = SecretTexts { origin_signing_key: Some(text), ..SecretTexts::default() };
    for (secrets, expected) in [(signing, true), (SecretTexts::default(), false)] {
        for url in [ASK.url, "https://gate.example/public/x"] {
            let ask = Ask { url, authorization: Some(&bearer), ..ASK };
            let has_key = |permit: &Permit<'_>| permit.signing_key().is_some();
            let got = outcome(&gate(&[], &secrets), &ask, Lookup::Found(&record), NOW, has_key);
            assert_eq!(got.unwrap(), expected, "{url}");
        }
    }
}

#[test]
fn secrets_of_the_origin_go_to_another_only_where_the_route_says_so() {
    let (key, record) = issued();
    let bearer = format!("Bearer {key}");
    let secrets = SecretTexts {
        origin_authorization: Some("Bearer provider"),
        origin_signing_key: Some("2026-11:v3IBMFPq0jvVjfQtT0hZpWm1bPqk1bFqXyQy3R1zq2E="),
        ..SecretTexts::default()
    };
    for (path, is_sent) in [
        ("/v1/x", true),
        ("/read/x", true),
        ("/zone/x", false),
        ("/service/x", false),
        ("/trusted/x", true),
        ("/bare/x", false),
    ] {
        let url = format!("https://gate.example{path}");
        let ask = Ask { url: &url, authorization: Some(&bearer), ..ASK };
        let sends = |permit: &Permit<'_>| {
            (matches!(permit.authorization(), Authorization::Replace(_)), permit.signing_key().is_some())
        };
        let got = outcome(&gate(&[], &secrets), &ask, Lookup::Found(&record), NOW, sends);
        assert_eq!(got.unwrap(), (is_sent, is_sent), "{path}");
    }
}

#[test]
fn a_preflight_takes_neither_body_nor_cookies_nor_credentials_along() {
    let forwarding = gate(&[("PREFLIGHT", "\"forward\"")], &SecretTexts::default());
    for (method, asked, is_preflight) in [("OPTIONS", Some("POST"), true), ("OPTIONS", None, false)] {
        let headers = [
            ("origin", "https://app.example"),
            ("access-control-request-method", asked.unwrap_or_default()),
            ("authorization", "Basic dXNlcjpwYXNzd29yZA=="),
        ];
        let url = "https://gate.example/public/x";
        let head = RequestHead { method, url, header_names: "accept\ncookie", headers: &headers };
        let Ok(Admission::Proceed(admitted)) = forwarding.admit(&head) else { panic!("it is forwarded") };
        let now = UnixSeconds::new(NOW).unwrap();
        let Ok(Verdict::Permit(permit)) = decide(&forwarding, &admitted, Lookup::NotNeeded, now) else {
            panic!("it is forwarded")
        };
        let stripped = permit.headers_to_strip(&head);
        assert_eq!(stripped.contains(&"cookie"), is_preflight);
        assert_eq!(permit.forwards_body(), !is_preflight);
        assert_eq!(permit.authorization() == Authorization::Strip, is_preflight);
    }
}

#[test]
fn only_a_key_bounds_how_long_a_connection_lasts() {
    let (key, record) = issued();
    let bearer = format!("Bearer {key}");
    for (vars, path, expected) in [
        (&[("MAX_CONNECTION_SECONDS", "60")][..], "/v1/x", Some(60)),
        (&[("MAX_CONNECTION_SECONDS", "60")], "/public/x", None),
        (&[], "/v1/x", None),
    ] {
        let url = format!("https://gate.example{path}");
        let ask = Ask { url: &url, authorization: Some(&bearer), ..ASK };
        let gate = gate(vars, &SecretTexts::default());
        let secs = |permit: &Permit<'_>| permit.max_connection_secs();
        let got = outcome(&gate, &ask, Lookup::Found(&record), NOW, secs);
        assert_eq!(got.unwrap(), expected, "{path}");
    }
}

#[test]
fn a_withdrawn_permit_names_its_holder() {
    let (key, record) = issued();
    let ask = Ask { authorization: Some(&format!("Bearer {key}")), ..ASK };
    let withdraw = |permit: &Permit<'_>| permit.withdraw(Cause::Misconfigured("why".into()));
    let gate = gate(&[], &SecretTexts::default());
    let denial = outcome(&gate, &ask, Lookup::Found(&record), NOW, withdraw).unwrap();
    assert_eq!(denial.cause.code(), Code::GateMisconfigured);
    assert_eq!((denial.key_id, denial.subject.as_ref()), (Some(record.id), Some(&record.subject)));
    let public = Ask { url: "https://gate.example/public/x", ..ASK };
    let denial = outcome(&gate, &public, Lookup::Found(&record), NOW, withdraw).unwrap();
    assert_eq!((denial.key_id, denial.subject), (None, None));
}

#[test]
fn debug_output_of_a_permit_holds_no_key() {
    let (key, record) = issued();
    let gate = gate(
        &[],
        &SecretTexts { origin_authorization: Some("Bearer provider-canary"), ..SecretTexts::default() },
    );
    let (bearer, url) = (format!("Bearer {key}"), format!("{}&api_key={key}", ASK.url));
    for ask in [Ask { authorization: Some(&bearer), ..ASK }, Ask { url: &url, ..ASK }] {
        let debug =
            outcome(&gate, &ask, Lookup::Found(&record), NOW, |permit| format!("{permit:?}")).unwrap();
        assert!(
            !debug.contains(&key[22..]) && !debug.contains("canary") && !debug.contains(PEPPER),
            "{debug}"
        );
    }
}

#[test]
fn codes_and_statuses_are_those_of_the_contract() {
    let table: Vec<(&str, u16)> = Code::ALL.iter().map(|code| (code.row().code, code.row().status)).collect();
    assert_eq!(
        table,
        [
            ("credential_missing", 401),
            ("credential_ambiguous", 400),
            ("key_invalid", 401),
            ("key_expired", 401),
            ("key_not_yet_valid", 401),
            ("key_disabled", 401),
            ("key_revoked", 401),
            ("ip_not_allowed", 403),
            ("scope_missing", 403),
            ("subject_not_allowed", 403),
            ("route_denied", 403),
            ("https_required", 403),
            ("path_ambiguous", 400),
            ("method_ambiguous", 400),
            ("destination_not_allowed", 403),
            ("method_not_allowed", 405),
            ("rate_limited", 429),
            ("key_store_unavailable", 503),
            ("key_record_invalid", 503),
            ("gate_misconfigured", 503),
            ("gate_failed", 503),
            ("origin_unreachable", 502),
            ("origin_timeout", 504),
        ]
    );
}

proptest! {
    #[test]
    fn no_key_is_good_at_or_after_its_end_or_before_its_start(start in 0_u64..4_000_000_000, length in 1_u64..4_000_000_000, now in 0_u64..9_000_000_000) {
        let (key, record) = issued();
        let gate = gate(&[], &SecretTexts::default());
        let record = with(&record, &format!(r#","not_before":{start},"not_after":{}"#, start + length));
        let permitted = code(&gate, &Ask { x_api_key: Some(&key), ..ASK }, Lookup::Found(&record), now) == "permit";
        prop_assert_eq!(permitted, (start..start + length).contains(&now));
    }

    #[test]
    fn whatever_is_sent_without_a_good_key_only_public_routes_are_permitted(
        method in "[A-Z]{3,7}", path in "(/(public|admin|x|%[0-9a-f]{2}|\\.\\.|;|))*", authorization in any::<Option<String>>(),
        x_api_key in prop::option::of("acme_live_[0-9A-Za-z]{50}"), query in prop::option::of("(api_key=)?[ -~]{0,80}"),
    ) {
        let gate = gate(&[], &SecretTexts::default());
        let url = format!("https://gate.example{path}{}", query.map(|q| "?".to_string() + &q.replace('#', "")).unwrap_or_default());
        let ask = Ask { method: &method, url: &url, authorization: authorization.as_deref(), x_api_key: x_api_key.as_deref(), ..ASK };
        if let Ok(destination) = outcome(&gate, &ask, Lookup::Unknown, NOW, |permit| format!("{:?}", permit.destination())) {
            prop_assert!(destination.contains("https://origin.example/base/public"), "{}", destination);
        }
    }
}

#[test]
fn an_imported_key_needs_its_own_digest() {
    let imported = ImportedKey::parse(IMPORTED).unwrap();
    let gate = gate(&[("IMPORTED_KEYS", "true")], &SecretTexts::default());
    let ask = Ask { x_api_key: Some(IMPORTED), ..ASK };
    let mut record = json_record(imported.id().as_str(), &imported_digest(&imported), "");
    assert_eq!(code(&gate, &ask, Lookup::Found(&record), NOW), "permit");
    let (_, issued) = issued();
    for digest in [Digest::ImportedBare([0; 32]), issued.digest] {
        record.digest = digest;
        assert_eq!(code(&gate, &ask, Lookup::Found(&record), NOW), "key_invalid");
    }
}

#[test]
fn a_plan_that_the_gate_does_not_know_is_loud() {
    let (key, record) = issued();
    let ask = Ask { x_api_key: Some(&key), ..ASK };
    let record = with(&record, r#","plan":"paid""#);
    let counting = gate(&[], &SecretTexts::default());
    assert_eq!(code(&counting, &ask, Lookup::Found(&record), NOW), "key_record_invalid");
    let no_limits = gate(&[("PLANS", "{}")], &SecretTexts::default());
    assert_eq!(code(&no_limits, &ask, Lookup::Found(&record), NOW), "permit");
}

#[test]
fn the_origin_is_told_who_asks_and_from_where() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretTexts::default());
    let record = with(&record, r#","scopes":["admin","reports:read"]"#);
    for (client_ip, expected) in [
        (Some("203.0.113.9"), Some("203.0.113.9")),
        (Some("2001:db8::1"), Some("2001:db8::1")),
        (Some("203.0.113.9, 10.0.0.1"), None),
        (Some(""), None),
        (None, None),
    ] {
        let ask = Ask { client_ip, x_api_key: Some(&key), ..ASK };
        outcome(&gate, &ask, Lookup::Found(&record), NOW, |permit| {
            assert_eq!(permit.client_ip(), expected, "{client_ip:?}");
            assert_eq!((permit.forwarded_proto(), permit.forwarded_host()), ("https", "gate.example"));
            let holder = permit.holder().unwrap();
            assert_eq!((holder.id, holder.subject), (record.id, "acme"));
            assert_eq!(holder.scopes_header().as_deref(), Some("admin reports:read"));
        })
        .unwrap();
    }
    let ask = Ask { x_api_key: Some(&key), ..ASK };
    let none = outcome(&gate, &ask, Lookup::Found(&with(&record, "")), NOW, |permit| {
        permit.holder().unwrap().scopes_header()
    });
    assert_eq!(none.unwrap(), None);
}
