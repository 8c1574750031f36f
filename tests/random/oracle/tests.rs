#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use super::{ORIGIN_AUTHORIZATION, ORIGIN_MARK, check_sighting, judge};
use crate::expected::{Carried, Expected, carried};
use crate::keys::{Kind, PEPPER, Ring};
use crate::request::Request;
use keygate_testbed::http::{Message, read_answer, read_request};

fn ring() -> Ring {
    Ring::make(7).expect("the constants are right")
}

fn key_of(ring: &Ring, kind: Kind) -> (usize, &str) {
    let at = ring.keys.iter().position(|key| key.kind == kind).expect("there is one of each kind");
    (at, &ring.keys[at].text)
}

#[test]
fn one_intact_key_is_told_from_everything_else() {
    let ring = ring();
    let (at, key) = key_of(&ring, Kind::Active);
    let (_, other) = key_of(&ring, Kind::Admin);
    let foreign = "Authorization: Bearer of-the-origin";
    for (headers, expected) in [
        (String::new(), Carried::Nothing),
        (format!("Authorization: Bearer {key}"), Carried::Key(at)),
        (format!("authorization:bEARER \t{key}\t "), Carried::Key(at)),
        (format!("X-API-Key: {key}"), Carried::Key(at)),
        (format!("X-API-Key: {key}\r\nAuthorization: Bearer {key}"), Carried::Key(at)),
        (format!("X-API-Key: {key}\r\n{foreign}"), Carried::Key(at)),
        (format!("X-Other: 1\nX-API-Key: {key}"), Carried::Key(at)),
        (format!("X-API-Key: {key}x"), Carried::Other),
        (foreign.to_owned(), Carried::Other),
        (format!("X-API-Key: {key}\r\nX-API-Key: {key}"), Carried::Unclear),
        (format!("X-API-Key: {key},{other}"), Carried::Unclear),
        (format!("X-API-Key: {key}\r\nAuthorization: Bearer {other}"), Carried::Unclear),
        (format!("Authorization: Token {key}"), Carried::Unclear),
        (format!("X_Api_Key: {key}"), Carried::Nothing),
        (format!("X: 1\r\n\r\nX-API-Key: {key}"), Carried::Nothing),
    ] {
        let bytes = format!("GET /v1/things HTTP/1.1\r\n{headers}\r\n\r\n");
        assert_eq!(carried(bytes.as_bytes(), &ring), expected, "{headers}");
    }
}

/// A request, and what the gate makes of it when all is well.
fn pair(ring: &Ring, target: &str, kind: Option<Kind>) -> (Request, String) {
    let key = kind.map(|kind| &ring.keys[key_of(ring, kind).0]);
    let credential = key.map(|key| format!("X-API-Key: {}\r\n", key.text)).unwrap_or_default();
    let bytes = format!("GET {target} HTTP/1.1\r\nHost: gate\r\n{credential}\r\n").into_bytes();
    let sent =
        Request { bytes, method: "GET".to_owned(), target: Some(target.to_owned()), ..Request::default() };
    let holder = key.map(|key| {
        format!(
            "X-Keygate-Key-Id: {}\r\nX-Keygate-Subject: {}\r\nAuthorization: {ORIGIN_AUTHORIZATION}\r\n",
            key.id, key.subject
        )
    });
    let forwarded = format!(
        "GET {target} HTTP/1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: gate\r\nSignature: s\r\n\
         Signature-Input: i\r\n{}",
        holder.unwrap_or_default()
    );
    (sent, forwarded)
}

fn seen(forwarded: &str, more: &str) -> Message {
    let read = read_request(&mut format!("{forwarded}{more}\r\n").as_bytes());
    read.expect("it can be read").expect("it is a request")
}

#[test]
fn what_may_reach_the_origin_may_do_so() {
    let ring = ring();
    for (target, kind) in [
        ("/public/page?a=1", None),
        ("/v1/things", Some(Kind::Active)),
        ("/v1/things", Some(Kind::Static)),
        ("/admin/users", Some(Kind::Admin)),
    ] {
        let (sent, forwarded) = pair(&ring, target, kind);
        assert_eq!(check_sighting(&sent, &seen(&forwarded, ""), &ring), Ok(()), "{target}");
    }
}

