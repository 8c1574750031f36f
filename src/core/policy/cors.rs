//! Cross-origin requests: which pages may read the gate's answers, and who answers a preflight.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use thiserror::Error;

use crate::policy::origin::Authority;
use crate::request::method::Methods;

/// Far above what any page needs; a longer value is not echoed.
const REQUEST_HEADERS_MAX_LEN: usize = 1024;
/// How long a browser may cache the answer. Chromium caches for at most two hours; a shorter time lets a changed policy take effect.
const MAX_AGE_SECS: &str = "600";
const VARY: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// The name and the value of a response header.
pub type Header<'a> = (&'static str, Cow<'a, str>);

/// `CORS_ORIGINS` and `PREFLIGHT`.
#[derive(Clone, Debug)]
pub struct Cors {
    pub(crate) origins: WebOrigins,
    pub(crate) preflight: Preflight,
    pub(crate) allow_methods: Box<str>,
}

/// The origins whose pages may read responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WebOrigins {
    /// The listed ones; if there are none, CORS is off.
    Named(Vec<Box<str>>),
    /// `*`.
    Any,
}

/// The CORS headers that the gate adds to a response of the origin that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerCors<'a> {
    /// `Access-Control-Allow-Origin`.
    pub allow_origin: Option<&'a str>,
    /// Whether `Vary: Origin` is added.
    pub varies: bool,
}

impl AnswerCors<'_> {
    /// Whether there is nothing to add.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allow_origin.is_none() && !self.varies
    }
}

/// Who answers preflights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preflight {
    /// The gate, where CORS is on.
    Answer,
    /// The origin, without a key.
    Forward,
}

impl Cors {
    pub(crate) fn new(origins: WebOrigins, preflight: Preflight, methods: &Methods) -> Self {
        Self { origins, preflight, allow_methods: methods.allow_header(methods.all()).into() }
    }

    /// The value of `Access-Control-Allow-Origin` for a request's `Origin`; `None` if its pages may not read responses.
    #[must_use]
    pub fn allowed(&self, origin: &str) -> Option<&str> {
        match &self.origins {
            WebOrigins::Any => Some("*"),
            WebOrigins::Named(names) => names.iter().map(|name| &**name).find(|name| *name == origin),
        }
    }

    /// Whether CORS is on.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.origins != WebOrigins::Named(Vec::new())
    }

    /// Whether responses depend on `Origin`, and so need `Vary: Origin`.
    #[must_use]
    pub fn varies(&self) -> bool {
        matches!(&self.origins, WebOrigins::Named(names) if !names.is_empty())
    }

    /// The CORS headers of the origin's response to a request from a page. `no_store`: no shared cache stores the response, so it
    /// needs no `Vary`.
    pub(crate) fn of_answer(&self, origin: Option<&str>, no_store: bool) -> AnswerCors<'_> {
        let allow_origin = origin.and_then(|origin| self.allowed(origin));
        AnswerCors { allow_origin, varies: allow_origin.is_some() || (self.varies() && !no_store) }
    }

    /// The CORS headers of a refusal: a page that may call the API may also read why it was refused.
    #[must_use]
    pub fn of_refusal(&self, origin: Option<&str>) -> Vec<Header<'_>> {
        let mut headers = Vec::new();
        if let Some(allowed) = origin.and_then(|origin| self.allowed(origin)) {
            headers.push(("access-control-allow-origin", allowed.into()));
            headers.push((
                "access-control-expose-headers",
                "WWW-Authenticate, Retry-After, RateLimit-Policy, RateLimit".into(),
            ));
        }
        if self.varies() {
            headers.push(("vary", "Origin".into()));
        }
        headers
    }

    /// Whether a request is a preflight (Fetch standard, "CORS-preflight request") that needs no key here.
    ///
    /// If CORS is off and preflights are not forwarded, it is an ordinary request.
    #[must_use]
    pub fn is_preflight(&self, method: &str, origin: Option<&str>, request_method: Option<&str>) -> bool {
        method == "OPTIONS"
            && origin.is_some()
            && request_method.is_some()
            && (self.forwards_preflight() || self.is_enabled())
    }

    /// Whether the origin answers preflights.
    #[must_use]
    pub fn forwards_preflight(&self) -> bool {
        self.preflight == Preflight::Forward
    }

    /// The headers that answer a preflight, for its `Origin` and its `Access-Control-Request-Headers`.
    #[must_use]
    pub fn preflight_answer<'a>(&'a self, origin: &str, request_headers: Option<&'a str>) -> Vec<Header<'a>> {
        let mut headers = Vec::with_capacity(5);
        headers.push(("Vary", VARY.into()));
        let Some(allowed) = self.allowed(origin) else {
            return headers;
        };
        headers.push(("Access-Control-Allow-Origin", allowed.into()));
        headers.push(("Access-Control-Allow-Methods", Cow::Borrowed(&*self.allow_methods)));
        headers.push(("Access-Control-Max-Age", MAX_AGE_SECS.into()));
        // Echoed, not `*`, which does not cover `Authorization`.
        if let Some(names) = request_headers.filter(|names| is_header_list(names)) {
            headers.push(("Access-Control-Allow-Headers", names.into()));
        }
        headers
    }
}

fn is_header_list(names: &str) -> bool {
    names.len() <= REQUEST_HEADERS_MAX_LEN
        && names.split(',').all(|name| is_token(name.trim_matches([' ', '\t'])))
}

/// RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(tchar)
}

/// A string is not the origin of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "is not the origin of a page as browsers send it: `scheme://host[:port]` in lower case, without path and default port"
)]
pub(crate) struct WebOriginError;

