//! A presented key, and every text that stands beside keys: prefix, id, digest, pepper, imported key.
//!
//! Line 1 is the text; the rest is entropy for a new key.
#![no_main]

use std::sync::LazyLock;

use keygate_core::key::digest::{Digest, ImportedKey};
use keygate_core::key::pepper::{DigestMatch, Pepper, Peppers};
use keygate_core::key::{Key, KeyId, KeyPrefix, NewKey};
use keygate_fuzz::{PEPPER, PEPPER_PREVIOUS, PREFIX, tag, text};
use libfuzzer_sys::fuzz_target;

static PREFIX_PARSED: LazyLock<KeyPrefix> =
    LazyLock::new(|| "acme_live".parse::<KeyPrefix>().expect("it is one"));
static PEPPERS: LazyLock<Peppers> = LazyLock::new(|| Peppers {
    current: PEPPER.parse::<Pepper>().expect("it is one"),
    previous: Some(PEPPER_PREVIOUS.parse::<Pepper>().expect("it is one")),
});

fuzz_target!(|data: &[u8]| {
    let input = text(data);
    let (text, entropy) = input.split_once('\n').unwrap_or((&input, ""));
    presented(text);
    neighbours(text);
    made(entropy.as_bytes());
});

fn presented(text: &str) {
    let body = text.strip_prefix(PREFIX);
    let has_shape =
        body.is_some_and(|body| body.len() == 50 && body.bytes().all(|b| b.is_ascii_alphanumeric()));
    let key = Key::parse(text, &PREFIX_PARSED);
    assert_eq!(key.is_ok(), has_shape);
    let (Ok(key), Some(body)) = (key, body) else { return };
    assert_eq!(key.id().as_str(), &body[..12]);
    assert!(!format!("{key:?}").contains(&body[12..]));

    let (untagged, found) = text.split_at(text.len() - 8);
    let right = [tag(PEPPER, untagged), tag(PEPPER_PREVIOUS, untagged)];
    assert_eq!(PEPPERS.tag_matches(&key), right.iter().any(|tag| tag == found));
    for tag in right {
        // The fuzzer cannot find a tag; with the right one, the key is good under either pepper.
        let repaired = format!("{untagged}{tag}");
        let repaired = Key::parse(&repaired, &PREFIX_PARSED).expect("the tag is base62");
        assert!(PEPPERS.tag_matches(&repaired));
        let stored = PEPPERS.current.digest(&repaired);
        assert_eq!(PEPPERS.digest_matches(&repaired, &stored), DigestMatch::Yes);
        let is_same = if tag == found { DigestMatch::Yes } else { DigestMatch::No };
        assert_eq!(PEPPERS.digest_matches(&key, &stored), is_same);
    }
}

fn neighbours(text: &str) {
    if let Ok(prefix) = text.parse::<KeyPrefix>() {
        assert_eq!(prefix.as_str(), text);
        assert!((2..=24).contains(&text.len()));
        assert!(text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
    }
    match text.parse::<KeyId>() {
        Ok(id) => assert_eq!((id.as_str(), id.kv_name()), (text, format!("key/{text}"))),
        // A whole key that was pasted in the place of an id does not come back: only what an id's length shows is told.
        Err(fault) => {
            let start: String = text.chars().take(12).collect();
            let cut = format!("{start}!").parse::<KeyId>().expect_err("it is too long");
            assert!(text.chars().count() <= 12 || fault == cut);
        }
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text, "a digest has one spelling");
    }
    if let Some(imported) = ImportedKey::parse(text) {
        let matches = |stored: &Digest| PEPPERS.imported_matches(&imported, stored);
        let hash = *imported.sha256();
        assert_eq!(KeyId::of_imported(&hash), imported.id());
        let stored = PEPPERS.current.imported_digest(&imported);
        assert_eq!(matches(&stored), DigestMatch::Yes);
        assert_eq!(matches(&Digest::ImportedBare(hash)), DigestMatch::Yes);
        let Digest::Imported { pepper, mac } = stored else {
            panic!("an imported key has an imported digest")
        };
        let wrong = Digest::Imported { pepper, mac: mac.map(|byte| byte ^ 1) };
        for wrong in [wrong, Digest::ImportedBare(hash.map(|byte| byte ^ 1))] {
            assert_eq!(matches(&wrong), DigestMatch::No);
        }
    }
    if let Ok(pepper) = text.parse::<Pepper>() {
        let trimmed = text.trim_ascii();
        assert_eq!(trimmed.parse::<Pepper>().expect("it was one").id(), pepper.id());
        assert!(!format!("{pepper:?}").contains(trimmed));
    }
}

fn made(entropy: &[u8]) {
    let mut rest = entropy;
    let fill = |bytes: &mut [u8]| {
        let (taken, left) = rest.split_at_checked(bytes.len()).ok_or("no more entropy")?;
        bytes.copy_from_slice(taken);
        rest = left;
        Ok::<(), &str>(())
    };
    let Ok(new) = NewKey::from_entropy(&PREFIX_PARSED, &PEPPERS.current, fill) else { return };
    let key = Key::parse(new.reveal(), &PREFIX_PARSED).expect("what is made is read");
    assert_eq!(key.id(), new.id());
    assert!(PEPPERS.tag_matches(&key));
    assert!(!format!("{new:?}").contains(&new.reveal()[22..]));
}
