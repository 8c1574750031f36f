//! A key that another system issued, on its way in.

use std::collections::HashSet;
use std::io::Read;

use keygate_core::key::KeyPrefix;
use keygate_core::key::digest::ImportedKey;
use zeroize::Zeroizing;
use zxcvbn::zxcvbn;

use crate::context::Context;
use crate::error::{Error, Outcome};
use crate::wrangler_config::WranglerConfig;

/// NIST SP 800-131A's floor for a secret that must not be guessed by those who have its hash.
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
        Error::failed(format!("cannot read a key from standard input: {e}"), "send the key alone, as text")
    })?;
    if length as u64 > READ_MAX {
        return Err(Error::failed(
            "standard input is longer than any key",
            "send the key alone, on one line",
        ));
    }
    let line = text.trim_ascii();
    if line.is_empty() {
        return Err(Error::failed(
            "standard input holds no key",
            "send the key there, for example with `< key-file`; never as an argument",
        ));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// Takes a foreign key in.
///
/// # Errors
/// It is no key but a text that leads to one, is not of a form that the gate reads, is one of the gate's own, or is too easy to guess and not allowed to be.
pub(crate) fn import(text: &str, prefix: &KeyPrefix, allow_weak: bool) -> Outcome<ImportedKey> {
    if let Some(error) = mistaken(text) {
        return Err(error);
    }
    if prefix.strip(text).is_some() {
        return Err(Error::failed(
            format!(
                "the key begins with this gate's own prefix `{}_`, so the gate would never look it up as an imported one",
                prefix.as_str()
            ),
            "issue a key instead: leave --import-stdin out",
        ));
    }
    let key = ImportedKey::parse(text).ok_or_else(|| {
        Error::failed(
            "the key cannot be imported: the gate reads 20 to 512 characters of A-Z, a-z, 0-9 and `-._~+/=`",
            "issue a new key for this client instead",
        )
    })?;
    let bits = strength(text);
    if bits < MIN_BITS && !allow_weak {
        return Err(Error::failed(
            format!(
                "the key is too easy to guess: about {bits:.0} bits by its length, characters and patterns, {MIN_BITS} are needed so that nobody who has the store and the pepper can guess it"
            ),
            "issue a new key for this client instead",
        ));
    }
    Ok(key)
}

/// Why a text is no key, though it stands where one is expected.
fn mistaken(text: &str) -> Option<Error> {
    const REFERENCES: [(&str, &str); 9] = [
        ("${{", "`${{ env \"NAME\" }}` of decK"),
        ("{vault://", "`{vault://…}` of Kong"),
        ("$secret://", "`$secret://…` of APISIX"),
        ("$env://", "`$ENV://…` of APISIX"),
        ("{{", "a template's `{{ … }}`"),
        ("${", "a variable `${NAME}`"),
        ("$", "a variable `$NAME`"),
        ("arn:aws:", "an ARN of AWS"),
        ("op://", "`op://…` of 1Password"),
    ];
    const HASHES: [&str; 9] =
        ["$2a$", "$2b$", "$2y$", "$5$", "$6$", "$argon2", "$pbkdf2", "$scrypt$", "{ssha"];
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    if HASHES.iter().any(|start| lower.starts_with(start)) {
        return Some(Error::failed(
            "the key is a password hash, from which neither the key nor its SHA-256 can be told",
            "issue a new key for this client instead",
        ));
    }
    if let Some((_, form)) = REFERENCES.iter().find(|(start, _)| lower.starts_with(start)) {
        return Some(Error::failed(
            format!("the key is a reference to a secret ({form}), not a key; resolve it first"),
            "put the key in its place",
        ));
    }
    if text.contains('*') {
        return Some(Error::failed("the key is masked with `*`", "export the keys whole"));
    }
    // A token has `=` at its end alone (RFC 6750, section 2.1).
    if text.trim_end_matches('=').contains('=') {
        return Some(Error::failed(
            "the key is of the form `NAME=value`; keep only the value",
            "remove the name and `=`",
        ));
    }
    None
}

/// Says so when the gate would not look at imported keys.
pub(crate) fn warn_unless_read(context: &Context, config: &WranglerConfig) {
    if config.vars().get("IMPORTED_KEYS").is_none_or(|on| on != true && on != "true") {
        context.out.note(format_args!(
            "warning: the gate reads imported keys only with `{} = true`",
            config.place("vars.IMPORTED_KEYS"),
        ));
    }
}

/// An estimate of the key's bits: those of its length and characters, less what repeats, follows an order, lies side by side on
/// a keyboard, or is a word; 0 when its characters plainly were not drawn at random.
fn strength(text: &str) -> f64 {
    let mut distinct = text.as_bytes().to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < MIN_DISTINCT {
        return 0.0;
    }
    let per_character = f64::from(alphabet(&distinct)).log2();
    let fresh = without_repetitions(text);
    if looks_random(&fresh) {
        return per_character * float(fresh.len());
    }
    // zxcvbn joins no words over a mark.
    let plain: Zeroizing<String> =
        Zeroizing::new(fresh.chars().filter(char::is_ascii_alphanumeric).collect());
    let looked_at = plain.get(..plain.len().min(LOOKED_AT)).unwrap_or(&plain);
    if looked_at.is_empty() {
        return 0.0;
    }
    let pieces = looked_at.len().div_ceil(PIECE);
    let bits: f64 = looked_at
        .as_bytes()
        .chunks(looked_at.len().div_ceil(pieces))
        .map(|piece| {
            let guesses = zxcvbn(str::from_utf8(piece).unwrap_or_default(), &[]).guesses_log10();
            let is_random = guesses >= RANDOM_SHARE * float(piece.len());
            if is_random { per_character * float(piece.len()) } else { guesses * 10_f64.log2() }
        })
        .sum();
    // What was not looked at is taken to be of the same kind.
    bits * float(fresh.len()) / float(looked_at.len())
}

/// How many characters of a key zxcvbn looks at, and at once. Its time grows with the square of the length, from 0.4 ms for 20
/// characters to 4 ms for 64, and 100,000 keys are to be imported within 10 s (7 s, as it is). It counts up to 10^19 guesses.
const LOOKED_AT: usize = 40;
/// See [`LOOKED_AT`].
const PIECE: usize = 20;
/// zxcvbn takes every character that is in no pattern for one of ten. It finds a pattern or two in random ones as well: of 2,000
/// random pieces of hex, base62 and base64url digits the worst had 0.78 of all guesses. Words have 0.4 to 0.7.
const RANDOM_SHARE: f64 = 0.7;

/// The number of characters that these seem to be drawn from.
fn alphabet(distinct: &[u8]) -> u32 {
    let any = |test: fn(&u8) -> bool| distinct.iter().any(test);
    let hex_digits = |letters: fn(&u8) -> bool| distinct.iter().all(|b| b.is_ascii_digit() || letters(b));
    if distinct.iter().all(u8::is_ascii_digit) {
        return 10;
    }
    if hex_digits(|b| matches!(b, b'a'..=b'f')) || hex_digits(|b| matches!(b, b'A'..=b'F')) {
        return 16;
    }
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
}

/// The text without what it has said before, a few characters at a time: a second `abcabc` adds nothing to the first.
fn without_repetitions(text: &str) -> Zeroizing<String> {
    /// Eight random hex digits come twice in one of two million keys of 64.
    const LENGTH: usize = 8;
    let (mut seen, mut repeated_until) = (HashSet::new(), 0);
    let mut fresh = Zeroizing::new(String::with_capacity(text.len()));
    for (at, c) in text.char_indices() {
        // The last characters begin no run of their own.
        if let Some(run) = text.get(at..at + LENGTH)
            && !seen.insert(run)
        {
            repeated_until = at + LENGTH;
        }
        if at >= repeated_until {
            fresh.push(c);
        }
    }
    fresh
}

/// Whether nothing suggests that a person made the text up; a look that costs little, because most keys are random.
fn looks_random(text: &str) -> bool {
    let count = |test: fn(u8) -> bool| text.bytes().filter(|c| test(*c)).count();
    let letters = count(|c| c.is_ascii_alphabetic());
    // Three of four letters in English are common ones and three of eight vowels; of random ones two of five, and one of five.
    let common = count(|c| b"etaoinsrhl".contains(&c.to_ascii_lowercase()));
    let vowels = count(|c| b"aeiou".contains(&c.to_ascii_lowercase()));
    let neighbours = text.bytes().zip(text.bytes().skip(1)).filter(|(a, b)| are_neighbours(*a, *b)).count();
    let has_words = letters * 2 >= text.len() && common * 2 >= letters && vowels * 4 >= letters;
    // One of five random pairs, hex digits and decimal ones among them.
    let has_walks = neighbours * 2 >= text.len();
    !has_words && !has_walks
}

/// Whether the characters are the same, follow each other, or lie side by side on a keyboard.
fn are_neighbours(a: u8, b: u8) -> bool {
    const ROWS: [&str; 4] = ["1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm"];
    let key = |c: u8| {
        let find = |row: &str| row.find(char::from(c.to_ascii_lowercase()));
        ROWS.iter().enumerate().find_map(|(at, row)| Some((at, find(row)?)))
    };
    let beside = |(row, at): (usize, usize), (other, there): (usize, usize)| {
        row.abs_diff(other) <= 1 && at.abs_diff(there) <= 1
    };
    a.abs_diff(b) <= 1 || key(a).zip(key(b)).is_some_and(|(a, b)| beside(a, b))
}

/// Of the length of a key, which is small.
fn float(length: usize) -> f64 {
    f64::from(u32::try_from(length).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::{import, read_line};
    use keygate_core::key::KeyPrefix;
    use proptest::prelude::{prop_assert, proptest};

    #[test]
    fn a_key_is_imported_when_it_holds_112_bits() {
        let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
        for good in [
            // 64 and 28 hex digits, 20 base62 digits, 22 of base64url, a UUID
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "9f86d081884c7d659a2feaa0c55a",
            "Zk3vQ9xLr2K7hVbT1mWc",
            "Zk3vQ9xLr2K7-hVbT1_mWc",
            "2f1c7a52-6f0e-4b6a-9d55-0b7f3d1c9e42",
            // with a prefix of words
            "sk_live_production_acme_4eC39HqLyjWDarjtT1zdp7dc",
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
            // repeated, ordered, walked over the keyboard, and words
            "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz",
            "abcdefghijklmnopqrstuvwxyz0123456789",
            "0123456789abcdef0123456789abcdef0123456789abcdef",
            "abcdefabcdef123456abcdef123456789012",
            "deadbeefdeadbeefdeadbeefdeadbeef",
            "Zk3vQ9xLrZk3vQ9xLrZk3vQ9xLrZk3vQ9xLr",
            "qwertyuiopasdfghjklzxcvbnm1234567890",
            "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
            "passwordpasswordpassword",
            "p4ssw0rdl3tm31n.p4ssw0rdl3tm31n",
            "correcthorsebatterystaplecorrect",
            // no keys
            "API_KEY=Zk3vQ9xLr2K7hVbT1mWc",
            "${{ env \"DECK_KEY\" }}",
            "$2b$12$Zk3vQ9xLr2K7hVbT1mWcZk3vQ9xLr2K7hVbT1mWc",
            "Zk3v********************",
            "thisismysecretapikeyforproduction",
            "short",
            "acme_live_Zk3vQ9xLr2K7hVbT1mWcZk3vQ9xLr2K7hVbT1mWc",
        ] {
            let error = import(bad, &prefix, false).unwrap_err().to_string();
            assert!(!error.contains(bad), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_random_key_is_imported(text in "[0-9a-f]{40}|[0-9a-f]{64}|[0-9A-Za-z]{22,40}|[0-9A-Za-z_-]{43}|[0-9a-z]{26,40}") {
            prop_assert!(import(&text, &"acme_live".parse::<KeyPrefix>().unwrap(), false).is_ok());
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
