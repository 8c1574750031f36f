//! The secret bindings.

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::key::KeyId;
use crate::key::pepper::{Pepper, Peppers};
use crate::record::Record;
use crate::signature::SigningKey;

/// The longest value of `ORIGIN_AUTHORIZATION`; the platform limits secrets to 5 KB.
const AUTHORIZATION_MAX: usize = 5 * 1024;

/// The values of the secret bindings; `None` where a binding is not set.
// Absent on purpose: Debug.
#[derive(Clone, Copy, Default)]
pub struct SecretValues<'a> {
    /// `PEPPER`, required.
    pub pepper: Option<&'a str>,
    /// `PEPPER_PREVIOUS`; empty counts as not set.
    pub pepper_previous: Option<&'a str>,
    /// `STATIC_KEYS`; empty counts as not set.
    pub static_keys: Option<&'a str>,
    /// `DENIED_IDS`; empty counts as not set.
    pub denied_ids: Option<&'a str>,
    /// `ORIGIN_AUTHORIZATION`; empty is rejected, because it would remove the header without a replacement.
    pub origin_authorization: Option<&'a str>,
    /// `ORIGIN_SIGNING_KEY`; empty is rejected, because the origin would then refuse every request.
    pub origin_signing_key: Option<&'a str>,
}

/// The parsed and checked secrets.
#[derive(Debug)]
pub struct Secrets {
    peppers: Peppers,
    static_keys: Vec<Rc<Record>>, // a secret of 5 KB has room for a dozen
    denied_ids: Vec<KeyId>,       // a secret of 5 KB has room for 400; a scan costs less than a hash
    origin_authorization: Option<HeaderSecret>,
    origin_signing_key: Option<SigningKey>,
}

/// Why a secret binding is invalid. The error does not contain the value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("secret {binding} {problem}")]
pub struct SecretError {
    binding: &'static str,
    problem: String,
}

impl SecretError {
    /// The name of the binding.
    #[must_use]
    pub fn binding(&self) -> &'static str {
        self.binding
    }

    /// What is wrong with its value, which is not repeated.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    fn new(binding: &'static str, problem: impl fmt::Display) -> Self {
        Self { binding, problem: problem.to_string() }
    }
}

impl Secrets {
    /// Parses all of them.
    ///
    /// # Errors
    /// Every binding that is required and missing, or invalid.
    pub fn parse(values: &SecretValues<'_>) -> Result<Self, Vec<SecretError>> {
        let mut errors = Vec::new();
        let current = match values.pepper.filter(|text| !text.trim_ascii().is_empty()) {
            None => {
                let problem = "is missing or empty; set it with `wrangler secret put PEPPER`, or on this machine with `keygate pepper init`";
                errors.push(SecretError::new("PEPPER", problem));
                None
            }
            Some(text) => collect_error(text.parse::<Pepper>(), "PEPPER", &mut errors),
        };
        let previous = non_empty(values.pepper_previous)
            .and_then(|text| collect_error(text.parse::<Pepper>(), "PEPPER_PREVIOUS", &mut errors));
        let static_keys = non_empty(values.static_keys)
            .and_then(|text| collect_error(static_keys(text), "STATIC_KEYS", &mut errors))
            .unwrap_or_default();
        let denied_ids = non_empty(values.denied_ids)
            .and_then(|text| collect_error(denied_ids(text), "DENIED_IDS", &mut errors))
            .unwrap_or_default();
        let origin_authorization = values
            .origin_authorization
            .and_then(|text| collect_error(HeaderSecret::parse(text), "ORIGIN_AUTHORIZATION", &mut errors));
        let origin_signing_key = values
            .origin_signing_key
            .and_then(|text| collect_error(text.parse::<SigningKey>(), "ORIGIN_SIGNING_KEY", &mut errors));
        match current {
            Some(current) if errors.is_empty() => Ok(Self {
                peppers: Peppers { current, previous },
                static_keys,
                denied_ids,
                origin_authorization,
                origin_signing_key,
            }),
            _ => Err(errors),
        }
    }

    /// The peppers.
    #[must_use]
    pub fn peppers(&self) -> &Peppers {
        &self.peppers
    }

    /// The record of `id` in `STATIC_KEYS`.
    #[must_use]
    pub fn static_key(&self, id: &KeyId) -> Option<&Rc<Record>> {
        self.static_keys.iter().find(|record| record.id == *id)
    }

    /// Whether `DENIED_IDS` contains `id`.
    #[must_use]
    pub fn is_denied(&self, id: &KeyId) -> bool {
        self.denied_ids.contains(id)
    }

    /// The `Authorization` that is sent to the origin.
    #[must_use]
    pub fn origin_authorization(&self) -> Option<&HeaderSecret> {
        self.origin_authorization.as_ref()
    }

    /// The key that requests to the origin are signed with; available through `Permit::signing_key`.
    pub(crate) fn origin_signing_key(&self) -> Option<&SigningKey> {
        self.origin_signing_key.as_ref()
    }
}

fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim_ascii().is_empty())
}

fn collect_error<T, E: fmt::Display>(
    read: Result<T, E>,
    binding: &'static str,
    errors: &mut Vec<SecretError>,
) -> Option<T> {
    read.map_err(|error| errors.push(SecretError::new(binding, error))).ok()
}

fn static_keys(text: &str) -> Result<Vec<Rc<Record>>, String> {
    let records = Record::parse_list(text);
    let records = records.map_err(|error| format!("is not a JSON array of records: {error}"))?;
    Ok(records.into_iter().map(Rc::new).collect())
}

