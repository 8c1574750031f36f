use alloc::boxed::Box;
use std::string::String;
use std::vec::Vec;

use proptest::prelude::{any, prop_assert_eq, proptest};

use super::table::READERS;
use super::{Family, ForwardHeaderError, HeaderFilter, HopHeaders, METHOD_HEADERS, TABLE, find};

fn filter(forwarded: &[&str]) -> HeaderFilter {
    let mut filter = HeaderFilter::new(&[Box::from("x-api-key")]);
    for name in forwarded {
        filter.allow(name).unwrap();
    }
    filter
}

fn stripped<'n>(filter: &HeaderFilter, names: &'n str) -> Vec<&'n str> {
    filter.stripped("GET", names, HopHeaders::default())
}

#[test]
fn every_row_of_the_table_is_stripped() {
    for row in TABLE {
        let name = if row.is_prefix() { std::format!("{}anything", row.name()) } else { row.name().into() };
        assert!(filter(&[]).is_stripped(&name), "{name}");
        assert_eq!(find(&name).map(super::table::HeaderRow::name), Some(row.name()), "{name}");
        assert!(!filter(&[&name]).is_stripped(&name), "FORWARD_HEADERS lists {name}");
    }
}

#[test]
fn rows_are_sorted_and_none_is_covered_by_another() {
    for pair in TABLE.windows(2) {
        let [first, second] = pair else { panic!("windows of two") };
        assert!(first.name() < second.name(), "{} {}", first.name(), second.name());
        assert!(!first.is_prefix() || !second.name().starts_with(first.name()), "{}", second.name());
    }
    for row in TABLE {
        let name = row.name();
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{name}");
        // A shorter prefix would match ordinary headers.
        assert!(!row.is_prefix() || name.len() >= 3, "{name}");
    }
}

#[test]
fn every_row_names_its_reader_and_a_source() {
    for (pattern, reader, source) in READERS {
        assert!(!reader.is_empty(), "{pattern}");
        assert!(source.starts_with("https://") && !source.contains(' '), "{pattern}: {source}");
    }
}

#[test]
fn every_family_has_a_row() {
    for family in [
        Family::Path,
        Family::Method,
        Family::Host,
        Family::Identity,
        Family::Address,
        Family::Certificate,
        Family::File,
        Family::Proxy,
        Family::Routing,
    ] {
        assert!(TABLE.iter().any(|row| row.family == family), "{family:?}");
    }
    let methods = TABLE.iter().filter(|row| row.family == Family::Method).map(super::table::HeaderRow::name);
    assert_eq!(methods.collect::<Vec<_>>(), METHOD_HEADERS);
}

#[test]
fn name_with_a_sign_other_than_a_hyphen_is_stripped() {
    for name in [
        "x_custom",
        "script_name",
        "path_info",
        "remote_user",
        "content_length",
        "x.keygate.subject",
        "x~keygate~subject",
        "x_api_key",
        "x!y",
        "wsgi.url_scheme",
        "x-forwarded_host",
        "\u{e9}",
    ] {
        assert!(filter(&[]).is_stripped(name), "{name}");
    }
}

#[test]
fn ordinary_headers_are_forwarded() {
    for name in [
        "accept",
        "accept-encoding",
        "authorization",
        "cache-control",
        "cf-connecting-ip",
        "cf-ray",
        "content-length",
        "content-type",
        "cookie",
        "dnt",
        "etag",
        "host",
        "idempotency-key",
        "if-none-match",
        "openai-organization",
        "origin",
        "range",
        "referer",
        "sec-fetch-mode",
        "stripe-version",
        "traceparent",
        "user-agent",
        "x-custom",
        "x-request-id",
        "x-requested-with",
        "x-user-id",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-keygat",
        "xkeygate-subject",
    ] {
        assert!(!filter(&[]).is_stripped(name), "{name}");
    }
}

#[test]
fn reserved_headers_are_stripped_whatever_forward_headers_lists() {
    assert_eq!(
        stripped(
            &filter(&["x_custom", "x-real-ip"]),
            "x-keygate-subject\nx_custom\nx-api-key\nte\nx-real-ip\naccept"
        ),
        ["x-keygate-subject", "x-api-key", "te"],
    );
    assert_eq!(
        stripped(
            &filter(&[]),
            "grpc-metadata-authorization\ngrpc-metadata-grpc-metadata-cookie\ngrpc-metadata-x-keygate-subject\ngrpc-metadata-x-forwarded-for\ngrpc-metadata-x_user\ngrpc-metadata-custom"
        ),
        [
            "grpc-metadata-authorization",
            "grpc-metadata-grpc-metadata-cookie",
            "grpc-metadata-x-keygate-subject",
            "grpc-metadata-x-forwarded-for",
            "grpc-metadata-x_user"
        ],
    );
    assert_eq!(
        stripped(&filter(&[]), "forwarded\nkeep-alive\nproxy-authorization\nproxy-connection\ntrailer"),
        ["forwarded", "keep-alive", "proxy-authorization", "proxy-connection", "trailer"],
    );
}

