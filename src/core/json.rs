//! A reader of JSON (RFC 8259) for what operators write: policy, records, `STATIC_KEYS`.
//!
//! Not `serde_json`: that reads floating-point numbers, which no field here has, and with them it makes the gate's wasm a
//! third larger; and it lets a later field of the same name silently win, which could lift a restriction.
//! The tests hold this reader to `serde_json` in everything else.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::message::escape_for_message;

/// Deeper than anything that is read here; it keeps hostile nesting off the stack.
const DEPTH_MAX: usize = 16;

/// A value, borrowing from its text where nothing was escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'j> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it was written.
    Number(&'j str),
    /// A string.
    String(Cow<'j, str>),
    /// An array.
    Array(Vec<Value<'j>>),
    /// An object, in the order in which it was written; no name stands in it twice.
    Object(Vec<(Cow<'j, str>, Value<'j>)>),
}

/// Why a text is not JSON, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonFault {
    problem: Problem,
    line: usize,
    column: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    End,
    Unexpected(char),
    Number,
    Escape,
    Control,
    Deep,
    Twice(String),
    Trailing,
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Problem::End => f.write_str("the text ends too early"),
            Problem::Unexpected(c) => {
                write!(f, "unexpected `{}`", escape_for_message(c.encode_utf8(&mut [0; 4]), 1))
            }
            Problem::Number => f.write_str("not a number as JSON writes it"),
            Problem::Escape => f.write_str("an escape in a string is not well-formed"),
            Problem::Control => f.write_str("a control character in a string is not escaped"),
            Problem::Deep => write!(f, "nested more than {DEPTH_MAX} deep"),
            Problem::Twice(name) => write!(f, "the field `{name}` stands twice"),
            Problem::Trailing => f.write_str("something follows the value"),
        }?;
        write!(f, " at line {} column {}", self.line, self.column)
    }
}

impl<'j> Value<'j> {
    /// Reads one value and nothing after it.
    ///
    /// # Errors
    /// The text is not JSON, has one field name twice in an object, or is nested too deep.
    pub fn parse(text: &'j str) -> Result<Self, JsonFault> {
        let mut reader = Reader { text, rest: text };
        let value = reader.value(0).and_then(|value| {
            reader.skip_space();
            if reader.rest.is_empty() { Ok(value) } else { Err(Problem::Trailing) }
        });
        value.map_err(|problem| reader.fault(problem))
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number that is not negative, if it is one that fits.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// What kind of value it is, for error messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::String(_) => "a text",
            Self::Array(_) => "a list",
            Self::Object(_) => "a table",
        }
    }
}

struct Reader<'j> {
    text: &'j str,
    rest: &'j str,
}

