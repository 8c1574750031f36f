//! Short names that travel in headers: scopes, subjects, plans.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::Serialize;
use thiserror::Error;

use crate::text::message::{VALUE_MAX_CHARS, escape_for_message};

/// A string is not a valid scope, subject or plan.
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
            /// The allowed form, for error messages.
            pub const ALLOWED: &'static str = $allowed;

            /// The string itself.
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

            /// Checks length and characters.
            ///
            /// # Errors
            /// The string is empty, too long, or contains a character that is not allowed.
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
    /// Scopes are compared exactly; no scope implies another.
    Scope,
    "a scope: 1 to 64 visible ASCII characters without `\"`, `\\` and `,`",
    64,
    // RFC 6749 allows the comma. Here it is rejected, because joined header values would be ambiguous.
    |b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b',')
);

token!(
    /// The holder of a key; it does not change when the key is rotated.
    Subject,
    "a subject: 1 to 128 visible ASCII characters without `\"`, `\\` and `,`",
    128,
    |b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b',')
);

token!(
    /// The name of a plan, which determines the rate limit of a key.
    Plan,
    "a plan: 1 to 64 characters of A-Z, a-z, 0-9, `_`, `-` and `.`",
    64,
    |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')
);

/// The scopes separated by spaces, as in headers.
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
    fn tokens_are_bounded_visible_ascii() {
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
    fn error_contains_the_escaped_value_and_what_is_allowed() {
        let error = "a\r\nX-Admin: 1".parse::<Subject>().unwrap_err().to_string();
        assert_eq!(
            error,
            "`a\\r\\nX-Admin: 1` is not a subject: 1 to 128 visible ASCII characters without `\"`, `\\` and `,`"
        );
    }
}
