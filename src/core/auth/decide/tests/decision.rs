//! Which requests are permitted, and which code the others get.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

use super::{NOW, PEPPER, REQUEST, Request, code, gate, issued, json_record, outcome, with};
use crate::auth::decide::Lookup;
use crate::auth::secrets::SecretValues;
use crate::key::digest::{Digest, ImportedKey};
use crate::key::pepper::Pepper;
use crate::key::{Key, KeyPrefix};
use crate::record::Record;
use crate::response::{Code, Wording};

const OTHER_PEPPER: &str = "T2xkUGVwcGVyRm9yVGVzdHNPbmx5QWJjZGVmZ2hpamtsbW4";
const IMPORTED: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// The stored digest of an imported key.
fn imported_digest(key: &ImportedKey) -> String {
    PEPPER.parse::<Pepper>().unwrap().imported_digest(key).to_string()
}

#[test]
fn every_invalid_key_gets_the_same_response() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretValues::default());
    let other = Record::new(
        record.id,
        record.subject.clone(),
        Digest::Keyed { pepper: PEPPER.parse::<Pepper>().unwrap().id(), mac: [7; 32] },
        record.created,
    );
    let other_prefix = "acme_test_".to_string() + &key["acme_live_".len()..];
    let mut answers = Vec::new();
    for (key, found) in [
        ("garbage", Lookup::Unknown),
        (&*other_prefix, Lookup::Unknown),
        (&key[..key.len() - 1], Lookup::Unknown),
        (&(key[..key.len() - 1].to_string() + "-"), Lookup::Unknown),
        (&key.replace('7', "8"), Lookup::Unknown),
        (&key, Lookup::Unknown),
        (&key, Lookup::Found(&other)),
    ] {
        let request = Request { x_api_key: Some(key), ..REQUEST };
        let denial = outcome(&gate, &request, found, NOW, |_| ()).unwrap_err();
        assert_eq!(denial.cause.code(), Code::KeyInvalid);
        assert!(denial.subject.is_none());
        answers.push(denial.answer(&Wording::default()));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[test]
fn holder_gets_the_exact_code_after_the_digest_has_matched() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretValues::default());
    let request = Request { authorization: Some(&format!("Bearer {key}")), ..REQUEST };
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
        assert_eq!(code(&gate, &request, Lookup::Found(&with(&record, more)), NOW), expected, "{more}");
    }
}

#[test]
fn unknown_client_address_is_in_no_network() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretValues::default());
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
        let request = Request { client_ip, x_api_key: Some(&key), ..REQUEST };
        assert_eq!(code(&gate, &request, Lookup::Found(&record), NOW), expected, "{client_ip:?}");
    }
}

