//! The errors of a policy, and readers of typed values that collect all errors.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use serde_json::value::RawValue;
use thiserror::Error;

use crate::text::json_error;
use crate::text::message::{VALUE_MAX_CHARS, escape_for_message};
use crate::text::unique_map::UniqueMap;

/// More errors than this are not reported.
const ERRORS_MAX: usize = 100;

/// An error in a variable or in a field of one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct PolicyError {
    field: String,
    problem: String,
}

impl PolicyError {
    /// The field: `ROUTES[2].methods[0]`.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The value, and what is allowed.
    #[must_use]
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

/// All errors of the variables; at least one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", self.lines())]
pub struct PolicyErrors(Vec<PolicyError>);

impl PolicyErrors {
    /// The errors, in the order of the variables.
    pub fn iter(&self) -> impl Iterator<Item = &PolicyError> {
        self.0.iter()
    }

    /// One line for each error.
    fn lines(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }
}

/// The unread values of an object by name.
///
/// Not a derived type, because that would stop at the first invalid field, and read null as absent.
pub(super) type Values<'v> = BTreeMap<String, &'v RawValue>;

/// Collects errors while reading goes on.
#[derive(Default)]
pub(super) struct ErrorCollector(Vec<PolicyError>);

impl ErrorCollector {
    /// Adds an error of a field.
    pub(super) fn add(&mut self, field: &str, problem: impl fmt::Display) {
        if self.0.len() < ERRORS_MAX {
            self.0.push(PolicyError { field: field.to_owned(), problem: problem.to_string() });
        }
    }

    /// Adds an error that shows the value: `` `value` problem ``.
    pub(super) fn add_value(&mut self, field: &str, value: &RawValue, problem: impl fmt::Display) {
        self.add(field, format_args!("`{}` {problem}", describe(value)));
    }

    /// Adds an error that shows a string.
    pub(super) fn add_string(&mut self, field: &str, text: &str, problem: impl fmt::Display) {
        self.add(field, format_args!("`{}` {problem}", escape_value(text)));
    }

    /// The value, if there were no errors.
    pub(super) fn or<T>(self, value: Option<T>) -> Result<T, PolicyErrors> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(PolicyErrors(self.0)),
        }
    }

    /// Reads a string.
    pub(super) fn string(&mut self, field: &str, value: &RawValue, allowed: &str) -> Option<String> {
        let text = string_in(value);
        if text.is_none() {
            self.add_value(field, value, format_args!("is not {allowed}"));
        }
        text
    }

    /// Reads `true` or `false`, also as a string: the dashboard and `--var` create only strings.
    pub(super) fn boolean(&mut self, field: &str, value: &RawValue) -> Option<bool> {
        let read = scalar(value).parse().ok();
        if read.is_none() {
            self.add_value(field, value, "is not true or false");
        }
        read
    }

    /// Reads a whole number, also as a string.
    pub(super) fn integer(
        &mut self,
        field: &str,
        value: &RawValue,
        range: &RangeInclusive<u32>,
    ) -> Option<u32> {
        let read = whole_number(&scalar(value)).filter(|number| range.contains(number));
        if read.is_none() {
            let problem = format_args!("is not a whole number from {} to {}", range.start(), range.end());
            self.add_value(field, value, problem);
        }
        read
    }

    /// Reads a share from 0 to 1, also as a string.
    pub(super) fn share(&mut self, field: &str, value: &RawValue) -> Option<f64> {
        let read = share(&scalar(value));
        if read.is_none() {
            self.add_value(field, value, "is not a number from 0.0 to 1.0 with at most 6 decimals");
        }
        read
    }

    /// Reads an array, with each element's field name.
    pub(super) fn list<'v>(
        &mut self,
        field: &str,
        value: &'v RawValue,
        max: usize,
        of: &str,
    ) -> Vec<(String, &'v RawValue)> {
        let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else {
            self.add_value(field, value, format_args!("is not an array of {of}"));
            return Vec::new();
        };
        if list.len() > max {
            self.add(field, format_args!("has {} elements; at most {max} are allowed", list.len()));
        }
        let named = |(at, element)| (alloc::format!("{field}[{at}]"), element);
        list.into_iter().take(max).enumerate().map(named).collect()
    }

    /// Reads an array of strings.
    pub(super) fn strings(
        &mut self,
        field: &str,
        value: &RawValue,
        max: usize,
        of: &str,
    ) -> Vec<(String, String)> {
        let mut strings = Vec::new();
        for (field, value) in self.list(field, value, max, of) {
            if let Some(text) = self.string(&field, value, "a string") {
                strings.push((field, text));
            }
        }
        strings
    }

    /// Reads an object; its values are not read yet.
    pub(super) fn object<'v>(&mut self, field: &str, value: &'v RawValue, of: &str) -> Option<Values<'v>> {
        if !value.get().starts_with('{') {
            self.add_value(field, value, format_args!("is not an object of {of}"));
            return None;
        }
        let read = serde_json::from_str::<UniqueMap<_>>(value.get());
        read.map_err(|error| self.add(field, json_error::problem(&error))).ok().map(|values| values.0)
    }

    /// Adds an error for each field of an object that is not known.
    pub(super) fn unknown_fields(&mut self, field: &str, values: &Values<'_>, known: &[&str]) {
        for name in values.keys().filter(|name| !known.contains(&&***name)) {
            let field = alloc::format!("{field}.{}", escape_value(name));
            self.add(&field, format_args!("is not a field; the fields are {}", known.join(", ")));
        }
    }

    /// The name and the value of a field that an object must have.
    pub(super) fn required<'v>(
        &mut self,
        field: &str,
        values: &Values<'v>,
        name: &str,
    ) -> Option<(String, &'v RawValue)> {
        let path = alloc::format!("{field}.{name}");
        let value = values.get(name).copied();
        if value.is_none() {
            self.add(&path, "is not set");
        }
        value.map(|value| (path, value))
    }
}

fn string_in(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

/// The content of a string, or any other value as written.
fn scalar(value: &RawValue) -> String {
    string_in(value).unwrap_or_else(|| value.get().to_owned())
}

/// Reads decimal digits and nothing else: `parse` accepts `+8` too.
fn whole_number(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Reads `0`, `1`, `0.25`. Stricter than `parse`: no sign, no exponent, no `inf`, and digits on both sides of the point.
fn share(text: &str) -> Option<f64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let is_plain =
        [whole, decimals].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.filter(|_| is_plain && decimals.len() <= 6)
}

/// A value in an error message.
fn describe(value: &RawValue) -> String {
    match value.get().as_bytes().first() {
        Some(b'[') => "an array".to_owned(),
        Some(b'{') => "an object".to_owned(),
        _ => escape_value(&scalar(value)),
    }
}

/// A string in an error message: on one line, and bounded.
pub(super) fn escape_value(text: &str) -> String {
    escape_for_message(text, VALUE_MAX_CHARS)
}
