use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use base64ct::{Base64, Encoding};
use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy;
use serde::Deserialize;

use super::places::PlaceError;
use super::{AuthorizationFate, CredentialError, CredentialText, Places, Presented};
use crate::key::KeyPrefix;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    #[serde(default)]
    credentials: Vec<String>,
    authorization: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    query: Option<String>,
    credential: Option<String>,
    fate: Option<String>,
    forwarded_query: Option<String>,
    fault: Option<String>,
}

fn places<T: AsRef<str>>(list: &[T]) -> Places {
    let mut places = Places::default();
    for place in list {
        places.add(place.as_ref()).unwrap();
    }
    places
}

fn prefix() -> KeyPrefix {
    "acme_live".parse::<KeyPrefix>().unwrap()
}

#[test]
fn frozen_vectors() {
    let vectors: Vectors =
        serde_json::from_str(include_str!("../../../../tests/vectors/credential.json")).unwrap();
    for case in vectors.cases {
        let places = if case.credentials.is_empty() {
            places(&["bearer", "header:x-api-key"])
        } else {
            places(&case.credentials)
        };
        let headers: Vec<Option<&str>> =
            places.header_names().iter().map(|name| case.headers.get(&**name).map(String::as_str)).collect();
        assert_eq!(headers.iter().flatten().count(), case.headers.len(), "{}", case.name);
        let presented = Presented {
            authorization: case.authorization.as_deref(),
            headers: &headers,
            query: case.query.as_deref(),
        };
        match places.extract(&prefix(), &presented, false) {
            Ok(found) => {
                assert_eq!(case.fault, None, "{}", case.name);
                assert_eq!(
                    found.credential.as_ref().map(CredentialText::expose),
                    case.credential.as_deref(),
                    "{}",
                    case.name
                );
                assert_eq!(Some(std::format!("{:?}", found.authorization)), case.fate, "{}", case.name);
                assert_eq!(found.query.as_deref(), case.forwarded_query.as_deref(), "{}", case.name);
                assert!(
                    !std::format!("{:?} {presented:?}", found.credential).contains("acme_live_4"),
                    "{}",
                    case.name
                );
            }
            Err(fault) => {
                assert_eq!(Some(std::format!("{fault:?}")), case.fault, "{}", case.name);
            }
        }
    }
}

#[test]
fn a_public_route_hands_on_what_is_the_origins_and_nothing_else() {
    let places = places(&["bearer", "basic", "header:x-api-key", "query:api_key"]);
    for (authorization, key, imported_keys, fate) in [
        ("Bearer acme_live_k", None, false, AuthorizationFate::Strip),
        ("Bearer token", None, false, AuthorizationFate::Keep),
        ("Bearer token", None, true, AuthorizationFate::Strip),
        ("Bearer token", Some("token"), false, AuthorizationFate::Strip),
        ("Bearer a, Bearer b", None, false, AuthorizationFate::Strip),
        ("Basic dXNlcjpwYXNzd29yZA==", None, false, AuthorizationFate::Keep),
        ("Digest a=b", None, true, AuthorizationFate::Keep),
        ("Token acme_live_k", None, false, AuthorizationFate::Strip),
        ("Digest a=b", Some("a,b"), false, AuthorizationFate::Strip),
    ] {
        let headers = [key];
        let presented = Presented {
            authorization: Some(authorization),
            headers: &headers,
            query: Some("a=1&api_key=x&api_key=y"),
        };
        // Twice in the query is a fault, and a fault keeps nothing.
        let released = places.release(&prefix(), &presented, imported_keys);
        assert_eq!(released.authorization, AuthorizationFate::Strip, "{authorization}");
        assert_eq!(released.query.as_deref(), Some("a=1"));

        let presented = Presented { query: None, ..presented };
        let released = places.release(&prefix(), &presented, imported_keys);
        assert_eq!(released.authorization, fate, "{authorization}");
    }
}

#[test]
fn a_second_credential_that_could_be_an_imported_key_is_refused() {
    const OTHER: &str = "0123456789abcdef0123456789abcdef";
    let key = "fedcba9876543210fedcba9876543210";
    let basic = std::format!("Basic {}", Base64::encode_string(std::format!("u:{OTHER}").as_bytes()));
    let bearer = std::format!("Bearer {OTHER}");
    for (places_of, authorization, imported_keys, refused) in [
        (&["bearer", "header:x-api-key"][..], &*bearer, true, true),
        (&["bearer", "header:x-api-key"], &bearer, false, false),
        // Not a source: the origin's business, as no gate can tell what a text means there.
        (&["header:x-api-key"], &bearer, true, false),
        (&["bearer", "header:x-api-key"], "Bearer short", true, false),
        (&["basic", "header:x-api-key"], &basic, true, true),
        (&["header:x-api-key"], &basic, true, false),
    ] {
        let places = places(places_of);
        let headers = [Some(key)];
        let presented =
            Presented { authorization: Some(authorization), headers: &headers, ..Presented::default() };
        let found = places.extract(&prefix(), &presented, imported_keys);
        assert_eq!(found.err(), refused.then_some(CredentialError::Different), "{authorization}");
        let released = places.release(&prefix(), &presented, imported_keys);
        assert_eq!(released.authorization == AuthorizationFate::Strip, refused, "{authorization}");
    }
}

