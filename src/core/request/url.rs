//! The URL of a request.

use core::fmt;

use crate::address::client_address;

/// The parts of a request's URL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UrlParts<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host, and port if it is not the scheme's own.
    pub authority: &'a str,
    /// From the first `/` to the query.
    pub path: &'a str,
    /// Everything after the first `?`.
    pub query: Option<&'a str>,
}

// Path and query may contain a key.
impl fmt::Debug for UrlParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlParts(..)")
    }
}

impl<'a> UrlParts<'a> {
    /// Splits a URL that a WHATWG parser has serialized; such a URL always has these parts.
    #[must_use]
    pub fn of(url: &'a str) -> Self {
        let url = url.split_once('#').map_or(url, |(before, _)| before);
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (before, query) = match rest.split_once('?') {
            Some((before, query)) => (before, Some(query)),
            None => (rest, None),
        };
        let (authority, path) =
            match before.bytes().position(|byte| byte == b'/').and_then(|at| before.split_at_checked(at)) {
                Some(parts) => parts,
                None => (before, "/"),
            };
        Self { scheme, authority, path, query }
    }

    /// Whether the host is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        // The last group of an IPv6 address is not a port: a bracket follows it.
        let host = self.authority.trim_end_matches(|c: char| c.is_ascii_digit()).strip_suffix(':');
        let host = host.unwrap_or(self.authority);
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || client_address(address).is_some_and(|address| address.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::UrlParts;

    #[test]
    fn url_is_split_into_its_parts() {
        let parts = |scheme, authority, path, query| UrlParts { scheme, authority, path, query };
        for (url, expected) in [
            ("https://a.example/b/c?d=e", parts("https", "a.example", "/b/c", Some("d=e"))),
            ("https://a.example:8443/", parts("https", "a.example:8443", "/", None)),
            ("http://[::1]:8787/x?", parts("http", "[::1]:8787", "/x", Some(""))),
            ("https://a.example/b?c/d?e", parts("https", "a.example", "/b", Some("c/d?e"))),
            ("https://a.example/b?c#d?e", parts("https", "a.example", "/b", Some("c"))),
            ("https://a.example", parts("https", "a.example", "/", None)),
            ("https://a.example?b", parts("https", "a.example", "/", Some("b"))),
            ("nonsense", parts("", "nonsense", "/", None)),
        ] {
            assert_eq!(UrlParts::of(url), expected, "{url}");
        }
    }

    #[test]
    fn loopback_is_an_ip_address_or_localhost() {
        for (authority, is_loopback) in [
            ("localhost", true),
            ("localhost:8787", true),
            ("127.0.0.1", true),
            ("127.255.255.254:1", true),
            ("[::1]", true),
            ("[::1]:8787", true),
            ("[::ffff:127.0.0.1]", true),
            ("[::2]", false),
            ("[::1:1]", false),
            ("127.0.0.1.example", false),
            ("localhost.example", false),
            ("localhost:x", false),
            ("128.0.0.1", false),
            ("", false),
        ] {
            let parts = UrlParts { scheme: "http", authority, path: "/", query: None };
            assert_eq!(parts.is_loopback(), is_loopback, "{authority}");
        }
    }
}
