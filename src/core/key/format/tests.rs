use super::{BASE62, KEY_MAX_LEN, Key, KeyError, KeyId, KeyPrefix};
use crate::key::digest::{Digest, ImportedKey};
use crate::key::new_key::NewKey;
use crate::key::pepper::{DigestMatch, Pepper, Peppers, RotationSalt};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
use serde_json::Value;
use std::string::{String, ToString};

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/key.json")).unwrap()
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap()
}

fn peppers(vectors: &Value) -> Peppers {
    Peppers {
        current: text(vectors, "pepper").parse::<Pepper>().unwrap(),
        previous: Some(text(vectors, "pepper_previous").parse::<Pepper>().unwrap()),
    }
}

#[test]
fn frozen_keys() {
    let vectors = vectors();
    let prefix = text(&vectors, "prefix").parse::<KeyPrefix>().unwrap();
    let peppers = peppers(&vectors);
    for case in vectors["cases"].as_array().unwrap() {
        let outcome = match Key::parse(text(case, "key"), &prefix) {
            Ok(key) if peppers.tag_matches(&key) => "ok",
            Ok(_) => "tag",
            Err(KeyError::Prefix) => "prefix",
            Err(KeyError::Length) => "length",
            Err(KeyError::Character) => "character",
        };
        assert_eq!(outcome, text(case, "outcome"), "{}", text(case, "name"));
    }
}

#[test]
fn frozen_digests_and_ids() {
    let vectors = vectors();
    let prefix = text(&vectors, "prefix").parse::<KeyPrefix>().unwrap();
    for case in vectors["pepper_ids"].as_array().unwrap() {
        let pepper = text(case, "pepper").parse::<Pepper>().unwrap();
        assert_eq!(pepper.id().as_str(), text(case, "id"));
    }
    for case in vectors["digests"].as_array().unwrap() {
        let pepper = text(case, "pepper").parse::<Pepper>().unwrap();
        let key = Key::parse(text(case, "key"), &prefix).unwrap();
        assert_eq!(key.id().as_str(), text(case, "id"));
        assert_eq!(pepper.digest(&key).to_string(), text(case, "digest"));
        let peppers = Peppers { current: pepper, previous: None };
        let stored = text(case, "digest").parse::<Digest>().unwrap();
        assert_eq!(peppers.digest_matches(&key, &stored), DigestMatch::Yes);
    }
    for case in vectors["imported"].as_array().unwrap() {
        let key = ImportedKey::parse(text(case, "key")).unwrap();
        assert_eq!(key.id().as_str(), text(case, "id"));
        let pepper = text(case, "pepper").parse::<Pepper>().unwrap();
        assert_eq!(pepper.imported_digest(&key).to_string(), text(case, "digest"));
        let peppers = Peppers { current: pepper, previous: None };
        for digest in ["digest", "bare_digest"] {
            let stored = text(case, digest).parse::<Digest>().unwrap();
            assert_eq!(peppers.imported_matches(&key, &stored), DigestMatch::Yes, "{digest}");
        }
    }
}

#[test]
fn malformed_digest_is_rejected_without_repeating_it() {
    for case in vectors()["bad_digests"].as_array().unwrap() {
        let digest = text(case, "digest");
        let error = digest.parse::<Digest>().unwrap_err().to_string();
        assert!(digest.len() < 20 || !error.contains(digest), "{}", text(case, "name"));
    }
}

#[test]
fn malformed_prefix_is_rejected() {
    let vectors = vectors();
    for good in vectors["prefixes"]["good"].as_array().unwrap() {
        assert!(good.as_str().unwrap().parse::<KeyPrefix>().is_ok(), "{good}");
    }
    for bad in vectors["prefixes"]["bad"].as_array().unwrap() {
        assert!(bad.as_str().unwrap().parse::<KeyPrefix>().is_err(), "{bad}");
    }
}

#[test]
fn unknown_pepper_is_reported_and_not_a_mismatch() {
    let vectors = vectors();
    let prefix = text(&vectors, "prefix").parse::<KeyPrefix>().unwrap();
    let of_previous = &vectors["digests"][1];
    let key = Key::parse(text(of_previous, "key"), &prefix).unwrap();
    let only_current =
        Peppers { current: text(&vectors, "pepper").parse::<Pepper>().unwrap(), previous: None };
    let stored = text(of_previous, "digest").parse::<Digest>().unwrap();
    assert!(matches!(only_current.digest_matches(&key, &stored), DigestMatch::UnknownPepper(_)));
    assert_eq!(peppers(&vectors).digest_matches(&key, &stored), DigestMatch::Yes);
}

