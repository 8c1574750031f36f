//! Which places can be configured: the reading of `CREDENTIALS`.

use thiserror::Error;

use super::Places;
use crate::request::header_filter;

/// The most entries that `CREDENTIALS` may have.
pub const SOURCES_MAX: usize = 8;
const NAME_MAX_LEN: usize = 64;

/// Why a text is not a place for credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum PlaceError {
    /// None of the four forms.
    #[error("is not a place for credentials: `bearer`, `basic`, `header:<name>` or `query:<name>`")]
    Form,
    /// Not a header name of a-z, 0-9 and `-`.
    #[error("has no header name of 1 to {NAME_MAX_LEN} characters of a-z, 0-9 and `-`, a letter first")]
    HeaderName,
    /// A header that means something else.
    #[error(
        "names a header that the gate, the platform or HTTP itself uses (write `bearer` or `basic` for authorization)"
    )]
    HeaderTaken,
    /// Not a parameter name of plain characters.
    #[error(
        "has no parameter name of 1 to {NAME_MAX_LEN} characters of A-Z, a-z, 0-9, `-`, `.`, `_` and `~`"
    )]
    QueryName,
    /// A second query parameter.
    #[error("is a second query parameter; at most one is allowed")]
    SecondQuery,
    /// It is in the list already.
    #[error("is in the list twice")]
    Twice,
    /// The list is full.
    #[error("is one too many; at most {SOURCES_MAX} are allowed")]
    TooMany,
}

/// Beginnings of header names whose values the gate, the platform or HTTP itself reads.
const TAKEN_PREFIXES: [&str; 8] =
    ["accept", "access-control-", "cf-", "content-", "if-", "proxy-", "sec-", "x-keygate-"];
const TAKEN: [&str; 31] = [
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

impl Places {
    /// Adds `bearer`, `basic`, `header:<name>` or `query:<name>`.
    ///
    /// # Errors
    /// Every variant of [`PlaceError`].
    pub(crate) fn add(&mut self, text: &str) -> Result<(), PlaceError> {
        let count = usize::from(self.bearer)
            + usize::from(self.basic)
            + usize::from(self.query.is_some())
            + self.headers.len();
        if count >= SOURCES_MAX {
            return Err(PlaceError::TooMany);
        }
        match text.split_once(':') {
            None if text == "bearer" => set_once(&mut self.bearer),
            None if text == "basic" => set_once(&mut self.basic),
            Some(("header", name)) => self.add_header(name),
            Some(("query", name)) => self.add_query(name),
            _ => Err(PlaceError::Form),
        }
    }

    fn add_header(&mut self, name: &str) -> Result<(), PlaceError> {
        let name = name.to_ascii_lowercase();
        // Narrower than HTTP's names: others are spelled in several ways on their way to an application.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if name.len() > NAME_MAX_LEN
            || !name.starts_with(|c: char| c.is_ascii_lowercase())
            || !name.bytes().all(plain)
        {
            return Err(PlaceError::HeaderName);
        }
        if TAKEN.contains(&&*name)
            || TAKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || header_filter::is_override(&name)
        {
            return Err(PlaceError::HeaderTaken);
        }
        if self.headers.iter().any(|header| **header == *name) {
            return Err(PlaceError::Twice);
        }
        self.headers.push(name.into());
        Ok(())
    }

    fn add_query(&mut self, name: &str) -> Result<(), PlaceError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        if !(1..=NAME_MAX_LEN).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(PlaceError::QueryName);
        }
        match self.query.as_deref() {
            Some(first) if first == name => Err(PlaceError::Twice),
            Some(_) => Err(PlaceError::SecondQuery),
            None => {
                self.query = Some(name.into());
                Ok(())
            }
        }
    }
}

fn set_once(flag: &mut bool) -> Result<(), PlaceError> {
    if core::mem::replace(flag, true) {
        return Err(PlaceError::Twice);
    }
    Ok(())
}