#[test]
fn places_that_cannot_be() {
    for place in [
        "",
        "Bearer",
        "bearer:",
        "basic:x",
        "header",
        "header:",
        "header:x_api_key",
        "header:x api",
        "header:1x",
        "header:é",
        "header:x-api-key:",
        "header:authorization",
        "header:Cookie",
        "header:host",
        "header:connection",
        "header:te",
        "header:upgrade",
        "header:cf-connecting-ip",
        "header:x-keygate-key-id",
        "header:x-forwarded-for",
        "header:content-type",
        "header:proxy-authorization",
        "header:sec-websocket-protocol",
        "query",
        "query:",
        "query:a b",
        "query:a%20",
        "query:a&b",
        "cookie:session",
    ] {
        assert!(Places::default().add(place).is_err(), "{place:?}");
    }
    for (length, is_read) in [(1, true), (64, true), (65, false), (66, false)] {
        for kind in ["header", "query"] {
            let place = std::format!("{kind}:{}", "n".repeat(length));
            assert_eq!(Places::default().add(&place).is_ok(), is_read, "{place}");
        }
    }
    let mut query = places(&["query:k"]);
    assert_eq!(query.add("query:k"), Err(PlaceError::Twice));
    assert_eq!(query.add("query:other"), Err(PlaceError::SecondQuery));
    let mut twice = places(&["bearer", "basic", "header:x-api-key", "query:k"]);
    for place in ["bearer", "basic", "header:X-API-Key", "query:k", "query:other"] {
        assert!(twice.add(place).is_err(), "{place:?}");
    }
    for place in ["header:a", "header:b", "header:c", "header:d"] {
        twice.add(place).unwrap();
    }
    assert!(twice.add("header:e").is_err());
    assert_eq!(twice.header_names().len(), 5);
    assert!(places(&["header:X-API-Key"]).header_names()[0].as_ref() == "x-api-key");
}

#[test]
fn places_are_what_was_configured() {
    for (list, bearer, basic, query) in [
        (&["bearer", "header:x-api-key"][..], true, false, None),
        (&["basic"], false, true, None),
        (&["query:k", "header:x-key"], false, false, Some("k")),
    ] {
        let places = places(list);
        assert_eq!((places.bearer(), places.basic(), places.query_name()), (bearer, basic, query));
    }
}

#[test]
fn what_a_client_sent_is_not_shown_and_a_fault_has_a_reason_of_its_own() {
    let headers = [Some("canary")];
    let presented =
        Presented { authorization: Some("Digest other"), headers: &headers, query: Some("canary") };
    assert_eq!(std::format!("{presented:?}"), "Presented(..)");
    let found = places(&["header:x-api-key"]).extract(&prefix(), &presented, false).unwrap();
    assert_eq!(std::format!("{:?}", found.credential), "Some(CredentialText(..))");
    let mut reasons = [
        CredentialError::RepeatedHeader,
        CredentialError::RepeatedAuthorization,
        CredentialError::RepeatedParameter,
        CredentialError::Different,
        CredentialError::KeyInForeignAuthorization,
    ]
    .map(CredentialError::as_str);
    reasons.sort_unstable();
    assert!(
        reasons.windows(2).all(|pair| pair[0] != pair[1])
            && reasons.iter().all(|reason| reason.contains(' '))
    );
}

#[test]
fn what_is_no_text_in_the_query_is_the_same_as_nothing_else() {
    let places = places(&["header:x-api-key", "query:k"]);
    for (query, header, is_one) in [
        ("k=%ff", "%ff", true),
        ("k=%ff", "%fe", false),
        ("k=%ff", "\u{fffd}", false),
        ("k=%ff%61", "a", false),
    ] {
        let headers = [Some(header)];
        let presented = Presented { headers: &headers, query: Some(query), ..Presented::default() };
        let found = places.extract(&prefix(), &presented, false).map(|found| found.credential.is_some());
        assert_eq!(
            found,
            if is_one { Ok(true) } else { Err(CredentialError::Different) },
            "{query} {header}"
        );
    }
}

#[test]
fn a_key_in_the_query_is_decoded_up_to_the_longest_that_is_read() {
    let places = places(&["query:k"]);
    let longest = "%61".repeat(512);
    let too_long = "%61".repeat(513);
    for (value, expected) in [(&longest, &"a".repeat(512)), (&too_long, &too_long)] {
        let query = std::format!("k={value}");
        let presented = Presented { query: Some(&query), ..Presented::default() };
        let found = places.extract(&prefix(), &presented, false).unwrap();
        assert_eq!(found.credential.unwrap().expose(), expected);
        assert_eq!(found.query, None);
    }
}

