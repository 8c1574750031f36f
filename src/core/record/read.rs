//! Reading records from JSON.

use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{Bounded, Meta, Name, State, Version};
use super::{RECORD_MAX_BYTES, Record, RecordError, STATIC_KEYS_MAX_BYTES, UnixSeconds};
use crate::address::Network;
use crate::key::KeyId;
use crate::key::digest::Digest;
use crate::quota::Quota;
use crate::record::token::{Plan, Scope, Subject};
use crate::text::json_error::begins_with;

const NOT_SET: &str = "is not set";

/// The fields of a record in JSON: any may be absent or null; others are rejected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    v: Option<Version>,
    id: Option<KeyId>,
    subject: Option<Subject>,
    name: Option<Name>,
    digest: Option<Digest>,
    state: Option<State>,
    created: Option<UnixSeconds>,
    not_before: Option<UnixSeconds>,
    not_after: Option<UnixSeconds>,
    scopes: Option<Bounded<Scope>>,
    ips: Option<Bounded<Network>>,
    plan: Option<Plan>,
    quota: Option<Quota>,
    replaces: Option<KeyId>,
    replaced_by: Option<KeyId>,
    meta: Option<Meta>,
}

/// A record of any version.
#[derive(Deserialize)]
struct AnyVersion {
    v: Option<Version>,
}

impl Record {
    /// Reads the record of the KV entry `key/<id>`.
    ///
    /// # Errors
    /// It is too long, not JSON, has an unknown field, a wrong type or value, another version,
    /// or is the record of another key. Nothing is ignored: an unknown restriction makes the record invalid.
    pub fn parse_entry(id: KeyId, json: &str) -> Result<Self, RecordError> {
        let record = Self::parse(json)?;
        if record.id == id {
            Ok(record)
        } else {
            Err(RecordError::new("id", format_args!("`{}` is not the id of the entry, `{id}`", record.id)))
        }
    }

    /// Reads a record, whatever its id.
    ///
    /// # Errors
    /// As [`Record::parse_entry`].
    pub fn parse(json: &str) -> Result<Self, RecordError> {
        check_len(json, RECORD_MAX_BYTES)?;
        read_record(json)
    }

    /// Reads `STATIC_KEYS`: a JSON array of records with distinct ids.
    ///
    /// # Errors
    /// As [`Record::parse`], with the index before the field; or two records have the same id.
    pub fn parse_list(json: &str) -> Result<Vec<Self>, RecordError> {
        check_len(json, STATIC_KEYS_MAX_BYTES)?;
        // Another value may be a key, which `serde_json` would repeat.
        if !begins_with(json, '[') {
            return Err(RecordError::of_whole("does not begin with `[`"));
        }
        let elements: Vec<&RawValue> = serde_json::from_str(json)?;
        let mut records: Vec<Self> = Vec::with_capacity(elements.len());
        for (at, element) in elements.into_iter().enumerate() {
            let record = read_record(element.get()).map_err(|error| error.in_element(at))?;
            if let Some(first) = records.iter().position(|other| other.id == record.id) {
                let problem = format_args!("`{}` is also the id of [{first}]", record.id);
                return Err(RecordError::new("id", problem).in_element(at));
            }
            records.push(record);
        }
        Ok(records)
    }
}

fn check_len(json: &str, max: usize) -> Result<(), RecordError> {
    if json.len() <= max {
        return Ok(());
    }
    Err(RecordError::of_whole(format_args!("is {} bytes long; at most {max} are read", json.len())))
}

fn read_record(json: &str) -> Result<Record, RecordError> {
    // `serde` would read a struct from an array too, and repeat a string.
    if !begins_with(json, '{') {
        return Err(RecordError::of_whole("is not a JSON object"));
    }
    // First, because another version has other fields.
    if read::<AnyVersion>(json)?.v.is_none() {
        return Err(RecordError::new("v", NOT_SET));
    }
    read::<Fields>(json)?.into_record()
}

fn read<'j, T: Deserialize<'j>>(json: &'j str) -> Result<T, RecordError> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = serde_path_to_error::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

impl Fields {
    fn into_record(self) -> Result<Record, RecordError> {
        let id = required("id", self.id)?;
        let digest = required("digest", self.digest)?;
        if let Digest::ImportedBare(hash) = &digest
            && KeyId::of_imported(hash) != id
        {
            let problem = format_args!("`{id}` is not the id that is derived from the digest");
            return Err(RecordError::new("id", problem));
        }
        if self.not_before.zip(self.not_after).is_some_and(|(from, to)| from >= to) {
            let problem = "is not after `not_before`; the key would never be valid";
            return Err(RecordError::new("not_after", problem));
        }
        Ok(Record {
            v: required("v", self.v)?,
            id,
            subject: required("subject", self.subject)?,
            name: self.name.unwrap_or_default(),
            digest,
            state: required("state", self.state)?,
            created: required("created", self.created)?,
            not_before: self.not_before,
            not_after: self.not_after,
            scopes: self.scopes.unwrap_or_default(),
            ips: self.ips,
            plan: self.plan,
            quota: self.quota,
            replaces: self.replaces,
            replaced_by: self.replaced_by,
            meta: self.meta.unwrap_or_default(),
        })
    }
}

fn required<T>(name: &str, value: Option<T>) -> Result<T, RecordError> {
    value.ok_or_else(|| RecordError::new(name, NOT_SET))
}
