//! A key that another system issued, on its way in.

use std::io::Read;

use keygate_core::digest::ImportedKey;
use keygate_core::key::KeyPrefix;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::fault::{Fault, Outcome};
use crate::wrangler_toml::WranglerToml;

/// NIST SP 800-131A's floor for a secret that is stored as a plain hash and must not be guessed.
const MIN_BITS: f64 = 112.0;
/// More than any key; reading stops here.
const READ_MAX: u64 = 4096;
/// 20 random digits show at least this many different ones but for very bad luck.
const MIN_DISTINCT: usize = 8;

/// Reads one line that holds a key.
///
/// # Errors
/// The input cannot be read, is not UTF-8, or is longer than any key. The text is never repeated.
pub(crate) fn read_line(input: impl Read) -> Outcome<Zeroizing<String>> {
    // Reserved whole, so that no reallocation leaves a copy of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(4096 + 64));
    let read = input.take(READ_MAX + 1).read_to_string(&mut text);
    let length = read.map_err(|e| {
        Fault::failed(format!("cannot read a key from standard input: {e}"), "send the key alone, as text")
    })?;
    if length as u64 > READ_MAX {
        return Err(Fault::failed(
            "standard input is longer than any key",
            "send the key alone, on one line",
        ));
    }
    let line = text.trim_ascii();
    if line.is_empty() {
        return Err(Fault::failed(
            "standard input holds no key",
            "send the key there, for example with `< key-file`; never as an argument",
        ));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// Takes a foreign key in.
///
/// # Errors
/// It is not of a form that the gate reads, is one of the gate's own, or is too easy to guess and not allowed to be.
pub(crate) fn import(text: &str, prefix: &KeyPrefix, allow_weak: bool) -> Outcome<ImportedKey> {
    if prefix.strip(text).is_some() {
        return Err(Fault::failed(
            format!(
                "the key begins with this gate's own prefix `{}_`, so the gate would never look it up as an imported one",
                prefix.as_str()
            ),
            "issue a key instead: leave --import-stdin out",
        ));
    }
    let key = ImportedKey::parse(text).ok_or_else(|| {
        Fault::failed(
            "the key cannot be imported: the gate reads 20 to 512 characters of A-Z, a-z, 0-9 and `-._~+/=`",
            "issue a new key for this client instead",
        )
    })?;
    let bits = strength(text);
    if bits < MIN_BITS && !allow_weak {
        return Err(Fault::failed(
            format!(
                "the key is too easy to guess: about {bits:.0} bits by its length and characters, {MIN_BITS} are needed because it is stored as a plain SHA-256"
            ),
            "issue a new key for this client instead",
        ));
    }
    Ok(key)
}

/// Says so when the gate would not look at imported keys.
pub(crate) fn warn_unless_read(context: &Context, config: &WranglerToml) {
    if config.vars().get("IMPORTED_KEYS").is_none_or(|on| on != true && on != "true") {
        context.out.note(format_args!(
            "warning: the gate reads imported keys only with `{} = true`",
            config.place("vars.IMPORTED_KEYS"),
        ));
    }
}

/// An upper bound of the key's bits, if its characters were drawn at random; 0 when they plainly were not.
fn strength(text: &str) -> f64 {
    let mut distinct = text.as_bytes().to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < MIN_DISTINCT {
        return 0.0;
    }
    let any = |test: fn(&u8) -> bool| distinct.iter().any(test);
    let hex_digits = |letters: fn(&u8) -> bool| distinct.iter().all(|b| b.is_ascii_digit() || letters(b));
    let alphabet: u32 = if distinct.iter().all(u8::is_ascii_digit) {
        10
    } else if hex_digits(|b| matches!(b, b'a'..=b'f')) || hex_digits(|b| matches!(b, b'A'..=b'F')) {
        16
    } else {
        let mut size = 0;
        for (test, count) in [
            (u8::is_ascii_digit as fn(&u8) -> bool, 10),
            (u8::is_ascii_lowercase, 26),
            (u8::is_ascii_uppercase, 26),
        ] {
            size += if any(test) { count } else { 0 };
        }
        // `-` and `_`, or `+` and `/`: no encoding draws from more marks than two.
        size + if any(u8::is_ascii_punctuation) { 2 } else { 0 }
    };
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    f64::from(length) * f64::from(alphabet).log2()
}

#[cfg(test)]
mod tests {
    use super::{import, read_line};
    use keygate_core::key::KeyPrefix;

    #[test]
    fn a_key_is_imported_when_it_holds_112_bits() {
        let prefix = KeyPrefix::parse("acme_live").unwrap();
        for good in [
            // 64 and 28 hex digits, 20 base62 digits, 22 of base64url, a UUID
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "9f86d081884c7d659a2feaa0c55a",
            "Zk3vQ9xLr2K7hVbT1mWc",
            "Zk3vQ9xLr2K7-hVbT1_mWc",
            "2f1c7a52-6f0e-4b6a-9d55-0b7f3d1c9e42",
        ] {
            assert!(import(good, &prefix, false).is_ok(), "{good}");
        }
        assert!(import("12345678901234567890", &prefix, true).is_ok());
        for bad in [
            "9f86d081884c7d659a2feaa0c55",
            "12345678901234567890123456789012",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abababababababababababababababababababababababab",
            "password password password",
            "short",
            "acme_live_Zk3vQ9xLr2K7hVbT1mWcZk3vQ9xLr2K7hVbT1mWc",
        ] {
            let fault = import(bad, &prefix, false).unwrap_err().to_string();
            assert!(!fault.contains(bad), "{fault}");
        }
    }

    #[test]
    fn a_key_is_read_without_the_newline_and_up_to_a_bound() {
        assert_eq!(&*read_line(&b"abc\r\n"[..]).unwrap(), "abc");
        for bad in [&b""[..], b"\n", b"\xff", &[b'a'; 4097]] {
            assert!(read_line(bad).is_err());
        }
    }
}
