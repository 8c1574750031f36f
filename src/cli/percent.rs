//! Percent-encoding, for what becomes part of a URL's query.

use std::fmt::Write as _;

use zeroize::Zeroizing;

/// The text as the value of a query parameter. It may be a key, so the copy is wiped as well.
pub(crate) fn encoded(text: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(3 * text.len()));
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::encoded;

    #[test]
    fn only_unreserved_characters_stay_as_they_are() {
        assert_eq!(encoded("a+b/c=_-.~é").as_str(), "a%2Bb%2Fc%3D_-.~%C3%A9");
    }
}
