//! Objects in JSON: one a line, one after the other over several lines, or the elements of an array.

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, Outcome};
use crate::import::lines::{self, EachLine};
use crate::import::place::Layout;
use crate::import::shape::{self, Text};
use crate::import::{Format, Options, Place};

/// Fields that make an object a row, whatever else it has.
const OF_ROWS: [&str; 5] = ["key", "sha256", "plaintext", "hash", "v"];

/// Gives each object to `each`: the place where it begins, and its text or why there is none.
pub(super) fn of_each(
    text: &[u8],
    format: Format,
    options: &Options,
    each: &mut EachLine<'_>,
) -> Outcome<()> {
    shape::refuse_other_text(text, Text::Json)?;
    let Ok(whole) = str::from_utf8(text) else { return lines::of_each(text, each) };
    let is_row = |object: &str| {
        Fields::parse(object)
            .is_ok_and(|fields| fields.iter().any(|(name, _)| OF_ROWS.contains(&options.renamed(name))))
    };
    if let Some(first) = first_value(whole)
        && !is_row(first.get())
        && let Some(other) = shape::of_json(first.get(), format)
    {
        return Err(other);
    }
    let start = whole.trim_ascii_start();
    if start.starts_with('[') {
        let (ended, line) = values(whole, Some(whole.len() - start.len() + 1), 1, each)?;
        let rest = whole.get(ended..).unwrap_or_default();
        let further = rest.trim_ascii_start();
        if further.is_empty() {
            return Ok(());
        }
        let line = line + line_breaks(rest.get(..rest.len() - further.len()).unwrap_or_default());
        return Err(Error::failed(
            format!("from line {line} on something follows the array"),
            "make one array of all, or write one object a line; the keys of the first array may have been taken",
        ));
    }
    let first_line = start.lines().next().unwrap_or_default();
    let is_complete = serde_json::from_str::<IgnoredAny>(first_line).map_or_else(|e| !e.is_eof(), |_| true);
    if is_complete || first_value(whole).is_none() {
        return lines::of_each(text, each);
    }
    values(whole, None, 1, each).map(|_| ())
}

/// Gives each element of the array `array`, a part of `text`, which begins on the line `line`, to `each`.
pub(super) fn of_array(text: &str, array: &str, line: u64, each: &mut EachLine<'_>) -> Outcome<()> {
    values(text, text.find(array).map(|at| at + 1), line, each).map(|_| ())
}

fn first_value(text: &str) -> Option<&RawValue> {
    serde_json::Deserializer::from_str(text).into_iter().next()?.ok()
}

fn line_breaks(text: &str) -> u64 {
    text.matches('\n').count() as u64
}

/// The values from the start of the text on, or the elements of the array whose first one may stand at `array`. Returns where they
/// end, and on which line.
fn values(text: &str, array: Option<usize>, mut line: u64, each: &mut EachLine<'_>) -> Outcome<(usize, u64)> {
    let layout = Layout::of(text.as_bytes());
    let mut at = array.unwrap_or_default();
    let (mut counted, mut column) = (0, 1);
    loop {
        let rest = text.get(at..).unwrap_or_default();
        at += rest.len() - rest.trim_ascii_start().len();
        let passed = text.get(counted..at).unwrap_or_default();
        line += line_breaks(passed);
        column = match passed.rsplit_once('\n') {
            Some((_, since)) => 1 + since.chars().count() as u64,
            None => column + passed.chars().count() as u64,
        };
        counted = at;
        let place = layout.place(line, column);
        let rest = text.get(at..).unwrap_or_default();
        let ended = if array.is_some() { rest.starts_with(']') } else { rest.is_empty() };
        if ended {
            return Ok((at + usize::from(array.is_some()), line));
        }
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
        let Some(Ok(value)) = stream.next() else { return Err(broken(place)) };
        at += stream.byte_offset();
        each(place, Ok(value.get()))?;
        if array.is_some() {
            let rest = text.get(at..).unwrap_or_default();
            let next = rest.trim_ascii_start();
            match next.strip_prefix(',') {
                Some(next) => at += rest.len() - next.len(),
                None if next.starts_with(']') => {}
                None => return Err(broken(place)),
            }
        }
    }
}

fn broken(place: Place) -> Error {
    Error::failed(
        format!("the source is not JSON from {place} on"),
        "export it again, as an array of objects or one object a line; keys before this place may have been taken",
    )
}

/// The fields of an object as they stand there: `serde_json`'s own map keeps one of two that have one name.
pub(super) struct Fields(Vec<(String, Value)>);

impl Fields {
    /// # Errors
    /// The text is not an object, or it or an object within it has a field twice.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Pairs(fields) = match serde_json::from_str(text) {
            Ok(fields) => fields,
            Err(e) if e.is_data() => return Err("is not a JSON object".to_owned()),
            // Where, not what: the text may hold a key.
            Err(e) => return Err(format!("is not JSON, from column {} on", e.column())),
        };
        if has_field_twice(text) { Err("has a field twice".to_owned()) } else { Ok(Self(fields)) }
    }

    /// Each field that says something: `null` is as good as none.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.as_str(), value))
    }
}

/// The fields of an object with values of one type.
struct Pairs<V>(Vec<(String, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(object: D) -> Result<Self, D::Error> {
        struct InOrder<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for InOrder<V> {
            type Value = Pairs<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut object: M) -> Result<Pairs<V>, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = object.next_entry()? {
                    fields.push(field);
                }
                Ok(Pairs(fields))
            }
        }
        object.deserialize_map(InOrder(PhantomData))
    }
}

/// Whether an object in the JSON has a field twice.
fn has_field_twice(json: &str) -> bool {
    let within: Vec<&RawValue> = match json.trim_ascii_start().as_bytes().first() {
        Some(b'{') => {
            let Ok(Pairs(fields)) = serde_json::from_str::<Pairs<&RawValue>>(json) else { return true };
            let names: HashSet<&String> = fields.iter().map(|(name, _)| name).collect();
            if names.len() < fields.len() {
                return true;
            }
            fields.iter().map(|(_, value)| *value).collect()
        }
        Some(b'[') => serde_json::from_str(json).unwrap_or_default(),
        _ => Vec::new(),
    };
    within.iter().any(|value| has_field_twice(value.get()))
}

/// An array of strings.
pub(super) fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|element| Some(element.as_str()?.to_owned())).collect()
}
