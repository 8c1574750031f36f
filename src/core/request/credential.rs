//! Credentials: where a request may carry a key, and what of that may go on to the origin.

use thiserror::Error;

mod basic;
mod places;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

pub use places::SOURCES_MAX;

use basic::{holds_prefix, holds_text, in_basic};

use crate::key::KeyPrefix;
use crate::key::digest::ImportedKey;
use crate::request::query::{form_decoded, pairs};

/// The longest credential that is read any further: the longest imported key. Longer ones are malformed as they stand.
pub const CREDENTIAL_MAX_LEN: usize = 512;

/// The places of a request that may hold a key: `CREDENTIALS`.
#[derive(Clone, Debug, Default)]
pub struct Places {
    bearer: bool,
    basic: bool,
    headers: Vec<Box<str>>, // INVARIANT: a-z, 0-9 and `-`; none twice
    query: Option<Box<str>>,
}

/// What a request holds in the configured places.
#[derive(Clone, Copy, Default)]
pub struct Presented<'a, 's> {
    /// The value of `Authorization`.
    pub authorization: Option<&'a str>,
    /// The values of [`Places::header_names`], in that order.
    pub headers: &'s [Option<&'a str>],
    /// The query without its `?`.
    pub query: Option<&'a str>,
}

impl fmt::Debug for Presented<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented(..)")
    }
}

/// The text of a presented credential, true or false.
// Absent on purpose: Clone, Display, Serialize, PartialEq.
pub struct CredentialText<'a>(Text<'a>);

enum Text<'a> {
    Borrowed(&'a str),
    Decoded(Zeroizing<String>),
}

impl CredentialText<'_> {
    /// The text itself. To be parsed; never logged, never forwarded.
    #[must_use]
    pub fn expose(&self) -> &str {
        match &self.0 {
            Text::Borrowed(text) => text,
            Text::Decoded(text) => text,
        }
    }

    /// Compares two texts of one request. Both are the caller's own, so the time it takes tells the caller nothing.
    fn is_same(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl fmt::Debug for CredentialText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialText(..)")
    }
}

/// What a request's places came to.
#[derive(Debug)]
pub struct Extracted<'a> {
    /// The one credential, if there is any.
    pub credential: Option<CredentialText<'a>>,
    /// What becomes of `Authorization`.
    pub authorization: AuthorizationFate,
    /// The query without the credential: as it came if it had none, `None` if nothing is left.
    pub query: Option<Cow<'a, str>>,
}

/// What a request on a public route may take along.
#[derive(Debug)]
pub struct Released<'a> {
    /// What becomes of `Authorization`.
    pub authorization: AuthorizationFate,
    /// The query without the credential, as in [`Extracted`].
    pub query: Option<Cow<'a, str>>,
}

/// What becomes of `Authorization`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationFate {
    /// It is the gate's, or could be.
    Strip,
    /// It is the origin's, and is forwarded as it came.
    Keep,
}

/// Why a request does not hold one credential or none; the caller only ever reads `credential_ambiguous`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", self.as_str())]
pub enum CredentialError {
    /// A header of ours came in two lines, or two values in one.
    RepeatedHeader,
    /// So did a bearer `Authorization`.
    RepeatedAuthorization,
    /// The query names the parameter twice.
    RepeatedParameter,
    /// Two places hold different credentials.
    Different,
    /// An `Authorization` that would belong to the origin holds a key of ours.
    KeyInForeignAuthorization,
}

impl CredentialError {
    /// The reason as it stands in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RepeatedHeader => "a credential header holds two values",
            Self::RepeatedAuthorization => "a bearer Authorization holds two values",
            Self::RepeatedParameter => "the credential parameter is in the query twice",
            Self::Different => "two places hold different credentials",
            Self::KeyInForeignAuthorization => "an Authorization of another kind holds a key",
        }
    }
}

impl Places {
    /// Whether a bearer `Authorization` is a place.
    #[must_use]
    pub fn bearer(&self) -> bool {
        self.bearer
    }

    /// Whether a basic `Authorization` is a place.
    #[must_use]
    pub fn basic(&self) -> bool {
        self.basic
    }

    /// The headers that are places, in lower case. They are never forwarded.
    #[must_use]
    pub fn header_names(&self) -> &[Box<str>] {
        &self.headers
    }

