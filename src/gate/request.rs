//! What the gate reads of a request, in one crossing.

use keygate_core::admission::Head;
use keygate_core::header_filter::METHOD_HEADERS;
use keygate_core::policy::Policy;
use zeroize::Zeroizing;

/// The headers that stand first, in this order: `cf-connecting-ip`, `origin`, `access-control-request-method`,
/// `authorization`; those of [`header_names`] follow.
const HEADERS: usize = 4;

/// `CREDENTIALS` has at most 8 entries.
const PLACES_MAX: usize = 8;

/// The other headers that decide: `destination`, those that may name another method, and the configured places of a credential.
pub(crate) fn header_names(policy: &Policy) -> String {
    let places = policy.places().header_names().iter().map(|name| &**name);
    let names = ["destination"].into_iter().chain(METHOD_HEADERS).chain(places);
    names.collect::<Vec<_>>().join("\n")
}

/// Method, URL and headers, separated by line feeds, which none of them can hold. There is a key in it.
pub(crate) struct RequestText(Zeroizing<String>);

/// The text, taken apart.
pub(crate) struct Parts<'a> {
    method: &'a str,
    url: &'a str,
    headers: [Option<&'a str>; HEADERS],
    destination: Option<&'a str>,
    method_headers: [Option<&'a str>; METHOD_HEADERS.len()],
    places: [Option<&'a str>; PLACES_MAX],
}

impl RequestText {
    /// `text` is what `read` in glue.js makes.
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        let mut rest = self.0.as_str();
        let (method, url) = (next_part(&mut rest), next_part(&mut rest));
        let mut next = || Some(next_part(&mut rest)).filter(|value| !value.is_empty());
        Parts {
            method,
            url,
            headers: [(); HEADERS].map(|()| next()),
            destination: next(),
            method_headers: [(); METHOD_HEADERS.len()].map(|()| next()),
            places: [(); PLACES_MAX].map(|()| next()),
        }
    }
}

/// The text up to the next line feed, which is taken off `rest`.
fn next_part<'a>(rest: &mut &'a str) -> &'a str {
    let (part, after) = rest.split_once('\n').unwrap_or((rest, ""));
    *rest = after;
    part
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
            authorization,
            destination: self.destination,
            method_headers: &self.method_headers,
            credential_headers: &self.places,
        }
    }
}
