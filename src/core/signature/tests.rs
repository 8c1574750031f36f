use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use proptest::prelude::{any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};
use serde::Deserialize;

use super::{ContentDigest, SignatureBase, SignatureError, SignedComponents, SigningKey};
use crate::request::path::hex_byte;
use crate::time::UnixSeconds;

#[derive(Deserialize)]
struct Vectors {
    rfc: Example,
    keys: Vec<KeyCase>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Example {
    secret: String,
    base: String,
    signature: String,
}

#[derive(Deserialize)]
struct KeyCase {
    name: String,
    text: String,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    keys: String,
    method: String,
    url: String,
    content_digest: Option<String>,
    key_id: Option<String>,
    subject: Option<String>,
    scopes: Option<String>,
    created: u64,
    nonce: String,
    base: String,
    signature_input: String,
    signature: String,
}

impl Case {
    fn components(&self) -> SignedComponents<'_> {
        SignedComponents {
            method: &self.method,
            url: &self.url,
            content_digest: self.content_digest.as_deref().map(|text| ContentDigest::parse(text).unwrap()),
            key_id: self.key_id.as_deref(),
            subject: self.subject.as_deref(),
            scopes: self.scopes.as_deref(),
        }
    }

    fn nonce(&self) -> [u8; 16] {
        let bytes = self.nonce.as_bytes().chunks(2).map(|pair| hex_byte(pair[0], pair[1]).unwrap());
        bytes.collect::<Vec<u8>>().try_into().unwrap()
    }
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../tests/vectors/signature.json")).unwrap()
}

fn key() -> SigningKey {
    vectors().cases[0].keys.parse::<SigningKey>().unwrap()
}

const NOW: UnixSeconds = UnixSeconds::MAX;
const PUBLIC: SignedComponents<'static> = SignedComponents {
    method: "GET",
    url: "https://api.example.com/v1",
    content_digest: None,
    key_id: None,
    subject: None,
    scopes: None,
};

