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
    normalized: Option<String>,
    error: Option<String>,
}

#[test]
fn frozen_vectors() {
    let vectors: Vectors = serde_json::from_str(include_str!("../../../../tests/vectors/path.json")).unwrap();
    for case in vectors.cases {
        let rules = PathRules {
            allow_encoded_slash: case.rules.iter().any(|rule| rule == "allow_encoded_slash"),
            case_insensitive: case.rules.iter().any(|rule| rule == "case_insensitive"),
            format_extensions: false,
        };
        match CanonicalPath::parse(&case.path, rules) {
            Ok(path) => {
                assert_eq!(Some(path.forwarded()), case.forwarded.as_deref(), "{}", case.name);
                assert_eq!(Some(path.normalized()), case.normalized.as_deref(), "{}", case.name);
                assert_eq!(path.has_parameters(), path.normalized().contains(';'), "{}", case.name);
            }
            Err(error) => {
                assert_eq!(Some(std::format!("{error:?}")), case.error, "{}", case.name);
            }
        }
    }
}

#[test]
fn every_error_has_a_distinct_reason() {
    let errors = [
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
    let mut reasons: Vec<&str> = errors.iter().map(|error| error.as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    assert_eq!(reasons.len(), errors.len());
    assert!(reasons.iter().all(|reason| reason.starts_with("the path ")));
}

#[test]
fn path_of_the_maximum_length_is_accepted_and_a_longer_one_rejected() {
    let mut path = std::format!("/{}", "a".repeat(16 * 1024 - 1));
    assert!(CanonicalPath::parse(&path, PathRules::default()).is_ok());
    path.push('%');
    assert_eq!(CanonicalPath::parse(&path, PathRules::default()), Err(PathError::TooLong));
}

#[test]
fn ordinary_path_is_not_copied() {
    for case_insensitive in [false, true] {
        let rules = PathRules { case_insensitive, ..PathRules::default() };
        let path = CanonicalPath::parse("/v1/reports;a=1/7", rules).unwrap();
        assert!(matches!((&path.forwarded, &path.normalized), (Cow::Borrowed(_), Cow::Borrowed(_))));
    }
}

#[test]
fn characters_that_become_ascii_in_either_case_are_folded() {
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

/// Paths made of pieces that occur in attacks.
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
    fn parsing_never_panics(text in any::<String>(), rules in rules()) {
        let _ = CanonicalPath::parse(&text, rules);
    }

    #[test]
    fn accepted_path_is_not_ambiguous(text in path(), rules in rules()) {
        let Ok(path) = CanonicalPath::parse(&text, rules) else { return Ok(()) };
        let normalized = path.normalized();
        prop_assert!(normalized.starts_with('/') && !normalized.contains("//") && !normalized.contains('\\'));
        prop_assert!(!normalized.chars().any(char::is_control));
        let parts = normalized.split('/').flat_map(|segment| segment.split("%2F"));
        prop_assert!(parts.map(|part| part.split(';').next().unwrap()).all(|part| part != "." && part != ".."));
        prop_assert!(rules.allow_encoded_slash || !path.forwarded().to_ascii_lowercase().contains("%2f"));
        prop_assert!(path.forwarded().is_ascii());
    }

    #[test]
    fn forwarded_path_has_the_same_normalized_path(text in path(), rules in rules()) {
        let Ok(first) = CanonicalPath::parse(&text, rules) else { return Ok(()) };
        let again = CanonicalPath::parse(first.forwarded(), rules).unwrap();
        prop_assert_eq!(again.normalized(), first.normalized());
        prop_assert_eq!(again.forwarded(), first.forwarded());
    }
}
