//! Steps 2 to 7 of the gate: all that can be said of a request before its record is looked at.
//!
//! | step | looks at | refuses with |
//! |---|---|---|
//! | 2 | scheme | `https_required` |
//! | 3 | method | `method_not_allowed` |
//! | 4 | path | `path_ambiguous` |
//! | 5 | route | `route_denied`, `method_not_allowed`, `path_ambiguous`, `method_ambiguous`, `destination_not_allowed` |
//! | 6 | credential | `credential_missing`, `credential_ambiguous` |
//! | 7 | shape and tag of the key | `key_invalid` |
//!
//! A request that ends here has cost no I/O.

use alloc::borrow::Cow;
use core::fmt;
use core::net::IpAddr;

use crate::address::client_address;
use crate::credential::{AuthorizationFate, CredentialText, Presented};
use crate::denial::{Cause, Denial};
use crate::digest::ImportedKey;
use crate::key::{Key, KeyError, KeyId};
use crate::method::MethodSet;
use crate::overrides::{Rules, check_destination, check_method};
use crate::path::CanonicalPath;
use crate::policy::Policy;
use crate::route::{Access, Found, Route};
use crate::secrets::Secrets;

/// Everything that stays the same from request to request.
#[derive(Debug)]
pub struct Gate {
    /// The variables.
    pub policy: Policy,
    /// The secret bindings.
    pub secrets: Secrets,
}

