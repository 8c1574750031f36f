//! One KV entry, as it is written: name, value and metadata, in the form of wrangler's bulk files.

use keygate_core::key::KeyId;
use keygate_core::record::{Record, State};
use keygate_core::time::UnixSeconds;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::{Error, Outcome};

/// An element of the array that `wrangler kv bulk put` reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) value: String,
    #[serde(default)]
    pub(crate) metadata: Option<Metadata>,
}

/// What a listing shows without reading the record, and who wrote it last.
///
/// KV allows 1024 bytes. All but the scopes are under 930 at their longest (a subject of 128 bytes, a name of 128
/// characters of 4 bytes each); the scopes, which may be 64 of 64 bytes, are there when they fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Metadata {
    pub(crate) subject: String,
    pub(crate) name: String,
    #[serde(deserialize_with = "state")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub(crate) state: State,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "time")]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub(crate) created: Option<UnixSeconds>,
    #[serde(deserialize_with = "time")]
    #[cfg_attr(test, schemars(with = "Option<u64>"))]
    pub(crate) not_after: Option<UnixSeconds>,
    /// The pepper that the digest names; none for an imported key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pepper: Option<String>,
    /// `None` when they did not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scopes: Option<Vec<String>>,
    /// The key that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaced_by: Option<String>,
    /// How often the entry has been written; none in what other programs wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rev: Option<u64>,
    /// Who wrote it last, if they said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) by: Option<String>,
}

const METADATA_MAX_BYTES: usize = 1024;
pub(crate) const OPERATOR_MAX_BYTES: usize = 64;
/// `,"rev":18446744073709551615,"by":"…"`
const REVISION_MAX_BYTES: usize = 40 + OPERATOR_MAX_BYTES;

/// Which writing of an entry this is, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) number: u64,
    pub(crate) by: Option<String>,
}

fn state<'de, D: Deserializer<'de>>(value: D) -> Result<State, D::Error> {
    String::deserialize(value)?.parse().map_err(D::Error::custom)
}

fn time<'de, D: Deserializer<'de>>(value: D) -> Result<Option<UnixSeconds>, D::Error> {
    match Option::<u64>::deserialize(value)? {
        None => Ok(None),
        Some(seconds) => UnixSeconds::new(seconds)
            .map(Some)
            .ok_or_else(|| D::Error::custom("a time is not in Unix seconds before the year 10000")),
    }
}

impl Metadata {
    /// What follows from the record. The rest, [`Revision`], does not.
    pub(crate) fn of(record: &Record) -> Self {
        let scopes = record.scopes.as_slice().iter().map(|scope| scope.as_str().to_owned());
        let mut metadata = Self {
            subject: record.subject.as_str().to_owned(),
            name: record.name.as_str().to_owned(),
            state: record.state,
            created: Some(record.created),
            not_after: record.not_after,
            pepper: record.digest.pepper().map(|pepper| pepper.to_string()),
            scopes: Some(scopes.collect()),
            replaced_by: record.replaced_by.map(|id| id.to_string()),
            rev: None,
            by: None,
        };
        if metadata.bytes() > METADATA_MAX_BYTES - REVISION_MAX_BYTES {
            metadata.scopes = None;
        }
        metadata
    }

    /// Whether nothing that it says contradicts the record; earlier versions said less.
    pub(crate) fn agrees_with(&self, record: &Record) -> bool {
        let record = Self::of(record);
        let agrees = |said: bool, same: bool| !said || same;
        (&self.subject, &self.name, self.state, self.not_after)
            == (&record.subject, &record.name, record.state, record.not_after)
            && agrees(self.created.is_some(), self.created == record.created)
            && agrees(self.pepper.is_some(), self.pepper == record.pepper)
            && agrees(self.scopes.is_some(), self.scopes == record.scopes)
            && agrees(self.replaced_by.is_some(), self.replaced_by == record.replaced_by)
    }

