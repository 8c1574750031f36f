use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64ct::{Base64, Encoding};
use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy;
use serde::Deserialize;

use super::sources::CredentialSourceError;
use super::{
    AuthorizationHandling, CredentialError, CredentialSources, CredentialText, Presented, SourceKind, Wrapper,
};
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
    authorization_handling: Option<String>,
    forwarded_query: Option<String>,
    error: Option<String>,
}

fn sources<T: AsRef<str>>(list: &[T]) -> CredentialSources {
    let mut sources = CredentialSources::default();
    for source in list {
        sources.add(source.as_ref()).unwrap();
    }
    sources
}

fn prefix() -> KeyPrefix {
    "acme_live".parse::<KeyPrefix>().unwrap()
}

#[test]
fn frozen_vectors() {
    let vectors: Vectors =
        serde_json::from_str(include_str!("../../../../tests/vectors/credential.json")).unwrap();
    for case in vectors.cases {
        let sources = if case.credentials.is_empty() {
            sources(&["bearer", "header:x-api-key"])
        } else {
            sources(&case.credentials)
        };
        let headers: Vec<Option<&str>> =
            sources.header_names().iter().map(|name| case.headers.get(&**name).map(String::as_str)).collect();
        assert_eq!(headers.iter().flatten().count(), case.headers.len(), "{}", case.name);
        let presented = Presented {
            authorization: case.authorization.as_deref(),
            headers: &headers,
            query: case.query.as_deref(),
        };
        match sources.extract(&prefix(), &presented, false) {
            Ok(found) => {
                assert_eq!(case.error, None, "{}", case.name);
                assert_eq!(
                    found.credential.as_ref().map(CredentialText::expose),
                    case.credential.as_deref(),
                    "{}",
                    case.name
                );
                assert_eq!(
                    Some(std::format!("{:?}", found.authorization)),
                    case.authorization_handling,
                    "{}",
                    case.name
                );
                assert_eq!(found.query.as_deref(), case.forwarded_query.as_deref(), "{}", case.name);
                assert!(
                    !std::format!("{:?} {presented:?}", found.credential).contains("acme_live_4"),
                    "{}",
                    case.name
                );
            }
            Err(error) => {
                assert_eq!(Some(std::format!("{error:?}")), case.error, "{}", case.name);
            }
        }
    }
}

#[test]
fn public_route_forwards_only_what_is_for_the_origin() {
    let sources = sources(&["bearer", "basic", "header:x-api-key", "query:api_key"]);
    for (authorization, key, imported_keys, authorization_handling) in [
        ("Bearer acme_live_k", None, false, AuthorizationHandling::Strip),
        ("Bearer token", None, false, AuthorizationHandling::Keep),
        ("Bearer token", None, true, AuthorizationHandling::Strip),
        ("Bearer token", Some("token"), false, AuthorizationHandling::Strip),
        ("Bearer a, Bearer b", None, false, AuthorizationHandling::Strip),
        ("Basic dXNlcjpwYXNzd29yZA==", None, false, AuthorizationHandling::Keep),
        ("Digest a=b", None, true, AuthorizationHandling::Keep),
        ("Token acme_live_k", None, false, AuthorizationHandling::Strip),
        ("Digest a=b", Some("a,b"), false, AuthorizationHandling::Strip),
    ] {
        let headers = [key];
        let presented = Presented {
            authorization: Some(authorization),
            headers: &headers,
            query: Some("a=1&api_key=x&api_key=y"),
        };
        // A repeated query parameter is an error, and then nothing is kept.
        let public = sources.for_public_route(&prefix(), &presented, imported_keys);
        assert_eq!(public.authorization, AuthorizationHandling::Strip, "{authorization}");
        assert_eq!(public.query.as_deref(), Some("a=1"));

        let presented = Presented { query: None, ..presented };
        let public = sources.for_public_route(&prefix(), &presented, imported_keys);
        assert_eq!(public.authorization, authorization_handling, "{authorization}");
    }
}

#[test]
fn second_credential_that_could_be_an_imported_key_is_rejected() {
    const OTHER: &str = "0123456789abcdef0123456789abcdef";
    let key = "fedcba9876543210fedcba9876543210";
    let basic = std::format!("Basic {}", Base64::encode_string(std::format!("u:{OTHER}").as_bytes()));
    let bearer = std::format!("Bearer {OTHER}");
    for (sources_of, authorization, imported_keys, refused) in [
        (&["bearer", "header:x-api-key"][..], &*bearer, true, true),
        (&["bearer", "header:x-api-key"], &bearer, false, false),
        // Not a source, so it is for the origin.
        (&["header:x-api-key"], &bearer, true, false),
        (&["bearer", "header:x-api-key"], "Bearer short", true, false),
        (&["basic", "header:x-api-key"], &basic, true, true),
        (&["header:x-api-key"], &basic, true, false),
    ] {
        let sources = sources(sources_of);
        let headers = [Some(key)];
        let presented =
            Presented { authorization: Some(authorization), headers: &headers, ..Presented::default() };
        let found = sources.extract(&prefix(), &presented, imported_keys);
        assert_eq!(found.err(), refused.then_some(CredentialError::Different), "{authorization}");
        let public = sources.for_public_route(&prefix(), &presented, imported_keys);
        assert_eq!(public.authorization == AuthorizationHandling::Strip, refused, "{authorization}");
    }
}

