//! The beginning of a request, as the shell reads it.

use core::fmt;

use crate::request::header_filter::HopHeaders;
use crate::request::url::UrlParts;

/// The beginning of a request, as the shell reads it.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    /// The method as it came.
    pub method: &'a str,
    /// The whole URL, as the WHATWG parser wrote it: `https://host/path?query`.
    pub url: &'a str,
    /// The names of all headers, in lower case, one a line.
    pub header_names: &'a str,
    /// Name and value of the headers that [`Policy::reads_header`] names. `Connection` and other lines of one name are joined by commas.
    pub headers: &'a [(&'a str, &'a str)],
}

impl<'a> RequestHead<'a> {
    /// The value of a header that the gate reads. An empty one is the same as none.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let value = self.headers.iter().find_map(|(other, value)| (*other == name).then_some(*value));
        value.filter(|value| !value.is_empty())
    }

    /// The client's address as the platform states it; a client cannot set this header.
    #[must_use]
    pub fn client_ip(&self) -> Option<&'a str> {
        self.header("cf-connecting-ip")
    }

    /// `Origin`: the page that a browser sends the request for.
    #[must_use]
    pub fn origin(&self) -> Option<&'a str> {
        self.header("origin")
    }

    /// The path without the query.
    #[must_use]
    pub fn path(&self) -> &'a str {
        UrlParts::of(self.url).path
    }

    /// The headers that say which others are for this hop only.
    #[must_use]
    pub fn hop_headers(&self) -> HopHeaders<'a> {
        HopHeaders { connection: self.header("connection"), upgrade: self.header("upgrade") }
    }
}

// A key may stand in most of these texts.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RequestHead(..)")
    }
}