#[test]
fn rfc_9421_example() {
    let Example { secret, base, signature } = vectors().rfc;
    let key = format!("test-shared-secret:{secret}").parse::<SigningKey>().unwrap();
    let mut built = SignatureBase::default();
    built.field("date", "Tue, 20 Apr 2021 02:07:55 GMT").unwrap();
    built.derived("@authority", "example.com", "").unwrap();
    built.field("content-type", "application/json").unwrap();
    let (built, input) = built.finish(r#";created=1618884473;keyid="test-shared-secret""#);
    assert_eq!(built, base);
    assert_eq!(
        input,
        r#"("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#
    );
    assert_eq!(key.mac(&built), signature);
}

#[test]
fn frozen_vectors() {
    for case in vectors().cases {
        let key = case.keys.parse::<SigningKey>().unwrap();
        let created = UnixSeconds::new(case.created).unwrap();
        let signed = key.sign(&case.components(), created, &case.nonce()).unwrap();
        assert_eq!(signed.input, case.signature_input, "{}", case.name);
        assert_eq!(signed.signature, case.signature, "{}", case.name);
        assert_eq!(format!("keygate=:{}:", key.mac(&case.base)), case.signature, "{}", case.name);
    }
}

#[test]
fn frozen_keys() {
    for case in vectors().keys {
        let error = case.text.parse::<SigningKey>().err();
        assert_eq!(error.map(|error| format!("{error:?}")), case.error, "{}", case.name);
        // No message contains anything that is long enough to be a secret.
        let message = error.map(|error| error.to_string()).unwrap_or_default();
        let parts = case.text.split([' ', ':']).filter(|part| part.len() > 10);
        assert!(parts.into_iter().all(|part| !message.contains(part)), "{}: {message}", case.name);
    }
}

#[test]
fn every_covered_value_changes_the_signature() {
    let components = SignedComponents {
        method: "POST",
        url: "https://api.example.com/v1?a=1",
        content_digest: ContentDigest::parse("sha-256=:AA==:"),
        key_id: Some("4fTz0Qw9Lr2K"),
        subject: Some("acme"),
        scopes: Some("a b"),
    };
    let changes: [fn(SignedComponents<'static>) -> SignedComponents<'static>; 14] = [
        |components| components,
        |components| SignedComponents { method: "PUT", ..components },
        |components| SignedComponents { url: "https://api.example.org/v1?a=1", ..components },
        |components| SignedComponents { url: "https://api.example.com:8443/v1?a=1", ..components },
        |components| SignedComponents { url: "https://api.example.com/v2?a=1", ..components },
        |components| SignedComponents { url: "https://api.example.com/v1/?a=1", ..components },
        |components| SignedComponents { url: "https://api.example.com/v1?a=2", ..components },
        |components| SignedComponents { url: "https://api.example.com/v1", ..components },
        |components| SignedComponents { content_digest: None, ..components },
        |components| SignedComponents {
            content_digest: ContentDigest::parse("sha-256=:AB==:"),
            ..components
        },
        |components| SignedComponents { key_id: Some("4fTz0Qw9Lr2L"), ..components },
        |components| SignedComponents { subject: Some("acme2"), ..components },
        |components| SignedComponents { scopes: Some("a b c"), ..components },
        |components| SignedComponents { scopes: None, ..components },
    ];
    let key = key();
    let macs = changes.map(|change| key.sign(&change(components), NOW, &[0; 16]).unwrap().signature);
    for (at, mac) in macs.iter().enumerate() {
        assert_eq!(macs.iter().position(|other| other == mac), Some(at));
    }
    let later = key.sign(&components, UnixSeconds::new(1).unwrap(), &[0; 16]).unwrap();
    let nonce = key.sign(&components, NOW, &[1; 16]).unwrap();
    assert!(!macs.contains(&later.signature) && !macs.contains(&nonce.signature));
}

#[test]
fn value_that_is_not_printable_ascii_is_not_signed() {
    let unsignable = |component| Err(SignatureError { component });
    for (component, components) in [
        ("@method", SignedComponents { method: "GET\n\"@path\": /admin", ..PUBLIC }),
        ("@method", SignedComponents { method: "GET /", ..PUBLIC }),
        ("@authority", SignedComponents { url: "https://ex\nample/", ..PUBLIC }),
        ("@authority", SignedComponents { url: "https://éxample/", ..PUBLIC }),
        ("@path", SignedComponents { url: "https://example/a\n\"@method\": GET", ..PUBLIC }),
        ("@path", SignedComponents { url: "https://example/a b", ..PUBLIC }),
        ("@path", SignedComponents { url: "https://example/é", ..PUBLIC }),
        ("@query", SignedComponents { url: "https://example/?a\nb", ..PUBLIC }),
        ("@query", SignedComponents { url: "https://example/?a\u{7f}", ..PUBLIC }),
        ("@query", SignedComponents { url: "https://example/?a\u{2028}b", ..PUBLIC }),
        ("x-keygate-key-id", SignedComponents { key_id: Some("a\r\nb"), ..PUBLIC }),
        ("x-keygate-subject", SignedComponents { subject: Some("a\nb"), ..PUBLIC }),
        ("x-keygate-subject", SignedComponents { subject: Some(" a"), ..PUBLIC }),
        ("x-keygate-subject", SignedComponents { subject: Some("a\t"), ..PUBLIC }),
        ("x-keygate-subject", SignedComponents { subject: Some("a\0b"), ..PUBLIC }),
        ("x-keygate-scopes", SignedComponents { scopes: Some("a\u{85}b"), ..PUBLIC }),
    ] {
        let got = key().sign(&components, NOW, &[0; 16]).map(|_| ());
        assert_eq!(got, unsignable(component), "{components:?}");
        assert!(got.unwrap_err().to_string().contains(component));
    }
}

#[test]
fn content_digest_that_cannot_be_signed_is_rejected() {
    assert!(ContentDigest::parse(&"a".repeat(1024)).is_some());
    for text in ["", " ", " a", "a ", "a\nb", "a\rb", "é", "a\u{7f}", "\u{feff}a", &"a".repeat(1025)] {
        assert_eq!(ContentDigest::parse(text), None, "{text:?}");
    }
}

#[test]
fn debug_output_contains_no_key() {
    let keys = vectors().cases[0].keys.clone();
    let debug = format!("{:?}", keys.parse::<SigningKey>().unwrap());
    assert!(debug.contains("2026-11") && !debug.contains(keys.split_once(':').unwrap().1), "{debug}");
}

/// Strings of pieces that occur in attacks on a signature base.
fn value() -> impl Strategy<Value = String> {
    const PIECES: [&str; 16] = [
        "a",
        "/",
        "?",
        "#",
        "://",
        "\n",
        "\r\n",
        "\"",
        "\": ",
        "\"@path\": /admin",
        "\"@signature-params\": ()",
        ";created=1",
        "\t",
        " ",
        "é",
        "\u{2028}",
    ];
    let piece =
        prop_oneof![8 => proptest::sample::select(&PIECES).prop_map(String::from), 1 => any::<String>()];
    let pieces = proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    prop_oneof![4 => pieces, 1 => Just(String::from("/v1"))]
}

proptest! {
    #[test]
    fn value_never_begins_a_line_of_the_base(derived in value(), rest in value(), field in value()) {
        let mut base = SignatureBase::default();
        let mut names = Vec::new();
        if base.derived("@path", &derived, &rest).is_ok() {
            names.push("@path");
        }
        if base.field("x-keygate-subject", &field).is_ok() {
            names.push("x-keygate-subject");
        }
        let (base, input) = base.finish(";created=1");
        let lines: Vec<&str> = base.split('\n').collect();
        prop_assert_eq!(lines.len(), names.len() + 1);
        for (line, name) in lines.iter().zip(&names) {
            let expected = format!("\"{name}\": ");
            prop_assert!(line.starts_with(&expected), "{}", line);
        }
        let covered: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        prop_assert_eq!(&input, &format!("({});created=1", covered.join(" ")));
        prop_assert_eq!(lines.last().unwrap(), &format!("\"@signature-params\": {input}"));
        prop_assert!(base.bytes().all(|b| b == b'\n' || b == b'\t' || matches!(b, b' '..=b'~')));
    }

    #[test]
    fn signature_is_two_well_formed_header_values(
        method in value(), url in value(), digest in value(), subject in value(), nonce in any::<[u8; 16]>(),
    ) {
        let components = SignedComponents {
            method: &method,
            url: &url,
            content_digest: ContentDigest::parse(&digest),
            subject: Some(&subject),
            ..PUBLIC
        };
        let Ok(signed) = key().sign(&components, NOW, &nonce) else { return Ok(()) };
        prop_assert!(signed.input.bytes().all(|b| matches!(b, b' '..=b'~')));
        let mac = signed.signature.strip_prefix("keygate=:").and_then(|rest| rest.strip_suffix(':'));
        prop_assert_eq!(Base64::decode_vec(mac.unwrap()).unwrap().len(), 32);
        let text = signed.input.split("nonce=\"").nth(1).and_then(|rest| rest.split('"').next());
        prop_assert_eq!(Base64UrlUnpadded::decode_vec(text.unwrap()).unwrap(), nonce);
        prop_assert_eq!(signed.input.contains("content-digest"), components.content_digest.is_some());
    }

    #[test]
    fn parsing_never_panics(text in any::<String>(), id in "[a-z:]{0,3}", base64 in "[A-Za-z0-9+/=]{0,100}") {
        let _ = text.parse::<SigningKey>();
        let _ = format!("{id}:{base64} {text}").parse::<SigningKey>();
    }
}
