//! The record: one KV entry per key, or one element of `STATIC_KEYS`.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;

use crate::address::Network;
use crate::digest::Digest;
use crate::json::Value;
use crate::key::KeyId;
use crate::message::escape_for_message;
use crate::token::{Plan, Scope, Subject};

/// The one version of the record that this code reads and writes.
pub const RECORD_VERSION: u64 = 1;
/// Far above any honest record (64 scopes, 64 networks and 16 notes are under 12 KiB); reading stops here.
pub const RECORD_MAX_BYTES: usize = 16 * 1024;
/// `STATIC_KEYS` is a secret of at most 5 KB on the platform; the cap only keeps a local file sane.
pub const STATIC_KEYS_MAX_BYTES: usize = 64 * 1024;
const LIST_MAX: usize = 64;
const NAME_MAX_CHARS: usize = 128;
const META_MAX: usize = 16;
const META_NAME_MAX_CHARS: usize = 64;
const META_VALUE_MAX_CHARS: usize = 256;

/// A moment in seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(into = "u64")]
pub struct UnixSeconds(u64);

impl UnixSeconds {
    /// 9999-12-31T23:59:59Z. Milliseconds read as seconds are far past it, and so refused.
    pub const MAX: Self = Self(253_402_300_799);

    /// The moment, if it is before the year 10000.
    #[must_use]
    pub fn new(seconds: u64) -> Option<Self> {
        (seconds <= Self::MAX.0).then_some(Self(seconds))
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0
    }

    /// This moment and `seconds` more, at most [`UnixSeconds::MAX`].
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds).min(Self::MAX.0))
    }
}

impl From<UnixSeconds> for u64 {
    fn from(time: UnixSeconds) -> Self {
        time.0
    }
}

/// Whether a key may be used at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// In use.
    Active,
    /// Refused for now; it can come back.
    Disabled,
    /// Refused for good.
    Revoked,
}

impl State {
    fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "active" => Ok(Self::Active),
            "disabled" => Ok(Self::Disabled),
            "revoked" => Ok(Self::Revoked),
            _ => Err("is not a state: active, disabled or revoked"),
        }
    }

    /// The state as it stands in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Revoked => "revoked",
        }
    }
}

/// What is stored of a key, in the record's own field names.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    v: Version,
    /// The key's public half; the name of the entry is `key/<id>`.
    pub id: KeyId,
    /// Who holds the key; the same across rotations.
    pub subject: Subject,
    /// For people: what the key is for.
    pub name: Name,
    /// What a presented key is compared with.
    pub digest: Digest,
    /// Whether the key may be used.
    pub state: State,
    /// When the key was issued.
    pub created: UnixSeconds,
    /// The first second at which the key is good.
    pub not_before: Option<UnixSeconds>,
    /// The first second at which the key is no longer good.
    pub not_after: Option<UnixSeconds>,
    /// What the key may do.
    pub scopes: Bounded<Scope>,
    /// Where it may be used from; none: from anywhere.
    pub ips: Option<Bounded<Network>>,
    /// Which limits hold for it.
    pub plan: Option<Plan>,
    /// The key that this one was made to replace.
    pub replaces: Option<KeyId>,
    /// The key that was made to replace this one.
    pub replaced_by: Option<KeyId>,
    /// Notes of the operator's; the gate does not look at them.
    pub meta: Meta,
}

/// Why a text is not a record: where, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFault {
    field: String,
    problem: String,
}

impl RecordFault {
    /// The path of the field that is wrong, such as `scopes[2]`; `.` is the whole.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong there.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }

    fn new(field: &str, problem: impl fmt::Display) -> Self {
        Self { field: field.into(), problem: problem.to_string() }
    }
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field == "." {
            f.write_str(&self.problem)
        } else {
            write!(f, "`{}`: {}", self.field, self.problem)
        }
    }
}

impl Record {
    /// A new, active record with nothing granted and no end; the caller fills in the rest.
    #[must_use]
    pub fn new(id: KeyId, subject: Subject, digest: Digest, created: UnixSeconds) -> Self {
        Self {
            v: Version,
            id,
            subject,
            name: Name::default(),
            digest,
            state: State::Active,
            created,
            not_before: None,
            not_after: None,
            scopes: Bounded::default(),
            ips: None,
            plan: None,
            replaces: None,
            replaced_by: None,
            meta: Meta::default(),
        }
    }