#[test]
fn what_may_not_reach_the_origin_is_found() {
    let ring = ring();
    let active = key_of(&ring, Kind::Active).1;
    let rows = [
        ("/v1/things", None, String::new()),
        ("/public/../admin/users", None, String::new()),
        ("/public/%2e%2e/admin", None, String::new()),
        ("/public//admin", None, String::new()),
        ("/public%2fadmin", Some(Kind::Admin), String::new()),
        ("/public/%00", None, String::new()),
        ("/closed/x", Some(Kind::Admin), String::new()),
        ("/admin/users", Some(Kind::Active), String::new()),
        ("/admin;x/users", Some(Kind::Active), String::new()),
        ("/v1/things", Some(Kind::Revoked), String::new()),
        ("/v1/things", Some(Kind::Expired), String::new()),
        ("/v1/things", Some(Kind::Denied), String::new()),
        ("/v1/things", Some(Kind::Unknown), String::new()),
        ("/v1/things", Some(Kind::Networked), String::new()),
        ("/v1/things", Some(Kind::Active), "X-Keygate-Subject: root\r\n".to_owned()),
        ("/v1/things", Some(Kind::Active), "X_Keygate_Scopes: admin\r\n".to_owned()),
        ("/v1/things", Some(Kind::Active), "Forwarded: for=1.1.1.1\r\n".to_owned()),
        ("/v1/things", Some(Kind::Active), format!("X-API-Key: {active}\r\n")),
        ("/v1/things", Some(Kind::Active), format!("X-Note: {active}\r\n")),
        ("/v1/things", Some(Kind::Active), format!("X-Note: {PEPPER}\r\n")),
        ("/public/page", None, format!("Authorization: {ORIGIN_AUTHORIZATION}\r\n")),
        ("/public/page", None, "Content-Length: 1\r\n\r\nx".to_owned()),
    ];
    for (target, kind, more) in rows {
        let (sent, forwarded) = pair(&ring, target, kind);
        assert!(check_sighting(&sent, &seen(&forwarded, &more), &ring).is_err(), "{target} {kind:?} {more}");
    }
    let (sent, forwarded) = pair(&ring, "/v1/things", Some(Kind::Active));
    let elsewhere = forwarded.replace("/v1/things", "/v1/others");
    assert!(check_sighting(&sent, &seen(&elsewhere, ""), &ring).is_err(), "another target");
}

/// A refusal as the contract has it, with this in place of `no-store`.
fn refusal(cache_control: &str) -> String {
    let body = "{\"type\":\"urn:problem-type:keygate:key_invalid\",\"title\":\"t\",\"status\":401,\"detail\":\"d\",\
        \"code\":\"key_invalid\",\"request_id\":\"r\",\"error\":\"Unauthorized access\"}";
    format!(
        "HTTP/1.1 401 Unauthorized\r\nContent-Type: application/problem+json\r\nCache-Control: {cache_control}\r\n\
         WWW-Authenticate: Bearer realm=\"api\", error=\"invalid_token\"\r\n\r\n{body}"
    )
}

#[test]
fn answers_outside_of_the_contract_are_found() {
    let ring = ring();
    let origins = format!("HTTP/1.1 200 OK\r\n{ORIGIN_MARK}: 5\r\nContent-Length: 0\r\n\r\n");
    let refused = refusal("no-store");
    let bare = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let secret = key_of(&ring, Kind::Active).1;
    let rows = [
        (origins.clone(), 1, Expected::Forwarded, true),
        (origins.clone(), 0, Expected::Forwarded, false),
        (origins.clone(), 1, Expected::Code("key_invalid"), false),
        (origins.replace(": 5", ": 6"), 1, Expected::Forwarded, false),
        (refused.clone(), 0, Expected::Code("key_invalid"), true),
        (refused.clone(), 0, Expected::Refused, true),
        (refused.clone(), 0, Expected::Code("key_revoked"), false),
        (refused.clone(), 0, Expected::Forwarded, false),
        (refused.clone(), 1, Expected::Anything, false),
        (refusal("public"), 0, Expected::Anything, false),
        (refused.replace("WWW-Authenticate", "X-Other"), 0, Expected::Anything, false),
        (refused.replace("key_invalid\",\"request", "key_broken\",\"request"), 0, Expected::Anything, false),
        (refused.replace("request_id", "request_no"), 0, Expected::Anything, false),
        (refused.replace("\"d\"", &format!("\"{secret}\"")), 0, Expected::Anything, false),
        (bare.to_owned(), 0, Expected::Anything, false),
    ];
    for (text, sightings, expected, is_good) in rows {
        let sent = Request { number: 5, method: "GET".to_owned(), expected, ..Request::default() };
        let read = read_answer(&mut text.as_bytes(), "GET");
        let answer = read.expect("it can be read");
        let judged = judge(&sent, answer.as_ref(), sightings, &ring);
        assert_eq!(judged.is_ok(), is_good, "{judged:?} {sightings} {expected:?} {text}");
    }
    let sent = Request { method: "GET".to_owned(), ..Request::default() };
    assert!(judge(&sent, None, 0, &ring).is_err(), "no answer");
}
