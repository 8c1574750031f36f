use alloc::string::String;

use proptest::prelude::{any, proptest};

use super::{Origin, OriginError};

#[test]
fn origin_url_is_normalized() {
    for (text, base, base_path) in [
        ("https://api.example.com", "https://api.example.com", ""),
        ("https://api.example.com/", "https://api.example.com", ""),
        ("https://API.example.com:443/v1/", "https://api.example.com", "/v1"),
        ("https://api.example.com:8443/v1/x", "https://api.example.com:8443", "/v1/x"),
        ("https://my_api.example.com", "https://my_api.example.com", ""),
        ("https://192.0.2.1", "https://192.0.2.1", ""),
        ("https://[2001:DB8::1]:80/a", "https://[2001:db8::1]:80", "/a"),
        ("https://xn--caf-dma.example", "https://xn--caf-dma.example", ""),
        ("https://api.example.com/a.b/~c/$d=@e", "https://api.example.com", "/a.b/~c/$d=@e"),
        ("http://localhost:8000", "http://localhost:8000", ""),
        ("http://127.0.0.1", "http://127.0.0.1", ""),
        ("http://127.255.0.9:1", "http://127.255.0.9:1", ""),
        ("http://[::1]:8000/v1", "http://[::1]:8000", "/v1"),
    ] {
        let Ok(Origin::Url(url)) = Origin::parse(text, false) else { panic!("{text}") };
        assert_eq!((url.base(), url.base_path()), (base, base_path), "{text}");
    }
}

#[test]
fn malformed_origin_is_rejected() {
    for (text, error) in [
        ("", OriginError::Form),
        ("api.example.com", OriginError::Form),
        ("ftp://example.com", OriginError::Form),
        ("HTTPS://example.com", OriginError::Form),
        ("//example.com", OriginError::Form),
        ("Zone", OriginError::Form),
        ("service", OriginError::Form),
        ("http://example.com", OriginError::Http),
        ("http://127.0.0.1.example.com", OriginError::Http),
        ("http://localhost.example.com", OriginError::Http),
        ("http://128.0.0.1", OriginError::Http),
        ("http://[::ffff:127.0.0.1]", OriginError::Http),
        ("https://user@example.com", OriginError::UserInfo),
        ("https://user:password@example.com", OriginError::UserInfo),
        ("https://@example.com", OriginError::UserInfo),
        ("https://example.com?x", OriginError::Query),
        ("https://example.com/v1?x", OriginError::Query),
        ("https://example.com/v1#x", OriginError::Query),
        ("https://example.com#", OriginError::Query),
        ("https://", OriginError::Host),
        ("https:///v1", OriginError::Host),
        ("https://:443", OriginError::Host),
        ("https://.example.com", OriginError::Host),
        ("https://example.com.", OriginError::Host),
        ("https://a..b", OriginError::Host),
        ("https://-a.example", OriginError::Host),
        ("https://a-.example", OriginError::Host),
        ("https://a b.example", OriginError::Host),
        ("https://a%2eb", OriginError::Host),
        ("https://café.example", OriginError::Host),
        ("https://exam\nple.com", OriginError::Host),
        ("https://*.example.com", OriginError::Host),
        ("https://127.1", OriginError::Host),
        ("https://2130706433", OriginError::Host),
        ("https://0x7f.0.0.1", OriginError::Host),
        ("https://0x7f000001", OriginError::Host),
        ("https://0x", OriginError::Host),
        ("https://127.0.0.01", OriginError::Host),
        ("https://256.0.0.1", OriginError::Host),
        ("https://example.1", OriginError::Host),
        ("https://::1", OriginError::Host),
        ("https://[::1", OriginError::Host),
        ("https://[::1]x", OriginError::Host),
        ("https://[fe80::1%25eth0]", OriginError::Host),
        ("https://[127.0.0.1]", OriginError::Host),
        ("https://example.com:", OriginError::Port),
        ("https://example.com:0", OriginError::Port),
        ("https://example.com:0443", OriginError::Port),
        ("https://example.com:+443", OriginError::Port),
        ("https://example.com:65536", OriginError::Port),
        ("https://example.com:x", OriginError::Port),
        ("https://[::1]:", OriginError::Port),
        ("https://example.com\\v1", OriginError::Path),
        ("https://example.com//v1", OriginError::Path),
        ("https://example.com/v1//", OriginError::Path),
        ("https://example.com/../v1", OriginError::Path),
        ("https://example.com/v1/.", OriginError::Path),
        ("https://example.com/a%20b", OriginError::Path),
        ("https://example.com/a;b", OriginError::Path),
        ("https://example.com/a b", OriginError::Path),
        ("https://example.com/é", OriginError::Path),
        ("https://example.com/a\"b", OriginError::Path),
        ("service:", OriginError::Binding),
        ("service:1", OriginError::Binding),
        ("service:a-b", OriginError::Binding),
        ("service:a.b", OriginError::Binding),
    ] {
        assert_eq!(Origin::parse(text, false), Err(error), "{text}");
    }
    assert!(Origin::parse(&std::format!("https://{}", "a".repeat(64)), false).is_err());
    assert!(Origin::parse(&std::format!("https://{}com", "abcdefg.".repeat(32)), false).is_err());
    assert!(Origin::parse(&std::format!("service:{}", "a".repeat(65)), false).is_err());
}

#[test]
fn plain_http_to_another_machine_requires_allow_http() {
    assert!(Origin::parse("http://origin.internal", true).is_ok());
    assert_eq!(Origin::parse("zone", false), Ok(Origin::Zone));
    assert_eq!(Origin::parse("service:API", false), Ok(Origin::Service("API".into())));
}

#[test]
fn url_for_joins_base_path_and_query() {
    let Ok(Origin::Url(url)) = Origin::parse("https://api.example.com/v1/", false) else {
        panic!("not a URL")
    };
    for (path, query, whole) in [
        ("/", None, "https://api.example.com/v1/"),
        ("/a%20b", Some("x=%2f"), "https://api.example.com/v1/a%20b?x=%2f"),
        ("//evil.example", None, "https://api.example.com/v1//evil.example"),
        ("/@evil.example", Some(""), "https://api.example.com/v1/@evil.example?"),
    ] {
        assert_eq!(url.url_for(path, query), whole);
    }
    let Ok(Origin::Url(url)) = Origin::parse("https://api.example.com", false) else { panic!("not a URL") };
    assert_eq!(url.url_for("/@evil.example", None), "https://api.example.com/@evil.example");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = Origin::parse(&text, true);
        let _ = Origin::parse(&std::format!("https://{text}"), true);
        let _ = Origin::parse(&std::format!("https://[{text}"), true);
    }
}