#[test]
fn route_requires_all_its_scopes_and_a_listed_subject() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretValues::default());
    for (path, more, expected) in [
        ("/admin", "", "scope_missing"),
        ("/admin/x", r#","scopes":["admin"]"#, "scope_missing"),
        ("/admin/x", r#","scopes":["Admin","audit"]"#, "scope_missing"),
        ("/admin/x", r#","scopes":["audit","x","admin"]"#, "permit"),
        ("/acme/x", "", "permit"),
        ("/closed/x", r#","scopes":["admin","audit"]"#, "route_denied"),
        ("/read/x", "", "permit"),
    ] {
        let request =
            Request { url: &format!("https://gate.example{path}"), x_api_key: Some(&key), ..REQUEST };
        assert_eq!(
            code(&gate, &request, Lookup::Found(&with(&record, more)), NOW),
            expected,
            "{path} {more}"
        );
    }
    let mut stranger = record.clone();
    stranger.subject = "other".parse::<crate::record::token::Subject>().unwrap();
    let request = Request { url: "https://gate.example/acme/x", x_api_key: Some(&key), ..REQUEST };
    assert_eq!(code(&gate, &request, Lookup::Found(&stranger), NOW), "subject_not_allowed");
    let denial = outcome(
        &gate,
        &Request { url: "https://gate.example/admin", x_api_key: Some(&key), ..REQUEST },
        Lookup::Found(&record),
        NOW,
        |_| (),
    )
    .unwrap_err();
    let answer = denial.answer(&Wording::default());
    assert!(answer.headers.contains(&(
        "www-authenticate",
        r#"Bearer realm="api", error="insufficient_scope", scope="admin audit""#.into()
    )));
}

#[test]
fn request_that_needs_no_record_is_refused_before_the_lookup() {
    let (key, _) = issued();
    let gate = gate(&[], &SecretValues::default());
    for (request, expected) in [
        (Request { url: "http://gate.example/v1", x_api_key: Some(&key), ..REQUEST }, "https_required"),
        (Request { method: "PROPFIND", ..REQUEST }, "method_not_allowed"),
        (Request { method: "get", x_api_key: Some(&key), ..REQUEST }, "method_not_allowed"),
        (
            Request { method: "POST", url: "https://gate.example/read/x", x_api_key: Some(&key), ..REQUEST },
            "method_not_allowed",
        ),
        (Request { url: "https://gate.example/a%2fb", x_api_key: Some(&key), ..REQUEST }, "path_ambiguous"),
        (Request { url: "https://gate.example//a", x_api_key: Some(&key), ..REQUEST }, "path_ambiguous"),
        (Request { url: "https://gate.example/closed/x", ..REQUEST }, "route_denied"),
        (REQUEST, "credential_missing"),
        (Request { method: "OPTIONS", ..REQUEST }, "credential_missing"),
        (Request { authorization: Some("Bearer"), ..REQUEST }, "credential_missing"),
        (Request { authorization: Some("Basic dXNlcjpwYXNz"), ..REQUEST }, "credential_missing"),
        (Request { authorization: Some("Bearer foreign.token"), ..REQUEST }, "key_invalid"),
        (
            Request {
                authorization: Some(&format!("Bearer {key}")),
                x_api_key: Some("acme_live_another"),
                ..REQUEST
            },
            "credential_ambiguous",
        ),
        (Request { x_api_key: Some(&format!("{key}, {key}")), ..REQUEST }, "credential_ambiguous"),
    ] {
        // With a lookup the outcome would be a 503.
        assert_eq!(code(&gate, &request, Lookup::Failed("must not be used".into()), NOW), expected);
    }
}

#[test]
fn plain_http_is_accepted_only_from_loopback_and_only_if_allowed() {
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
        let gate = gate(&[("ALLOW_HTTP", allow)], &SecretValues::default());
        let request = Request { url: &format!("http://{host}/v1"), x_api_key: Some(&key), ..REQUEST };
        assert_eq!(code(&gate, &request, Lookup::Found(&record), NOW), expected, "{allow} {host}");
    }
}

#[test]
fn failing_store_gives_503_never_401_and_never_a_permit() {
    let (key, _) = issued();
    let gate = gate(&[], &SecretValues::default());
    let error = Record::parse("{}").unwrap_err();
    for (found, expected) in [
        (Lookup::Failed("error 500".into()), "key_store_unavailable"),
        (Lookup::TimedOut, "key_store_unavailable"),
        (Lookup::Invalid(error), "key_record_invalid"),
        (Lookup::NotNeeded, "key_invalid"),
    ] {
        assert_eq!(code(&gate, &Request { x_api_key: Some(&key), ..REQUEST }, found, NOW), expected);
    }
}

#[test]
fn record_of_another_id_is_rejected() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretValues::default());
    let mut other = record;
    other.id = "000000000000".parse::<crate::key::KeyId>().unwrap();
    assert_eq!(
        code(&gate, &Request { x_api_key: Some(&key), ..REQUEST }, Lookup::Found(&other), NOW),
        "key_invalid"
    );
}

#[test]
fn previous_pepper_is_accepted_and_an_unknown_one_gives_503() {
    let (key, record) = issued();
    let request = Request { x_api_key: Some(&key), ..REQUEST };
    let rotated = gate(
        &[],
        &SecretValues {
            pepper: Some(OTHER_PEPPER),
            pepper_previous: Some(PEPPER),
            ..SecretValues::default()
        },
    );
    assert_eq!(code(&rotated, &request, Lookup::Found(&record), NOW), "permit");
    let dropped = gate(&[], &SecretValues { pepper: Some(OTHER_PEPPER), ..SecretValues::default() });
    assert_eq!(code(&dropped, &request, Lookup::Found(&record), NOW), "key_invalid");
    // A key with a valid tag, and a record that names an unknown pepper.
    let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
    let mut elsewhere = record;
    elsewhere.digest = OTHER_PEPPER.parse::<Pepper>().unwrap().digest(&Key::parse(&key, &prefix).unwrap());
    assert_eq!(
        code(&gate(&[], &SecretValues::default()), &request, Lookup::Found(&elsewhere), NOW),
        "key_record_invalid"
    );
}

