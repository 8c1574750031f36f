//! Escaping values in error messages.

use alloc::string::String;

/// Long enough to recognize a value.
pub(crate) const VALUE_MAX_CHARS: usize = 80;

/// At most `max_chars` characters of `text` on one line: control characters, quotes and what is not printable are escaped.
pub(crate) fn escape_for_message(text: &str, max_chars: usize) -> String {
    let mut chars = text.chars();
    let mut escaped: String = chars.by_ref().take(max_chars).flat_map(char::escape_debug).collect();
    if chars.next().is_some() {
        escaped.push('…');
    }
    escaped
}

/// At most `max_chars` characters of a message on one line: what is not printable is escaped, quotes and backslashes stay.
pub(crate) fn escape_unprintable(text: &str, max_chars: usize) -> String {
    let mut escaped = String::new();
    for c in text.chars().take(max_chars) {
        match c {
            '"' | '\'' | '\\' => escaped.push(c),
            _ => escaped.extend(c.escape_debug()),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape_for_message;

    #[test]
    fn escaped_text_is_one_line_of_bounded_length() {
        for (text, max_chars, expected) in [
            ("Zürich", 6, "Zürich"),
            ("Zürich", 5, "Züric…"),
            ("a\r\n\u{1b}[31m\"b\"", 80, "a\\r\\n\\u{1b}[31m\\\"b\\\""),
            ("\u{202e}\u{2028}\u{feff}", 80, "\\u{202e}\\u{2028}\\u{feff}"),
            ("", 0, ""),
            ("a", 0, "…"),
        ] {
            assert_eq!(escape_for_message(text, max_chars), expected);
        }
    }
}
