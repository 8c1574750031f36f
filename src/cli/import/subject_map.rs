//! Other subjects for the names of a source: `--subject-map`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use csv::{Position, ReaderBuilder, Trim};
use keygate_core::record::token::Subject;

use crate::error::{Error, Outcome};
use crate::import::json::Fields;

/// Which name of a source becomes which subject.
#[derive(Debug, Default)]
pub(crate) struct SubjectMap(HashMap<String, String>);

impl SubjectMap {
    /// Reads a JSON object of names and subjects, or CSV without a heading: a name and a subject a line.
    ///
    /// # Errors
    /// The file cannot be read, is of another form, has a name twice, or a subject that is none.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let wrong = |problem: String| {
            Error::failed(
                format!("--subject-map {}: {problem}", path.display()),
                "write lines of a name, a comma and its subject, or a JSON object of names and subjects",
            )
        };
        let text = fs::read_to_string(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
        let text = text.trim_start_matches('\u{feff}');
        let is_json = text.trim_ascii_start().starts_with('{');
        let pairs = if is_json { of_json(text) } else { of_csv(text) }.map_err(wrong)?;
        let mut map = HashMap::new();
        for (nth, (name, subject)) in (1..).zip(pairs) {
            // Neither is repeated: it may be a file of keys.
            if subject.parse::<Subject>().is_err() {
                return Err(wrong(format!("the subject of name {nth} is not {}", Subject::ALLOWED)));
            }
            if map.insert(name, subject).is_some() {
                return Err(wrong(format!("name {nth} is there twice")));
            }
        }
        Ok(Self(map))
    }

    /// The subject for a name: itself, if the map has no other.
    pub(super) fn of<'n>(&'n self, name: &'n str) -> &'n str {
        self.0.get(name).map_or(name, String::as_str)
    }
}

fn of_json(text: &str) -> Result<Vec<(String, String)>, String> {
    let fields = Fields::parse(text)?;
    let pairs = fields.iter().map(|(name, value)| Some((name.to_owned(), value.as_str()?.to_owned())));
    pairs.collect::<Option<_>>().ok_or_else(|| "has a subject that is not a string".to_owned())
}

fn of_csv(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut reader =
        ReaderBuilder::new().has_headers(false).flexible(true).trim(Trim::All).from_reader(text.as_bytes());
    let mut pairs = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|_| "is not CSV in UTF-8")?;
        let line = row.position().map_or(0, Position::line);
        match row.iter().collect::<Vec<_>>().as_slice() {
            [name, subject] => pairs.push(((*name).to_owned(), (*subject).to_owned())),
            _ => return Err(format!("line {line} has not two columns")),
        }
    }
    Ok(pairs)
}