/// Reads the origin of a page in the one form that browsers send (RFC 6454, section 6.2).
pub(crate) fn parse_web_origin(text: &str) -> Result<Box<str>, WebOriginError> {
    let (scheme, rest) = text.split_once("://").ok_or(WebOriginError)?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+-.".contains(&b));
    let authority = Authority::parse(rest).map_err(|_| WebOriginError)?;
    let port = match (scheme, authority.port) {
        ("https", Some(443)) | ("http", Some(80)) => return Err(WebOriginError),
        (_, Some(port)) => alloc::format!(":{port}"),
        (_, None) => String::new(),
    };
    let canonical = alloc::format!("{scheme}://{}{port}", authority.host);
    // INVARIANT: compared byte for byte with what a browser sends, so another spelling would never match.
    if is_scheme && canonical == text { Ok(text.into()) } else { Err(WebOriginError) }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use proptest::prelude::{any, prop_assert, proptest};

    use super::{Cors, Preflight, WebOrigins, is_token, parse_web_origin};
    use crate::request::method::Methods;

    fn cors(origins: WebOrigins, preflight: Preflight) -> Cors {
        let mut methods = Methods::default();
        methods.add("GET").unwrap();
        methods.add("POST").unwrap();
        Cors::new(origins, preflight, &methods)
    }

    fn named(names: &[&str]) -> WebOrigins {
        WebOrigins::Named(names.iter().map(|name| parse_web_origin(name).unwrap()).collect())
    }

    #[test]
    fn web_origin_is_compared_byte_for_byte() {
        let cors = cors(named(&["https://app.example.com", "http://localhost:3000"]), Preflight::Answer);
        assert_eq!(cors.allowed("https://app.example.com"), Some("https://app.example.com"));
        assert_eq!(cors.allowed("http://localhost:3000"), Some("http://localhost:3000"));
        for other in [
            "",
            "null",
            "*",
            "https://app.example.com/",
            "https://app.example.com.evil.example",
            "https://APP.example.com",
            "http://app.example.com",
            "https://app.example.com:443",
            "https://app.example.com\0",
        ] {
            assert_eq!(cors.allowed(other), None, "{other}");
        }
        assert!(cors.varies());
    }

    #[test]
    fn wildcard_allows_every_origin_and_does_not_vary() {
        let cors = cors(WebOrigins::Any, Preflight::Answer);
        assert_eq!(cors.allowed("https://anybody.example"), Some("*"));
        assert!(!cors.varies());
    }

    #[test]
    fn preflight_is_recognized_only_if_cors_is_on_or_preflights_are_forwarded() {
        let app = || named(&["https://app.example.com"]);
        for (origins, preflight, expected) in [
            (named(&[]), Preflight::Answer, false),
            (named(&[]), Preflight::Forward, true),
            (app(), Preflight::Answer, true),
            (app(), Preflight::Forward, true),
            (WebOrigins::Any, Preflight::Answer, true),
        ] {
            let cors = cors(origins, preflight);
            let origin = Some("https://other.example");
            assert_eq!(cors.is_preflight("OPTIONS", origin, Some("GET")), expected);
            assert!(!cors.is_preflight("OPTIONS", None, Some("GET")));
            assert!(!cors.is_preflight("OPTIONS", origin, None));
            assert!(!cors.is_preflight("GET", origin, Some("GET")));
            assert!(!cors.is_preflight("options", origin, Some("GET")));
            assert_eq!(cors.forwards_preflight(), preflight == Preflight::Forward);
        }
    }

    #[test]
    fn preflight_is_answered_only_for_allowed_origins() {
        let cors = cors(named(&["https://app.example.com"]), Preflight::Answer);
        let answer = |origin, headers| -> Vec<(&str, String)> {
            let headers = cors.preflight_answer(origin, headers);
            headers.into_iter().map(|(name, value)| (name, value.into_owned())).collect()
        };
        let vary =
            ("Vary", String::from("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"));
        assert_eq!(answer("https://other.example", Some("x-api-key")), core::slice::from_ref(&vary));
        assert_eq!(
            answer("https://app.example.com", Some("authorization, x-api-key")),
            [
                vary,
                ("Access-Control-Allow-Origin", "https://app.example.com".into()),
                ("Access-Control-Allow-Methods", "GET, POST".into()),
                ("Access-Control-Max-Age", "600".into()),
                ("Access-Control-Allow-Headers", "authorization, x-api-key".into()),
            ]
        );
        let long = "a,".repeat(512) + "a";
        for hostile in ["", "a b", "a,,b", "a\r\nX: y", "é", "a,", "\"a\"", &long] {
            assert_eq!(answer("https://app.example.com", Some(hostile)).len(), 4, "{hostile:?}");
        }
    }

    #[test]
    fn web_origin_must_be_written_as_browsers_send_it() {
        for good in [
            "https://app.example.com",
            "http://localhost:3000",
            "https://[2001:db8::1]:8443",
            "http://127.0.0.1",
            "chrome-extension://abcdefghijklmnop",
            "http://app.example.com:443",
        ] {
            assert!(parse_web_origin(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "null",
            "*",
            "app.example.com",
            "https://app.example.com/",
            "https://App.example.com",
            "HTTPS://app.example.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://app.example.com:0443",
            "https://*.example.com",
            "https://user@app.example.com",
            "https://app.example.com?x",
            "https://[2001:DB8::1]",
            "https://",
            "://app",
            "https://é.example",
        ] {
            assert!(parse_web_origin(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn echoed_header_names_are_tokens(names in any::<String>()) {
            let cors = cors(WebOrigins::Any, Preflight::Answer);
            let answer = cors.preflight_answer("https://a.example", Some(&names));
            for (name, value) in answer {
                prop_assert!(name != "Access-Control-Allow-Headers" || value.split(',').all(|name| is_token(name.trim())));
            }
            let _ = parse_web_origin(&names);
        }
    }
}
