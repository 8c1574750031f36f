//! What the gate reads of a request, in one crossing.

use keygate_core::admission::Head;
use keygate_core::credential::Presented;
use web_sys::Request;
use zeroize::Zeroizing;

use crate::glue;

/// The headers that are read of every request, in this order; the configured places of a credential follow.
pub(crate) const HEADERS: [&str; 4] =
    ["cf-connecting-ip", "origin", "access-control-request-method", "authorization"];

/// `CREDENTIALS` has at most 8 entries.
const PLACES_MAX: usize = 8;

/// Method, URL and headers, separated by line feeds, which none of them can hold. There is a key in it.
pub(crate) struct RequestText(Zeroizing<String>);

/// The text, taken apart.
pub(crate) struct Parts<'a> {
    method: &'a str,
    url: &'a str,
    headers: [Option<&'a str>; HEADERS.len()],
    places: [Option<&'a str>; PLACES_MAX],
}

impl RequestText {
    pub(crate) fn read(request: &Request) -> Self {
        Self(Zeroizing::new(glue::read(request)))
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        let mut rest = self.0.split('\n');
        let method = rest.next().unwrap_or_default();
        let url = rest.next().unwrap_or_default();
        let mut rest = rest.map(|value| Some(value).filter(|value| !value.is_empty()));
        let mut next = || rest.next().flatten();
        Parts {
            method,
            url,
            headers: [(); HEADERS.len()].map(|()| next()),
            places: [(); PLACES_MAX].map(|()| next()),
        }
    }
}

impl<'a> Parts<'a> {
    pub(crate) fn head(&'a self) -> Head<'a> {
        let [client_ip, origin, preflight_method, authorization] = self.headers;
        Head {
            method: self.method,
            url: self.url,
            client_ip,
            origin,
            preflight_method,
            presented: Presented {
                authorization,
                headers: &self.places,
                query: keygate_core::admission::UrlParts::of(self.url).query,
            },
        }
    }
}