#[test]
fn denied_id_is_reported_as_revoked_only_to_its_holder() {
    let (key, record) = issued();
    let id = record.id.to_string();
    let gate = gate(&[], &SecretValues { denied_ids: Some(&id), ..SecretValues::default() });
    let request = Request { x_api_key: Some(&key), ..REQUEST };
    assert_eq!(code(&gate, &request, Lookup::Found(&record), NOW), "key_revoked");
    let mut other = record;
    other.digest = Digest::ImportedBare([0; 32]);
    assert_eq!(code(&gate, &request, Lookup::Found(&other), NOW), "key_invalid");
}

#[test]
fn imported_keys_are_accepted_only_if_enabled() {
    let imported = ImportedKey::parse(IMPORTED).unwrap();
    let record = json_record(imported.id().as_str(), &imported_digest(&imported), "");
    for (enabled, key, expected) in [
        ("true", IMPORTED, "permit"),
        ("false", IMPORTED, "key_invalid"),
        ("true", "tooshort", "key_invalid"),
        ("true", "sixty-four characters, but with blanks and a comma in between", "credential_ambiguous"),
    ] {
        let gate = gate(&[("IMPORTED_KEYS", enabled)], &SecretValues::default());
        assert_eq!(
            code(&gate, &Request { x_api_key: Some(key), ..REQUEST }, Lookup::Found(&record), NOW),
            expected,
            "{enabled} {key}"
        );
    }
    // The stored digest is not a key, of either kind.
    let gate = gate(&[("IMPORTED_KEYS", "true")], &SecretValues::default());
    let stored = record.digest.to_string();
    assert_eq!(
        code(&gate, &Request { x_api_key: Some(&stored), ..REQUEST }, Lookup::Unknown, NOW),
        "key_invalid"
    );
}

proptest! {
    #[test]
    fn key_is_valid_from_not_before_until_not_after(start in 0_u64..4_000_000_000, length in 1_u64..4_000_000_000, now in 0_u64..9_000_000_000) {
        let (key, record) = issued();
        let gate = gate(&[], &SecretValues::default());
        let record = with(&record, &format!(r#","not_before":{start},"not_after":{}"#, start + length));
        let permitted = code(&gate, &Request { x_api_key: Some(&key), ..REQUEST }, Lookup::Found(&record), now) == "permit";
        prop_assert_eq!(permitted, (start..start + length).contains(&now));
    }

    #[test]
    fn without_a_valid_key_only_public_routes_are_permitted(
        method in "[A-Z]{3,7}", path in "(/(public|admin|x|%[0-9a-f]{2}|\\.\\.|;|))*", authorization in any::<Option<String>>(),
        x_api_key in prop::option::of("acme_live_[0-9A-Za-z]{50}"), query in prop::option::of("(api_key=)?[ -~]{0,80}"),
    ) {
        let gate = gate(&[], &SecretValues::default());
        let url = format!("https://gate.example{path}{}", query.map(|q| "?".to_string() + &q.replace('#', "")).unwrap_or_default());
        let request = Request { method: &method, url: &url, authorization: authorization.as_deref(), x_api_key: x_api_key.as_deref(), ..REQUEST };
        if let Ok(destination) = outcome(&gate, &request, Lookup::Unknown, NOW, |permit| format!("{:?}", permit.destination())) {
            prop_assert!(destination.contains("https://origin.example/base/public"), "{}", destination);
        }
    }
}

#[test]
fn imported_key_must_match_its_own_digest() {
    let imported = ImportedKey::parse(IMPORTED).unwrap();
    let gate = gate(&[("IMPORTED_KEYS", "true")], &SecretValues::default());
    let request = Request { x_api_key: Some(IMPORTED), ..REQUEST };
    let mut record = json_record(imported.id().as_str(), &imported_digest(&imported), "");
    assert_eq!(code(&gate, &request, Lookup::Found(&record), NOW), "permit");
    let (_, issued) = issued();
    for digest in [Digest::ImportedBare([0; 32]), issued.digest] {
        record.digest = digest;
        assert_eq!(code(&gate, &request, Lookup::Found(&record), NOW), "key_invalid");
    }
}
