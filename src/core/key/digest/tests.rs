use std::format;
use std::string::{String, ToString};

use super::{Digest, DigestError, ImportedKey};
use crate::key::PepperId;
use crate::key::pepper::{DigestMatch, Pepper, Peppers};

const PEPPER: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

/// 64 hex digits, as `secrets.token_hex(32)` prints them.
const KEY: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

#[test]
fn imported_key_matches_only_its_own_digest() {
    let key = ImportedKey::parse(KEY).unwrap();
    let peppers = Peppers { current: PEPPER.parse::<Pepper>().unwrap(), previous: None };
    let matches = |digest: &Digest| peppers.imported_matches(&key, digest);
    let hash = *key.sha256();
    let Digest::Imported { pepper, mac } = peppers.current.imported_digest(&key) else {
        panic!("not an imported digest")
    };
    assert_eq!(matches(&Digest::Imported { pepper, mac }), DigestMatch::Yes);
    assert_eq!(matches(&Digest::ImportedBare(hash)), DigestMatch::Yes);
    for bit in 0..8 {
        for at in [0, 1, 15, 30, 31] {
            let flipped = |bytes: [u8; 32]| {
                let mut other = bytes;
                other[at] ^= 1 << bit;
                other
            };
            assert_eq!(matches(&Digest::ImportedBare(flipped(hash))), DigestMatch::No, "{at} {bit}");
            let digest = Digest::Imported { pepper, mac: flipped(mac) };
            assert_eq!(matches(&digest), DigestMatch::No, "{at} {bit}");
        }
    }
    // The same bytes, made in another way.
    for digest in [
        Digest::Keyed { pepper, mac },
        Digest::Keyed { pepper, mac: hash },
        Digest::Imported { pepper, mac: hash },
        Digest::ImportedBare(mac),
    ] {
        assert_eq!(matches(&digest), DigestMatch::No, "{digest:?}");
    }
    let other = "00000000".parse::<PepperId>().unwrap();
    assert_eq!(matches(&Digest::Imported { pepper: other, mac }), DigestMatch::UnknownPepper(other));
}

#[test]
fn imported_key_must_be_a_token_of_20_to_512_characters() {
    let of = |len: usize| "a".repeat(len);
    for (text, is_one) in [
        (of(19), false),
        (of(20), true),
        (of(512), true),
        (of(513), false),
        ("-._~+/=AZaz09-._~+/=".to_string(), true),
        (of(20) + " ", false),
        (of(20) + "\n", false),
        (of(20) + ",", false),
        (of(20) + "é", false),
        (String::new(), false),
    ] {
        assert_eq!(ImportedKey::parse(&text).is_some(), is_one, "{text}");
    }
}

#[test]
fn digest_of_another_length_is_rejected() {
    let whole = "A".repeat(43);
    assert!(format!("sha256.{whole}").parse::<Digest>().is_ok());
    // 32 bytes are 43 digits; 42 and 4 digits are well-formed, and hold fewer.
    for text in ["", "AAAA", &whole[..42], &format!("{whole}A"), &format!("{whole}=")] {
        assert_eq!(format!("sha256.{text}").parse::<Digest>().err(), Some(DigestError), "{text}");
        assert_eq!(format!("hs256.1a2b3c4d.{text}").parse::<Digest>().err(), Some(DigestError), "{text}");
        assert_eq!(format!("hsha256.1a2b3c4d.{text}").parse::<Digest>().err(), Some(DigestError), "{text}");
    }
}

#[test]
fn debug_output_contains_no_digest() {
    let key = ImportedKey::parse(KEY).unwrap();
    assert_eq!(format!("{key:?}"), format!("ImportedKey({}, ..)", key.id()));
    assert_eq!(format!("{:?}", Digest::ImportedBare(*key.sha256())), "Digest(sha256, ..)");
    let imported = format!("hsha256.1a2b3c4d.{}", "A".repeat(43)).parse::<Digest>().unwrap();
    assert_eq!(format!("{imported:?}"), "Digest(hsha256.1a2b3c4d, ..)");
    let keyed = format!("hs256.1a2b3c4d.{}", "A".repeat(43)).parse::<Digest>().unwrap();
    assert_eq!(format!("{keyed:?}"), "Digest(hs256.1a2b3c4d, ..)");
    assert_eq!(String::from(keyed.clone()), keyed.to_string());
    assert!(DigestError.to_string().starts_with("not a digest: `hs256."));
}
