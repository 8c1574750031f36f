//! What a permit says about the forwarded request.

use std::format;
use std::string::ToString;

use super::{NOW, PEPPER, REQUEST, Request, gate, issued, outcome, with};
use crate::auth::admission::Admission;
use crate::auth::decide::{Authorization, Decision, Destination, Lookup, Permit, decide};
use crate::auth::secrets::SecretValues;
use crate::request::head::RequestHead;
use crate::response::{Cause, Code};
use crate::time::UnixSeconds;

#[test]
fn permitted_request_is_sent_to_the_routes_origin_on_the_canonical_path_without_credential() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretValues::default());
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
        let request =
            Request { url: &format!("https://gate.example{path}"), x_api_key: Some(&key), ..REQUEST };
        outcome(&gate, &request, Lookup::Found(&record), NOW, |permit| {
            assert_eq!(permit.destination(), expected);
            assert_eq!(permit.no_store(), no_store, "{path}");
            assert_eq!(permit.holder().is_none(), path.starts_with("/public"));
        })
        .unwrap();
    }
}

#[test]
fn authorization_is_forwarded_only_if_it_is_for_the_origin() {
    let (key, record) = issued();
    let bearer = format!("Bearer {key}");
    let own = SecretValues { origin_authorization: Some("Bearer provider"), ..SecretValues::default() };
    let none = SecretValues::default();
    let public = "https://gate.example/public/x";
    for (secrets, url, authorization, expected) in [
        (&none, REQUEST.url, None, Authorization::Strip),
        (&none, REQUEST.url, Some(&*bearer), Authorization::Strip),
        (&none, REQUEST.url, Some("Bearer origins.token"), Authorization::Keep),
        (&none, REQUEST.url, Some("Digest a=\"b\", c=d"), Authorization::Keep),
        (&own, REQUEST.url, Some("Bearer origins.token"), Authorization::Replace("Bearer provider")),
        (&own, REQUEST.url, None, Authorization::Replace("Bearer provider")),
        (&none, public, Some("Bearer origins.token"), Authorization::Keep),
        (&none, public, Some(&*bearer), Authorization::Strip),
        (&own, public, Some("Bearer origins.token"), Authorization::Keep),
    ] {
        let request = Request { url, authorization, x_api_key: Some(&key), ..REQUEST };
        let got = outcome(&gate(&[], secrets), &request, Lookup::Found(&record), NOW, |permit| match permit
            .authorization()
        {
            Authorization::Keep => "keep".to_string(),
            Authorization::Strip => "strip".to_string(),
            Authorization::Replace(with) => with.to_string(),
        });
        let expected = match expected {
            Authorization::Keep => "keep",
            Authorization::Strip => "strip",
            Authorization::Replace(with) => with,
        };
        // Without an Authorization, keeping it changes nothing.
        let got = got.unwrap();
        assert!(
            got == expected || authorization.is_none() && got == "keep",
            "{url} {authorization:?}: {got}"
        );
    }
}

#[test]
fn requests_on_public_routes_are_signed_too() {
    let (key, record) = issued();
    let bearer = format!("Bearer {key}");
    let text = "2026-11:v3IBMFPq0jvVjfQtT0hZpWm1bPqk1bFqXyQy3R1zq2E=";
    let signing = SecretValues { origin_signing_key: Some(text), ..SecretValues::default() };
    for (secrets, expected) in [(signing, true), (SecretValues::default(), false)] {
        for url in [REQUEST.url, "https://gate.example/public/x"] {
            let request = Request { url, authorization: Some(&bearer), ..REQUEST };
            let has_key = |permit: &Permit<'_>| permit.signing_key().is_some();
            let got = outcome(&gate(&[], &secrets), &request, Lookup::Found(&record), NOW, has_key);
            assert_eq!(got.unwrap(), expected, "{url}");
        }
    }
}

#[test]
fn origin_secrets_are_sent_to_another_origin_only_if_the_route_says_so() {
    let (key, record) = issued();
    let bearer = format!("Bearer {key}");
    let secrets = SecretValues {
        origin_authorization: Some("Bearer provider"),
        origin_signing_key: Some("2026-11:v3IBMFPq0jvVjfQtT0hZpWm1bPqk1bFqXyQy3R1zq2E="),
        ..SecretValues::default()
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
        let request = Request { url: &url, authorization: Some(&bearer), ..REQUEST };
        let sends = |permit: &Permit<'_>| {
            (matches!(permit.authorization(), Authorization::Replace(_)), permit.signing_key().is_some())
        };
        let got = outcome(&gate(&[], &secrets), &request, Lookup::Found(&record), NOW, sends);
        assert_eq!(got.unwrap(), (is_sent, is_sent), "{path}");
    }
}