#[test]
fn foreign_value_beside_a_key_that_could_be_an_imported_key_is_rejected() {
    const OTHER: &str = "0123456789abcdef0123456789abcdef";
    let sources = sources(&["bearer", "header:x-api-key", "header:x-key", "query:k"]);
    let (query, short) = (std::format!("k={OTHER}"), "k=short");
    for (headers, query, imported_keys, refused) in [
        ([Some(OTHER), None], None, true, true),
        ([Some(OTHER), None], None, false, false),
        ([Some("short"), Some("other")], Some(short), true, false),
        ([None, Some(OTHER)], None, true, true),
        ([None, None], Some(query.as_str()), true, true),
        ([None, None], Some(query.as_str()), false, false),
    ] {
        let presented = Presented { authorization: Some("Bearer acme_live_k"), headers: &headers, query };
        let found = sources.extract(&prefix(), &presented, imported_keys);
        assert_eq!(found.err(), refused.then_some(CredentialError::Different), "{headers:?} {query:?}");
    }
}

#[test]
fn imported_key_that_contains_the_prefix_is_a_credential() {
    let sources = sources(&["header:x-api-key"]);
    let key = "old-acme_live_0123456789abcdef";
    let presented = Presented { headers: &[Some(key)], ..Presented::default() };
    let found = sources.extract(&prefix(), &presented, true).unwrap();
    assert_eq!(found.credential.unwrap().expose(), key);
    let malformed = CredentialError::Malformed(SourceKind::Header, Wrapper::Text);
    assert_eq!(sources.extract(&prefix(), &presented, false).err(), Some(malformed));
}

#[test]
fn second_imported_key_in_an_unusual_form_is_rejected() {
    const OTHER: &str = "0123456789abcdef0123456789abcdef";
    let sources = sources(&["bearer", "basic", "header:x-api-key"]);
    let base64 = |text: &[u8]| Base64::encode_string(text);
    let unpadded = base64(std::format!("user:{OTHER}").as_bytes());
    for authorization in [
        std::format!("Basic {}", base64(std::format!("{OTHER}:x").as_bytes())),
        std::format!("Basic {}", unpadded.trim_end_matches('=')),
        std::format!("Basic {}", base64(&[b"jos\xe9:", OTHER.as_bytes()].concat())),
        std::format!("Basic {}, Basic {}", base64(b"a:b"), base64(std::format!("u:{OTHER}").as_bytes())),
        std::format!("Bearer \"{OTHER}\""),
        std::format!("Bearer {OTHER};"),
        std::format!("Bearer Bearer {OTHER}"),
    ] {
        let own = "acme_live_4fTz0Qw9Lr2K7hV4567890123456789012345678qX8kLm2PqZ";
        for key in [own, "fedcba9876543210fedcba9876543210"] {
            let headers = [Some(key)];
            let presented =
                Presented { authorization: Some(&authorization), headers: &headers, ..Presented::default() };
            let found = sources.extract(&prefix(), &presented, true).map(|found| found.authorization);
            assert_eq!(found, Err(CredentialError::Different), "{authorization} {key}");
        }
        // Without another credential, and on a public route, it does not reach the origin either.
        for headers in [[None], [Some("foo")]] {
            let presented =
                Presented { authorization: Some(&authorization), headers: &headers, ..Presented::default() };
            let public = sources.for_public_route(&prefix(), &presented, true);
            assert_eq!(public.authorization, AuthorizationHandling::Strip, "{authorization}");
        }
    }
}

#[test]
fn malformed_credential_sources_are_rejected() {
    for source in [
        "",
        "Bearer",
        "bearer:",
        "basic:x",
        "authorization:",
        "Authorization",
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
        "header:keygate-via",
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
        assert!(CredentialSources::default().add(source).is_err(), "{source:?}");
    }
    for (length, is_read) in [(1, true), (64, true), (65, false), (66, false)] {
        for kind in ["header", "query"] {
            let source = std::format!("{kind}:{}", "n".repeat(length));
            assert_eq!(CredentialSources::default().add(&source).is_ok(), is_read, "{source}");
        }
    }
    let mut query = sources(&["query:k"]);
    assert_eq!(query.add("query:k"), Err(CredentialSourceError::Twice));
    assert_eq!(query.add("query:other"), Err(CredentialSourceError::SecondQuery));
    let mut twice = sources(&["bearer", "basic", "header:x-api-key", "query:k"]);
    for source in ["bearer", "basic", "header:X-API-Key", "query:k", "query:other"] {
        assert!(twice.add(source).is_err(), "{source:?}");
    }
    for source in ["header:a", "header:b", "header:c", "header:d"] {
        twice.add(source).unwrap();
    }
    assert!(twice.add("header:e").is_err());
    assert_eq!(twice.header_names().len(), 5);
    assert!(sources(&["header:X-API-Key"]).header_names()[0].as_ref() == "x-api-key");
}