/// What the shell reads of a request. Absent and empty headers are the same.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// The method as it came.
    pub method: &'a str,
    /// The whole URL, as the WHATWG parser wrote it: `https://host/path?query`.
    pub url: &'a str,
    /// `CF-Connecting-IP`, which the platform sets and a client cannot.
    pub client_ip: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Access-Control-Request-Method`.
    pub preflight_method: Option<&'a str>,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `Destination`, of a MOVE or a COPY.
    pub destination: Option<&'a str>,
    /// The headers that may name another method: [`crate::header_filter::METHOD_HEADERS`], in that order.
    pub method_headers: &'a [Option<&'a str>],
    /// The other headers that may hold a credential: [`crate::credential::Places::header_names`], in that order.
    pub credential_headers: &'a [Option<&'a str>],
}

// A key may stand in most of these texts.
impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Head(..)")
    }
}

/// The parts of a request's URL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct UrlParts<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host, and port if it is not the scheme's own.
    pub authority: &'a str,
    /// From the first `/` to the query.
    pub path: &'a str,
    /// What follows the first `?`, without it.
    pub query: Option<&'a str>,
}

// So may one in path or query.
impl fmt::Debug for UrlParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UrlParts(..)")
    }
}

impl<'a> UrlParts<'a> {
    /// Splits a URL that a WHATWG parser has written; such a URL always has these parts.
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
    fn is_loopback(&self) -> bool {
        // The last group of an IPv6 address is no port: a bracket follows it.
        let host = self.authority.trim_end_matches(|c: char| c.is_ascii_digit()).strip_suffix(':');
        let host = host.unwrap_or(self.authority);
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || client_address(address).is_some_and(|address| address.is_loopback())
    }
}

/// A key whose shape (and, for keys of our own, whose tag) is right. Its digest is not checked yet.
#[derive(Debug)]
pub enum PresentedKey<'a> {
    /// A key that `keygate` issued.
    Issued {
        /// The key's text.
        text: CredentialText<'a>,
        /// Its public half.
        id: KeyId,
    },
    /// A key that another system issued.
    Imported(ImportedKey),
}

impl PresentedKey<'_> {
    /// The id that names its record.
    #[must_use]
    pub fn id(&self) -> KeyId {
        match self {
            Self::Issued { id, .. } => *id,
            Self::Imported(key) => key.id(),
        }
    }
}

/// Why a request may go on.
#[derive(Debug)]
pub(crate) enum Claim<'a> {
    /// None is needed: the route is public, or this is a preflight that the origin answers.
    None,
    /// A key, to be checked against its record.
    Key(PresentedKey<'a>),
}

/// A request that has passed steps 2 to 7.
// INVARIANT: only `Gate::admit` makes one.
#[derive(Debug)]
pub struct Admitted<'a> {
    pub(crate) claim: Claim<'a>,
    /// `None`: no route named the path; any key will do.
    pub(crate) route: Option<&'a Route>,
    pub(crate) url: UrlParts<'a>,
    pub(crate) path: CanonicalPath<'a>,
    /// The query without the credential.
    pub(crate) query: Option<Cow<'a, str>>,
    pub(crate) authorization: AuthorizationFate,
    /// A CORS preflight, which the origin answers.
    pub(crate) is_preflight: bool,
    pub(crate) client_ip: Option<&'a str>,
}

/// What is to be done with a request that was not turned away.
#[derive(Debug)]
#[cfg_attr(
    target_pointer_width = "64",
    expect(
        clippy::large_enum_variant,
        reason = "made once a request and taken apart at once; a box would cost each request an allocation"
    )
)]
pub enum Admission<'a> {
    /// Look the key up, if there is one, and decide.
    Proceed(Admitted<'a>),
    /// Answer a CORS preflight; the origin is not asked.
    AnswerPreflight,
}

impl Admitted<'_> {
    /// The id whose record is to be looked up; none where no key is needed.
    #[must_use]
    pub fn key_id(&self) -> Option<KeyId> {
        match &self.claim {
            Claim::Key(key) => Some(key.id()),
            Claim::None => None,
        }
    }

    pub(crate) fn client_address(&self) -> Option<IpAddr> {
        client_address(self.client_ip?)
    }
}

impl Gate {
    /// Takes a request through steps 2 to 7.
    ///
    /// # Errors
    /// The first step that refuses; see the table above.
    pub fn admit<'a>(&'a self, head: &Head<'a>) -> Result<Admission<'a>, Denial> {
        let policy = &self.policy;
        let url = UrlParts::of(head.url);

        // 2
        if url.scheme != "https" && !(policy.allow_http() && url.is_loopback()) {
            return Err(Cause::PlainHttp.into());
        }

        // 3
        let cors = policy.cors();
        let preflight = cors.is_preflight(head.method, head.origin, head.preflight_method);
        // A preflight asks on behalf of a later request; what holds for that one's method holds for it.
        let method = match head.preflight_method {
            Some(method) if preflight => method,
            _ => head.method,
        };
        let Some(method) = policy.methods().index_of(method) else {
            return Err(self.method_not_allowed(policy.methods().all()));
        };

        // 4
        let path = CanonicalPath::parse(url.path, policy.path_rules()).map_err(Cause::Path)?;

        // 5
        if preflight && !cors.forwards_preflight() {
            return Ok(Admission::AnswerPreflight);
        }
        let route = match policy.routes().find(&path, method) {
            Found::Route(route) => Some(route),
            Found::Default => None,
            Found::MethodNotAllowed(methods) => return Err(self.method_not_allowed(methods)),
            Found::Ambiguous(fault) => return Err(Cause::Path(fault).into()),
        };
        let access = route.map_or(Access::Key, Route::access);
        if access == Access::Deny {
            return Err(Cause::RouteDenied.into());
        }
        let rules = Rules { routes: policy.routes(), methods: policy.methods(), paths: policy.path_rules() };
        check_method(rules, &path, method, url.query, head.method_headers)?;
        if let (Some(destination), "MOVE" | "COPY") = (head.destination, head.method) {
            check_destination(rules, &url, &path, method, destination)?;
        }

        // 6
        let presented = Presented {
            authorization: head.authorization,
            headers: head.credential_headers,
            query: url.query,
        };
        if preflight || access == Access::Public {
            // A credential is not judged here, but it is not handed on either.
            let places = policy.places();
            let released = places.release(policy.key_prefix(), &presented, policy.imported_keys());
            // A preflight has no credentials (Fetch standard, "CORS-preflight fetch").
            let authorization = if preflight { AuthorizationFate::Strip } else { released.authorization };
            return Ok(Admission::Proceed(Admitted {
                claim: Claim::None,
                route,
                url,
                path,
                query: released.query,
                authorization,
                is_preflight: preflight,
                client_ip: head.client_ip,
            }));
        }
        let extracted = policy.places().extract(policy.key_prefix(), &presented, policy.imported_keys());
        let extracted = extracted.map_err(Cause::Credential)?;
        let text = extracted.credential.ok_or(Cause::CredentialMissing)?;

        // 7
        let key = self.recognise(text)?;
        Ok(Admission::Proceed(Admitted {
            claim: Claim::Key(key),
            route,
            url,
            path,
            query: extracted.query,
            authorization: extracted.authorization,
            is_preflight: false,
            client_ip: head.client_ip,
        }))
    }

    fn recognise<'a>(&self, text: CredentialText<'a>) -> Result<PresentedKey<'a>, Cause> {
        match Key::parse(text.expose(), self.policy.key_prefix()) {
            Ok(key) if self.secrets.peppers().tag_matches(&key) => {
                let id = key.id();
                Ok(PresentedKey::Issued { text, id })
            }
            Ok(_) => Err(Cause::Key(KeyError::Tag)),
            Err(KeyError::Prefix) if self.policy.imported_keys() => match ImportedKey::parse(text.expose()) {
                Some(key) => Ok(PresentedKey::Imported(key)),
                None => Err(Cause::Key(KeyError::Character)),
            },
            Err(fault) => Err(Cause::Key(fault)),
        }
    }

    fn method_not_allowed(&self, allowed: MethodSet) -> Denial {
        let allow = self.policy.methods().allow_header(allowed);
        Cause::Method { allow }.into()
    }
}

#[cfg(test)]
mod tests;
