//! What several fuzz targets share: a gate, and readings of the contract that are not the core's own.
//!
//! A target's input is text of some fields, one a line; what is not UTF-8 is replaced, so that no input is wasted.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The pepper of the vectors.
pub const PEPPER: &str = "Zk9wVGVzdFBlcHBlck5vdEZvclVzZTAxMjM0NTY3ODkrLw";
/// The pepper before it.
pub const PEPPER_PREVIOUS: &str = "T2xkUGVwcGVyRm9yVGVzdHNPbmx5QWJjZGVmZ2hpamtsbW4";
/// What keys begin with, `_` included.
pub const PREFIX: &str = "acme_live_";

/// The fuzzer's bytes as text.
#[must_use]
pub fn text(data: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(data)
}

/// HMAC-SHA-256, as the document of the key says it is used.
#[must_use]
pub fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    Hmac::<Sha256>::new_from_slice(key)
        .expect("HMAC takes keys of any length")
        .chain_update(message)
        .finalize()
        .into_bytes()
        .into()
}

/// The tag that ends a key which begins with `untagged`.
#[must_use]
pub fn tag(pepper: &str, untagged: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mac = hmac(&hmac(pepper.as_bytes(), b"keygate/v1/tag"), untagged.as_bytes());
    let first = mac.first_chunk::<8>().expect("it has 32 bytes");
    let mut value = u64::from_be_bytes(*first);
    let mut digits = Vec::new();
    for _ in 0..8 {
        digits.push(char::from(DIGITS[usize::try_from(value % 62).expect("below 62")]));
        value /= 62;
    }
    digits.into_iter().rev().collect()
}

/// Percent-decodes once; a `%` without two hex digits is itself.
#[must_use]
pub fn percent_decoded(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes
            .get(at..at + 3)
            .filter(|escape| escape[0] == b'%' && escape[1..].iter().all(u8::is_ascii_hexdigit))
            .and_then(|escape| std::str::from_utf8(&escape[1..]).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(escape.unwrap_or(bytes[at]));
        at += if escape.is_some() { 3 } else { 1 };
    }
    decoded
}

/// Decodes a name or a value of a query.
#[must_use]
pub fn form_decoded(text: &str) -> Vec<u8> {
    percent_decoded(&text.replace('+', " "))
}
