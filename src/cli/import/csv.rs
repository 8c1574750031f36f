//! CSV with a heading: each column is a field. Lists are separated by blanks.
//!
//! Read line by line, because no field may hold a line break: a quote that is left open costs its own line, and not every key
//! up to the next quote.

use std::io::BufRead;

use csv::{ReaderBuilder, StringRecord, Terminator};

use crate::error::{Error, Outcome};
use crate::import::foreign::{FIELDS, ImportedRow};
use crate::import::{Draft, Each, Read, lines};

pub(super) fn read(input: impl BufRead, each: &mut Each<'_>) -> Outcome<()> {
    let mut heading = None;
    lines::of_each(input, &mut |number, line| match (&heading, line) {
        (_, Ok("")) => Ok(()),
        (None, line) => {
            heading = Some(columns(line)?);
            Ok(())
        }
        (Some(heading), line) => each(number, line.and_then(|line| draft(line, heading))),
    })
}

fn columns(line: Result<&str, String>) -> Outcome<StringRecord> {
    let heading = line.and_then(record).map_err(|_| no_heading("cannot be read as CSV in UTF-8"))?;
    for (nth, column) in heading.iter().enumerate() {
        if !FIELDS.contains(&column) && !column.starts_with("meta.") {
            return Err(no_heading("names a column that is no field, or the file has no heading"));
        }
        if heading.iter().take(nth).any(|earlier| earlier == column) {
            return Err(no_heading("names a column twice"));
        }
    }
    Ok(heading)
}

fn draft(line: &str, heading: &StringRecord) -> Read {
    let row = record(line)?;
    if row.len() != heading.len() {
        return Err(format!("has {} columns, the heading {}", row.len(), heading.len()));
    }
    let mut foreign = ImportedRow::default();
    heading.iter().zip(&row).try_for_each(|(column, text)| foreign.set(column, text))?;
    Ok(Draft::ImportedRow(Box::new(foreign)))
}

/// The fields of one line.
fn record(line: &str) -> Result<StringRecord, String> {
    if line.bytes().filter(|b| *b == b'"').count() % 2 != 0 {
        return Err("has a quote that does not end on the line".to_owned());
    }
    if !line.contains('"') {
        // Making a reader takes longer than reading a line with it.
        return Ok(line.split(',').collect());
    }
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        // A carriage return within a line ends nothing: what came after it would be lost.
        .terminator(Terminator::Any(b'\n'))
        .buffer_capacity(line.len())
        .from_reader(line.as_bytes());
    let mut row = StringRecord::new();
    reader.read_record(&mut row).map_err(|_| "is not CSV".to_owned())?;
    Ok(row)
}

fn no_heading(problem: &str) -> Error {
    // The heading is not repeated: where there is none, the first key stands there.
    Error::failed(
        format!("the first line {problem}"),
        format!("begin the file with a line of column names out of {}, meta.<name>", FIELDS.join(", ")),
    )
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::error::Outcome;

    /// `line: problem` of each bad line, and the number of each good one.
    fn found(text: &[u8]) -> Outcome<Vec<String>> {
        let mut found = Vec::new();
        read(text, &mut |line, read| {
            found.push(read.err().map_or_else(|| line.to_string(), |problem| format!("{line}: {problem}")));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn every_line_is_accounted_for_by_its_number() {
        let rows = "key,subject,meta.note\n\nk2,acme,\"a, b\"\nk3,acme,\"open\nk4,acme,x\nk5,acme\nk6,acme,\"\"\"\"\nk7,acme,a\rk8,acme,b\n";
        let expected = [
            "3",
            "4: has a quote that does not end on the line",
            "5",
            "6: has 2 columns, the heading 3",
            "7",
            "8: has 5 columns, the heading 3",
        ];
        assert_eq!(found(rows.as_bytes()).unwrap(), expected);
        let windows = format!("\u{feff}{}", rows.replace('\n', "\r\n"));
        assert_eq!(found(windows.as_bytes()).unwrap(), expected);
        assert_eq!(found(b"key,subject\n\xff,acme\nk,acme\n").unwrap(), ["2: is not UTF-8 text", "3"]);
    }

    #[test]
    fn a_heading_names_each_column_once() {
        for (heading, said) in [
            ("key,subject,subject", "names a column twice"),
            ("key,meta.a,meta.a", "names a column twice"),
            ("key,subject\rk1,acme", "no field"),
            ("key, subject", "no field"),
            ("\"key", "cannot be read as CSV"),
        ] {
            let error = found(format!("{heading}\nk,a,b\n").as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
