//! What is wrong with a policy; and reading typed values, so that all of it is found at once.

use alloc::borrow::{Cow, ToOwned};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use crate::json::Value;
use crate::message::{VALUE_MAX_CHARS, escape_for_message};

/// Faults past this number are not told apart by anybody.
const FAULTS_MAX: usize = 100;

/// What is wrong with one variable, or with a field of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFault {
    field: String,
    problem: String,
}

impl PolicyFault {
    /// Where: `ROUTES[2].methods[0]`.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What: the value, and what is allowed.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// All that is wrong with the variables; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFaults(Vec<PolicyFault>);

impl PolicyFaults {
    /// The faults, in the order of the variables.
    pub fn iter(&self) -> impl Iterator<Item = &PolicyFault> {
        self.0.iter()
    }
}

impl fmt::Display for PolicyFaults {
    /// One line for each fault.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

/// Collects faults while the rest is read on.
#[derive(Default)]
pub(super) struct Faults(Vec<PolicyFault>);

impl Faults {
    /// Notes what is wrong with a field.
    pub(super) fn add(&mut self, field: &str, problem: impl fmt::Display) {
        self.note(field, &problem);
    }

    // One body for all problems; the generic functions around it are calls.
    fn note(&mut self, field: &str, problem: &dyn fmt::Display) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(PolicyFault { field: field.to_owned(), problem: problem.to_string() });
        }
    }

    /// Notes that a value is not what is allowed: `` `value` problem ``.
    pub(super) fn add_value(&mut self, field: &str, value: &Value<'_>, problem: impl fmt::Display) {
        self.note_of(field, &shown(value), &problem);
    }

    fn note_of(&mut self, field: &str, shown: &str, problem: &dyn fmt::Display) {
        self.note(field, &format_args!("`{shown}` {problem}"));
    }

    /// The value, if nothing was wrong.
    pub(super) fn or<T>(self, value: Option<T>) -> Result<T, PolicyFaults> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(PolicyFaults(self.0)),
        }
    }

    /// Notes that a text is not what is allowed.
    pub(super) fn add_text(&mut self, field: &str, text: &str, problem: impl fmt::Display) {
        self.note_of(field, &shown_text(text), &problem);
    }

    /// Reads a text.
    pub(super) fn text<'v>(&mut self, field: &str, value: &'v Value<'v>, allowed: &str) -> Option<&'v str> {
        let text = value.as_str();
        if text.is_none() {
            self.add_value(field, value, format_args!("is not {allowed}"));
        }
        text
    }

    /// Reads `true` or `false`, also as text: the dashboard and `--var` make only texts.
    pub(super) fn boolean(&mut self, field: &str, value: &Value<'_>) -> Option<bool> {
        let read = match value {
            Value::Bool(value) => Some(*value),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        if read.is_none() {
            self.add_value(field, value, "is not true or false");
        }
        read
    }

    /// Reads a whole number, also as text.
    pub(super) fn integer(
        &mut self,
        field: &str,
        value: &Value<'_>,
        range: &RangeInclusive<u32>,
    ) -> Option<u32> {
        let read = match value {
            Value::Number(text) => Some(*text),
            Value::String(text) => Some(&**text),
            _ => None,
        };
        let read = read.and_then(decimal).filter(|number| range.contains(number));
        if read.is_none() {
            let problem = format_args!("is not a whole number from {} to {}", range.start(), range.end());
            self.add_value(field, value, problem);
        }
        read
    }

    /// Reads a share from 0 to 1, also as text.
    pub(super) fn share(&mut self, field: &str, value: &Value<'_>) -> Option<f64> {
        let read = match value {
            Value::Number(text) => millionths(text),
            Value::String(text) => millionths(text),
            _ => None,
        };
        if read.is_none() {
            self.add_value(field, value, "is not a number from 0.0 to 1.0 with at most 6 decimals");
        }
        read.map(|millionths| f64::from(millionths) / 1e6)
    }

    /// Reads a list with each element's field name.
    pub(super) fn list<'v>(
        &mut self,
        field: &str,
        value: &'v Value<'v>,
        max: usize,
        of: &str,
    ) -> Vec<(String, &'v Value<'v>)> {
        let Value::Array(list) = value else {
            self.add_value(field, value, format_args!("is not a list of {of}"));
            return Vec::new();
        };
        if list.len() > max {
            self.add(field, format_args!("has {} elements; at most {max} are allowed", list.len()));
        }
        let named = |(at, element)| (alloc::format!("{field}[{at}]"), element);
        list.iter().take(max).enumerate().map(named).collect()
    }

    /// Reads a list of texts.
    pub(super) fn texts<'v>(
        &mut self,
        field: &str,
        value: &'v Value<'v>,
        max: usize,
        of: &str,
    ) -> Vec<(String, &'v str)> {
        let mut texts = Vec::new();
        for (field, value) in self.list(field, value, max, of) {
            if let Some(text) = self.text(&field, value, "a text") {
                texts.push((field, text));
            }
        }
        texts
    }

    /// Reads a table.
    pub(super) fn table<'v>(&mut self, field: &str, value: &'v Value<'v>, of: &str) -> Option<&'v Table<'v>> {
        if let Value::Object(table) = value {
            return Some(table);
        }
        self.add_value(field, value, format_args!("is not a table of {of}"));
        None
    }

    /// Notes the fields of a table that nothing reads.
    pub(super) fn unknown_fields(&mut self, field: &str, table: &Table<'_>, known: &[&str]) {
        for (name, _) in table.iter().filter(|(name, _)| !known.contains(&&**name)) {
            let field = alloc::format!("{field}.{}", shown_text(name));
            self.add(&field, format_args!("is not a field; there are {}", known.join(", ")));
        }
    }

    /// A field that a table must have, and its place.
    pub(super) fn field<'v>(
        &mut self,
        field: &str,
        table: &'v Table<'v>,
        name: &str,
    ) -> Option<(String, &'v Value<'v>)> {
        let place = alloc::format!("{field}.{name}");
        let value = get(table, name);
        if value.is_none() {
            self.add(&place, "is not set");
        }
        value.map(|value| (place, value))
    }
}

/// The fields of a JSON object.
pub(super) type Table<'v> = [(Cow<'v, str>, Value<'v>)];

/// A field of a table.
pub(super) fn get<'v>(table: &'v Table<'v>, name: &str) -> Option<&'v Value<'v>> {
    table.iter().find_map(|(other, value)| (other == name).then_some(value))
}

/// Reads `0`, `1`, `0.25`: the only floating-point number here, read without the standard parser, which is 10 KB of wasm.
fn millionths(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let zeros = "000000".get(decimals.len()..)?;
    if whole.is_empty() || decimals.is_empty() {
        return None;
    }
    decimal(&[whole, decimals, zeros].concat()).filter(|millionths| *millionths <= 1_000_000)
}

/// A value as an error shows it.
fn shown(value: &Value<'_>) -> String {
    match value {
        Value::String(text) => shown_text(text),
        Value::Number(text) => shown_text(text),
        Value::Bool(value) => value.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => value.kind().to_owned(),
    }
}

/// A text as an error shows it: on one line, and bounded.
pub(super) fn shown_text(text: &str) -> String {
    escape_for_message(text, VALUE_MAX_CHARS)
}

/// The number that decimal digits spell, and nothing else: `parse` takes `+8` too.
fn decimal(digits: &str) -> Option<u32> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}