#[test]
fn credential_sources_are_as_configured() {
    for (list, bearer, authorization, basic, query) in [
        (&["bearer", "header:x-api-key"][..], true, false, false, None),
        (&["basic"], false, false, true, None),
        (&["authorization", "bearer"], true, true, false, None),
        (&["query:k", "header:x-key"], false, false, false, Some("k")),
    ] {
        let sources = sources(list);
        let read = (sources.bearer(), sources.authorization(), sources.basic(), sources.query_name());
        assert_eq!(read, (bearer, authorization, basic, query));
    }
}

#[test]
fn debug_output_contains_no_credential_and_every_error_has_a_distinct_reason() {
    let headers = [Some("canary")];
    let presented =
        Presented { authorization: Some("Digest other"), headers: &headers, query: Some("canary") };
    assert_eq!(std::format!("{presented:?}"), "Presented(..)");
    let found = sources(&["header:x-api-key"]).extract(&prefix(), &presented, false).unwrap();
    assert_eq!(std::format!("{:?}", found.credential), "Some(CredentialText(..))");
    let mut reasons = [
        CredentialError::RepeatedHeader,
        CredentialError::RepeatedAuthorization,
        CredentialError::RepeatedParameter,
        CredentialError::Different,
        CredentialError::KeyInForeignAuthorization,
        CredentialError::Malformed(SourceKind::Authorization, Wrapper::Quotes),
        CredentialError::Malformed(SourceKind::Header, Wrapper::Quotes),
        CredentialError::Malformed(SourceKind::Query, Wrapper::Punctuation),
        CredentialError::Malformed(SourceKind::Query, Wrapper::NoScheme),
        CredentialError::Malformed(SourceKind::Query, Wrapper::Scheme),
        CredentialError::Malformed(SourceKind::Query, Wrapper::Basic),
        CredentialError::Malformed(SourceKind::Query, Wrapper::Text),
    ]
    .map(|error| error.to_string());
    reasons.sort_unstable();
    assert!(
        reasons.windows(2).all(|pair| pair[0] != pair[1])
            && reasons.iter().all(|reason| reason.contains(' '))
    );
}

#[test]
fn query_value_that_is_not_utf8_equals_only_itself() {
    let sources = sources(&["header:x-api-key", "query:k"]);
    for (query, header, is_one) in [
        ("k=%ff", "%ff", true),
        ("k=%ff", "%fe", false),
        ("k=%ff", "\u{fffd}", false),
        ("k=%ff%61", "a", false),
    ] {
        let headers = [Some(header)];
        let presented = Presented { headers: &headers, query: Some(query), ..Presented::default() };
        let found = sources.extract(&prefix(), &presented, false).map(|found| found.credential.is_some());
        assert_eq!(
            found,
            if is_one { Ok(true) } else { Err(CredentialError::Different) },
            "{query} {header}"
        );
    }
}

#[test]
fn query_value_is_decoded_up_to_the_length_limit() {
    let sources = sources(&["query:k"]);
    let longest = "%61".repeat(512);
    let too_long = "%61".repeat(513);
    for (value, expected) in [(&longest, &"a".repeat(512)), (&too_long, &too_long)] {
        let query = std::format!("k={value}");
        let presented = Presented { query: Some(&query), ..Presented::default() };
        let found = sources.extract(&prefix(), &presented, false).unwrap();
        assert_eq!(found.credential.unwrap().expose(), expected);
        assert_eq!(found.query, None);
    }
}

#[test]
fn basic_authorization_is_decoded_up_to_the_length_limit() {
    let sources = sources(&["basic"]);
    // Base64 writes 3 bytes as 4 characters: 1,536 of them are 2,048.
    for (password, is_read) in [(512, true), (1534, true), (1535, false)] {
        let pair = std::format!("u:{}", "a".repeat(password));
        let authorization = std::format!("Basic {}", Base64::encode_string(pair.as_bytes()));
        let presented = Presented { authorization: Some(&authorization), ..Presented::default() };
        let found = sources.extract(&prefix(), &presented, false).unwrap();
        let read = found.credential.as_ref().map(|text| text.expose().len());
        assert_eq!(read, is_read.then_some(password), "{password}");
    }
}