impl<'j> Reader<'j> {
    fn fault(&self, problem: Problem) -> JsonFault {
        let read = self.text.len() - self.rest.len();
        let before = self.text.get(..read).unwrap_or_default();
        #[expect(clippy::double_ended_iterator_last, reason = "a search from the end is 1 KB more of wasm")]
        let last_line = before.split('\n').last().unwrap_or_default();
        JsonFault {
            problem,
            line: before.bytes().filter(|b| *b == b'\n').count() + 1,
            column: last_line.chars().count() + 1,
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Takes `token` if it comes next.
    fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, token: &str) -> Result<(), Problem> {
        self.skip_space();
        if self.take(token) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn unexpected(&self) -> Problem {
        self.rest.chars().next().map_or(Problem::End, Problem::Unexpected)
    }

    fn value(&mut self, depth: usize) -> Result<Value<'j>, Problem> {
        if depth > DEPTH_MAX {
            return Err(Problem::Deep);
        }
        self.skip_space();
        match self.rest.bytes().next() {
            Some(b'n') if self.take("null") => Ok(Value::Null),
            Some(b't') if self.take("true") => Ok(Value::Bool(true)),
            Some(b'f') if self.take("false") => Ok(Value::Bool(false)),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            _ => Err(self.unexpected()),
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value<'j>, Problem> {
        let mut list = Vec::new();
        self.expect("[")?;
        self.skip_space();
        if self.take("]") {
            return Ok(Value::Array(list));
        }
        loop {
            list.push(self.value(depth + 1)?);
            self.skip_space();
            if self.take("]") {
                return Ok(Value::Array(list));
            }
            self.expect(",")?;
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value<'j>, Problem> {
        let mut fields: Vec<(Cow<'j, str>, Value<'j>)> = Vec::new();
        self.expect("{")?;
        self.skip_space();
        if self.take("}") {
            return Ok(Value::Object(fields));
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            if fields.iter().any(|(other, _)| *other == name) {
                return Err(Problem::Twice(escape_for_message(&name, 64)));
            }
            self.expect(":")?;
            fields.push((name, self.value(depth + 1)?));
            self.skip_space();
            if self.take("}") {
                return Ok(Value::Object(fields));
            }
            self.expect(",")?;
        }
    }

    /// `-? (0 | [1-9] [0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    fn number(&mut self) -> Result<&'j str, Problem> {
        let start = self.rest;
        let _ = self.take("-");
        if !self.take("0") && self.digits() == 0 {
            return Err(Problem::Number);
        }
        if self.take(".") && self.digits() == 0 {
            return Err(Problem::Number);
        }
        if self.take("e") || self.take("E") {
            let _ = self.take("+") || self.take("-");
            if self.digits() == 0 {
                return Err(Problem::Number);
            }
        }
        Ok(start.get(..start.len() - self.rest.len()).unwrap_or_default())
    }

    fn digits(&mut self) -> usize {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        before - self.rest.len()
    }

    fn string(&mut self) -> Result<Cow<'j, str>, Problem> {
        if !self.take("\"") {
            return Err(self.unexpected());
        }
        let mut unescaped: Option<String> = None;
        loop {
            let plain = self.rest.find(|c: char| c == '"' || c == '\\' || c < ' ');
            let Some((text, rest)) = plain.and_then(|at| self.rest.split_at_checked(at)) else {
                self.rest = "";
                return Err(Problem::End);
            };
            self.rest = rest;
            if self.take("\"") {
                return Ok(match unescaped {
                    None => Cow::Borrowed(text),
                    Some(mut whole) => {
                        whole.push_str(text);
                        Cow::Owned(whole)
                    }
                });
            }
            if !self.take("\\") {
                return Err(Problem::Control);
            }
            let whole = unescaped.get_or_insert_default();
            whole.push_str(text);
            whole.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, Problem> {
        let mut rest = self.rest.chars();
        let kind = rest.next().ok_or(Problem::End)?;
        self.rest = rest.as_str();
        Ok(match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let high = self.code_unit()?;
                // A pair of surrogates is one character; a lone one is none.
                let code = match high {
                    0xd800..=0xdbff if self.take("\\u") => match self.code_unit()? {
                        low @ 0xdc00..=0xdfff => 0x1_0000 + ((high & 0x3ff) << 10 | low & 0x3ff),
                        _ => return Err(Problem::Escape),
                    },
                    _ => high,
                };
                char::from_u32(code).ok_or(Problem::Escape)?
            }
            _ => return Err(Problem::Escape),
        })
    }

    fn code_unit(&mut self) -> Result<u32, Problem> {
        let (digits, rest) = self.rest.split_at_checked(4).ok_or(Problem::Escape)?;
        self.rest = rest;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Problem::Escape);
        }
        u32::from_str_radix(digits, 16).map_err(|_| Problem::Escape)
    }
}

#[cfg(test)]
mod tests {
    use super::Value;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use std::string::{String, ToString};

