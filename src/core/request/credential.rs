//! Credentials: where a request may carry a key, and what is forwarded to the origin.

use thiserror::Error;

mod basic;
mod sources;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

pub use sources::SOURCES_MAX;

use basic::{contains_prefix, contains_text, in_basic};

use crate::key::KeyPrefix;
use crate::key::digest::ImportedKey;
use crate::request::query::{form_decoded, pairs};

/// The longest credential that is decoded: the longest imported key. A longer one cannot be a key.
pub const CREDENTIAL_MAX_LEN: usize = 512;

/// Where a request may carry a key: `CREDENTIALS`.
#[derive(Clone, Debug, Default)]
pub struct CredentialSources {
    bearer: bool,
    basic: bool,
    headers: Vec<Box<str>>, // INVARIANT: a-z, 0-9 and `-`; none twice
    query: Option<Box<str>>,
}

/// The values of a request's credential sources.
#[derive(Clone, Copy, Default)]
pub struct Presented<'a, 's> {
    /// The value of `Authorization`.
    pub authorization: Option<&'a str>,
    /// The values of [`CredentialSources::header_names`], in that order.
    pub headers: &'s [Option<&'a str>],
    /// The query without its `?`.
    pub query: Option<&'a str>,
}

impl fmt::Debug for Presented<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(..)")
    }
}

/// The text of a presented credential, whether valid or not.
// Absent on purpose: Clone, Display, Serialize, PartialEq.
pub struct CredentialText<'a>(Text<'a>);

enum Text<'a> {
    Borrowed(&'a str),
    Decoded(Zeroizing<String>),
}

impl CredentialText<'_> {
    /// The text itself, to be parsed; never logged, never forwarded.
    #[must_use]
    pub fn expose(&self) -> &str {
        match &self.0 {
            Text::Borrowed(text) => text,
            Text::Decoded(text) => text,
        }
    }

    /// Compares two credentials of one request. The caller knows both, so timing reveals nothing.
    fn is_same(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl fmt::Debug for CredentialText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialText(..)")
    }
}

/// The credential of a request, and what remains for the origin.
#[derive(Debug)]
pub struct Extracted<'a> {
    /// The credential, if there is one.
    pub credential: Option<CredentialText<'a>>,
    /// Whether `Authorization` is forwarded.
    pub authorization: AuthorizationHandling,
    /// The query without the credential; `None` if nothing is left.
    pub query: Option<Cow<'a, str>>,
}

/// The parts of a request on a public route that are forwarded.
#[derive(Debug)]
pub struct PublicRequest<'a> {
    /// Whether `Authorization` is forwarded.
    pub authorization: AuthorizationHandling,
    /// The query without the credential, as in [`Extracted`].
    pub query: Option<Cow<'a, str>>,
}

/// Whether the client's `Authorization` is forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationHandling {
    /// It is for the gate, or could be.
    Strip,
    /// It is for the origin, and is forwarded unchanged.
    Keep,
}

/// Why the credential of a request is ambiguous; the caller gets `credential_ambiguous` for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", self.as_str())]
pub enum CredentialError {
    /// A credential header has two values.
    RepeatedHeader,
    /// A bearer `Authorization` has two values.
    RepeatedAuthorization,
    /// The query contains the parameter twice.
    RepeatedParameter,
    /// Two sources contain different credentials.
    Different,
    /// An `Authorization` for the origin contains a key of the gate.
    KeyInForeignAuthorization,
}

impl CredentialError {
    /// The reason in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RepeatedHeader => "a credential header has two values",
            Self::RepeatedAuthorization => "a bearer Authorization has two values",
            Self::RepeatedParameter => "the query contains the credential parameter twice",
            Self::Different => "two credential sources contain different credentials",
            Self::KeyInForeignAuthorization => "an Authorization for the origin contains a key",
        }
    }
}

impl CredentialSources {
    /// Whether a bearer `Authorization` is a source.
    #[must_use]
    pub fn bearer(&self) -> bool {
        self.bearer
    }

    /// Whether a basic `Authorization` is a source.
    #[must_use]
    pub fn basic(&self) -> bool {
        self.basic
    }

    /// The headers that are sources, in lower case. They are never forwarded.
    #[must_use]
    pub fn header_names(&self) -> &[Box<str>] {
        &self.headers
    }

