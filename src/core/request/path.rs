//! The canonical path: what is judged is what is forwarded, or the request is refused.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use thiserror::Error;

/// The platform takes URLs of at most 16 KB; the cap comes before any other work.
const PATH_MAX_LEN: usize = 16 * 1024;

/// How the origin reads paths, as the operator states it; the default is the strict reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathRules {
    /// `%2F` is an ordinary character of its segment, not a separator.
    pub allow_encoded_slash: bool,
    /// The origin does not tell `/Admin` from `/admin`.
    pub case_insensitive: bool,
    /// The origin serves `/admin.json` as `/admin`.
    pub format_extensions: bool,
}

/// A request path that has only one reading.
///
/// INVARIANT: both texts begin with `/`; the judged one has no dot segment, no `//`, no backslash and no control
/// character, and it is what an origin reads that decodes the forwarded one once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a> {
    forwarded: Cow<'a, str>,
    judged: Cow<'a, str>,
    has_parameters: bool,
}

/// Why a path has more than one reading; the caller only ever reads `path_ambiguous`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", self.as_str())]
pub enum PathError {
    /// Longer than 16 KiB.
    TooLong,
    /// It does not begin with `/`.
    NotAbsolute,
    /// An unencoded `?` or `#`: this is more than a path.
    Delimiter,
    /// An unencoded space or non-ASCII character, which no URL has.
    Unencoded,
    /// `%` without two hex digits.
    MalformedEscape,
    /// Not UTF-8 once decoded, or an overlong form.
    InvalidUtf8,
    /// A control character, encoded or not.
    Control,
    /// `%2F`, which some origins read as `/`.
    EncodedSlash,
    /// `\`, encoded or not, which some origins read as `/`.
    Backslash,
    /// `//`, or a segment of nothing but `;` parameters, which some origins leave out.
    EmptySegment,
    /// A segment that is `.` or `..` once decoded, with or without parameters.
    DotSegment,
    /// Without its `;` parameters another rule holds for the path; only [`crate::policy::route::RouteTable::find`] sees it.
    Parameters,
    /// Without its extension another rule holds for the path; only [`crate::policy::route::RouteTable::find`] sees it.
    Extension,
}

impl PathError {
    /// The reason as it stands in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "the path is longer than 16 KiB",
            Self::NotAbsolute => "the path does not begin with `/`",
            Self::Delimiter => "the path holds an unencoded `?` or `#`",
            Self::Unencoded => "the path holds a character that URLs encode",
            Self::MalformedEscape => "the path holds a `%` without two hex digits",
            Self::InvalidUtf8 => "the path is not UTF-8",
            Self::Control => "the path holds a control character",
            Self::EncodedSlash => "the path holds an encoded slash",
            Self::Backslash => "the path holds a backslash",
            Self::EmptySegment => "the path holds an empty segment",
            Self::DotSegment => "the path holds a dot segment",
            Self::Parameters => "the path matches other routes without its `;` parameters",
            Self::Extension => "the path matches other routes without its extension",
        }
    }
}

impl<'a> CanonicalPath<'a> {
    /// Reads the path of a request URL, without query; no allocation unless there is something to decode or to fold.
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
        let mut walk = Walk::default();
        for byte in after_slash.bytes() {
            if byte == b'%' {
                return Self::decode(raw, after_slash, rules);
            }
            walk.literal(byte)?;
        }
        Ok(Self {
            forwarded: Cow::Borrowed(raw),
            judged: folded(Cow::Borrowed(raw), rules),
            has_parameters: walk.finish()?,
        })
    }

    fn decode(raw: &'a str, after_slash: &str, rules: PathRules) -> Result<Self, PathError> {
        let mut walk = Walk::default();
        let mut judged: Vec<u8> = Vec::with_capacity(raw.len());
        let mut forwarded = String::with_capacity(raw.len());
        judged.push(b'/');
        forwarded.push('/');
        let mut bytes = after_slash.bytes();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                walk.literal(byte)?;
                judged.push(byte);
                forwarded.push(char::from(byte)); // `literal` lets only ASCII through
                continue;
            }
            let (Some(high), Some(low)) = (bytes.next(), bytes.next()) else {
                return Err(PathError::MalformedEscape);
            };
            let byte = hex_byte(high, low).ok_or(PathError::MalformedEscape)?;
            walk.decoded(byte, rules)?;
            if is_unreserved(byte) {
                forwarded.push(char::from(byte));
            } else {
                forwarded.extend(['%', char::from(high), char::from(low)]);
            }
            if byte == b'/' {
                // Not a separator. No pattern holds a `%`, so this can only be matched by `*`.
                judged.extend_from_slice(b"%2F");
            } else {
                judged.push(byte);
            }
        }
        let has_parameters = walk.finish()?;
        let judged = String::from_utf8(judged).map_err(|_| PathError::InvalidUtf8)?;
        // ASCII was checked on the way; this is for U+0080 to U+009F.
        if !judged.is_ascii() && judged.chars().any(char::is_control) {
            return Err(PathError::Control);
        }
        Ok(Self {
            forwarded: Cow::Owned(forwarded),
            judged: folded(Cow::Owned(judged), rules),
            has_parameters,
        })
    }

    /// What the origin gets: the bytes that came, but unreserved characters are not encoded (RFC 3986, section 6.2.2.2).
    #[must_use]
    pub fn forwarded(&self) -> &str {
        &self.forwarded
    }

    /// What routes are matched with: decoded once, case-folded where the origin is blind to case.
    #[must_use]
    pub fn judged(&self) -> &str {
        &self.judged
    }

    /// Whether a segment has `;` parameters, which some origins cut off.
    #[must_use]
    pub(crate) fn has_parameters(&self) -> bool {
        self.has_parameters
    }
}

