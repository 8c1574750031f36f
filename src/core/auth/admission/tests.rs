use std::format;

use super::{Admission, Gate};
use crate::auth::secrets::{SecretValues, Secrets};
use crate::policy::Policy;
use crate::request::head::RequestHead;
use crate::request::url::UrlParts;

fn gate(preflight: &str) -> Gate {
    let pepper = Some("Zk9wVGVzdFBlcHBlck5vdEZvclVzZTAxMjM0NTY3ODkrLw");
    let vars = format!(
        r#"{{"ORIGIN":"https://origin.example","KEY_PREFIX":"acme_live","PREFLIGHT":"{preflight}",
            "CORS_ORIGINS":["https://app.example"],
            "ROUTES":[{{"path":"/read/*","methods":["GET"]}},{{"path":"/closed/*","access":"deny"}}]}}"#
    );
    Gate {
        policy: Policy::from_json(&vars).unwrap(),
        secrets: Secrets::parse(&SecretValues { pepper, ..SecretValues::default() }).unwrap(),
    }
}

/// The outcome for a request without a key: `answered`, `forwarded`, or the code of its refusal.
fn outcome(gate: &Gate, method: &str, path: &str, origin: Option<&str>, asked: Option<&str>) -> &'static str {
    let headers = [("origin", origin), ("access-control-request-method", asked)]
        .map(|(name, value)| (name, value.unwrap_or_default()));
    let url = format!("https://gate.example{path}");
    let head = RequestHead { method, url: &url, header_names: "", headers: &headers };
    match gate.admit(&head) {
        Ok(Admission::AnswerPreflight) => "answered",
        Ok(Admission::Proceed(admitted)) => {
            assert_eq!(admitted.key_id(), None);
            "forwarded"
        }
        Err(denial) => denial.cause.code().row().code,
    }
}

#[test]
fn preflight_is_checked_by_the_method_that_it_requests() {
    let app = Some("https://app.example");
    let (answering, forwarding) = (gate("answer"), gate("forward"));
    for (method, path, origin, asked, answered, forwarded) in [
        ("OPTIONS", "/v1", app, Some("POST"), "answered", "forwarded"),
        ("OPTIONS", "/v1", app, Some("PROPFIND"), "method_not_allowed", "method_not_allowed"),
        ("OPTIONS", "/a%2fb", app, Some("POST"), "path_ambiguous", "path_ambiguous"),
        // Where the gate answers preflights, the route is checked only for the later request.
        ("OPTIONS", "/closed/x", app, Some("POST"), "answered", "route_denied"),
        ("OPTIONS", "/read/x", app, Some("POST"), "answered", "method_not_allowed"),
        ("OPTIONS", "/read/x", app, Some("GET"), "answered", "forwarded"),
        // None of these is a preflight; their own method is checked, and they need a key.
        ("OPTIONS", "/v1", None, Some("POST"), "credential_missing", "credential_missing"),
        ("OPTIONS", "/v1", app, None, "credential_missing", "credential_missing"),
        ("GET", "/v1", app, Some("PROPFIND"), "credential_missing", "credential_missing"),
        ("PROPFIND", "/v1", app, Some("GET"), "method_not_allowed", "method_not_allowed"),
        ("POST", "/read/x", app, Some("GET"), "method_not_allowed", "method_not_allowed"),
    ] {
        assert_eq!(outcome(&answering, method, path, origin, asked), answered, "{method} {path}");
        assert_eq!(outcome(&forwarding, method, path, origin, asked), forwarded, "{method} {path}");
    }
}

#[test]
fn debug_output_of_a_request_head_contains_no_request_data() {
    let headers = [("authorization", "Bearer canary"), ("x-api-key", "canary")];
    let url = "https://gate.example/canary?api_key=canary";
    let head = RequestHead { method: "GET", url, header_names: "canary", headers: &headers };
    assert_eq!(std::format!("{head:?} {:?}", UrlParts::of(head.url)), "RequestHead(..) UrlParts(..)");
}