#[test]
fn key_in_base64_of_either_alphabet_is_found_at_any_offset() {
    let sources = sources(&["header:x-api-key"]);
    let key = "acme_live_4fTz0Qw9Lr2K7hV4567890123456789012345678qX8kLm2PqZ";
    // Base64 begins with one `+`, then with one `/`: without that digit all others are out of step. No UTF-8, so that only
    // the lenient decoder continues.
    for before in [b"\xf8aa", b"\xfcaa"] {
        let written = Base64::encode_string(&[before, key.as_bytes()].concat());
        for written in [written.replace('+', "-").replace('/', "_"), written] {
            let authorization = std::format!("Basic {written}");
            let presented = Presented {
                authorization: Some(&authorization),
                headers: &[Some("acme_live_another")],
                ..Presented::default()
            };
            let found = sources.extract(&prefix(), &presented, false).map(|_| ());
            assert_eq!(found, Err(CredentialError::KeyInForeignAuthorization), "{written}");
        }
    }
}

#[test]
fn more_than_four_joined_basic_values_are_rejected() {
    let sources = sources(&["header:x-api-key"]);
    for (count, is_read) in [(4, true), (5, false)] {
        let authorization = ["Basic dTpw"; 5].get(..count).unwrap().join(", ");
        let presented = Presented {
            authorization: Some(&authorization),
            headers: &[Some("another-key")],
            ..Presented::default()
        };
        let found = sources.extract(&prefix(), &presented, false).map(|found| found.authorization);
        let refused = Err(CredentialError::KeyInForeignAuthorization);
        assert_eq!(found, if is_read { Ok(AuthorizationHandling::Keep) } else { refused }, "{count}");
    }
}

fn credential() -> impl Strategy<Value = String> {
    let known = ["acme_live_one", "acme_live_two", "one", "two", "", " ", "a,b"];
    prop_oneof![4 => proptest::sample::select(known.to_vec()).prop_map(String::from), 1 => any::<String>()]
}

proptest! {
    #[test]
    fn two_different_keys_are_never_accepted_as_one(
        one in credential(), two in credential(), three in credential(), scheme in 0..3_usize,
    ) {
        let sources =
            sources(&["bearer", "authorization", "basic", "header:x-api-key", "header:x-key", "query:k"]);
        let scheme = ["Bearer", "Basic", "Other"][scheme];
        let authorization = std::format!("{scheme} {one}");
        let query = std::format!("k={three}");
        let headers = [None, Some(two.as_str())];
        let presented = Presented { authorization: Some(&authorization), headers: &headers, query: Some(&query) };
        let Ok(found) = sources.extract(&prefix(), &presented, false) else { return Ok(()) };
        // Neither the credential nor what is forwarded contains another key of the gate.
        let credential = found.credential.as_ref().map_or("", |text| text.expose());
        for text in [&one, &two, &three] {
            let is_ours = text.starts_with("acme_live_");
            prop_assert!(!is_ours || credential.starts_with(text.as_str()) || text.contains(['%', '+', '&']));
        }
        if found.authorization == AuthorizationHandling::Keep {
            prop_assert!(!authorization.contains("acme_live_"));
            prop_assert!(credential.is_empty() || !authorization.contains(credential));
        }
    }

    #[test]
    fn removing_the_credential_parameter_changes_no_other_byte(
        before in "[a-z%&=+]{0,12}", after in "[a-z%&=+]{0,12}", name in "(k|%6b|%6B)",
    ) {
        let sources = sources(&["query:k"]);
        let query = std::format!("{before}&{name}=v&{after}");
        let left = sources.without_credential(Some(&query));
        let is_ours = |pair: &&str| matches!(pair.split('=').next(), Some("k" | "%6b" | "%6B"));
        let mut others: Vec<&str> = before.split('&').chain(after.split('&')).collect();
        others.retain(|pair| !is_ours(pair));
        let others = others.join("&");
        prop_assert_eq!(left.as_deref().unwrap_or_default(), others);
    }

    #[test]
    fn extraction_never_panics(
        authorization in any::<String>(), header in any::<String>(), query in any::<String>(), name in any::<String>(),
    ) {
        let sources = sources(&["bearer", "basic", "header:x-api-key", "query:k"]);
        let basic = std::format!("basic {authorization}");
        for authorization in [&authorization, &basic] {
            let headers = [Some(header.as_str())];
            let presented = Presented { authorization: Some(authorization), headers: &headers, query: Some(&query) };
            let found = sources.extract(&prefix(), &presented, false);
            prop_assert!(found.is_ok() || found.is_err_and(|error: CredentialError| !error.to_string().is_empty()));
            let _ = sources.for_public_route(&prefix(), &presented, true);
        }
        let _ = CredentialSources::default().add(&name);
    }
}
