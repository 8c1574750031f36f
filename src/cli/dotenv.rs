//! The format of `.dev.vars` and `.env`: `dotenv` and `dotenv-expand` of npm as wrangler bundles them, with their own regular expressions.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use regress::{Match, Regex};
use zeroize::Zeroizing;

/// The values of a file in the order of their names' first appearance.
// Absent on purpose: Debug; the values are secrets.
#[derive(Clone, Default)]
pub(crate) struct Values(Vec<(String, Zeroizing<String>)>);

impl Values {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Sets a value; a name that is known keeps its position.
    pub(crate) fn set(&mut self, name: &str, value: Zeroizing<String>) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    pub(crate) fn into_map(self) -> BTreeMap<String, Zeroizing<String>> {
        self.0.into_iter().collect()
    }
}

/// One assignment in a text: where it stands without the comment behind it, its name and its value.
pub(crate) struct Assignment<'t> {
    pub(crate) range: Range<usize>,
    pub(crate) name: &'t str,
    pub(crate) value: Zeroizing<String>,
}

/// `LINE` of `dotenv`.
static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let source = r#"(?:^|^)\s*(?:export\s+)?([\w.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?(?:$|$)"#;
    Regex::with_flags(source, "m").ok()
});
/// What `dotenv` takes off a value.
static QUOTES: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::with_flags(r#"^(['"`])([\s\S]*)\1$"#, "m").ok());
/// What `dotenv-expand` replaces.
static REFERENCE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?<!\\)\$\{([^{}]+)\}|(?<!\\)\$([A-Za-z_][A-Za-z0-9_]*)").ok());

/// More than any value has.
const REFERENCES_MAX: usize = 1000;

/// The text as `dotenv` reads it: every line ends with `\n`.
pub(crate) fn normalized(text: &str) -> Zeroizing<String> {
    let unix = Zeroizing::new(text.replace("\r\n", "\n"));
    Zeroizing::new(unix.replace('\r', "\n"))
}

/// The assignments of a [`normalized`] text, in order; of two with one name the last applies.
pub(crate) fn assignments(text: &str) -> Vec<Assignment<'_>> {
    let matches = LINE.iter().flat_map(|line| line.find_iter(text));
    matches
        .filter_map(|found| {
            let name = text.get(found.group(1)?)?;
            let separator = found.group(1)?.end;
            let end = found.group(2).map_or_else(
                || text.get(separator..)?.find(['=', ':']).map(|at| separator + at + 1),
                |value| Some(value.end),
            )?;
            let value = found.group(2).and_then(|range| text.get(range)).unwrap_or_default();
            let start = end - text.get(found.start()..end)?.trim_start().len();
            Some(Assignment { range: start..end, name, value: unquoted(trimmed(value)) })
        })
        .collect()
}

/// Reads a file.
pub(crate) fn parse(text: &str) -> Values {
    let text = normalized(text);
    let mut values = Values::default();
    for assignment in assignments(&text) {
        values.set(assignment.name, assignment.value);
    }
    values
}

/// JavaScript's `trim`.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c == '\u{feff}' || c.is_whitespace() && c != '\u{85}')
}

fn unquoted(text: &str) -> Zeroizing<String> {
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let mut end = 0;
    for found in QUOTES.iter().flat_map(|quotes| quotes.find_iter(text)) {
        let inner = found.group(2).and_then(|range| text.get(range)).unwrap_or_default();
        value.push_str(text.get(end..found.start()).unwrap_or_default());
        value.push_str(inner);
        end = found.end();
    }
    value.push_str(text.get(end..).unwrap_or_default());
    if text.starts_with('"') {
        let lines = Zeroizing::new(value.replace("\\n", "\n"));
        value = Zeroizing::new(lines.replace("\\r", "\r"));
    }
    value
}

/// The values with the references in them replaced, and what `environment` has besides.
pub(crate) fn expanded(
    parsed: &Values,
    environment: &BTreeMap<String, Zeroizing<String>>,
) -> BTreeMap<String, Zeroizing<String>> {
    let mut running = Values::default();
    for (name, value) in &parsed.0 {
        let given = environment.get(name).filter(|given| !given.is_empty());
        let value = match given {
            Some(given) => given.clone(),
            None => expand(value, environment, &running),
        };
        running.set(name, Zeroizing::new(value.replace("\\$", "$")));
    }
    let mut all = environment.clone();
    all.extend(running.into_map());
    all
}

/// `expandValue` of `dotenv-expand`, with what it does to `null` and to `$` in values.
fn expand(
    value: &str,
    environment: &BTreeMap<String, Zeroizing<String>>,
    running: &Values,
) -> Zeroizing<String> {
    let known = |name: &str| {
        let value = environment.get(name).map(|value| value.as_str());
        value.or_else(|| running.get(name)).filter(|value| !value.is_empty())
    };
    let mut result = Zeroizing::new(value.to_owned());
    let mut seen: Vec<Zeroizing<String>> = Vec::new();
    let has = |seen: &[Zeroizing<String>], value: &str| seen.iter().any(|known| known.as_str() == value);
    while let Some(found) = REFERENCE.as_ref().and_then(|reference| reference.find(&result)) {
        // Where wrangler would not come to an end.
        if has(&seen, &result) || seen.len() > REFERENCES_MAX {
            break;
        }
        seen.push(result.clone());
        let Some(reference) = text_of(&result, &found).map(str::to_owned) else { break };
        let operator = [":+", ":-", "+", "-"]
            .into_iter()
            .filter_map(|operator| Some((reference.find(operator)?, operator)));
        // The first in the text; of two that begin there the longer one.
        let operator = operator.min_by_key(|(at, operator)| (*at, usize::MAX - operator.len()));
        let splitter = operator.map_or("null", |(_, operator)| operator);
        let (name, default) = reference.split_once(splitter).unwrap_or((&reference, ""));
        let replacement = match (known(name), splitter) {
            (Some(_), ":+" | "+") => default,
            (None, ":+" | "+") => "",
            (Some(value), _) if !has(&seen, value) => value,
            (_, _) => default,
        };
        let template = result.get(found.range()).unwrap_or_default().to_owned();
        result = replaced(&result, &template, replacement);
        if running.get(name) == Some(result.as_str()) {
            break;
        }
    }
    result
}

fn text_of<'t>(text: &'t str, found: &Match) -> Option<&'t str> {
    text.get(found.group(1).or_else(|| found.group(2))?)
}

/// JavaScript's `replace` of a string: `$$`, `$&`, `` $` `` and `$'` mean something in the replacement.
fn replaced(text: &str, template: &str, replacement: &str) -> Zeroizing<String> {
    let Some((before, after)) = text.split_once(template) else {
        return Zeroizing::new(text.to_owned());
    };
    let mut new = Zeroizing::new(before.to_owned());
    let mut rest = replacement;
    while let Some((plain, special)) = rest.split_once('$') {
        new.push_str(plain);
        let (meaning, length) = match special.chars().next() {
            Some('$') => ("$", 1),
            Some('&') => (template, 1),
            Some('`') => (before, 1),
            Some('\'') => (after, 1),
            _ => ("$", 0),
        };
        new.push_str(meaning);
        rest = special.get(length..).unwrap_or_default();
    }
    new.push_str(rest);
    new.push_str(after);
    new
}