/// Ids separated by commas or white space, or a JSON array of them.
fn denied_ids(text: &str) -> Result<Vec<KeyId>, String> {
    let text = text.trim_ascii();
    if text.starts_with('[') {
        return serde_json::from_str(text).map_err(|e| format!("is not a JSON array of key ids: {e}"));
    }
    text.split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|id| !id.is_empty())
        .map(|id| id.parse::<KeyId>().map_err(|e| format!("contains something other than key ids: {e}")))
        .collect()
}

/// A header value that only the origin may see.
// Absent on purpose: Clone, Display, Serialize, PartialEq.
pub struct HeaderSecret(Zeroizing<String>);

impl fmt::Debug for HeaderSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeaderSecret(..)")
    }
}

impl HeaderSecret {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim_ascii();
        let printable = text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        if text.is_empty() {
            Err("is empty; set it to a complete header value such as `Bearer …`, or remove it")
        } else if text.len() > AUTHORIZATION_MAX || !printable {
            Err("is not a header value: at most 5120 printable ASCII characters")
        } else {
            Ok(Self(Zeroizing::new(text.into())))
        }
    }

    /// The value, for the request to the origin only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{SecretValues, Secrets};
    use std::string::{String, ToString};
    use std::vec::Vec;

    const PEPPER: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

    fn errors(values: SecretValues<'_>) -> Vec<String> {
        Secrets::parse(&values).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_invalid_binding_is_reported_without_its_value() {
        let values = SecretValues {
            pepper: Some("canary-too-short"),
            pepper_previous: Some("canary canary canary canary canary canary canary"),
            static_keys: Some("{\"canary\":1}"),
            denied_ids: Some("tooShort"),
            origin_authorization: Some(" "),
            origin_signing_key: Some("canary:canary"),
        };
        let errors = errors(values);
        let named: Vec<_> = errors.iter().map(|f| f.split(' ').nth(1).unwrap()).collect();
        let bindings = [
            "PEPPER",
            "PEPPER_PREVIOUS",
            "STATIC_KEYS",
            "DENIED_IDS",
            "ORIGIN_AUTHORIZATION",
            "ORIGIN_SIGNING_KEY",
        ];
        assert_eq!(named, bindings);
        assert!([0, 1, 5].iter().all(|at| !errors[*at].contains("canary")), "{errors:?}");
    }

    #[test]
    fn pepper_is_required_and_empty_optional_secrets_count_as_unset() {
        for pepper in [None, Some(""), Some(" \n")] {
            assert_eq!(errors(SecretValues { pepper, ..SecretValues::default() }).len(), 1);
        }
        let values = SecretValues {
            pepper: Some(PEPPER),
            pepper_previous: Some(""),
            static_keys: Some(""),
            denied_ids: Some("\n"),
            ..SecretValues::default()
        };
        assert!(errors(values).is_empty());
    }

    #[test]
    fn denied_ids_may_be_separated_text_or_a_json_array() {
        for text in [
            "AAAAAAAAAAAA,BBBBBBBBBBBB",
            " AAAAAAAAAAAA\nBBBBBBBBBBBB,",
            "[\"AAAAAAAAAAAA\",\"BBBBBBBBBBBB\"]",
        ] {
            let values =
                SecretValues { pepper: Some(PEPPER), denied_ids: Some(text), ..SecretValues::default() };
            let secrets = Secrets::parse(&values).unwrap();
            for (id, denied) in [("AAAAAAAAAAAA", true), ("BBBBBBBBBBBB", true), ("CCCCCCCCCCCC", false)] {
                assert_eq!(secrets.is_denied(&id.parse::<crate::key::KeyId>().unwrap()), denied);
            }
        }
    }

    #[test]
    fn malformed_denied_ids_are_rejected_and_no_key_is_repeated() {
        for text in [
            "tooShort",
            "[\"tooShort\"]",
            "[1]",
            "[[\"AAAAAAAAAAAA\"]]",
            "[",
            "[\"AAAAAAAAAAAA\",]",
            "{}",
            "\"AAAAAAAAAAAA\"",
        ] {
            let values =
                SecretValues { pepper: Some(PEPPER), denied_ids: Some(text), ..SecretValues::default() };
            assert_eq!(errors(values).len(), 1, "{text}");
        }
        for text in
            ["acme_live_canarycanary", "[\"acme_live_canarycanary\"]", "[[\"acme_live_canarycanary\"]]"]
        {
            let values = SecretValues {
                pepper: Some(PEPPER),
                denied_ids: Some(text),
                static_keys: Some(text),
                ..SecretValues::default()
            };
            let errors = errors(values);
            assert!(errors.len() == 2 && !errors.concat().contains("canary"), "{errors:?}");
        }
    }

    #[test]
    fn debug_output_contains_no_secret() {
        let values = SecretValues {
            pepper: Some(PEPPER),
            origin_authorization: Some("Bearer canary"),
            origin_signing_key: Some("2026-11:Y2FuYXJ5Y2FuYXJ5MDEyMzQ1Njc4OWFiY2RlZmdoaWo="),
            ..SecretValues::default()
        };
        let debug = std::format!("{:?}", Secrets::parse(&values).unwrap());
        for secret in ["canary", "abcdefgh", "Y2FuYXJ5", "99, 97, 110"] {
            assert!(!debug.contains(secret), "{debug}");
        }
    }
}