    /// Reads the record that stands at `key/<id>`.
    ///
    /// # Errors
    /// It is too long, not JSON, has an unknown field, a wrong type or value, another version,
    /// or is the record of another key. Nothing is skipped: a restriction that this code does not know refuses the key.
    pub fn parse_entry(id: KeyId, json: &str) -> Result<Self, RecordFault> {
        let record = Self::parse(json)?;
        if record.id == id {
            Ok(record)
        } else {
            Err(RecordFault::new("id", format_args!("`{}` stands in the entry of `{id}`", record.id)))
        }
    }

    /// Reads a record, whatever its id.
    ///
    /// # Errors
    /// As [`Record::parse_entry`].
    pub fn parse(json: &str) -> Result<Self, RecordFault> {
        Self::from_value(&read_json(json, RECORD_MAX_BYTES)?, String::new())
    }

    /// Reads `STATIC_KEYS`: a JSON array of records with different ids.
    ///
    /// # Errors
    /// As [`Record::parse`], the field's path beginning with the index; or one id twice.
    pub fn parse_list(json: &str) -> Result<Vec<Self>, RecordFault> {
        let Value::Array(values) = read_json(json, STATIC_KEYS_MAX_BYTES)? else {
            return Err(RecordFault::new(".", "not a list of records"));
        };
        let mut records: Vec<Self> = Vec::with_capacity(values.len());
        for (at, value) in values.iter().enumerate() {
            let record = Self::from_value(value, format!("[{at}]."))?;
            if let Some(first) = records.iter().position(|other| other.id == record.id) {
                return Err(RecordFault::new(
                    &format!("[{at}].id"),
                    format_args!("`{}` is the id of [{first}] too", record.id),
                ));
            }
            records.push(record);
        }
        Ok(records)
    }

    fn from_value(value: &Value<'_>, path: String) -> Result<Self, RecordFault> {
        let mut fields = Fields::of(value, path)?;
        // First, because another version has other fields.
        fields.version();
        fields.all_known();
        let id = fields.required("id", KeyId::parse);
        let subject = fields.required("subject", Subject::parse);
        let name = fields.optional("name", Name::parse);
        let digest = fields.required("digest", Digest::parse);
        let state = fields.required("state", State::parse);
        let created = fields.time("created", true);
        let not_before = fields.time("not_before", false);
        let not_after = fields.time("not_after", false);
        let scopes = fields.list("scopes", Scope::parse);
        let ips = fields.list("ips", Network::parse);
        let plan = fields.optional("plan", Plan::parse);
        let replaces = fields.optional("replaces", KeyId::parse);
        let replaced_by = fields.optional("replaced_by", KeyId::parse);
        let meta = fields.meta();
        if let (Some(Digest::ImportedBare(hash)), Some(id)) = (&digest, &id)
            && KeyId::of_imported(hash) != *id
        {
            fields.note("id", &format_args!("`{id}` is not the id that follows from the digest"));
        }
        if not_before.zip(not_after).is_some_and(|(from, to)| from >= to) {
            fields.note("not_after", &"is not after `not_before`; the key would never be good");
        }
        // INVARIANT: where one of these is not there, a fault says so.
        match (fields.fault, id, subject, digest, state, created) {
            (None, Some(id), Some(subject), Some(digest), Some(state), Some(created)) => Ok(Self {
                v: Version,
                id,
                subject,
                name: name.unwrap_or_default(),
                digest,
                state,
                created,
                not_before,
                not_after,
                scopes: scopes.unwrap_or_default(),
                ips,
                plan,
                replaces,
                replaced_by,
                meta: meta.unwrap_or_default(),
            }),
            (fault, ..) => Err(fault.unwrap_or_else(|| RecordFault::new(".", "is not a record"))),
        }
    }

    /// The record as it is stored.
    ///
    /// # Errors
    /// The record breaks a rule that its fields' types do not hold; it would not be read again.
    pub fn to_json(&self) -> Result<String, RecordFault> {
        let json = serde_json::to_string(self).map_err(|e| RecordFault::new(".", e))?;
        Self::parse(&json).map(|_| json)
    }
}

