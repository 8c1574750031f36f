//! Credentials: where a request may carry a key, and what is forwarded to the origin.

mod basic;
mod error;
mod found;
mod malformed;
mod sources;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

pub use error::CredentialError;
pub use malformed::{SourceKind, Wrapper};
pub use sources::SOURCES_MAX;

use basic::{contains_text, in_basic, may_contain_imported_key, prefix_count};
use found::{InAuthorization, Others, at_most_one};
use malformed::{malformed, wrapped};

use crate::key::KeyPrefix;
use crate::key::digest::ImportedKey;
use crate::request::query::{form_decoded, pairs};

/// The longest credential that is decoded: the longest imported key. A longer one cannot be a key.
pub const CREDENTIAL_MAX_LEN: usize = 512;

/// Where a request may carry a key: `CREDENTIALS`.
#[derive(Clone, Debug, Default)]
pub struct CredentialSources {
    bearer: bool,
    authorization: bool,
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

impl CredentialSources {
    /// Whether a bearer `Authorization` is a source.
    #[must_use]
    pub fn bearer(&self) -> bool {
        self.bearer
    }

    /// Whether the whole value of `Authorization` is a source.
    #[must_use]
    pub fn authorization(&self) -> bool {
        self.authorization
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
    /// credential, whether valid or not; a value of another scheme is not a credential. A foreign value of another source beside a
    /// key of the gate is not a credential either.
    ///
    /// A value that contains `prefix_` once, but not at its start, is a key in a wrong form; so is a key with nothing but
    /// punctuation after it.
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

    /// Whether a query has the credential parameter.
    #[must_use]
    pub fn is_in_query(&self, query: &str) -> bool {
        self.query.is_some() && query.split('&').any(|pair| self.value_in(pair).is_some())
    }

    /// The query without the credential parameter, otherwise unchanged; `None` if nothing is left.
    #[must_use]
    pub fn without_credential<'a>(&self, query: Option<&'a str>) -> Option<Cow<'a, str>> {
        let query = query?;
        if !self.is_in_query(query) {
            return Some(query.into());
        }
        let is_credential = |pair: &str| self.value_in(pair).is_some();
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
        let could_be_key =
            |text: &CredentialText<'_>| imported_keys && ImportedKey::parse(text.expose()).is_some();
        let may_be_second =
            |value: &str, is_source: bool| imported_keys && is_source && may_contain_imported_key(value);
        let others = self.in_others(prefix, presented, could_be_key)?;
        let is_second_key = others.foreign.iter().any(could_be_key);
        let authorization = self.in_authorization(prefix, presented)?;
        if let Some(error) = others.malformed {
            return Err(match authorization {
                InAuthorization::Malformed(_) => CredentialError::KeyInForeignAuthorization,
                InAuthorization::Key(_) => CredentialError::Different,
                InAuthorization::Foreign { value, is_source, .. } if may_be_second(value, is_source) => {
                    CredentialError::Different
                }
                _ if is_second_key => CredentialError::Different,
                InAuthorization::Nothing | InAuthorization::Foreign { .. } => error,
            });
        }
        let query = self.without_credential(presented.query);
        let (credential, authorization, is_foreign) = match authorization {
            InAuthorization::Nothing => {
                (others.credential(is_second_key)?, AuthorizationHandling::Strip, false)
            }
            InAuthorization::Key(_) if is_second_key => return Err(CredentialError::Different),
            InAuthorization::Key(key) => {
                (at_most_one(Some(key), others.own)?, AuthorizationHandling::Strip, false)
            }
            InAuthorization::Malformed(error) if others.own.is_none() && !is_second_key => return Err(error),
            InAuthorization::Malformed(_) => return Err(CredentialError::KeyInForeignAuthorization),
            InAuthorization::Foreign { value, candidate, is_source } => {
                match (others.credential(is_second_key)?, candidate) {
                    (Some(key), Some(candidate)) if key.is_same(&candidate) => {
                        (Some(key), AuthorizationHandling::Strip, false)
                    }
                    (Some(key), _) if contains_text(value, key.expose()) => {
                        return Err(CredentialError::KeyInForeignAuthorization);
                    }
                    // It could be a second valid key, which must not reach the origin.
                    (Some(_), _) if may_be_second(value, is_source) => {
                        return Err(CredentialError::Different);
                    }
                    (Some(key), _) => (Some(key), AuthorizationHandling::Keep, true),
                    (None, Some(candidate)) => (Some(candidate), AuthorizationHandling::Strip, true),
                    (None, None) if may_be_second(value, is_source) => {
                        (None, AuthorizationHandling::Strip, true)
                    }
                    (None, None) => (None, AuthorizationHandling::Keep, true),
                }
            }
        };
        Ok(Resolved { extracted: Extracted { credential, authorization, query }, is_foreign })
    }

