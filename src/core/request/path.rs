//! The canonical path: access rules apply to exactly the path that is forwarded, or the request is refused.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use thiserror::Error;

/// The platform takes URLs of at most 16 KB; the cap comes before any other work.
const PATH_MAX_LEN: usize = 16 * 1024;

/// How the origin interprets paths, as configured; the default is the strict interpretation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// `%2F` is an ordinary character of a segment, not a separator.
    pub allow_encoded_slash: bool,
    /// The origin treats `/Admin` and `/admin` alike.
    pub case_insensitive: bool,
    /// The origin serves `/admin.json` as `/admin`.
    pub format_extensions: bool,
}

/// A request path that is not ambiguous.
///
/// INVARIANT: both strings begin with `/`; the normalized one has no dot segment, no `//`, no backslash and no control
/// character, and it is what an origin gets that decodes the forwarded one once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a> {
    forwarded: Cow<'a, str>,
    normalized: Cow<'a, str>,
    has_parameters: bool,
}

/// Why a path is ambiguous or malformed; the caller gets `path_ambiguous` for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", self.as_str())]
pub enum PathError {
    /// Longer than 16 KiB.
    TooLong,
    /// It does not begin with `/`.
    NotAbsolute,
    /// An unencoded `?` or `#`.
    Delimiter,
    /// An unencoded space or non-ASCII character, which URLs do not contain.
    Unencoded,
    /// `%` without two hex digits.
    MalformedEscape,
    /// Not UTF-8 once decoded, or an overlong form.
    InvalidUtf8,
    /// A control character, encoded or not.
    Control,
    /// `%2F`, which some origins treat as `/`.
    EncodedSlash,
    /// `\`, encoded or not, which some origins treat as `/`.
    Backslash,
    /// `//`, or a segment that consists of `;` parameters, which some origins remove.
    EmptySegment,
    /// A segment that is `.` or `..` once decoded, with or without parameters.
    DotSegment,
    /// Another rule applies to the path without its `;` parameters; only `RouteTable::find` detects it.
    Parameters,
    /// Another rule applies to the path without its extension; only `RouteTable::find` detects it.
    Extension,
}

impl PathError {
    /// The reason in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "the path is longer than 16 KiB",
            Self::NotAbsolute => "the path does not begin with `/`",
            Self::Delimiter => "the path contains an unencoded `?` or `#`",
            Self::Unencoded => "the path contains a character that URLs must encode",
            Self::MalformedEscape => "the path contains a `%` without two hex digits",
            Self::InvalidUtf8 => "the path is not UTF-8",
            Self::Control => "the path contains a control character",
            Self::EncodedSlash => "the path contains an encoded slash",
            Self::Backslash => "the path contains a backslash",
            Self::EmptySegment => "the path contains an empty segment",
            Self::DotSegment => "the path contains a dot segment",
            Self::Parameters => "the path matches other routes without its `;` parameters",
            Self::Extension => "the path matches other routes without its extension",
        }
    }
}

impl<'a> CanonicalPath<'a> {
    /// Reads the path of a request URL, without query; allocates only if there is something to decode or to case-fold.
    ///
    /// # Errors
    /// Every variant of [`PathError`].
    pub fn parse(raw: &'a str, rules: PathRules) -> Result<Self, PathError> {
        if raw.len() > PATH_MAX_LEN {
            return Err(PathError::TooLong);
        }
        let Some(after_slash) = raw.strip_prefix('/') else {
            return Err(PathError::NotAbsolute);
        };
        let mut scanner = Scanner::default();
        for byte in after_slash.bytes() {
            if byte == b'%' {
                return Self::decode(raw, after_slash, rules);
            }
            scanner.literal(byte)?;
        }
        Ok(Self {
            forwarded: Cow::Borrowed(raw),
            normalized: folded(Cow::Borrowed(raw), rules),
            has_parameters: scanner.finish()?,
        })
    }

    fn decode(raw: &'a str, after_slash: &str, rules: PathRules) -> Result<Self, PathError> {
        let mut scanner = Scanner::default();
        let mut normalized: Vec<u8> = Vec::with_capacity(raw.len());
        let mut forwarded = String::with_capacity(raw.len());
        normalized.push(b'/');
        forwarded.push('/');
        let mut bytes = after_slash.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                scanner.literal(byte)?;
                normalized.push(byte);
                forwarded.push(char::from(byte)); // `literal` lets only ASCII through
                continue;
            }
            let (Some(high), Some(low)) = (bytes.next(), bytes.next()) else {
                return Err(PathError::MalformedEscape);
            };
            let byte = hex_byte(high, low).ok_or(PathError::MalformedEscape)?;
            scanner.decoded(byte, rules)?;
            if is_unreserved(byte) {
                forwarded.push(char::from(byte));
            } else {
                forwarded.extend(['%', char::from(high), char::from(low)]);
            }
            if byte == b'/' {
                // Not a separator. No pattern contains a `%`, so only `*` can match this.
                normalized.extend_from_slice(b"%2F");
            } else {
                normalized.push(byte);
            }
        }
        let has_parameters = scanner.finish()?;
        let normalized = String::from_utf8(normalized).map_err(|_| PathError::InvalidUtf8)?;
        // ASCII is checked above; this is for U+0080 to U+009F.
        if !normalized.is_ascii() && normalized.chars().any(char::is_control) {
            return Err(PathError::Control);
        }
        Ok(Self {
            forwarded: Cow::Owned(forwarded),
            normalized: folded(Cow::Owned(normalized), rules),
            has_parameters,
        })
    }

    /// The path that the origin gets: as received, except that unreserved characters are decoded (RFC 3986, section 6.2.2.2).
    #[must_use]
    pub fn forwarded(&self) -> &str {
        &self.forwarded
    }

    /// The path that routes are matched with: decoded once, case-folded if the origin ignores case.
    #[must_use]
    pub fn normalized(&self) -> &str {
        &self.normalized
    }

    /// Whether a segment has `;` parameters, which some origins strip.
    #[must_use]
    pub(crate) fn has_parameters(&self) -> bool {
        self.has_parameters
    }
}