/// The record's fields, in the order of DESIGN.
const FIELDS: [&str; 15] = [
    "v",
    "id",
    "subject",
    "name",
    "digest",
    "state",
    "created",
    "not_before",
    "not_after",
    "scopes",
    "ips",
    "plan",
    "replaces",
    "replaced_by",
    "meta",
];

fn read_json(json: &str, max: usize) -> Result<Value<'_>, RecordFault> {
    if json.len() > max {
        return Err(RecordFault::new(
            ".",
            format_args!("is {} bytes long; at most {max} are read", json.len()),
        ));
    }
    Value::parse(json).map_err(|fault| RecordFault::new(".", fault))
}

/// An object's fields, and where the object stands.
///
/// A fault does not end the reading, it is noted: with an early end at each field, most of the code would be about what has to
/// be dropped there. The first one is what is told of.
struct Fields<'v> {
    all: &'v [(Cow<'v, str>, Value<'v>)],
    path: String,
    fault: Option<RecordFault>,
}

impl<'v> Fields<'v> {
    fn of(value: &'v Value<'v>, path: String) -> Result<Self, RecordFault> {
        match value {
            Value::Object(all) => Ok(Self { all, path, fault: None }),
            other => {
                let at = path.trim_end_matches('.');
                let at = if at.is_empty() { "." } else { at };
                Err(RecordFault::new(at, format_args!("is {}, not a record", other.kind())))
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn note(&mut self, name: &str, problem: &dyn fmt::Display) {
        if self.fault.is_none() {
            self.fault = Some(RecordFault::new(&[&*self.path, name].concat(), problem));
        }
    }

    fn all_known(&mut self) {
        if let Some((name, _)) = self.all.iter().find(|(name, _)| !FIELDS.contains(&&**name)) {
            self.note(
                &escape_for_message(name, 64),
                &format_args!("is not a field; there are {}", FIELDS.join(", ")),
            );
        }
    }

    /// A field that may be absent or null.
    fn value(&self, name: &str) -> Option<&'v Value<'v>> {
        let (_, value) = self.all.iter().find(|(field, _)| field == name)?;
        (*value != Value::Null).then_some(value)
    }

    fn version(&mut self) {
        match self.value("v") {
            None => self.note("v", &NOT_SET),
            Some(value) if value.as_u64() == Some(RECORD_VERSION) => {}
            Some(_) => {
                self.note("v", &format_args!("is not {RECORD_VERSION}, the version that this gate knows"));
            }
        }
    }

    fn text(&mut self, name: &str, value: &'v Value<'v>) -> Option<&'v str> {
        let text = value.as_str();
        if text.is_none() {
            self.note(name, &format_args!("is {}, not a text", value.kind()));
        }
        text
    }

    fn optional<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(name, self.value(name)?)?;
        parse(text).map_err(|fault| self.note(name, &fault)).ok()
    }

    fn required<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let read = self.optional(name, parse);
        if read.is_none() {
            // If it is there and wrong, that was noted before.
            self.note(name, &NOT_SET);
        }
        read
    }

    fn time(&mut self, name: &str, is_required: bool) -> Option<UnixSeconds> {
        let Some(value) = self.value(name) else {
            if is_required {
                self.note(name, &NOT_SET);
            }
            return None;
        };
        let time = value.as_u64().and_then(UnixSeconds::new);
        match value {
            _ if time.is_some() => {}
            Value::Number(digits) => {
                let shown = escape_for_message(digits, 32);
                self.note(
                    name,
                    &format_args!(
                        "`{shown}` is not a time: whole Unix seconds before the year 10000 (not milliseconds)"
                    ),
                );
            }
            other => self.note(name, &format_args!("is {}, not a time in Unix seconds", other.kind())),
        }
        time
    }