/// What has been seen of the current segment.
#[derive(Clone, Copy, Default)]
enum Seen {
    #[default]
    Nothing,
    /// An encoded slash, and nothing after it.
    Slash,
    Dot,
    DotDot,
    Text,
}

/// Looks for second readings, one decoded byte after the other.
#[derive(Default)]
struct Walk {
    seen: Seen,
    has_parameters: bool,
    /// The current segment began with `;`.
    is_bare: bool,
}

impl Walk {
    /// A byte that stood in the path as it is.
    fn literal(&mut self, byte: u8) -> Result<(), PathError> {
        match byte {
            b'/' => {
                if matches!(self.seen, Seen::Nothing) || self.is_bare {
                    return Err(PathError::EmptySegment);
                }
                self.refuse_dots()?;
                self.seen = Seen::Nothing;
            }
            b'.' => {
                self.seen = match self.seen {
                    Seen::Nothing | Seen::Slash => Seen::Dot,
                    Seen::Dot => Seen::DotDot,
                    Seen::DotDot | Seen::Text => Seen::Text,
                }
            }
            b';' => {
                self.refuse_dots()?;
                self.is_bare |= matches!(self.seen, Seen::Nothing);
                self.has_parameters = true;
                self.seen = Seen::Text;
            }
            b'\\' => return Err(PathError::Backslash),
            b'?' | b'#' => return Err(PathError::Delimiter),
            0..=0x1f | 0x7f => return Err(PathError::Control),
            b' ' | 0x80.. => return Err(PathError::Unencoded),
            _ => self.seen = Seen::Text,
        }
        Ok(())
    }

    /// A byte that was percent-encoded.
    fn decoded(&mut self, byte: u8, rules: PathRules) -> Result<(), PathError> {
        match byte {
            b'/' if rules.allow_encoded_slash => {
                // An origin that decodes before it resolves dots must not find any to resolve.
                self.refuse_dots()?;
                self.seen = Seen::Slash;
            }
            b'/' => return Err(PathError::EncodedSlash),
            b'?' | b'#' | b' ' | 0x80.. => self.seen = Seen::Text,
            _ => return self.literal(byte),
        }
        Ok(())
    }

    fn refuse_dots(&self) -> Result<(), PathError> {
        match self.seen {
            Seen::Dot | Seen::DotDot => Err(PathError::DotSegment),
            Seen::Nothing | Seen::Slash | Seen::Text => Ok(()),
        }
    }

    /// Ends the path; whether it has parameters.
    fn finish(self) -> Result<bool, PathError> {
        self.refuse_dots()?;
        Ok(self.has_parameters)
    }
}

/// The byte that two hex digits spell.
pub(crate) fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// The text as an origin reads it that is blind to case, as far as ASCII goes; patterns hold nothing else there.
///
/// Not `to_lowercase`, which leaves letters alone that become ASCII by way of the other case, or in simple case mapping (`İ`),
/// or as ligatures do.
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
mod tests {
    use alloc::borrow::Cow;
    use alloc::string::String;
    use alloc::vec::Vec;

    use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use proptest::strategy::{Just, Strategy};
    use serde::Deserialize;

    use super::{CanonicalPath, PathError, PathRules, folded};

