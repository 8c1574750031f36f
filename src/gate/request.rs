//! What the gate reads of a request, in one crossing.

use keygate_core::admission::Head;
use keygate_core::credential::Presented;
use zeroize::Zeroizing;

/// The headers that stand first, in this order: `cf-connecting-ip`, `origin`, `access-control-request-method`,
/// `authorization`; the configured places of a credential follow.
const HEADERS: usize = 4;

/// `CREDENTIALS` has at most 8 entries.
const PLACES_MAX: usize = 8;

/// Method, URL and headers, separated by line feeds, which none of them can hold. There is a key in it.
pub(crate) struct RequestText(Zeroizing<String>);

/// The text, taken apart.
pub(crate) struct Parts<'a> {
    method: &'a str,
    url: &'a str,
    headers: [Option<&'a str>; HEADERS],
    places: [Option<&'a str>; PLACES_MAX],
}

impl RequestText {
    /// `text` is what `read` in glue.js makes.
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
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
            headers: [(); HEADERS].map(|()| next()),
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