    fn elements(&mut self, name: &str) -> Option<&'v [Value<'v>]> {
        match self.value(name)? {
            Value::Array(elements) if elements.len() <= LIST_MAX => return Some(elements),
            Value::Array(elements) => self
                .note(name, &format_args!("has {} elements; at most {LIST_MAX} are allowed", elements.len())),
            other => self.note(name, &format_args!("is {}, not a list", other.kind())),
        }
        None
    }

    fn list<T, E: fmt::Display>(
        &mut self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Bounded<T>> {
        let elements = self.elements(name)?;
        let mut list = Vec::with_capacity(elements.len());
        for (at, element) in elements.iter().enumerate() {
            match element.as_str().map(&parse) {
                Some(Ok(read)) => list.push(read),
                Some(Err(fault)) => self.note_element(name, at, &fault),
                None => self.note_element(name, at, &format_args!("is {}, not a text", element.kind())),
            }
        }
        Some(Bounded(list))
    }

    #[cold]
    #[inline(never)]
    fn note_element(&mut self, name: &str, at: usize, problem: &dyn fmt::Display) {
        self.note(&format!("{name}[{at}]"), problem);
    }

    fn meta(&mut self) -> Option<Meta> {
        match self.value("meta")? {
            Value::Object(fields) => meta(fields).map_err(|problem| self.note("meta", &problem)).ok(),
            other => {
                self.note("meta", &format_args!("is {}, not a table of texts", other.kind()));
                None
            }
        }
    }
}

const NOT_SET: &str = "is not set";

fn meta(fields: &[(Cow<'_, str>, Value<'_>)]) -> Result<Meta, String> {
    let mut notes: Vec<(String, String)> = Vec::with_capacity(fields.len().min(META_MAX));
    for (name, value) in fields {
        let text = value.as_str().ok_or("holds something else than texts")?;
        // JSON's reader lets no name stand twice.
        let at = notes.partition_point(|(other, _)| **other < **name);
        notes.insert(at, ((&**name).into(), text.into()));
    }
    Meta::of_sorted(notes)
}

/// The number 1, and nothing else.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(into = "u64")]
struct Version;

impl From<Version> for u64 {
    fn from(_: Version) -> Self {
        RECORD_VERSION
    }
}

/// What a key is called: up to 128 characters, none of them a control character.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Name(String);

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// More than 128 characters, or a control character.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if is_plain(text, NAME_MAX_CHARS) {
            Ok(Self(text.into()))
        } else {
            Err("is not a name: at most 128 characters, no control characters")
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

fn is_plain(text: &str, max_chars: usize) -> bool {
    text.chars().count() <= max_chars && !text.chars().any(char::is_control)
}

/// A list of at most 64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "Vec<T>", bound(serialize = "T: Clone + Serialize"))]
pub struct Bounded<T>(Vec<T>);

impl<T> Default for Bounded<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Bounded<T> {
    /// The elements, in the order in which they were written.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

impl<T> TryFrom<Vec<T>> for Bounded<T> {
    type Error = String;
    fn try_from(list: Vec<T>) -> Result<Self, String> {
        if list.len() <= LIST_MAX {
            Ok(Self(list))
        } else {
            Err(format!("{} elements; at most {LIST_MAX} are allowed", list.len()))
        }
    }
}

impl<T> From<Bounded<T>> for Vec<T> {
    fn from(list: Bounded<T>) -> Self {
        list.0
    }
}

/// Notes: at most 16 names of up to 64 characters, with values of up to 256.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "BTreeMap<String, String>")]
// Not a map: the gate only checks it, and a map's code is 3 KB of its wasm.
pub struct Meta(Vec<(String, String)>); // INVARIANT: sorted by names, none twice

impl Meta {
    /// Names and values.
    #[must_use]
    pub fn as_map(&self) -> BTreeMap<String, String> {
        self.0.iter().cloned().collect()
    }

    fn of_sorted(notes: Vec<(String, String)>) -> Result<Self, String> {
        let fits = notes.len() <= META_MAX
            && notes.iter().all(|(name, value)| {
                is_plain(name, META_NAME_MAX_CHARS) && is_plain(value, META_VALUE_MAX_CHARS)
            });
        if fits {
            Ok(Self(notes))
        } else {
            Err(format!(
                "at most {META_MAX} notes, names of at most {META_NAME_MAX_CHARS} and values of at most {META_VALUE_MAX_CHARS} characters, no control characters"
            ))
        }
    }
}

impl TryFrom<BTreeMap<String, String>> for Meta {
    type Error = String;
    fn try_from(map: BTreeMap<String, String>) -> Result<Self, String> {
        Self::of_sorted(map.into_iter().collect())
    }
}

impl From<Meta> for BTreeMap<String, String> {
    fn from(meta: Meta) -> Self {
        meta.0.into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
