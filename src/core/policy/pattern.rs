//! Patterns: the `path` of a route.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::str::FromStr;

use thiserror::Error;

use crate::request::path::{PathRules, folded};

const PATTERN_MAX_LEN: usize = 1024;
/// Matching descends one call per pattern segment.
const PATTERN_MAX_SEGMENTS: usize = 32;

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
        "contains `%`, `?`, `#`, `;`, `\\` or a control character; a pattern is compared with the decoded path"
    )]
    Character,
    /// `//`.
    #[error("contains `//`, which no accepted path contains")]
    EmptySegment,
    /// It ends with `/`.
    #[error("ends with `/`; remove it, a pattern matches with and without it")]
    TrailingSlash,
    /// `.` or `..`.
    #[error("contains a segment `.` or `..`, which no accepted path contains")]
    DotSegment,
    /// `*` with other characters in its segment.
    #[error("has a `*` that is not a whole segment")]
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
        if text.contains(|c: char| c.is_control() || matches!(c, '%' | '?' | '#' | ';' | '\\')) {
            return Err(PatternError::Character);
        }
        let mut segments = Vec::new();
        if !path.is_empty() {
            if text.as_bytes().windows(2).any(|pair| pair == b"//") {
                return Err(PatternError::EmptySegment);
            }
            for segment in path.split('/') {
                segments.push(match segment {
                    "" => return Err(PatternError::TrailingSlash),
                    "." | ".." => return Err(PatternError::DotSegment),
                    "*" => Segment::Any,
                    partial if partial.contains('*') => return Err(PatternError::PartialWildcard),
                    literal => Segment::Literal(literal.into()),
                });
            }
        }
        if segments.len() > PATTERN_MAX_SEGMENTS {
            return Err(PatternError::TooLong);
        }
        Ok(Self { text: text.into(), segments })
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, PatternError};

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
            "/...",
            "/@",
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
            ("/a*", PatternError::PartialWildcard),
            ("/**", PatternError::PartialWildcard),
            (&"/a".repeat(33), PatternError::TooLong),
            (&std::format!("/{}", "a".repeat(1024)), PatternError::TooLong),
        ] {
            assert_eq!(bad.parse::<Pattern>(), Err(error), "{bad}");
        }
    }
}