    fn bytes(&self) -> usize {
        // INVARIANT: strings and numbers always serialize.
        serde_json::to_string(self).map_or(usize::MAX, |json| json.len())
    }
}

impl Entry {
    /// The entry of a record.
    ///
    /// # Errors
    /// The gate would not read the record; nothing may be written that it refuses.
    pub(crate) fn of(record: &Record, revision: Option<Revision>) -> Outcome<Self> {
        let value = record
            .to_json()
            .map_err(|e| Error::usage(format!("the record would not be valid: {e}"), "give other values"))?;
        let (rev, by) = match revision {
            Some(Revision { number, by }) => (Some(number), by),
            None => (None, None),
        };
        let metadata = Metadata { rev, by, ..Metadata::of(record) };
        Ok(Self { key: record.id.kv_name(), value, metadata: Some(metadata) })
    }

    /// A bound of the entry's length in a bulk file.
    pub(crate) fn bulk_bytes(&self) -> usize {
        // A quote or a backslash takes two bytes, and records hold no control characters.
        const AROUND: usize = 64;
        self.key.len() + 2 * self.value.len() + METADATA_MAX_BYTES + AROUND
    }
}

/// The record as KV holds it.
///
/// # Errors
/// The stored text is no record; the gate answers 503 for this key.
pub(crate) fn read(id: KeyId, value: &str) -> Outcome<Record> {
    Record::parse_entry(id, value).map_err(|e| {
        Error::failed(
            format!("the entry {} is not a valid record: {e}", id.kv_name()),
            "the gate answers 503 for this key until the entry is corrected; see docs/record.schema.json",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{Entry, METADATA_MAX_BYTES, Metadata, Revision};
    use crate::store::fake::record;
    use keygate_core::key::digest::Digest;
    use keygate_core::record::token::{Scope, Subject};
    use keygate_core::record::{Bounded, Record, State};
    use keygate_core::time::UnixSeconds;

    fn longest(name: &str) -> Record {
        record(|r| {
            r.subject = "s".repeat(128).parse::<Subject>().unwrap();
            r.name = name.parse().unwrap();
            (r.state, r.created, r.not_after) = (State::Disabled, UnixSeconds::MAX, Some(UnixSeconds::MAX));
            r.replaced_by = Some("000000000000".parse().unwrap());
        })
    }

    #[test]
    fn the_longest_metadata_fits_into_kv() {
        for name in ["😀".repeat(128), "\"".repeat(128), "\\".repeat(128)] {
            let last = Revision { number: u64::MAX, by: Some("o".repeat(64)) };
            let entry = Entry::of(&longest(&name), Some(last)).unwrap();
            let metadata = entry.metadata.unwrap();
            assert!(metadata.bytes() <= METADATA_MAX_BYTES, "{}", metadata.bytes());
        }
    }

    #[test]
    fn scopes_that_do_not_fit_are_left_out_whole() {
        let scopes = |count: usize| {
            let mut record = longest("");
            let all = (0..count).map(|n| format!("{n:064}").parse::<Scope>().unwrap()).collect::<Vec<_>>();
            record.scopes = Bounded::try_from(all).unwrap();
            Metadata::of(&record).scopes.map(|scopes| scopes.len())
        };
        assert_eq!([scopes(0), scopes(5), scopes(64)], [Some(0), Some(5), None]);
    }

    #[test]
    fn metadata_of_an_earlier_version_is_read() {
        let old = r#"{"subject":"acme","name":"","state":"active","not_after":null}"#;
        let metadata: Metadata = serde_json::from_str(old).unwrap();
        assert_eq!((metadata.scopes, metadata.rev), (None, None));
    }

    #[test]
    fn a_record_that_the_gate_would_refuse_is_not_written() {
        // The id of an imported key follows from its digest; this one does not.
        assert!(Entry::of(&record(|r| r.digest = Digest::ImportedBare([0; 32])), None).is_err());
    }
}