#[test]
fn forwarded_preflight_has_no_body_cookies_or_credentials() {
    let forwarding = gate(&[("PREFLIGHT", "\"forward\"")], &SecretValues::default());
    for (method, asked, is_preflight) in [("OPTIONS", Some("POST"), true), ("OPTIONS", None, false)] {
        let headers = [
            ("origin", "https://app.example"),
            ("access-control-request-method", asked.unwrap_or_default()),
            ("authorization", "Basic dXNlcjpwYXNzd29yZA=="),
        ];
        let url = "https://gate.example/public/x";
        let head = RequestHead { method, url, header_names: "accept\ncookie", headers: &headers };
        let Ok(Admission::Proceed(admitted)) = forwarding.admit(&head) else {
            panic!("it must be forwarded")
        };
        let now = UnixSeconds::new(NOW).unwrap();
        let Ok(Decision::Permit(permit)) = decide(&forwarding, &admitted, Lookup::NotNeeded, now) else {
            panic!("it must be forwarded")
        };
        let stripped = permit.headers_to_strip(&head);
        assert_eq!(stripped.contains(&"cookie"), is_preflight);
        assert_eq!(permit.forwards_body(), !is_preflight);
        assert_eq!(permit.authorization() == Authorization::Strip, is_preflight);
    }
}

#[test]
fn connection_limit_applies_only_to_requests_with_a_key() {
    let (key, record) = issued();
    let bearer = format!("Bearer {key}");
    for (vars, path, expected) in [
        (&[("MAX_CONNECTION_SECONDS", "60")][..], "/v1/x", Some(60)),
        (&[("MAX_CONNECTION_SECONDS", "60")], "/public/x", None),
        (&[], "/v1/x", None),
    ] {
        let url = format!("https://gate.example{path}");
        let request = Request { url: &url, authorization: Some(&bearer), ..REQUEST };
        let gate = gate(vars, &SecretValues::default());
        let secs = |permit: &Permit<'_>| permit.max_connection_secs();
        let got = outcome(&gate, &request, Lookup::Found(&record), NOW, secs);
        assert_eq!(got.unwrap(), expected, "{path}");
    }
}

#[test]
fn withdrawn_permit_names_its_holder() {
    let (key, record) = issued();
    let request = Request { authorization: Some(&format!("Bearer {key}")), ..REQUEST };
    let withdraw = |permit: &Permit<'_>| permit.withdraw(Cause::Misconfigured("why".into()));
    let gate = gate(&[], &SecretValues::default());
    let denial = outcome(&gate, &request, Lookup::Found(&record), NOW, withdraw).unwrap();
    assert_eq!(denial.cause.code(), Code::GateMisconfigured);
    assert_eq!((denial.key_id, denial.subject.as_ref()), (Some(record.id), Some(&record.subject)));
    let public = Request { url: "https://gate.example/public/x", ..REQUEST };
    let denial = outcome(&gate, &public, Lookup::Found(&record), NOW, withdraw).unwrap();
    assert_eq!((denial.key_id, denial.subject), (None, None));
}

#[test]
fn debug_output_of_a_permit_contains_no_key() {
    let (key, record) = issued();
    let gate = gate(
        &[],
        &SecretValues { origin_authorization: Some("Bearer provider-canary"), ..SecretValues::default() },
    );
    let (bearer, url) = (format!("Bearer {key}"), format!("{}&api_key={key}", REQUEST.url));
    for request in [Request { authorization: Some(&bearer), ..REQUEST }, Request { url: &url, ..REQUEST }] {
        let debug =
            outcome(&gate, &request, Lookup::Found(&record), NOW, |permit| format!("{permit:?}")).unwrap();
        assert!(
            !debug.contains(&key[22..]) && !debug.contains("canary") && !debug.contains(PEPPER),
            "{debug}"
        );
    }
}

#[test]
fn permit_names_holder_and_client_address() {
    let (key, record) = issued();
    let gate = gate(&[], &SecretValues::default());
    let record = with(&record, r#","scopes":["admin","reports:read"]"#);
    for (client_ip, expected) in [
        (Some("203.0.113.9"), Some("203.0.113.9")),
        (Some("2001:db8::1"), Some("2001:db8::1")),
        (Some("203.0.113.9, 10.0.0.1"), None),
        (Some(""), None),
        (None, None),
    ] {
        let request = Request { client_ip, x_api_key: Some(&key), ..REQUEST };
        outcome(&gate, &request, Lookup::Found(&record), NOW, |permit| {
            assert_eq!(permit.client_ip(), expected, "{client_ip:?}");
            assert_eq!((permit.forwarded_proto(), permit.forwarded_host()), ("https", "gate.example"));
            let holder = permit.holder().unwrap();
            assert_eq!((holder.id, holder.subject), (record.id, "acme"));
            assert_eq!(holder.scopes_header().as_deref(), Some("admin reports:read"));
        })
        .unwrap();
    }
    let request = Request { x_api_key: Some(&key), ..REQUEST };
    let none = outcome(&gate, &request, Lookup::Found(&with(&record, "")), NOW, |permit| {
        permit.holder().unwrap().scopes_header()
    });
    assert_eq!(none.unwrap(), None);
}