    /// The query parameter that is a source.
    #[must_use]
    pub fn query_name(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Finds the one credential of a request.
    ///
    /// An `Authorization` without a key of the gate is *foreign*: if another source contains the key, it is for the origin.
    /// If no other source contains anything, the value of a bearer or basic one (if that scheme is a source) is the
    /// credential, whether valid or not; a value of another scheme is not a credential.
    ///
    /// `imported_keys`: whether a key may have another prefix. A foreign value that could be such a key is then a credential.
    ///
    /// # Errors
    /// Every variant of [`CredentialError`].
    pub fn extract<'a>(
        &self,
        prefix: &KeyPrefix,
        presented: &Presented<'a, '_>,
        imported_keys: bool,
    ) -> Result<Extracted<'a>, CredentialError> {
        self.resolve(prefix, presented, imported_keys).map(|resolved| resolved.extracted)
    }

    /// The parts of a request on a public route that are forwarded: nothing that is or could be a credential of the gate.
    ///
    /// `imported_keys`: whether a key may have another prefix.
    #[must_use]
    pub fn for_public_route<'a>(
        &self,
        prefix: &KeyPrefix,
        presented: &Presented<'a, '_>,
        imported_keys: bool,
    ) -> PublicRequest<'a> {
        match self.resolve(prefix, presented, imported_keys) {
            Ok(resolved) => PublicRequest {
                authorization: if resolved.is_foreign && !imported_keys {
                    AuthorizationHandling::Keep
                } else {
                    resolved.extracted.authorization
                },
                query: resolved.extracted.query,
            },
            Err(_) => PublicRequest {
                authorization: AuthorizationHandling::Strip,
                query: self.without_credential(presented.query),
            },
        }
    }

    /// The query without the credential parameter, otherwise unchanged; `None` if nothing is left.
    #[must_use]
    pub fn without_credential<'a>(&self, query: Option<&'a str>) -> Option<Cow<'a, str>> {
        let query = query?;
        let is_credential = |pair: &str| self.value_in(pair).is_some();
        if self.query.is_none() || !query.split('&').any(is_credential) {
            return Some(query.into());
        }
        let others: Vec<&str> = query.split('&').filter(|pair| !is_credential(pair)).collect();
        let query = others.join("&");
        (!query.is_empty()).then_some(query.into())
    }

    fn resolve<'a>(
        &self,
        prefix: &KeyPrefix,
        presented: &Presented<'a, '_>,
        imported_keys: bool,
    ) -> Result<Resolved<'a>, CredentialError> {
        let other = at_most_one(self.in_headers(presented)?, self.in_query(presented)?)?;
        let query = self.without_credential(presented.query);
        let (credential, authorization, is_foreign) = match self.in_authorization(prefix, presented)? {
            InAuthorization::Nothing => (other, AuthorizationHandling::Strip, false),
            InAuthorization::Key(key) => {
                (at_most_one(Some(key), other)?, AuthorizationHandling::Strip, false)
            }
            InAuthorization::Foreign { value, candidate } => match (other, candidate) {
                (Some(key), Some(candidate)) if key.is_same(&candidate) => {
                    (Some(key), AuthorizationHandling::Strip, false)
                }
                (Some(key), _) if contains_text(value, key.expose()) => {
                    return Err(CredentialError::KeyInForeignAuthorization);
                }
                // It could be a second valid key, which must not reach the origin.
                (Some(_), Some(candidate))
                    if imported_keys && ImportedKey::parse(candidate.expose()).is_some() =>
                {
                    return Err(CredentialError::Different);
                }
                (Some(key), _) => (Some(key), AuthorizationHandling::Keep, true),
                (None, Some(candidate)) => (Some(candidate), AuthorizationHandling::Strip, true),
                (None, None) => (None, AuthorizationHandling::Keep, true),
            },
        };
        Ok(Resolved { extracted: Extracted { credential, authorization, query }, is_foreign })
    }

    fn in_headers<'a>(
        &self,
        presented: &Presented<'a, '_>,
    ) -> Result<Option<CredentialText<'a>>, CredentialError> {
        let mut found = None;
        for value in presented.headers.iter().take(self.headers.len()) {
            let Some(value) = value.and_then(not_blank) else {
                continue;
            };
            if value.len() <= CREDENTIAL_MAX_LEN && contains_comma(value) {
                return Err(CredentialError::RepeatedHeader);
            }
            found = at_most_one(found, Some(CredentialText(Text::Borrowed(value))))?;
        }
        Ok(found)
    }

    fn in_query<'a>(
        &self,
        presented: &Presented<'a, '_>,
    ) -> Result<Option<CredentialText<'a>>, CredentialError> {
        let (Some(_), Some(query)) = (&self.query, presented.query) else {
            return Ok(None);
        };
        let mut values = query.split('&').filter_map(|pair| self.value_in(pair));
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(CredentialError::RepeatedParameter);
        }
        // Three bytes may encode one; a longer value is too long even after decoding.
        let text = if value.len() <= CREDENTIAL_MAX_LEN * 3 && value.contains(['%', '+']) {
            let bytes = Zeroizing::new(form_decoded(value).collect::<Vec<u8>>());
            match core::str::from_utf8(&bytes) {
                Ok(text) => Text::Decoded(Zeroizing::new(text.into())),
                // It is not UTF-8, so it is not a key. It stays undecoded, so that two different values stay different.
                Err(_) => Text::Borrowed(value),
            }
        } else {
            Text::Borrowed(value)
        };
        let text = CredentialText(text);
        Ok(not_blank(text.expose()).is_some().then_some(text))
    }

    /// The raw value of `name=value`, if the name is that of the credential parameter.
    fn value_in<'q>(&self, pair: &'q str) -> Option<&'q str> {
        let parameter = self.query.as_deref()?;
        let (name, value) = pairs(pair).next()?;
        form_decoded(name).eq(parameter.bytes()).then_some(value)
    }

    fn in_authorization<'a>(
        &self,
        prefix: &KeyPrefix,
        presented: &Presented<'a, '_>,
    ) -> Result<InAuthorization<'a>, CredentialError> {
        let Some(value) = presented.authorization.and_then(not_blank) else {
            return Ok(InAuthorization::Nothing);
        };
        let end = value.bytes().position(|b| matches!(b, b' ' | b'\t')).unwrap_or(value.len());
        let (scheme, text) = value.split_at_checked(end).unwrap_or((value, ""));
        let text = text.trim_matches([' ', '\t']);
        let candidate = if self.bearer && scheme.eq_ignore_ascii_case("bearer") {
            if text.is_empty() {
                return Ok(InAuthorization::Nothing);
            }
            if contains_comma(text) {
                return Err(CredentialError::RepeatedAuthorization);
            }
            Some(CredentialText(Text::Borrowed(text)))
        } else if self.basic && scheme.eq_ignore_ascii_case("basic") {
            if text.is_empty() {
                return Ok(InAuthorization::Nothing);
            }
            in_basic(prefix, text)?
        } else {
            None
        };
        match candidate {
            Some(text) if prefix.strip(text.expose()).is_some() => Ok(InAuthorization::Key(text)),
            _ if contains_prefix(value, prefix) => Err(CredentialError::KeyInForeignAuthorization),
            candidate => Ok(InAuthorization::Foreign { value, candidate }),
        }
    }
}

struct Resolved<'a> {
    extracted: Extracted<'a>,
    /// `Authorization` contains something other than a key of the gate.
    is_foreign: bool,
}

/// The content of `Authorization`.
enum InAuthorization<'a> {
    /// Nothing, or a scheme without a credential.
    Nothing,
    /// A credential with the prefix of the gate's keys.
    Key(CredentialText<'a>),
    /// Something else; `candidate` if its scheme is a source, so that it could be meant for the gate.
    Foreign { value: &'a str, candidate: Option<CredentialText<'a>> },
}

/// The credential of two sources, of which one is empty or both are equal.
fn at_most_one<'a>(
    first: Option<CredentialText<'a>>,
    second: Option<CredentialText<'a>>,
) -> Result<Option<CredentialText<'a>>, CredentialError> {
    match (first, second) {
        (Some(first), Some(second)) if !first.is_same(&second) => Err(CredentialError::Different),
        (first, second) => Ok(first.or(second)),
    }
}

fn contains_comma(value: &str) -> bool {
    value.bytes().any(|b| b == b',')
}

fn not_blank(value: &str) -> Option<&str> {
    let value = value.trim_matches([' ', '\t']); // RFC 9110, section 5.6.3
    (!value.is_empty()).then_some(value)
}