#[test]
fn entropy_is_rejection_sampled_and_its_error_is_returned() {
    let vectors = vectors();
    let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
    let pepper = text(&vectors, "pepper").parse::<Pepper>().unwrap();
    // 248 is the first byte that is rejected, 247 the last that is accepted.
    let mut calls = 0_u8;
    let key = NewKey::from_entropy(&prefix, &pepper, |bytes| {
        calls += 1;
        bytes.fill(if calls % 2 == 1 { 255 } else { 247 });
        bytes[0] = 248;
        Ok::<(), ()>(())
    })
    .unwrap();
    assert!(key.reveal().starts_with(&("acme_live_".to_string() + &"z".repeat(42))));
    let failed = NewKey::from_entropy(&prefix, &pepper, |_| Err("no entropy")).err();
    assert_eq!(failed, Some("no entropy"));
}

#[test]
fn the_key_of_a_rotation_follows_from_pepper_and_salt() {
    let vectors = vectors();
    let prefix = text(&vectors, "prefix").parse::<KeyPrefix>().unwrap();
    let peppers = peppers(&vectors);
    let salt = RotationSalt(core::array::from_fn(|at| u8::try_from(at).unwrap()));
    let key = NewKey::of_rotation(&prefix, &peppers.current, &salt);
    // By Python's hmac, from the description in docs/key-format.md.
    assert_eq!(key.reveal(), "acme_live_HpBkUJ7WzK8ihOQNCl02C4v2hj96ObGku2Q5VAB2WIMjhHcwLr");
    assert!(peppers.tag_matches(&key.as_presented()));
    let previous = peppers.previous.unwrap();
    for other in [
        NewKey::of_rotation(&prefix, &previous, &salt),
        NewKey::of_rotation(&prefix, &peppers.current, &RotationSalt([0; 32])),
    ] {
        assert_ne!(other.id(), key.id());
        assert_ne!(other.reveal()[22..52], key.reveal()[22..52]);
    }
}

#[test]
fn debug_output_contains_no_secret() {
    let vectors = vectors();
    let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
    let pepper = text(&vectors, "pepper").parse::<Pepper>().unwrap();
    let new = NewKey::from_entropy(&prefix, &pepper, |bytes| {
        bytes.fill(7);
        Ok::<(), ()>(())
    })
    .unwrap();
    let presented = Key::parse(new.reveal(), &prefix).unwrap();
    let imported = ImportedKey::parse(&"ab".repeat(32)).unwrap();
    let debug = std::format!("{new:?} {presented:?} {pepper:?} {imported:?} {:?}", pepper.digest(&presented));
    assert!(!debug.contains(&"7".repeat(13)), "{debug}");
    assert!(!debug.contains(text(&vectors, "pepper")), "{debug}");
}

fn issued(seed: &[u8]) -> (KeyPrefix, Peppers, String) {
    let vectors = vectors();
    let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
    let peppers = peppers(&vectors);
    let mut stream = seed.iter().cycle().scan(0_u8, |n, b| {
        *n = n.wrapping_add(37);
        Some(b.wrapping_add(*n))
    });
    let key = NewKey::from_entropy(&prefix, &peppers.current, |bytes| {
        for b in bytes {
            *b = stream.next().unwrap();
        }
        Ok::<(), ()>(())
    })
    .unwrap();
    let text = key.reveal().to_string();
    (prefix, peppers, text)
}

proptest! {
    #[test]
    fn prefix_is_found_where_the_standard_library_finds_it(text in "[ab_é]{0,16}|.*") {
        let prefix = "ab_a".parse::<KeyPrefix>().unwrap();
        prop_assert_eq!(prefix.is_in(&text), text.contains("ab_a_"));
    }

    #[test]
    fn new_key_is_parsed_and_matches_its_digest(seed in prop::collection::vec(any::<u8>(), 1..64)) {
        let (prefix, peppers, text) = issued(&seed);
        let key = Key::parse(&text, &prefix).unwrap();
        prop_assert!(peppers.tag_matches(&key));
        prop_assert_eq!(peppers.digest_matches(&key, &peppers.current.digest(&key)), DigestMatch::Yes);
    }

    #[test]
    fn one_changed_character_is_never_the_same_key(
        seed in prop::collection::vec(any::<u8>(), 1..64), at in 0_usize..60, to in any::<char>(),
    ) {
        let (prefix, peppers, text) = issued(&seed);
        let changed: String = text.chars().enumerate().map(|(n, c)| if n == at { to } else { c }).collect();
        if changed != text && let Ok(key) = Key::parse(&changed, &prefix) {
            prop_assert!(!peppers.tag_matches(&key));
            let stored = peppers.current.digest(&Key::parse(&text, &prefix).unwrap());
            prop_assert_eq!(peppers.digest_matches(&key, &stored), DigestMatch::No);
        }
    }

    #[test]
    fn parsing_never_panics(text in any::<String>(), body in "[0-9A-Za-z_]{0,60}") {
        let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
        let _ = (Key::parse(&text, &prefix), text.parse::<KeyPrefix>(), text.parse::<KeyId>(), text.parse::<Digest>());
        let _ = (text.parse::<Pepper>(), ImportedKey::parse(&text), Key::parse(&(String::from("acme_live_") + &body), &prefix));
    }
}

