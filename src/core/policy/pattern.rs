//! Patterns: the `path` of a route.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::str::FromStr;

use thiserror::Error;

use crate::request::path::{PathRules, folded, hex_byte};

const PATTERN_MAX_LEN: usize = 1024;
/// Matching descends one call per pattern segment.
const PATTERN_MAX_SEGMENTS: usize = 32;
/// Placeholders and regular expressions of other routers. Taken literally, they would match no path that they are meant for.
const ROUTER_CHARACTERS: [char; 11] = ['{', '}', '<', '>', '[', ']', '(', ')', '|', '^', '$'];
/// What else has a meaning in a pattern, here or to another router, and can be written percent-encoded.
const OTHER_CHARACTERS: [char; 4] = ['*', ':', '+', '%'];

/// A segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// This exact text.
    Literal(Box<str>),
    /// `*`: any one segment; at the end, any number of segments.
    Any,
}

/// The `path` of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: Box<str>,
    segments: Vec<Segment>,
}

/// Why a string is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum PatternError {
    /// Over 1,024 bytes or over 32 segments.
    #[error("is too long: at most {PATTERN_MAX_LEN} bytes and {PATTERN_MAX_SEGMENTS} segments")]
    TooLong,
    /// It does not begin with `/`.
    #[error("does not begin with `/`")]
    NotAbsolute,
    /// `%`, `?`, `#`, `;`, `\` or a control character.
    #[error(
        "contains `%`, `?`, `#`, `;`, `\\` or a control character; a pattern is compared with the decoded path, and only `%25` and the characters of other routers are written percent-encoded"
    )]
    Character,
    /// `{`, `[`, `<`, `(` and the like; `:` at the start of a segment, or between a sign and a name; `+` as a segment, or after `.`.
    #[error(
        "contains `{0}`, which is not a placeholder here: a `*` is any one segment, and at the end any number of segments; for the character itself write `%{code:02X}`",
        code = u32::from(*.0)
    )]
    OfOtherRouter(char),
    /// `//`.
    #[error("contains `//`, which no accepted path contains")]
    EmptySegment,
    /// It ends with `/`.
    #[error("ends with `/`; remove it, a pattern matches with and without it")]
    TrailingSlash,
    /// `.`, `..` or more dots.
    #[error(
        "contains a segment of dots alone: no accepted path contains `.` or `..`, and more dots are not a placeholder here"
    )]
    DotSegment,
    /// White space at the start or the end of a segment.
    #[error("contains a segment that begins or ends with white space; remove it")]
    OuterSpace,
    /// `*` with other characters in its segment.
    #[error(
        "has a `*` that is not a whole segment: `*` is any one segment, and at the end any number of segments; for the character itself write `%2A`"
    )]
    PartialWildcard,
}

impl Pattern {
    /// The pattern as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The segments as they are compared with normalized paths.
    pub(crate) fn folded_segments(&self, rules: PathRules) -> Vec<Segment> {
        let fold = |segment: &Segment| match segment {
            Segment::Literal(text) => Segment::Literal(folded((&**text).into(), rules).into()),
            Segment::Any => Segment::Any,
        };
        self.segments.iter().map(fold).collect()
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    /// Reads `/`-separated segments; `*` as a whole segment matches one, at the end any number.
    ///
    /// # Errors
    /// Every variant of [`PatternError`].
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > PATTERN_MAX_LEN {
            return Err(PatternError::TooLong);
        }
        let path = text.strip_prefix('/').ok_or(PatternError::NotAbsolute)?;
        if text.contains(|c: char| c.is_control() || matches!(c, '?' | '#' | ';' | '\\')) {
            return Err(PatternError::Character);
        }
        if let Some(character) = text.chars().find(|c| ROUTER_CHARACTERS.contains(c)) {
            return Err(PatternError::OfOtherRouter(character));
        }
        let mut segments = Vec::new();
        if !path.is_empty() {
            if text.as_bytes().windows(2).any(|pair| pair == b"//") {
                return Err(PatternError::EmptySegment);
            }
            for segment in path.split('/') {
                segments.push(match segment {
                    "" => return Err(PatternError::TrailingSlash),
                    dots if dots.bytes().all(|byte| byte == b'.') => return Err(PatternError::DotSegment),
                    spaced if spaced.trim() != spaced => return Err(PatternError::OuterSpace),
                    "*" => Segment::Any,
                    partial if partial.contains('*') => return Err(PatternError::PartialWildcard),
                    repeated if repeated == "+" || repeated.contains(".+") => {
                        return Err(PatternError::OfOtherRouter('+'));
                    }
                    named if has_placeholder(named) => return Err(PatternError::OfOtherRouter(':')),
                    literal => Segment::Literal(decoded(literal)?.into()),
                });
            }
        }
        if segments.len() > PATTERN_MAX_SEGMENTS {
            return Err(PatternError::TooLong);
        }
        Ok(Self { text: text.into(), segments })
    }
}

