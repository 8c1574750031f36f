//! The policy: the variables as one JSON object.
#![no_main]

use keygate_core::auth::admission::{Admission, Gate};
use keygate_core::auth::decide::{Decision, Lookup, decide};
use keygate_core::auth::secrets::{SecretValues, Secrets};
use keygate_core::policy::Policy;
use keygate_core::policy::origin::Origin;
use keygate_core::policy::route::Access;
use keygate_core::request::head::RequestHead;
use keygate_core::response::{Cause, Denial};
use keygate_core::time::UnixSeconds;
use keygate_fuzz::{PEPPER, text};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let text = text(data);
    let policy = match Policy::from_json(&text) {
        Ok(policy) => policy,
        Err(faults) => {
            let lines = faults.to_string();
            assert!(faults.iter().count() > 0);
            assert_eq!(lines.lines().count(), faults.iter().count(), "a value broke a line: {lines:?}");
            assert!(!lines.chars().any(|c| c.is_control() && c != '\n'), "{lines:?}");
            return;
        }
    };
    within_bounds(&policy);
    as_written(&policy, &text);
    nobody_passes_without_a_key(policy);
});

fn within_bounds(policy: &Policy) {
    let answer = Denial::from(Cause::CredentialMissing).answer(policy.wording());
    let challenge =
        answer.headers.iter().find(|(name, _)| *name == "www-authenticate").expect("every 401 has one");
    let (_, parameters) = challenge.1.split_once("realm=\"").expect("every challenge has a realm");
    let (realm, _) = parameters.split_once('"').expect("the realm ends");
    assert!(
        (1..=64).contains(&realm.len())
            && challenge.1.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'\\')
    );
    assert!(serde_json::from_str::<Value>(&answer.body("r")).is_ok());
    assert!((30..=86_400).contains(&policy.kv_cache_ttl_secs()));
    assert!((100..=10_000).contains(&policy.kv_timeout_ms()));
    assert!(policy.cache_entries() <= 100_000);
    assert!(policy.cache_secs() <= 3600 && policy.stale_secs() <= 86_400);
    assert!((1..=600).contains(&policy.origin_timeout_secs()));
    assert!((0.0..=1.0).contains(&policy.access_log_sample()));
    assert!((1..=100_000).contains(&policy.rejection_logs_per_minute()));
    let origins = policy.routes().as_slice().iter().filter_map(|route| route.origin());
    for origin in origins.chain([policy.origin()]) {
        if let Origin::Url(url) = origin {
            let built = url.url_for("/a", Some("b=c"));
            assert!(built.starts_with("https://") || built.starts_with("http://"));
            assert!(built.ends_with("/a?b=c") && !built.chars().any(char::is_control));
            assert!(!url.base_path().contains("//") && !url.base_path().contains(['?', '#', '\\']));
        }
    }
    for method in ["CONNECT", "TRACE", "TRACK", ""] {
        assert!(policy.methods().index_of(method).is_none(), "{method}");
    }
}

/// What the operator wrote holds: nothing is dropped or read as something else.
fn as_written(policy: &Policy, text: &str) {
    let vars: Value = serde_json::from_str(text).expect("a policy is JSON");
    assert_eq!(vars["KEY_PREFIX"], policy.key_prefix().as_str());
    let routes = vars["ROUTES"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert_eq!(routes.len(), policy.routes().as_slice().len());
    for (written, route) in routes.iter().zip(policy.routes().as_slice()) {
        assert_eq!(written["path"], route.path());
        let access = match written["access"].as_str() {
            Some("public") => Access::Public,
            Some("deny") => Access::Deny,
            _ => Access::Key,
        };
        assert_eq!(route.access(), access);
        let len = |field: &str| written[field].as_array().map_or(0, Vec::len);
        assert_eq!((route.scopes().len(), route.subjects().len()), (len("scopes"), len("subjects")));
    }
}

fn nobody_passes_without_a_key(policy: Policy) {
    let secrets = Secrets::parse(&SecretValues { pepper: Some(PEPPER), ..SecretValues::default() });
    let gate = Gate { policy, secrets: secrets.expect("it is a pepper") };
    let paths = gate.policy.routes().as_slice().iter().take(4).map(|route| route.path().replace('*', "x"));
    for path in paths.chain(["/".into(), "/x/y".into()]) {
        let url = format!("https://gate.example{path}");
        let headers = [("cf-connecting-ip", "203.0.113.9")];
        let head = RequestHead { method: "GET", url: &url, header_names: "", headers: &headers };
        let Ok(Admission::Proceed(admitted)) = gate.admit(&head) else { continue };
        assert!(admitted.key_id().is_none(), "a key was found where there is none");
        let verdict =
            decide(&gate, &admitted, Lookup::NotNeeded, UnixSeconds::MAX).expect("no key is needed");
        let Decision::Permit(permit) = verdict else { panic!("nobody's requests are counted") };
        assert!(permit.holder().is_none());
        let is_public = gate.policy.routes().as_slice().iter().any(|route| route.access() == Access::Public);
        assert!(is_public, "{path} needs a key");
    }
}