#[test]
fn a_basic_authorization_is_decoded_up_to_four_times_the_longest_key() {
    let places = places(&["basic"]);
    // Base64 writes 3 bytes as 4 characters: 1,536 of them are 2,048.
    for (password, is_read) in [(512, true), (1534, true), (1535, false)] {
        let pair = std::format!("u:{}", "a".repeat(password));
        let authorization = std::format!("Basic {}", Base64::encode_string(pair.as_bytes()));
        let presented = Presented { authorization: Some(&authorization), ..Presented::default() };
        let found = places.extract(&prefix(), &presented, false).unwrap();
        let read = found.credential.as_ref().map(|text| text.expose().len());
        assert_eq!(read, is_read.then_some(password), "{password}");
    }
}

#[test]
fn a_key_in_base64_of_either_alphabet_is_found_whatever_stands_before_it() {
    let places = places(&["header:x-api-key"]);
    let key = "acme_live_4fTz0Qw9Lr2K7hV4567890123456789012345678qX8kLm2PqZ";
    // Base64 begins with one `+`, then with one `/`: without that digit all others are out of step. No UTF-8, so that only
    // the lenient reading goes on.
    for before in [b"\xf8aa", b"\xfcaa"] {
        let written = Base64::encode_string(&[before, key.as_bytes()].concat());
        for written in [written.replace('+', "-").replace('/', "_"), written] {
            let authorization = std::format!("Basic {written}");
            let presented = Presented {
                authorization: Some(&authorization),
                headers: &[Some("another-key")],
                ..Presented::default()
            };
            let found = places.extract(&prefix(), &presented, false).map(|_| ());
            assert_eq!(found, Err(CredentialError::KeyInForeignAuthorization), "{written}");
        }
    }
}

#[test]
fn four_joined_basic_values_are_read_and_a_fifth_is_taken_to_hide_a_key() {
    let places = places(&["header:x-api-key"]);
    for (count, is_read) in [(4, true), (5, false)] {
        let authorization = ["Basic dTpw"; 5].get(..count).unwrap().join(", ");
        let presented = Presented {
            authorization: Some(&authorization),
            headers: &[Some("another-key")],
            ..Presented::default()
        };
        let found = places.extract(&prefix(), &presented, false).map(|found| found.authorization);
        let refused = Err(CredentialError::KeyInForeignAuthorization);
        assert_eq!(found, if is_read { Ok(AuthorizationFate::Keep) } else { refused }, "{count}");
    }
}

fn credential() -> impl Strategy<Value = String> {
    let known = ["acme_live_one", "acme_live_two", "one", "two", "", " ", "a,b"];
    prop_oneof![4 => proptest::sample::select(known.to_vec()).prop_map(String::from), 1 => any::<String>()]
}

proptest! {
    #[test]
    fn two_different_keys_are_never_one(
        one in credential(), two in credential(), three in credential(), scheme in 0..3_usize,
    ) {
        let places = places(&["bearer", "basic", "header:x-api-key", "header:x-key", "query:k"]);
        let scheme = ["Bearer", "Basic", "Other"][scheme];
        let authorization = std::format!("{scheme} {one}");
        let query = std::format!("k={three}");
        let headers = [None, Some(two.as_str())];
        let presented = Presented { authorization: Some(&authorization), headers: &headers, query: Some(&query) };
        let Ok(found) = places.extract(&prefix(), &presented, false) else { return Ok(()) };
        // What is taken for a key, and what goes on as the origin's, never holds another key of ours.
        let credential = found.credential.as_ref().map_or("", |text| text.expose());
        for text in [&one, &two, &three] {
            let is_ours = text.starts_with("acme_live_");
            prop_assert!(!is_ours || credential.starts_with(text.as_str()) || text.contains(['%', '+', '&']));
        }
        if found.authorization == AuthorizationFate::Keep {
            prop_assert!(!authorization.contains("acme_live_"));
            prop_assert!(credential.is_empty() || !authorization.contains(credential));
        }
    }

    #[test]
    fn taking_the_key_out_changes_no_other_byte(
        before in "[a-z%&=+]{0,12}", after in "[a-z%&=+]{0,12}", name in "(k|%6b|%6B)",
    ) {
        let places = places(&["query:k"]);
        let query = std::format!("{before}&{name}=v&{after}");
        let left = places.without_credential(Some(&query));
        let is_ours = |pair: &&str| matches!(pair.split('=').next(), Some("k" | "%6b" | "%6B"));
        let mut others: Vec<&str> = before.split('&').chain(after.split('&')).collect();
        others.retain(|pair| !is_ours(pair));
        let others = others.join("&");
        prop_assert_eq!(left.as_deref().unwrap_or_default(), others);
    }

    #[test]
    fn no_text_makes_it_panic(
        authorization in any::<String>(), header in any::<String>(), query in any::<String>(), name in any::<String>(),
    ) {
        let places = places(&["bearer", "basic", "header:x-api-key", "query:k"]);
        let basic = std::format!("basic {authorization}");
        for authorization in [&authorization, &basic] {
            let headers = [Some(header.as_str())];
            let presented = Presented { authorization: Some(authorization), headers: &headers, query: Some(&query) };
            let found = places.extract(&prefix(), &presented, false);
            prop_assert!(found.is_ok() || found.is_err_and(|fault: CredentialError| !fault.as_str().is_empty()));
            let _ = places.release(&prefix(), &presented, true);
        }
        let _ = Places::default().add(&name);
    }
}
