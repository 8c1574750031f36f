//! One KV entry, as it is written: name, value and metadata, in the form of wrangler's bulk files.

use keygate_core::key::KeyId;
use keygate_core::record::{Record, State, UnixSeconds};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::fault::{Fault, Outcome};

/// An element of the array that `wrangler kv bulk put` reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) value: String,
    #[serde(default)]
    pub(crate) metadata: Option<Metadata>,
}

/// What a listing shows without reading the record.
///
/// The longest there can be (a subject of 128 bytes, a name of 128 characters of 4 bytes each) is under 800 bytes,
/// below the 1024 that KV allows, so nothing is ever cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Metadata {
    pub(crate) subject: String,
    pub(crate) name: String,
    #[serde(deserialize_with = "state")]
    pub(crate) state: State,
    #[serde(deserialize_with = "not_after")]
    pub(crate) not_after: Option<UnixSeconds>,
}

fn state<'de, D: Deserializer<'de>>(value: D) -> Result<State, D::Error> {
    let text = String::deserialize(value)?;
    [State::Active, State::Disabled, State::Revoked]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| D::Error::custom("`state` is not active, disabled or revoked"))
}

fn not_after<'de, D: Deserializer<'de>>(value: D) -> Result<Option<UnixSeconds>, D::Error> {
    match Option::<u64>::deserialize(value)? {
        None => Ok(None),
        Some(seconds) => UnixSeconds::new(seconds).map(Some).ok_or_else(|| {
            D::Error::custom("`not_after` is not a time in Unix seconds before the year 10000")
        }),
    }
}

impl Metadata {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            subject: record.subject.as_str().to_owned(),
            name: record.name.as_str().to_owned(),
            state: record.state,
            not_after: record.not_after,
        }
    }
}

impl Entry {
    /// The entry of a record.
    ///
    /// # Errors
    /// The gate would not read the record; nothing may be written that it refuses.
    pub(crate) fn of(record: &Record) -> Outcome<Self> {
        Ok(Self {
            key: record.id.kv_name(),
            value: record.to_json().map_err(|e| {
                Fault::usage(format!("the record would not be valid: {e}"), "give other values")
            })?,
            metadata: Some(Metadata::of(record)),
        })
    }
}

/// The record as KV holds it.
///
/// # Errors
/// The stored text is no record; the gate answers 503 for this key.
pub(crate) fn read(id: KeyId, value: &str) -> Outcome<Record> {
    Record::parse_entry(id, value).map_err(|e| {
        Fault::failed(
            format!("the entry {} is not a valid record: {e}", id.kv_name()),
            "the gate answers 503 for this key until the entry is corrected; see docs/record.schema.json",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{Entry, Metadata};
    use keygate_core::digest::Digest;
    use keygate_core::key::KeyId;
    use keygate_core::record::{Name, Record, State, UnixSeconds};
    use keygate_core::token::Subject;

    #[test]
    fn the_longest_metadata_fits_into_kv() {
        const METADATA_MAX_BYTES: usize = 1024;
        for name in ["😀".repeat(128), "\"".repeat(128), "\\".repeat(128)] {
            let mut record = Record::new(
                KeyId::parse("4fTz0Qw9Lr2K").unwrap(),
                Subject::parse(&"s".repeat(128)).unwrap(),
                Digest::Imported([0; 32]),
                UnixSeconds::MAX,
            );
            record.name = Name::parse(&name).unwrap();
            record.state = State::Disabled;
            record.not_after = Some(UnixSeconds::MAX);
            let json = serde_json::to_string(&Metadata::of(&record)).unwrap();
            assert!(json.len() <= METADATA_MAX_BYTES, "{}", json.len());
        }
    }

    #[test]
    fn a_record_that_the_gate_would_refuse_is_not_written() {
        // The id of an imported key follows from its digest; this one does not.
        let record = Record::new(
            KeyId::parse("4fTz0Qw9Lr2K").unwrap(),
            Subject::parse("demo").unwrap(),
            Digest::Imported([0; 32]),
            UnixSeconds::MAX,
        );
        assert!(Entry::of(&record).is_err());
    }
}
