//! Steps 2 to 7 of the gate: the checks that need no record.
//!
//! | step | checks | refuses with |
//! |---|---|---|
//! | 2 | loop, scheme | `loop_detected`, `too_many_hops`, `https_required` |
//! | 3 | method | `method_not_allowed` |
//! | 4 | path | `path_ambiguous` |
//! | 5 | route | `route_denied`, `method_not_allowed`, `path_ambiguous`, `method_ambiguous`, `destination_not_allowed` |
//! | 6 | credential | `credential_missing`, `credential_malformed`, `credential_ambiguous` |
//! | 7 | shape and tag of the key | `key_invalid` |
//!
//! A request that is refused here causes no I/O.

use alloc::borrow::Cow;
use alloc::string::String;
use core::net::IpAddr;

use crate::address::client_address;
use crate::auth::overrides::{Rules, check_destination, check_method};
use crate::auth::secrets::Secrets;
use crate::key::digest::ImportedKey;
use crate::key::pepper::Pepper;
use crate::key::{Key, KeyError, KeyId};
use crate::policy::Policy;
use crate::policy::route::{Access, Found, Route};
use crate::request::credential::{AuthorizationHandling, CredentialText, Presented, SOURCES_MAX};
use crate::request::head::RequestHead;
use crate::request::header_filter::METHOD_HEADERS;
use crate::request::method::{MethodIndex, MethodSet};
use crate::request::path::CanonicalPath;
use crate::request::url::UrlParts;
use crate::request::via::{VIA_HEADER, has_too_many_hops, is_loop};
use crate::response::{Cause, Denial};

/// The configuration of a gate.
#[derive(Debug)]
pub struct Gate {
    /// The variables.
    pub policy: Policy,
    /// The secret bindings.
    pub secrets: Secrets,
}

/// A key whose form is valid, and its tag if `keygate` issued it. Its digest is not checked yet.
#[derive(Debug)]
pub enum PresentedKey<'a> {
    /// A key that `keygate` issued.
    Issued {
        /// The key's text.
        text: CredentialText<'a>,
        /// Its public part.
        id: KeyId,
    },
    /// A key that another system issued.
    Imported(ImportedKey),
}

impl PresentedKey<'_> {
    /// The id of its record.
    #[must_use]
    pub fn id(&self) -> KeyId {
        match self {
            Self::Issued { id, .. } => *id,
            Self::Imported(key) => key.id(),
        }
    }
}

/// Whether a request needs a valid key.
#[derive(Debug)]
pub(crate) enum AuthRequirement<'a> {
    /// No: the route is public, or this is a preflight that the origin answers.
    None,
    /// Yes: this one, which must match its record.
    Key(PresentedKey<'a>),
}

/// A request that has passed steps 2 to 7.
// INVARIANT: only `Gate::admit` creates one.
#[derive(Debug)]
pub struct Admitted<'a> {
    pub(crate) requirement: AuthRequirement<'a>,
    /// `None`: no route matches, and any valid key is accepted.
    pub(crate) route: Option<&'a Route>,
    pub(crate) url: UrlParts<'a>,
    pub(crate) path: CanonicalPath<'a>,
    /// The query without the credential.
    pub(crate) query: Option<Cow<'a, str>>,
    pub(crate) authorization: AuthorizationHandling,
    /// A request for `WHOAMI_PATH`, which the gate answers.
    pub(crate) is_whoami: bool,
    /// A CORS preflight, which the origin answers.
    pub(crate) is_preflight: bool,
    pub(crate) client_ip: Option<&'a str>,
}

/// What to do with a request that is not refused.
#[derive(Debug)]
#[cfg_attr(
    target_pointer_width = "64",
    expect(
        clippy::large_enum_variant,
        reason = "created once per request and matched at once; a box would cost an allocation per request"
    )
)]
pub enum Admission<'a> {
    /// Look up the record of the key, if there is one, and decide.
    Proceed(Admitted<'a>),
    /// Answer a CORS preflight; the origin is not asked.
    AnswerPreflight,
}