#[test]
fn key_id_is_twelve_base62_digits() {
    let id = "4fTz0Qw9Lr2K".parse::<KeyId>().unwrap();
    assert_eq!(
        (id.kv_name(), String::from(id)),
        ("key/4fTz0Qw9Lr2K".to_string(), "4fTz0Qw9Lr2K".to_string())
    );
    assert_eq!(std::format!("{id} {id:?}"), "4fTz0Qw9Lr2K KeyId(4fTz0Qw9Lr2K)");
    for text in ["", "4fTz0Qw9Lr2", "4fTz0Qw9Lr2K0", "4fTz0Qw9Lr2-", "4fTz0Qw9Lr2\n", "4fTz0Qw9Lré"] {
        assert!(text.parse::<KeyId>().is_err(), "{text}");
    }
    let error = |text: &str| text.parse::<KeyId>().unwrap_err().to_string();
    assert_eq!(error("4fTz"), "`4fTz` is not a key id: 12 characters of 0-9, A-Z and a-z");
    // A whole key is not repeated.
    let whole = "the value is longer than a key id: 12 characters of 0-9, A-Z and a-z";
    assert_eq!(error("acme_live_4fTz0Qw9Lr2K"), whole);
}

#[test]
fn longest_key_has_the_longest_prefix() {
    let vectors = vectors();
    let pepper = text(&vectors, "pepper").parse::<Pepper>().unwrap();
    let prefix = "a".repeat(24).parse::<KeyPrefix>().unwrap();
    let key = NewKey::from_entropy(&prefix, &pepper, |bytes| {
        bytes.fill(7);
        Ok::<(), ()>(())
    })
    .unwrap();
    assert_eq!(key.reveal().len(), KEY_MAX_LEN);
    assert!("a".repeat(25).parse::<KeyPrefix>().is_err());
    assert_eq!(
        prefix.scanner_regex(),
        std::format!(
            r"(?:\b|\\[nrt]|(?:%|\\x|\\u00)[0-9A-Fa-f]{{2}}|\[[0-9;]*[mK])({}_[0-9A-Za-z]{{50}})\b",
            prefix.as_str()
        )
    );
}

#[test]
fn debug_output_of_a_key_is_its_id() {
    let key = "acme_live_4fTz0Qw9Lr2K7hVabcdefghijklmnopqrstuvwxyzqQOeuefdP";
    let prefix = "acme_live".parse::<KeyPrefix>().unwrap();
    assert_eq!(std::format!("{:?}", Key::parse(key, &prefix).unwrap()), "Key(4fTz0Qw9Lr2K, ..)");
    let pepper = text(&vectors(), "pepper").parse::<Pepper>().unwrap();
    let new = NewKey::from_entropy(&prefix, &pepper, |bytes| {
        bytes.fill(7);
        Ok::<(), ()>(())
    });
    assert_eq!(std::format!("{:?}", new.unwrap()), "NewKey(777777777777, ..)");
    for (error, part) in
        [(KeyError::Prefix, "prefix"), (KeyError::Length, "length"), (KeyError::Character, "not base62")]
    {
        assert!(error.as_str().contains(part), "{error:?}");
    }
}

#[test]
fn base62_digits_are_in_the_order_of_their_values() {
    assert!(BASE62.is_sorted());
    assert_eq!(super::tag_text(&[0, 0, 0, 0, 0, 0, 0, 61]), *b"0000000z");
    assert_eq!(super::tag_text(&[0, 0, 0, 0, 0, 0, 0, 62]), *b"00000010");
}
