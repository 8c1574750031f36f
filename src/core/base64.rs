//! Base64 (RFC 4648), strict: one text for one sequence of bytes.
//!
//! Not the `base64ct` crate, because that has the whole code once for each alphabet and a panic at each place of a buffer, 5 KB of
//! wasm. As there, no table is looked up and no branch taken by what is encoded; the tests hold this module to it.

use alloc::string::String;
use alloc::vec::Vec;

use zeroize::Zeroizing;

/// The two alphabets that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `+` and `/`, with padding (section 4).
    Standard,
    /// `-` and `_`, without padding (section 5).
    Url,
}

impl Form {
    /// The last two digits.
    fn specials(self) -> (i16, i16) {
        let (plus, slash) = match self {
            Self::Standard => (b'+', b'/'),
            Self::Url => (b'-', b'_'),
        };
        (plus.into(), slash.into())
    }
}

/// The text of `bytes`.
pub(crate) fn encode(bytes: &[u8], form: Form) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | chunk.get(at).map_or(0, |byte| u32::from(*byte));
        }
        for at in 0..4 {
            if at <= chunk.len() {
                let [.., six] = (bits >> 18 & 0x3f).to_be_bytes();
                text.push(digit(six, form));
            } else if form == Form::Standard {
                text.push('=');
            }
            bits <<= 6;
        }
    }
    text
}

/// The bytes of a text; nothing if the text is not the one that [`encode`] makes of them.
pub(crate) fn decode(text: &str, form: Form) -> Option<Zeroizing<Vec<u8>>> {
    let digits = match form {
        Form::Standard if !text.len().is_multiple_of(4) => return None,
        Form::Standard => text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text),
        Form::Url => text,
    };
    // Reserved whole, so that no reallocation leaves a copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() / 4 * 3 + 2));
    let (mut bits, mut count, mut wrong) = (0_u32, 0, 0);
    for byte in digits.bytes() {
        let value = value(byte, form);
        wrong |= value;
        let [_, six] = value.to_be_bytes();
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            let [.., byte] = (bits >> count).to_be_bytes();
            bytes.push(byte);
        }
    }
    // A whole digit left over, or bits that the encoder writes as 0.
    let left = bits & !(u32::MAX << count);
    (wrong >= 0 && count < 6 && left == 0).then_some(bytes)
}

/// The digit of 6 bits. `(a - b) >> 8` is -1 where `a` is less than `b`, and 0 elsewhere.
fn digit(six: u8, form: Form) -> char {
    let (plus, slash) = form.specials();
    let v = i16::from(six);
    let digit = v + 65
        + ((25 - v) >> 8 & 0x06) // from `Z` to `a`
        - ((51 - v) >> 8 & 0x4b) // from `z` to `0`
        + ((61 - v) >> 8 & (plus - 58))
        + ((62 - v) >> 8 & (slash - plus - 1));
    let [_, digit] = digit.to_be_bytes();
    char::from(digit)
}

/// The 6 bits of a digit; -1 for what is no digit.
fn value(digit: u8, form: Form) -> i16 {
    let (plus, slash) = form.specials();
    let c = i16::from(digit);
    let within = |low: i16, high: i16, value: i16| (low - 1 - c) >> 8 & (c - high - 1) >> 8 & (value + 1);
    -1 + within(65, 90, c - 65)
        + within(97, 122, c - 97 + 26)
        + within(48, 57, c - 48 + 52)
        + within(plus, plus, 62)
        + within(slash, slash, 63)
}

#[cfg(test)]
mod tests {
    use super::{Form, decode, encode};
    use base64ct::{Base64, Base64UrlUnpadded, Encoding};
    use proptest::prelude::{any, prop_assert_eq, proptest};
    use std::string::String;
    use std::vec::Vec;

    fn checked(text: &str) {
        let ours = [Form::Standard, Form::Url].map(|form| decode(text, form).map(|bytes| bytes.to_vec()));
        let theirs = [Base64::decode_vec(text).ok(), Base64UrlUnpadded::decode_vec(text).ok()];
        assert_eq!(ours, theirs, "{text:?}");
    }

    proptest! {
        #[test]
        fn bytes_are_encoded_as_base64ct_encodes_them(bytes in any::<Vec<u8>>()) {
            prop_assert_eq!(encode(&bytes, Form::Standard), Base64::encode_string(&bytes));
            prop_assert_eq!(encode(&bytes, Form::Url), Base64UrlUnpadded::encode_string(&bytes));
        }

        #[test]
        fn texts_are_decoded_as_base64ct_decodes_them(text in "[A-D_/+=-]{0,9}", other in any::<String>()) {
            checked(&text);
            checked(&other);
        }
    }

    #[test]
    fn every_byte_is_a_digit_or_none_as_in_base64ct() {
        for c in '\0'..='\u{ff}' {
            checked(&std::format!("AA{c}A"));
            checked(&std::format!("{c}A=="));
        }
    }

    #[test]
    fn every_end_of_a_text_is_read_as_base64ct_reads_it() {
        for digits in
            ["", "A", "AB", "AA", "ABC", "AAA", "ABCD", "ABCDE", "ABCDEF", "ABCDEA", "ABCDEFG", "ABCDEFA"]
        {
            for padding in ["", "=", "==", "===", "====", "=A"] {
                checked(&std::format!("{digits}{padding}"));
            }
        }
    }
}
