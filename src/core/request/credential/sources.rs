//! Reading `CREDENTIALS`.

use thiserror::Error;

use super::CredentialSources;
use crate::request::header_filter;
use crate::request::via::VIA_HEADER;

/// The most entries that `CREDENTIALS` may have.
pub const SOURCES_MAX: usize = 8;
const NAME_MAX_LEN: usize = 64;

/// Why a string is not a credential source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum CredentialSourceError {
    /// None of the five forms.
    #[error(
        "is not a credential source: `bearer`, `authorization`, `basic`, `header:<name>` or `query:<name>`"
    )]
    Form,
    /// Not a header name of a-z, 0-9 and `-`.
    #[error(
        "has no header name of 1 to {NAME_MAX_LEN} characters of a-z, 0-9 and `-` that starts with a letter"
    )]
    HeaderName,
    /// A header that has another meaning.
    #[error(
        "names a header that the gate, the platform or HTTP itself uses (write `bearer`, `authorization` or `basic` for authorization)"
    )]
    HeaderReserved,
    /// Not a parameter name of plain characters.
    #[error(
        "has no parameter name of 1 to {NAME_MAX_LEN} characters of A-Z, a-z, 0-9, `-`, `.`, `_` and `~`"
    )]
    QueryName,
    /// A second query parameter.
    #[error("is a second query parameter; at most one is allowed")]
    SecondQuery,
    /// It is listed already.
    #[error("is listed twice")]
    Twice,
    /// There are [`SOURCES_MAX`] already.
    #[error("is one too many; at most {SOURCES_MAX} are allowed")]
    TooMany,
}

/// Prefixes of header names that the gate, the platform or HTTP itself uses.
const RESERVED_PREFIXES: [&str; 8] =
    ["accept", "access-control-", "cf-", "content-", "if-", "proxy-", "sec-", "x-keygate-"];
const RESERVED: [&str; 32] = [
    "age",
    "allow",
    "authorization",
    "cache-control",
    "cdn-loop",
    "connection",
    "cookie",
    "date",
    "expect",
    "from",
    "host",
    "http2-settings",
    "keep-alive",
    VIA_HEADER,
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "priority",
    "range",
    "referer",
    "server",
    "set-cookie",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
];

impl CredentialSources {
    /// Adds `bearer`, `authorization`, `basic`, `header:<name>` or `query:<name>`.
    ///
    /// # Errors
    /// Every variant of [`CredentialSourceError`].
    pub(crate) fn add(&mut self, text: &str) -> Result<(), CredentialSourceError> {
        let count = usize::from(self.bearer)
            + usize::from(self.authorization)
            + usize::from(self.basic)
            + usize::from(self.query.is_some())
            + self.headers.len();
        if count >= SOURCES_MAX {
            return Err(CredentialSourceError::TooMany);
        }
        match text.split_once(':') {
            None if text == "bearer" => set_once(&mut self.bearer),
            None if text == "authorization" => set_once(&mut self.authorization),
            None if text == "basic" => set_once(&mut self.basic),
            Some(("header", name)) => self.add_header(name),
            Some(("query", name)) => self.add_query(name),
            _ => Err(CredentialSourceError::Form),
        }
    }

    fn add_header(&mut self, name: &str) -> Result<(), CredentialSourceError> {
        let name = name.to_ascii_lowercase();
        // Stricter than HTTP: servers map other characters on the way to an application.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if name.len() > NAME_MAX_LEN
            || !name.starts_with(|c: char| c.is_ascii_lowercase())
            || !name.bytes().all(plain)
        {
            return Err(CredentialSourceError::HeaderName);
        }
        if RESERVED.contains(&&*name)
            || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || header_filter::is_override(&name)
        {
            return Err(CredentialSourceError::HeaderReserved);
        }
        if self.headers.iter().any(|header| **header == *name) {
            return Err(CredentialSourceError::Twice);
        }
        self.headers.push(name.into());
        Ok(())
    }

    fn add_query(&mut self, name: &str) -> Result<(), CredentialSourceError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        if !(1..=NAME_MAX_LEN).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(CredentialSourceError::QueryName);
        }
        match self.query.as_deref() {
            Some(first) if first == name => Err(CredentialSourceError::Twice),
            Some(_) => Err(CredentialSourceError::SecondQuery),
            None => {
                self.query = Some(name.into());
                Ok(())
            }
        }
    }
}

fn set_once(flag: &mut bool) -> Result<(), CredentialSourceError> {
    if core::mem::replace(flag, true) {
        return Err(CredentialSourceError::Twice);
    }
    Ok(())
}
