//! Texts taken apart and shown, without the parts of the standard library that weigh most in the gate's wasm.

use alloc::string::String;
use alloc::vec::Vec;

/// At most `max` characters as an error shows them: on one line, and in ASCII, as [`char::escape_default`] writes them.
pub(crate) fn shown(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    text.chars().take(max).for_each(|c| push_shown(&mut shown, c));
    shown
}

/// Writes a character as [`char::escape_default`] does.
pub(crate) fn push_shown(text: &mut String, c: char) {
    match c {
        '\t' => text.push_str("\\t"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\\' | '\'' | '"' => text.extend(['\\', c]),
        ' '..='~' => text.push(c),
        _ => {
            let digits = (32 - u32::from(c).leading_zeros()).div_ceil(4).max(1);
            text.push_str("\\u{");
            push_hex(text, u32::from(c), digits);
            text.push('}');
        }
    }
}

/// Writes the last `digits` hex digits of a number, in lower case.
pub(crate) fn push_hex(text: &mut String, number: u32, digits: u32) {
    for place in (0..digits).rev() {
        text.push(char::from_digit(number >> (4 * place) & 0xf, 16).unwrap_or('0'));
    }
}

/// The number that hex digits spell: at most 7 of them, and nothing else.
pub(crate) fn hex(digits: &str) -> Option<u32> {
    let number = || digits.chars().try_fold(0, |number, c| Some(number << 4 | c.to_digit(16)?));
    (1..=7).contains(&digits.len()).then(number)?
}

/// The number that decimal digits spell, and nothing else: `parse` takes `+8` too.
pub(crate) fn decimal(digits: &str) -> Option<u32> {
    // One size of number is read in all the gate: the code is there once for each.
    let number = || digits.parse::<u64>().ok()?.try_into().ok();
    digits.bytes().all(|b| b.is_ascii_digit()).then(number)?
}

/// Where `part` begins in `text`, in time that is linear in both whatever they hold (Knuth, Morris and Pratt).
///
/// Not `str::find`, whose panics bring 6 KB of formatting into the wasm.
pub(crate) fn find(text: &str, part: &str) -> Option<usize> {
    let part = part.as_bytes();
    if part.is_empty() {
        return Some(0);
    }
    // For each beginning of `part`, the length of the longest shorter one that it ends with.
    let mut borders: Vec<usize> = Vec::with_capacity(part.len());
    for (at, byte) in part.iter().enumerate() {
        let border = match borders.last() {
            Some(before) if at > 0 => matched_with(part, &borders, *before, *byte),
            _ => 0,
        };
        borders.push(border);
    }
    let mut matched = 0;
    for (at, byte) in text.bytes().enumerate() {
        matched = matched_with(part, &borders, matched, byte);
        if matched == part.len() {
            return Some(at + 1 - matched);
        }
    }
    None
}

/// How much of `part` is matched with one byte more.
fn matched_with(part: &[u8], borders: &[usize], mut matched: usize, byte: u8) -> usize {
    loop {
        if part.get(matched) == Some(&byte) {
            return matched + 1;
        }
        let Some(shorter) = matched.checked_sub(1).and_then(|at| borders.get(at)) else {
            return 0;
        };
        matched = *shorter;
    }
}

/// What stands before and after the first `part`.
pub(crate) fn split_once<'t>(text: &'t str, part: &str) -> Option<(&'t str, &'t str)> {
    let at = find(text, part)?;
    Some((text.get(..at)?, text.get(at + part.len()..)?))
}

/// The scheme of a URL, and what follows the `://` after it.
pub(crate) fn split_scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = cut(url, b':')?;
    Some((scheme, rest.strip_prefix("//")?))
}

/// What stands before the first `sign`, which is ASCII, and what stands after it.
///
/// Every request is taken apart by it; `str::split_once`, which searches for any pattern, is dearer in the gate's wasm, and so
/// is `[u8]::contains` for several signs.
#[must_use]
pub fn cut(text: &str, sign: u8) -> Option<(&str, &str)> {
    let at = text.bytes().position(|byte| byte == sign)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// A header's value without the blanks around it (RFC 9110, section 5.6.3).
pub(crate) fn trimmed(value: &str) -> &str {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.bytes().take_while(is_blank).count();
    let rest = value.get(start..).unwrap_or_default();
    let blanks = rest.bytes().rev().take_while(is_blank).count();
    rest.get(..rest.len() - blanks).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{cut, find, shown, split_once, split_scheme, trimmed};
    use proptest::prelude::{prop_assert_eq, proptest};
    use std::string::String;

    proptest! {
        #[test]
        fn a_text_is_shown_as_escape_default_writes_it(text in "\\PC*|[\0-\u{ff}]*|.*", max in 0_usize..20) {
            let expected: String = text.chars().take(max).flat_map(char::escape_default).collect();
            prop_assert_eq!(shown(&text, max), expected);
        }

        #[test]
        fn a_part_is_found_where_the_standard_library_finds_it(text in "[abé]{0,24}", part in "[abé]{0,5}") {
            prop_assert_eq!(find(&text, &part), text.find(&part));
            prop_assert_eq!(split_once(&text, &part), text.split_once(&part));
        }

        #[test]
        fn a_text_is_cut_where_the_standard_library_splits_it(text in "[ab#é]{0,12}|.*") {
            prop_assert_eq!(cut(&text, b'#'), text.split_once('#'));
        }

        #[test]
        fn only_blanks_are_trimmed(value in "[ \t\n\u{a0}aé]{0,12}|.*") {
            prop_assert_eq!(trimmed(&value), value.trim_matches([' ', '\t']));
        }
    }

    #[test]
    fn the_ends_of_unicode_are_shown_as_escape_default_writes_them() {
        for c in ['\0', '\u{f}', '\u{10}', '\u{7f}', '\u{fff}', '\u{1000}', '\u{ffff}', '\u{10ffff}'] {
            assert_eq!(shown(c.encode_utf8(&mut [0; 4]), 1), std::format!("{}", c.escape_default()));
        }
    }

    #[test]
    fn a_scheme_ends_with_the_first_colon() {
        assert_eq!(split_scheme("https://a:1/b"), Some(("https", "a:1/b")));
        for text in ["", "https", "https:/a", "data:,x://y", "//a"] {
            assert_eq!(split_scheme(text), None, "{text}");
        }
    }
}