    #[derive(Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    struct Case {
        name: String,
        path: String,
        #[serde(default)]
        rules: Vec<String>,
        forwarded: Option<String>,
        judged: Option<String>,
        fault: Option<String>,
    }

    #[test]
    fn frozen_vectors() {
        let vectors: Vectors =
            serde_json::from_str(include_str!("../../../tests/vectors/path.json")).unwrap();
        for case in vectors.cases {
            let rules = PathRules {
                allow_encoded_slash: case.rules.iter().any(|rule| rule == "allow_encoded_slash"),
                case_insensitive: case.rules.iter().any(|rule| rule == "case_insensitive"),
                format_extensions: false,
            };
            match CanonicalPath::parse(&case.path, rules) {
                Ok(path) => {
                    assert_eq!(Some(path.forwarded()), case.forwarded.as_deref(), "{}", case.name);
                    assert_eq!(Some(path.judged()), case.judged.as_deref(), "{}", case.name);
                    assert_eq!(path.has_parameters(), path.judged().contains(';'), "{}", case.name);
                }
                Err(fault) => {
                    assert_eq!(Some(std::format!("{fault:?}")), case.fault, "{}", case.name);
                }
            }
        }
    }

    #[test]
    fn every_fault_has_a_reason_of_its_own() {
        let faults = [
            PathError::TooLong,
            PathError::NotAbsolute,
            PathError::Delimiter,
            PathError::Unencoded,
            PathError::MalformedEscape,
            PathError::InvalidUtf8,
            PathError::Control,
            PathError::EncodedSlash,
            PathError::Backslash,
            PathError::EmptySegment,
            PathError::DotSegment,
            PathError::Parameters,
            PathError::Extension,
        ];
        let mut reasons: Vec<&str> = faults.iter().map(|fault| fault.as_str()).collect();
        reasons.sort_unstable();
        reasons.dedup();
        assert_eq!(reasons.len(), faults.len());
        assert!(reasons.iter().all(|reason| reason.starts_with("the path ")));
    }

    #[test]
    fn the_length_cap_is_exact() {
        let mut path = std::format!("/{}", "a".repeat(16 * 1024 - 1));
        assert!(CanonicalPath::parse(&path, PathRules::default()).is_ok());
        path.push('%');
        assert_eq!(CanonicalPath::parse(&path, PathRules::default()), Err(PathError::TooLong));
    }

    #[test]
    fn an_ordinary_path_is_not_copied() {
        for case_insensitive in [false, true] {
            let rules = PathRules { case_insensitive, ..PathRules::default() };
            let path = CanonicalPath::parse("/v1/reports;a=1/7", rules).unwrap();
            assert!(matches!((&path.forwarded, &path.judged), (Cow::Borrowed(_), Cow::Borrowed(_))));
        }
    }

    #[test]
    fn whatever_becomes_ascii_in_either_case_is_folded_to_it() {
        let rules = PathRules { case_insensitive: true, ..PathRules::default() };
        for c in char::MIN..=char::MAX {
            let ours = folded(Cow::Owned(c.into()), rules);
            let upper = c.to_lowercase().flat_map(char::to_uppercase);
            let standard: String = upper.flat_map(char::to_lowercase).collect();
            if standard.is_ascii() || (ours.is_ascii() && c != 'İ') {
                assert_eq!(ours, standard, "{c:?}");
            }
            assert_eq!(folded(Cow::Borrowed(&ours), rules), ours, "{c:?}");
        }
    }

    fn rules() -> impl Strategy<Value = PathRules> {
        any::<(bool, bool)>().prop_map(|(allow_encoded_slash, case_insensitive)| PathRules {
            allow_encoded_slash,
            case_insensitive,
            format_extensions: false,
        })
    }

    /// Paths of the pieces that attacks are made of.
    fn path() -> impl Strategy<Value = String> {
        const PIECES: &[&str] = &[
            "/",
            "/",
            "/",
            "a",
            "B",
            "admin",
            ".",
            "..",
            ";",
            ";x",
            "%2e",
            "%2E",
            "%2f",
            "%5c",
            "%3b",
            "%25",
            "%",
            "2",
            "e",
            "%00",
            "%41",
            "%c3",
            "%a9",
            "%c0%af",
            "%e2%84%aa",
            "\\",
            "*",
            "é",
        ];
        let piece =
            prop_oneof![8 => proptest::sample::select(PIECES).prop_map(String::from), 1 => any::<String>()];
        let tail = proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
        prop_oneof![9 => tail.prop_map(|tail| std::format!("/{tail}")), 1 => Just(String::new())]
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>(), rules in rules()) {
            let _ = CanonicalPath::parse(&text, rules);
        }

        #[test]
        fn an_accepted_path_has_one_reading(text in path(), rules in rules()) {
            let Ok(path) = CanonicalPath::parse(&text, rules) else { return Ok(()) };
            let judged = path.judged();
            prop_assert!(judged.starts_with('/') && !judged.contains("//") && !judged.contains('\\'));
            prop_assert!(!judged.chars().any(char::is_control));
            let parts = judged.split('/').flat_map(|segment| segment.split("%2F"));
            prop_assert!(parts.map(|part| part.split(';').next().unwrap()).all(|part| part != "." && part != ".."));
            prop_assert!(rules.allow_encoded_slash || !path.forwarded().to_ascii_lowercase().contains("%2f"));
            prop_assert!(path.forwarded().is_ascii());
        }

        #[test]
        fn what_is_forwarded_is_judged_the_same(text in path(), rules in rules()) {
            let Ok(first) = CanonicalPath::parse(&text, rules) else { return Ok(()) };
            let again = CanonicalPath::parse(first.forwarded(), rules).unwrap();
            prop_assert_eq!(again.judged(), first.judged());
            prop_assert_eq!(again.forwarded(), first.forwarded());
        }
    }
}