#[test]
fn forward_headers_accepts_only_stripped_headers_that_are_not_reserved() {
    use ForwardHeaderError::{Name, NotStripped, Reserved, Twice};
    for (name, expected) in [
        ("x_custom", Ok(())),
        ("x-real-ip", Ok(())),
        ("x-forwarded-prefix", Ok(())),
        ("legacy.name", Ok(())),
        ("", Err(Name)),
        ("X-Real-IP", Err(Name)),
        ("x real", Err(Name)),
        ("1x", Err(Name)),
        ("x-consumer-*", Err(Name)),
        ("x-keygate-subject", Err(Reserved)),
        ("x_keygate_subject", Err(Reserved)),
        ("x.keygate-anything", Err(Reserved)),
        ("x-forwarded-for", Err(Reserved)),
        ("keygate-via", Err(Reserved)),
        ("keygate_via", Err(Reserved)),
        ("x_forwarded_host", Err(Reserved)),
        ("x_api_key", Err(Reserved)),
        ("x-api-key", Err(Reserved)),
        ("content_length", Err(Reserved)),
        ("cf_connecting_ip", Err(Reserved)),
        ("te", Err(Reserved)),
        ("script_name", Err(Reserved)),
        ("x_http_method_override", Err(Reserved)),
        ("x_consumer_id", Err(Reserved)),
        ("grpc-metadata-x-real-ip", Err(Reserved)),
        ("authorization", Err(Reserved)),
        ("accept", Err(NotStripped)),
        ("x-request-id", Err(NotStripped)),
    ] {
        assert_eq!(filter(&[]).allow(name), expected, "{name}");
    }
    assert_eq!(filter(&["x_custom"]).allow("x_custom"), Err(Twice));
}

#[test]
fn connection_strips_the_headers_it_names_except_framing_headers() {
    let names = "accept\ncf-connecting-ip\ncf-ray\nconnection\ncontent-length\nhost\nx-hop\nx-other";
    for (connection, expected) in [
        ("close, X-Hop ,x-other", &["x-hop", "x-other"][..]),
        ("CF-Connecting-IP, cf-ray, Host, content-length, connection", &[]),
        (",, bad name, é", &[]),
        ("keep-alive", &[]),
        // What the request does not have causes no work.
        ("x-a, x-b, x-other, x-other, x-othe, x-other2", &["x-other"]),
    ] {
        let hop = HopHeaders { connection: Some(connection), upgrade: None };
        assert_eq!(filter(&[]).stripped("GET", names, hop), expected, "{connection}");
    }
}

#[test]
fn upgrade_is_forwarded_only_for_a_websocket_with_get() {
    for (method, upgrade, is_stripped) in [
        ("GET", "websocket", false),
        ("GET", "WebSocket", false),
        ("GET", "h2c", true),
        ("GET", "", true),
        ("POST", "websocket", true),
        ("DELETE", "websocket", true),
        ("OPTIONS", "websocket", true),
        ("HEAD", "websocket", true),
    ] {
        let hop = HopHeaders { connection: None, upgrade: Some(upgrade) };
        let got = filter(&[]).stripped(method, "upgrade", hop);
        assert_eq!(!got.is_empty(), is_stripped, "{method} {upgrade}");
    }
}

/// The table as docs/headers.md prints it.
fn documented() -> String {
    let row = |(row, (pattern, reader, source)): (&super::table::HeaderRow, &(&str, &str, &str))| {
        let family = std::format!("{:?}", row.family).to_lowercase();
        std::format!("| `{pattern}` | {family} | {reader} | <{source}> |\n")
    };
    TABLE.iter().zip(READERS).map(row).collect()
}

#[test]
fn headers_document_has_the_same_table() {
    let document = include_str!("../../../../docs/headers.md");
    let (_, after) = document.split_once("|---|---|---|---|\n").unwrap();
    let rows: Vec<&str> = after.lines().take_while(|line| line.starts_with('|')).collect();
    let expected = documented();
    assert_eq!(rows, expected.lines().collect::<Vec<_>>(), "docs/headers.md should hold:\n{expected}");
}

proptest! {
    #[test]
    fn filter_never_panics(names in any::<String>(), connection in any::<String>(), upgrade in any::<String>()) {
        let hop = HopHeaders { connection: Some(&connection), upgrade: Some(&upgrade) };
        let _ = filter(&[]).stripped("GET", &names, hop);
        let _ = filter(&[]).allow(&names);
    }

    #[test]
    fn binary_search_finds_what_a_linear_scan_finds(name in "(x-)?[a-z]{1,9}(-[a-z]{1,9}){0,2}") {
        let scanned = TABLE.iter().find(|row| {
            if row.is_prefix() { name.starts_with(row.name()) } else { name == row.name() }
        });
        prop_assert_eq!(find(&name).map(super::table::HeaderRow::name), scanned.map(super::table::HeaderRow::name));
    }
}
