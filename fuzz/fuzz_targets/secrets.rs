//! The secret bindings: peppers, `STATIC_KEYS`, `DENIED_IDS`, `ORIGIN_AUTHORIZATION`, `ORIGIN_SIGNING_KEY`.
//!
//! The six texts are divided by NUL; an absent one is a binding that is not set.
#![no_main]

use keygate_core::auth::secrets::{SecretValues, Secrets};
use keygate_core::key::KeyId;
use keygate_fuzz::{PEPPER, text};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const BINDINGS: [&str; 6] =
    ["PEPPER", "PEPPER_PREVIOUS", "STATIC_KEYS", "DENIED_IDS", "ORIGIN_AUTHORIZATION", "ORIGIN_SIGNING_KEY"];

fuzz_target!(|data: &[u8]| {
    let input = text(data);
    let mut fields = input.split('\0');
    let [pepper, pepper_previous, static_keys, denied_ids, origin_authorization, origin_signing_key] =
        std::array::from_fn(|_| fields.next());
    let given = SecretValues {
        pepper,
        pepper_previous,
        static_keys,
        denied_ids,
        origin_authorization,
        origin_signing_key,
    };
    // Most peppers that a fuzzer makes are none; the other bindings are to be read all the same.
    for texts in [given, SecretValues { pepper: Some(PEPPER), pepper_previous: None, ..given }] {
        match Secrets::parse(&texts) {
            Ok(secrets) => read(&texts, &secrets),
            Err(faults) => {
                assert!(!faults.is_empty() && faults.len() <= 6);
                for fault in &faults {
                    told(&fault.to_string());
                }
                told_without_the_value(&texts);
            }
        }
    }
});

fn read(texts: &SecretValues<'_>, secrets: &Secrets) {
    // Without the records, whose texts are no secrets and may be the same by chance.
    let alone = SecretValues { static_keys: None, denied_ids: None, ..*texts };
    let debug = format!("{:?}", Secrets::parse(&alone).expect("with more it was good"));
    for secret in [texts.pepper, texts.pepper_previous, texts.origin_signing_key].into_iter().flatten() {
        let secret = secret.trim_ascii();
        assert!(secret.is_empty() || !debug.contains(secret), "a secret is shown");
    }
    let other = alone.origin_authorization.map(|_| "another");
    let other =
        Secrets::parse(&SecretValues { origin_authorization: other, ..alone }).expect("it is a value");
    assert_eq!(format!("{other:?}"), debug, "what is shown depends on a secret");

    let named: Vec<KeyId> = words(texts.denied_ids).filter_map(|word| word.parse::<KeyId>().ok()).collect();
    for id in &named {
        assert!(secrets.is_denied(id), "{id} was to be denied");
    }
    let stranger = "zzzzzzzzzzzz".parse::<KeyId>().expect("it is one");
    assert_eq!(secrets.is_denied(&stranger), named.contains(&stranger));

    let list: Vec<Value> =
        texts.static_keys.map(|text| serde_json::from_str(text).unwrap_or_default()).unwrap_or_default();
    for record in &list {
        let id =
            record["id"].as_str().and_then(|id| id.parse::<KeyId>().ok()).expect("every record has an id");
        assert_eq!(secrets.static_key(&id).expect("it is in the list").id, id);
    }
    let is_listed = list.iter().any(|record| record["id"] == stranger.as_str());
    assert_eq!(secrets.static_key(&stranger).is_some(), is_listed);

    assert_eq!(secrets.origin_authorization().is_some(), texts.origin_authorization.is_some());
    if let Some(value) = secrets.origin_authorization() {
        assert!(!value.expose().trim().is_empty());
        assert!(value.expose().bytes().all(|b| (b' '..=b'~').contains(&b)), "it would split a header");
    }
}

/// The words of either form of `DENIED_IDS`.
fn words(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() == 12)
}

fn told(fault: &str) {
    let name = fault.strip_prefix("secret ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    assert!(BINDINGS.contains(&name), "no binding is named: {fault}");
    assert!(!fault.chars().any(char::is_control), "{fault:?}");
}

/// No fault of a secret repeats any of it. Not "holds the value", because the fuzzer then makes a value of the message.
fn told_without_the_value(texts: &SecretValues<'_>) {
    let marked = |text: Option<&str>| text.map(|text| format!("canary{text}canary"));
    let secrets = [texts.pepper, texts.pepper_previous, texts.origin_authorization, texts.origin_signing_key];
    let [pepper, pepper_previous, origin_authorization, origin_signing_key] = secrets.map(marked);
    let marked = SecretValues {
        pepper: pepper.as_deref(),
        pepper_previous: pepper_previous.as_deref(),
        origin_authorization: origin_authorization.as_deref(),
        origin_signing_key: origin_signing_key.as_deref(),
        ..SecretValues::default()
    };
    for fault in Secrets::parse(&marked).err().unwrap_or_default() {
        assert!(!fault.to_string().contains("canary"), "{fault}");
    }
}
