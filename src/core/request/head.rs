//! The head of a request: method, URL and headers.

use core::fmt;

use crate::request::header_filter::HopHeaders;
use crate::request::url::UrlParts;

/// The method, the URL and the headers of a request, as the gate reads them from the runtime.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method as it came.
    pub method: &'a str,
    /// The whole URL, as the WHATWG parser wrote it: `https://host/path?query`.
    pub url: &'a str,
    /// The names of all headers, in lower case, one per line.
    pub header_names: &'a str,
    /// Names and values of the headers that `Policy::reads_header` selects. Values of one name are joined with commas.
    pub headers: &'a [(&'a str, &'a str)],
}

impl<'a> RequestHead<'a> {
    /// The value of a header that the gate reads; `None` also if it is empty.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let value = self.headers.iter().find_map(|(other, value)| (*other == name).then_some(*value));
        value.filter(|value| !value.is_empty())
    }

    /// The client's address as the platform reports it; a client cannot set this header.
    #[must_use]
    pub fn client_ip(&self) -> Option<&'a str> {
        self.header("cf-connecting-ip")
    }

    /// `Origin`: the origin of the page that sent the request.
    #[must_use]
    pub fn origin(&self) -> Option<&'a str> {
        self.header("origin")
    }

    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &'a str {
        UrlParts::of(self.url).path
    }

    /// The headers that declare others to be hop-by-hop.
    #[must_use]
    pub fn hop_headers(&self) -> HopHeaders<'a> {
        HopHeaders { connection: self.header("connection"), upgrade: self.header("upgrade") }
    }
}

// Most of these strings may contain a key.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestHead(..)")
    }
}