    /// What the sources other than `Authorization` contain.
    fn in_others<'a>(
        &self,
        prefix: &KeyPrefix,
        presented: &Presented<'a, '_>,
        could_be_key: impl Fn(&CredentialText<'_>) -> bool,
    ) -> Result<Others<'a>, CredentialError> {
        let mut others = Others::default();
        for value in presented.headers.iter().take(self.headers.len()) {
            let Some(value) = value.and_then(not_blank) else {
                continue;
            };
            let text = CredentialText(Text::Borrowed(value));
            let malformed = malformed(prefix, SourceKind::Header, value).filter(|_| !could_be_key(&text));
            if value.len() <= CREDENTIAL_MAX_LEN && contains_comma(value) && malformed.is_none() {
                return Err(CredentialError::RepeatedHeader);
            }
            others.add(prefix, text, malformed)?;
        }
        if let Some(text) = self.in_query(presented)? {
            let malformed =
                malformed(prefix, SourceKind::Query, text.expose()).filter(|_| !could_be_key(&text));
            others.add(prefix, text, malformed)?;
        }
        Ok(others)
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
        let (candidate, is_source) = if self.bearer && scheme.eq_ignore_ascii_case("bearer") {
            if text.is_empty() {
                return Ok(InAuthorization::Nothing);
            }
            if contains_comma(text) && malformed(prefix, SourceKind::Authorization, text).is_none() {
                return Err(CredentialError::RepeatedAuthorization);
            }
            (Some(CredentialText(Text::Borrowed(text))), true)
        } else if self.basic && scheme.eq_ignore_ascii_case("basic") {
            if text.is_empty() {
                return Ok(InAuthorization::Nothing);
            }
            (in_basic(prefix, text)?, true)
        } else if self.authorization && text.is_empty() {
            if contains_comma(value) && wrapped(prefix, SourceKind::Authorization, value).is_none() {
                return Err(CredentialError::RepeatedAuthorization);
            }
            (Some(CredentialText(Text::Borrowed(value))), true)
        } else {
            (None, false)
        };
        match candidate {
            Some(text) if prefix.strip(text.expose()).is_some() => {
                Ok(match malformed(prefix, SourceKind::Authorization, text.expose()) {
                    Some(error) => InAuthorization::Malformed(error),
                    None => InAuthorization::Key(text),
                })
            }
            candidate if prefix_count(value, prefix) == 0 => {
                Ok(InAuthorization::Foreign { value, candidate, is_source })
            }
            _ => match wrapped(prefix, SourceKind::Authorization, value) {
                Some(error) => Ok(InAuthorization::Malformed(error)),
                None => Err(CredentialError::KeyInForeignAuthorization),
            },
        }
    }
}

struct Resolved<'a> {
    extracted: Extracted<'a>,
    /// `Authorization` contains something other than a key of the gate.
    is_foreign: bool,
}

fn contains_comma(value: &str) -> bool {
    value.bytes().any(|b| b == b',')
}

fn not_blank(value: &str) -> Option<&str> {
    let value = value.trim_matches([' ', '\t']); // RFC 9110, section 5.6.3
    (!value.is_empty()).then_some(value)
}