/// Whether a `:` begins the segment, or stands between a sign and a name: `/@:user`, and not `/things/x:cancel`.
fn has_placeholder(segment: &str) -> bool {
    segment.match_indices(':').any(|(at, _)| {
        let (before, rest) = segment.split_at(at);
        let is_after_sign = before.chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        before.is_empty() || is_after_sign && rest.chars().nth(1).is_some_and(char::is_alphabetic)
    })
}

/// A segment with its escapes decoded.
fn decoded(segment: &str) -> Result<String, PatternError> {
    let mut parts = segment.split('%');
    let mut text = String::from(parts.next().unwrap_or_default());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).ok_or(PatternError::Character)?;
        let [high, low] = *digits.as_bytes() else {
            return Err(PatternError::Character);
        };
        let character = hex_byte(high, low).map(char::from).ok_or(PatternError::Character)?;
        if !ROUTER_CHARACTERS.contains(&character) && !OTHER_CHARACTERS.contains(&character) {
            return Err(PatternError::Character);
        }
        text.push(character);
        text.push_str(rest);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{Pattern, PatternError, Segment};
    use crate::request::path::PathRules;

    #[test]
    fn malformed_pattern_is_rejected() {
        for good in [
            "/",
            "/*",
            "/a",
            "/a/*",
            "/a/*/b",
            "/*/*",
            "/a b",
            "/café",
            "/a.b",
            "/a...b",
            "/.well-known",
            "/@",
            "/a:1/@:1/@%3Auser/.%2B",
            "/users/x:cancel",
            "/a+b",
            "/%3Aid/%7bid%7d/%2A/%25",
            &"/a".repeat(32),
            &std::format!("/{}", "a".repeat(1023)),
        ] {
            assert!(good.parse::<Pattern>().is_ok(), "{good}");
        }
        for (bad, error) in [
            ("", PatternError::NotAbsolute),
            ("a", PatternError::NotAbsolute),
            ("*", PatternError::NotAbsolute),
            ("/a%20b", PatternError::Character),
            ("/a?b", PatternError::Character),
            ("/a#b", PatternError::Character),
            ("/a;b", PatternError::Character),
            ("/a\\b", PatternError::Character),
            ("/a\nb", PatternError::Character),
            ("//", PatternError::EmptySegment),
            ("/a//b", PatternError::EmptySegment),
            ("/a/", PatternError::TrailingSlash),
            ("/a/*/", PatternError::TrailingSlash),
            ("/./a", PatternError::DotSegment),
            ("/a/..", PatternError::DotSegment),
            ("/docs/.../edit/*", PatternError::DotSegment),
            ("/secret ", PatternError::OuterSpace),
            ("/a/\u{a0}b/c", PatternError::OuterSpace),
            ("/@:user/settings/*", PatternError::OfOtherRouter(':')),
            ("/a-:b", PatternError::OfOtherRouter(':')),
            ("/admin/.+", PatternError::OfOtherRouter('+')),
            ("/admin/x.+y/*", PatternError::OfOtherRouter('+')),
            ("/a*", PatternError::PartialWildcard),
            ("/**", PatternError::PartialWildcard),
            ("/admin/:id", PatternError::OfOtherRouter(':')),
            ("/users/{id}", PatternError::OfOtherRouter('{')),
            ("/users/{path...}", PatternError::OfOtherRouter('{')),
            ("/users/<int:id>", PatternError::OfOtherRouter('<')),
            ("/[...slug]", PatternError::OfOtherRouter('[')),
            ("/v[0-9]/x", PatternError::OfOtherRouter('[')),
            ("/^admin", PatternError::OfOtherRouter('^')),
            ("/admin$", PatternError::OfOtherRouter('$')),
            ("/users/$id", PatternError::OfOtherRouter('$')),
            ("/(a|b)", PatternError::OfOtherRouter('(')),
            ("/a|b", PatternError::OfOtherRouter('|')),
            ("/a/+/b", PatternError::OfOtherRouter('+')),
            ("/a/.*", PatternError::PartialWildcard),
            ("/a/**/b", PatternError::PartialWildcard),
            ("/a%2Fb", PatternError::Character),
            ("/a%2e", PatternError::Character),
            ("/a%", PatternError::Character),
            ("/a%7", PatternError::Character),
            ("/a%+7b", PatternError::Character),
            ("/%é", PatternError::Character),
            (&"/a".repeat(33), PatternError::TooLong),
            (&std::format!("/{}", "a".repeat(1024)), PatternError::TooLong),
        ] {
            assert_eq!(bad.parse::<Pattern>(), Err(error), "{bad}");
        }
    }

    #[test]
    fn an_escape_stands_for_the_character_itself() {
        let pattern: Pattern = "/%3Aid/%2a/x%7B1%7d%25".parse().unwrap();
        let literal = |text: &str| Segment::Literal(text.into());
        assert_eq!(
            pattern.folded_segments(PathRules::default()),
            [literal(":id"), literal("*"), literal("x{1}%")]
        );
        let error = "/admin/:id".parse::<Pattern>().unwrap_err();
        assert!(std::format!("{error}").ends_with("for the character itself write `%3A`"), "{error}");
    }
}