/// The content of the current segment so far.
#[derive(Clone, Copy, Default)]
enum SegmentSoFar {
    #[default]
    Empty,
    /// It ends with an encoded slash.
    Slash,
    Dot,
    DotDot,
    Text,
}

/// Detects ambiguity, one decoded byte after the other.
#[derive(Default)]
struct Scanner {
    segment: SegmentSoFar,
    has_parameters: bool,
    /// The current segment begins with `;`.
    has_no_name: bool,
}

impl Scanner {
    /// A byte that was not percent-encoded.
    fn literal(&mut self, byte: u8) -> Result<(), PathError> {
        match byte {
            b'/' => {
                if matches!(self.segment, SegmentSoFar::Empty) || self.has_no_name {
                    return Err(PathError::EmptySegment);
                }
                self.refuse_dots()?;
                self.segment = SegmentSoFar::Empty;
            }
            b'.' => {
                self.segment = match self.segment {
                    SegmentSoFar::Empty | SegmentSoFar::Slash => SegmentSoFar::Dot,
                    SegmentSoFar::Dot => SegmentSoFar::DotDot,
                    SegmentSoFar::DotDot | SegmentSoFar::Text => SegmentSoFar::Text,
                }
            }
            b';' => {
                self.refuse_dots()?;
                self.has_no_name |= matches!(self.segment, SegmentSoFar::Empty);
                self.has_parameters = true;
                self.segment = SegmentSoFar::Text;
            }
            b'\\' => return Err(PathError::Backslash),
            b'?' | b'#' => return Err(PathError::Delimiter),
            0..=0x1f | 0x7f => return Err(PathError::Control),
            b' ' | 0x80.. => return Err(PathError::Unencoded),
            _ => self.segment = SegmentSoFar::Text,
        }
        Ok(())
    }

    /// A byte that was percent-encoded.
    fn decoded(&mut self, byte: u8, rules: PathRules) -> Result<(), PathError> {
        match byte {
            b'/' if rules.allow_encoded_slash => {
                // An origin that decodes before it resolves dot segments must not find any.
                self.refuse_dots()?;
                self.segment = SegmentSoFar::Slash;
            }
            b'/' => return Err(PathError::EncodedSlash),
            b'?' | b'#' | b' ' | 0x80.. => self.segment = SegmentSoFar::Text,
            _ => return self.literal(byte),
        }
        Ok(())
    }

    fn refuse_dots(&self) -> Result<(), PathError> {
        match self.segment {
            SegmentSoFar::Dot | SegmentSoFar::DotDot => Err(PathError::DotSegment),
            SegmentSoFar::Empty | SegmentSoFar::Slash | SegmentSoFar::Text => Ok(()),
        }
    }

    /// Ends the path; returns whether it has parameters.
    fn finish(self) -> Result<bool, PathError> {
        self.refuse_dots()?;
        Ok(self.has_parameters)
    }
}

/// The byte of two hex digits.
pub(crate) fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The text case-folded to ASCII, if the origin ignores case; patterns are then ASCII only.
///
/// Not `to_lowercase`, which does not change letters that become ASCII by way of upper case, or in simple case mapping (`İ`),
/// or as ligatures.
pub(crate) fn folded(text: Cow<'_, str>, rules: PathRules) -> Cow<'_, str> {
    let is_folded = |b: u8| b.is_ascii() && !b.is_ascii_uppercase();
    if !rules.case_insensitive || text.bytes().all(is_folded) {
        return text;
    }
    let mut folded = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            'ı' | 'İ' => folded.push('i'),
            'ſ' => folded.push('s'),
            '\u{212a}' => folded.push('k'),
            'ß' | 'ẞ' => folded.push_str("ss"),
            'ﬀ' => folded.push_str("ff"),
            'ﬁ' => folded.push_str("fi"),
            'ﬂ' => folded.push_str("fl"),
            'ﬃ' => folded.push_str("ffi"),
            'ﬄ' => folded.push_str("ffl"),
            'ﬅ' | 'ﬆ' => folded.push_str("st"),
            other => folded.push(other.to_ascii_lowercase()),
        }
    }
    Cow::Owned(folded)
}

#[cfg(test)]
mod tests;
