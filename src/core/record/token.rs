//! Short names that travel in headers: scopes, subjects, plans.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::Serialize;
use thiserror::Error;

use crate::text::message::{VALUE_MAX_CHARS, escape_for_message};

/// Why a text is not the name that it should be; the problem first, then what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{found}` is not {allowed}")]
pub struct TokenError {
    found: Box<str>,
    allowed: &'static str,
}

macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $allowed:literal, $max:literal, $byte:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(into = "alloc::string::String")]
        pub struct $name(Box<str>);

        impl $name {
            /// What the text may be, in words, for error messages.
            pub const ALLOWED: &'static str = $allowed;

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = TokenError;

            /// Reads one from its text.
            ///
            /// # Errors
            /// The text is empty, too long, or holds a character that is not allowed.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if (1..=$max).contains(&text.len()) && text.bytes().all($byte) {
                    Ok(Self(text.into()))
                } else {
                    Err(TokenError {
                        found: escape_for_message(text, VALUE_MAX_CHARS).into(),
                        allowed: Self::ALLOWED,
                    })
                }
            }
        }

        crate::text::from_str::deserialize_from_str!($name);

        impl From<$name> for alloc::string::String {
            fn from(name: $name) -> Self {
                name.0.into()
            }
        }
    };
}

token!(
    /// One permission that a key may hold: a scope-token of RFC 6749, section 3.3.
    ///
    /// Scopes are compared as they are written; no scope implies another.
    Scope,
    "a scope: 1 to 64 visible ASCII characters without `\"`, `\\` and `,`",
    64,
    // The comma is RFC 6749's, but not ours: a joined header line must have one reading.
    |b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b',')
);

token!(
    /// Who holds a key; it stays the same when the key is rotated.
    Subject,
    "a subject: 1 to 128 visible ASCII characters without `\"`, `\\` and `,`",
    128,
    |b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b',')
);

token!(
    /// The name of a plan: which limits hold for a key.
    Plan,
    "a plan: 1 to 64 characters of A-Z, a-z, 0-9, `_`, `-` and `.`",
    64,
    |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
);

/// Scopes with a space between them, as headers hold them.
#[must_use]
pub fn joined(scopes: &[Scope]) -> String {
    let names: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Plan, Scope, Subject};
    use std::string::ToString;

    #[test]
    fn names_are_bounded_visible_ascii() {
        for good in ["a", "reports:read", "https://example.com/scope", &"x".repeat(64)] {
            assert!(good.parse::<Scope>().is_ok(), "{good}");
        }
        for bad in ["", "a b", "a,b", "a\"b", "a\\b", "é", "a\n", "a\0", &"x".repeat(65)] {
            assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
            assert!(bad.len() == 65 || bad.parse::<Subject>().is_err(), "{bad:?}");
            assert!(bad.parse::<Plan>().is_err(), "{bad:?}");
        }
        assert!("a:b".parse::<Plan>().is_err());
    }

    #[test]
    fn an_error_names_the_value_and_what_is_allowed() {
        let error = "a\r\nX-Admin: 1".parse::<Subject>().unwrap_err().to_string();
        assert_eq!(
            error,
            "`a\\r\\nX-Admin: 1` is not a subject: 1 to 128 visible ASCII characters without `\"`, `\\` and `,`"
        );
    }
}
