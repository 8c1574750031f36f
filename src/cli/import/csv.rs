//! CSV with a heading: each column is a field. Lists are separated by blanks.

use std::io::BufRead;

use csv::{ReaderBuilder, StringRecord};

use crate::fault::{Fault, Outcome};
use crate::import::foreign::{FIELDS, Foreign};
use crate::import::{Draft, Each};

pub(super) fn read(input: impl BufRead, each: &mut Each<'_>) -> Outcome<()> {
    let mut reader = ReaderBuilder::new().flexible(false).from_reader(input);
    let heading = reader.headers().map_err(|_| no_heading("cannot be read as CSV in UTF-8"))?.clone();
    for column in &heading {
        if !FIELDS.contains(&column) && !column.starts_with("meta.") {
            return Err(no_heading("names a column that is no field, or the file has no heading"));
        }
    }
    let mut row = StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut row) {
            Ok(false) => return Ok(()),
            Ok(true) => {
                let line = row.position().map_or(line, csv::Position::line);
                let mut foreign = Foreign::default();
                let set = heading.iter().zip(&row).try_for_each(|(column, text)| foreign.set(column, text));
                each(line, set.map(|()| Draft::Foreign(Box::new(foreign))))?;
            }
            Err(e) => match e.kind() {
                csv::ErrorKind::Io(error) => return Err(super::lines::unreadable(error)),
                csv::ErrorKind::UnequalLengths { expected_len, len, pos } => {
                    let line = pos.as_ref().map_or(line, csv::Position::line);
                    each(line, Err(format!("has {len} columns, the heading {expected_len}")))?;
                }
                csv::ErrorKind::Utf8 { pos, .. } => {
                    let line = pos.as_ref().map_or(line, csv::Position::line);
                    each(line, Err("is not UTF-8 text".to_owned()))?;
                }
                _ => each(line, Err("is not CSV".to_owned()))?,
            },
        }
    }
}

fn no_heading(problem: &str) -> Fault {
    // The heading is not repeated: where there is none, the first key stands there.
    Fault::failed(
        format!("the first line {problem}"),
        format!("begin the file with a line of column names out of {}, meta.<name>", FIELDS.join(", ")),
    )
}
