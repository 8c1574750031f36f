//! Keys in a wrong form: which wrapper a client has put around its key.

use core::fmt;

use super::basic::prefix_count;
use super::{CREDENTIAL_MAX_LEN, CredentialError, not_blank};
use crate::key::{BODY_LEN, KeyPrefix};

/// The kind of source that contains a key in a wrong form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// `Authorization`, whether it is a source or not.
    Authorization,
    /// A header of `CREDENTIALS`.
    Header,
    /// The query parameter of `CREDENTIALS`.
    Query,
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authorization => "Authorization",
            Self::Header => "a credential header",
            Self::Query => "the credential parameter of the query",
        })
    }
}

/// What is wrong with the form of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapper {
    /// `"<key>"`, `'<key>'`, `<key>` in angle brackets.
    Quotes,
    /// `<key>,`
    Punctuation,
    /// A key as the whole `Authorization`.
    NoScheme,
    /// `Token <key>`, `Bearer Bearer <key>`, `Bearer: <key>`; `Bearer <key>` in another header.
    Scheme,
    /// A basic `Authorization` that is no source, or that is not valid base64.
    Basic,
    /// Anything else.
    Text,
}

impl fmt::Display for Wrapper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quotes => "in quotes",
            Self::Punctuation => "that is followed by punctuation",
            Self::NoScheme => "without a scheme",
            Self::Scheme => "after a scheme that is not accepted there",
            Self::Basic => "in a Basic credential that is not accepted",
            Self::Text => "inside other text",
        })
    }
}

/// The error for the text of a source if it is one key of the gate in a wrong form: it contains `prefix_` once, but not at its
/// start; or it is a key, valid or not, with nothing but punctuation after it.
pub(super) fn malformed(prefix: &KeyPrefix, source: SourceKind, text: &str) -> Option<CredentialError> {
    let is_plain = prefix.strip(text).is_some_and(|body| !is_body_with_punctuation(body));
    if is_plain || text.len() > CREDENTIAL_MAX_LEN {
        return None;
    }
    wrapped(prefix, source, text)
}

/// The error for a value that is not a key, if it contains one key of the gate and is not a list.
pub(super) fn wrapped(prefix: &KeyPrefix, source: SourceKind, value: &str) -> Option<CredentialError> {
    let is_one = prefix_count(value, prefix) == 1 && value.split(',').filter_map(not_blank).count() == 1;
    is_one.then(|| CredentialError::Malformed(source, wrapper(prefix, value)))
}

fn wrapper(prefix: &KeyPrefix, value: &str) -> Wrapper {
    let Some(start) = prefix.starts_in(value).next() else {
        return Wrapper::Basic;
    };
    let (before, key) = value.split_at_checked(start).unwrap_or_default();
    let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | ' ' | '\t');
    if before.ends_with(['"', '\'', '`', '<']) {
        Wrapper::Quotes
    } else if before.is_empty() {
        let has_punctuation = prefix.strip(key).is_some_and(is_body_with_punctuation);
        if has_punctuation { Wrapper::Punctuation } else { Wrapper::NoScheme }
    } else if before.ends_with([' ', '\t', ':'])
        && !before.trim_ascii().is_empty()
        && before.chars().all(is_scheme)
    {
        Wrapper::Scheme
    } else {
        Wrapper::Text
    }
}

/// Whether what follows `prefix_` has the length of a key's body and goes on with nothing but punctuation.
fn is_body_with_punctuation(text: &str) -> bool {
    let (body, rest) = text.split_at_checked(BODY_LEN).unwrap_or_default();
    let is_punctuation = |c| matches!(c, '"' | '\'' | '`' | ',' | ';' | '>' | ' ' | '\t');
    body.bytes().all(|b| b.is_ascii_alphanumeric())
        && !rest.trim_ascii().is_empty()
        && rest.chars().all(is_punctuation)
}