    /// The query parameter that is a place.
    #[must_use]
    pub fn query_name(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Finds the one credential of a request.
    ///
    /// An `Authorization` without a key of ours is *foreign*: if the key came by another place, it belongs to the origin.
    /// If no other place holds anything, what stands in a bearer or (where that is a place) basic one is the credential,
    /// however wrong; another scheme is none.
    ///
    /// `imported_keys`: whether a credential without our prefix could be one. Then a foreign one that could be a key counts.
    ///
    /// # Errors
    /// Every variant of [`CredentialError`].
    pub fn extract<'a>(
        &self,
        prefix: &KeyPrefix,
        presented: &Presented<'a, '_>,
        imported_keys: bool,
    ) -> Result<Extracted<'a>, CredentialError> {
        self.settle(prefix, presented, imported_keys).map(|settled| settled.extracted)
    }

    /// What a request on a public route may take along: nothing that is or could be a credential of the gate.
    ///
    /// `imported_keys`: whether a bearer token without our prefix could be one.
    #[must_use]
    pub fn release<'a>(
        &self,
        prefix: &KeyPrefix,
        presented: &Presented<'a, '_>,
        imported_keys: bool,
    ) -> Released<'a> {
        match self.settle(prefix, presented, imported_keys) {
            Ok(settled) => Released {
                authorization: if settled.is_foreign && !imported_keys {
                    AuthorizationFate::Keep
                } else {
                    settled.extracted.authorization
                },
                query: settled.extracted.query,
            },
            Err(_) => Released {
                authorization: AuthorizationFate::Strip,
                query: self.without_credential(presented.query),
            },
        }
    }

    /// A query without the credential parameter, every other byte as it came; `None` if nothing is left.
    #[must_use]
    pub fn without_credential<'a>(&self, query: Option<&'a str>) -> Option<Cow<'a, str>> {
        let query = query?;
        let is_ours = |pair: &str| self.value_in(pair).is_some();
        if self.query.is_none() || !query.split('&').any(is_ours) {
            return Some(query.into());
        }
        let others: Vec<&str> = query.split('&').filter(|pair| !is_ours(pair)).collect();
        let query = others.join("&");
        (!query.is_empty()).then_some(query.into())
    }

    fn settle<'a>(
        &self,
        prefix: &KeyPrefix,
        presented: &Presented<'a, '_>,
        imported_keys: bool,
    ) -> Result<Settled<'a>, CredentialError> {
        let other = one(self.in_headers(presented)?, self.in_query(presented)?)?;
        let query = self.without_credential(presented.query);
        let (credential, authorization, is_foreign) = match self.in_authorization(prefix, presented)? {
            InAuthorization::Nothing => (other, AuthorizationFate::Strip, false),
            InAuthorization::Ours(key) => (one(Some(key), other)?, AuthorizationFate::Strip, false),
            InAuthorization::Foreign { value, candidate } => match (other, candidate) {
                (Some(key), Some(candidate)) if key.is_same(&candidate) => {
                    (Some(key), AuthorizationFate::Strip, false)
                }
                (Some(key), _) if holds_text(value, key.expose()) => {
                    return Err(CredentialError::KeyInForeignAuthorization);
                }
                // It could be a second valid key, and the origin would get it.
                (Some(_), Some(candidate))
                    if imported_keys && ImportedKey::parse(candidate.expose()).is_some() =>
                {
                    return Err(CredentialError::Different);
                }
                (Some(key), _) => (Some(key), AuthorizationFate::Keep, true),
                (None, Some(candidate)) => (Some(candidate), AuthorizationFate::Strip, true),
                (None, None) => (None, AuthorizationFate::Keep, true),
            },
        };
        Ok(Settled { extracted: Extracted { credential, authorization, query }, is_foreign })
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
            if value.len() <= CREDENTIAL_MAX_LEN && holds_comma(value) {
                return Err(CredentialError::RepeatedHeader);
            }
            found = one(found, Some(CredentialText(Text::Borrowed(value))))?;
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
        // Three bytes may spell one; what is longer than that is too long however it is decoded.
        let text = if value.len() <= CREDENTIAL_MAX_LEN * 3 && value.contains(['%', '+']) {
            let bytes = Zeroizing::new(form_decoded(value).collect::<Vec<u8>>());
            match core::str::from_utf8(&bytes) {
                Ok(text) => Text::Decoded(Zeroizing::new(text.into())),
                // What is no text is no key; it is judged as it stands, and is not the same as another that is none.
                Err(_) => Text::Borrowed(value),
            }
        } else {
            Text::Borrowed(value)
        };
        let text = CredentialText(text);
        Ok(not_blank(text.expose()).is_some().then_some(text))
    }

    /// The raw value of `name=value`, if the name is ours.
    fn value_in<'q>(&self, pair: &'q str) -> Option<&'q str> {
        let ours = self.query.as_deref()?;
        let (name, value) = pairs(pair).next()?;
        form_decoded(name).eq(ours.bytes()).then_some(value)
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
            if holds_comma(text) {
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
            Some(text) if prefix.strip(text.expose()).is_some() => Ok(InAuthorization::Ours(text)),
            _ if holds_prefix(value, prefix) => Err(CredentialError::KeyInForeignAuthorization),
            candidate => Ok(InAuthorization::Foreign { value, candidate }),
        }
    }
}

struct Settled<'a> {
    extracted: Extracted<'a>,
    /// `Authorization` holds something that is no key of ours.
    is_foreign: bool,
}

/// What `Authorization` holds.
enum InAuthorization<'a> {
    /// Nothing, or a scheme of ours without a credential.
    Nothing,
    /// A credential with our prefix.
    Ours(CredentialText<'a>),
    /// Something else; in a scheme of ours it could still be meant for the gate.
    Foreign { value: &'a str, candidate: Option<CredentialText<'a>> },
}

/// The credential of two places: one of them is empty, or both hold the same.
fn one<'a>(
    first: Option<CredentialText<'a>>,
    second: Option<CredentialText<'a>>,
) -> Result<Option<CredentialText<'a>>, CredentialError> {
    match (first, second) {
        (Some(first), Some(second)) if !first.is_same(&second) => Err(CredentialError::Different),
        (first, second) => Ok(first.or(second)),
    }
}

fn holds_comma(value: &str) -> bool {
    value.bytes().any(|b| b == b',')
}

fn not_blank(value: &str) -> Option<&str> {
    let value = value.trim_matches([' ', '\t']); // RFC 9110, section 5.6.3
    (!value.is_empty()).then_some(value)
}