impl Admitted<'_> {
    /// The id of the record to look up; `None` if no key is needed.
    #[must_use]
    pub fn key_id(&self) -> Option<KeyId> {
        match &self.requirement {
            AuthRequirement::Key(key) => Some(key.id()),
            AuthRequirement::None => None,
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
    pub fn admit<'a>(&'a self, head: &RequestHead<'a>) -> Result<Admission<'a>, Denial> {
        let policy = &self.policy;
        let url = UrlParts::of(head.url);

        // 2
        if let Some(via) = head.header(VIA_HEADER) {
            if is_loop(via, &self.mark()) {
                return Err(Cause::Loop.into());
            }
            if has_too_many_hops(via) {
                return Err(Cause::TooManyHops.into());
            }
        }
        if url.scheme != "https" && !(policy.allow_http() && url.is_loopback()) {
            let authority = url.authority.into();
            return Err(Cause::PlainHttp { authority, allow_http: policy.allow_http() }.into());
        }

        // 3
        let cors = policy.cors();
        let preflight_method = head.header("access-control-request-method");
        let preflight = cors.is_preflight(head.method, head.origin(), preflight_method);
        // A preflight announces a later request; the rules for the method of that request apply.
        let method = match preflight_method {
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
        let is_whoami = !preflight && policy.whoami_path() == Some(path.forwarded());
        let route = if is_whoami {
            let reading = policy.methods().implied_by("GET").unwrap_or_default();
            if !matches!(head.method, "GET" | "HEAD") {
                return Err(self.method_not_allowed(reading));
            }
            None
        } else {
            self.route(head, &url, &path, method, preflight)?
        };
        let access = route.map_or(Access::Key, Route::access);

        // 6
        let mut headers = [None; SOURCES_MAX];
        for (value, name) in headers.iter_mut().zip(policy.credential_sources().header_names()) {
            *value = head.header(name);
        }
        let presented =
            Presented { authorization: head.header("authorization"), headers: &headers, query: url.query };
        if preflight || access == Access::Public {
            // A credential is not checked here, but it is not forwarded either.
            let sources = policy.credential_sources();
            let public = sources.for_public_route(policy.key_prefix(), &presented, policy.imported_keys());
            // A preflight has no credentials (Fetch standard, "CORS-preflight fetch").
            let authorization = if preflight { AuthorizationHandling::Strip } else { public.authorization };
            return Ok(Admission::Proceed(Admitted {
                requirement: AuthRequirement::None,
                route,
                url,
                path,
                query: public.query,
                authorization,
                is_whoami: false,
                is_preflight: preflight,
                client_ip: head.client_ip(),
            }));
        }
        let extracted =
            policy.credential_sources().extract(policy.key_prefix(), &presented, policy.imported_keys());
        let extracted = extracted.map_err(Cause::Credential)?;
        let text = extracted.credential.ok_or(Cause::CredentialMissing)?;

        // 7
        let key = self.classify(text)?;
        Ok(Admission::Proceed(Admitted {
            requirement: AuthRequirement::Key(key),
            route,
            url,
            path,
            query: extracted.query,
            authorization: extracted.authorization,
            is_whoami,
            is_preflight: false,
            client_ip: head.client_ip(),
        }))
    }

    /// Step 5: the route of a request that may be forwarded; `None`: none matches.
    fn route(
        &self,
        head: &RequestHead<'_>,
        url: &UrlParts<'_>,
        path: &CanonicalPath<'_>,
        method: MethodIndex,
        preflight: bool,
    ) -> Result<Option<&Route>, Denial> {
        let policy = &self.policy;
        let route = match policy.routes().find(path, method) {
            Found::Route(route) => Some(route),
            Found::Default => None,
            Found::MethodNotAllowed(methods) => return Err(self.method_not_allowed(methods)),
            Found::Ambiguous(error) => return Err(Cause::Path(error).into()),
        };
        if route.map(Route::access) == Some(Access::Deny) {
            return Err(Cause::RouteDenied.into());
        }
        let rules = Rules { routes: policy.routes(), methods: policy.methods(), paths: policy.path_rules() };
        let method_headers = METHOD_HEADERS.map(|name| head.header(name));
        check_method(rules, path, method, preflight, url.query, &method_headers)?;
        if let (Some(destination), "MOVE" | "COPY") = (head.header("destination"), head.method) {
            let origin = route.and_then(Route::origin).unwrap_or_else(|| policy.origin());
            check_destination(rules, url, path, method, destination, origin)?;
        }
        Ok(route)
    }

    /// The mark on what this gate forwards.
    pub(crate) fn mark(&self) -> String {
        self.secrets.peppers().current.mark(self.policy.key_prefix())
    }

    fn classify<'a>(&self, text: CredentialText<'a>) -> Result<PresentedKey<'a>, Cause> {
        match Key::parse(text.expose(), self.policy.key_prefix()) {
            Ok(key) if self.secrets.peppers().tag_matches(&key) => {
                let id = key.id();
                Ok(PresentedKey::Issued { text, id })
            }
            Ok(_) => {
                let peppers = self.secrets.peppers();
                let previous = peppers.previous.as_ref().map(Pepper::id);
                Err(Cause::Tag { current: peppers.current.id(), previous })
            }
            Err(KeyError::Prefix) if self.policy.imported_keys() => match ImportedKey::parse(text.expose()) {
                Some(key) => Ok(PresentedKey::Imported(key)),
                None => Err(Cause::Key(KeyError::Character)),
            },
            Err(error) => Err(Cause::Key(error)),
        }
    }

    fn method_not_allowed(&self, allowed: MethodSet) -> Denial {
        let allow = self.policy.methods().allow_header(allowed);
        Cause::Method { allow }.into()
    }
}

#[cfg(test)]
mod tests;