    /// The same value as `serde_json` has it; numbers are compared as it reads them.
    fn same(ours: &Value<'_>, theirs: &serde_json::Value) -> bool {
        match (ours, theirs) {
            (Value::Null, serde_json::Value::Null) => true,
            (Value::Bool(a), serde_json::Value::Bool(b)) => a == b,
            (Value::Number(a), serde_json::Value::Number(b)) => {
                serde_json::from_str::<serde_json::Number>(a).unwrap() == *b
            }
            (Value::String(a), serde_json::Value::String(b)) => a == b,
            (Value::Array(a), serde_json::Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            (Value::Object(a), serde_json::Value::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(name, a)| b.get(&**name).is_some_and(|b| same(a, b)))
            }
            _ => false,
        }
    }

    fn agree(text: &str) -> bool {
        match (Value::parse(text), serde_json::from_str::<serde_json::Value>(text)) {
            (Ok(ours), Ok(theirs)) => same(&ours, &theirs),
            (Err(_), Err(_)) => true,
            // The two things in which this reader is stricter or laxer on purpose.
            (Err(fault), Ok(_)) => fault.to_string().contains("twice") || fault.to_string().contains("deep"),
            // serde_json has no room for the number.
            (Ok(_), Err(error)) => error.to_string().contains("number out of range"),
        }
    }

    #[test]
    fn malformed_texts_are_refused_as_serde_json_refuses_them() {
        for text in [
            "",
            " ",
            "nul",
            "nulll",
            "tru",
            "True",
            "01",
            "-",
            "-01",
            "+1",
            "1.",
            ".5",
            "1e",
            "1e+",
            "0x1",
            "1_0",
            "NaN",
            "Infinity",
            "\"",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"a\nb\"",
            "\"\t\"",
            "'a'",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,",
            "{\"a\":1,}",
            "{a:1}",
            "{1:1}",
            "{\"a\" 1}",
            "{\"a\":1 \"b\":2}",
            "[]]",
            "1 2",
            "null,",
            "\u{feff}1",
            "// a\n1",
            "\u{a0}1",
        ] {
            assert!(Value::parse(text).is_err(), "{text:?}");
            assert!(agree(text), "{text:?}");
        }
    }

    #[test]
    fn well_formed_texts_are_read_as_serde_json_reads_them() {
        for text in [
            "null",
            " true\n",
            "false",
            "0",
            "-0",
            "10",
            "1.5",
            "1e5",
            "-1.5E-3",
            "18446744073709551616",
            "\"\"",
            "\"é\u{1F600}\"",
            "\"\\u00e9\\ud83d\\ude00\\n\\/\\\\\\\"\"",
            "[]",
            "[ ]",
            "[1,[2,[3]]]",
            "{}",
            "{ \"a\" : { \"b\" : [ 1 , null ] } }",
            "\"\u{7f}\u{2028}\"",
        ] {
            assert!(Value::parse(text).is_ok(), "{text:?}");
            assert!(agree(text), "{text:?}");
        }
    }

    #[test]
    fn a_field_that_stands_twice_is_refused_however_it_is_written() {
        for text in
            ["{\"a\":1,\"a\":2}", "{\"state\":1,\"\\u0073tate\":2}", "[{\"x\":{\"a\":1,\"b\":1,\"a\":1}}]"]
        {
            assert!(Value::parse(text).unwrap_err().to_string().contains("twice"), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Value::parse(&nested(17)).is_ok());
        assert!(Value::parse(&nested(18)).is_err());
        assert!(Value::parse(&"[{\"a\":".repeat(100_000)).is_err());
    }

    #[test]
    fn a_fault_says_where_it_is() {
        let fault = Value::parse("{\n  \"é\": tru\n}").unwrap_err().to_string();
        assert_eq!(fault, "unexpected `t` at line 2 column 8");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_as_serde_json_does(text in any::<String>(), jsonish in "[\\[\\]{}\",:0-9eE+.\\\\utrfalsn \n-]{0,40}") {
            prop_assert!(agree(&text));
            prop_assert!(agree(&jsonish));
        }

        #[test]
        fn any_string_comes_back(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            let value = Value::parse(&json).unwrap();
            prop_assert_eq!(value.as_str(), Some(text.as_str()));
        }
    }
}
