//! Other subjects for the names of a source: `--subject-map`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use csv::{ReaderBuilder, Trim};
use keygate_core::record::token::Subject;

use crate::error::{Error, Outcome};

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
        let pairs = if text.trim_ascii_start().starts_with('{') {
            let object: HashMap<String, String> =
                serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
            object.into_iter().collect()
        } else {
            let mut reader =
                ReaderBuilder::new().has_headers(false).trim(Trim::All).from_reader(text.as_bytes());
            let rows: Result<Vec<(String, String)>, _> = reader.deserialize().collect();
            rows.map_err(|e| wrong(e.to_string()))?
        };
        let mut map = HashMap::new();
        for (name, subject) in pairs {
            subject.parse::<Subject>().map_err(|e| wrong(e.to_string()))?;
            if map.insert(name.clone(), subject).is_some() {
                return Err(wrong(format!("has `{}` twice", name.escape_debug())));
            }
        }
        Ok(Self(map))
    }

    /// The subject for a name: itself, if the map has no other.
    pub(super) fn of<'n>(&'n self, name: &'n str) -> &'n str {
        self.0.get(name).map_or(name, String::as_str)
    }
}
