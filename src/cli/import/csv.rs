//! CSV (RFC 4180) with a heading: each column is a field. Lists are separated by blanks.

use std::io::BufRead;

use csv::{ByteRecord, Error as CsvError, ReaderBuilder, StringRecord, Trim};
use zeroize::Zeroizing;

use crate::error::{Error, Outcome};
use crate::import::imported_row::{FIELDS, ImportedRow, LISTS};
use crate::import::{Draft, Each, Read, lines};

pub(super) fn read(mut input: impl BufRead, each: &mut Each<'_>) -> Outcome<()> {
    let mut text = Zeroizing::new(Vec::new());
    input.read_to_end(&mut text).map_err(|e| lines::unreadable(&e))?;
    let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::Headers).from_reader(text.as_slice());
    let heading = columns(reader.headers())?;
    let (mut line, mut counted) = (1, 0);
    let mut row = ByteRecord::new();
    // INVARIANT: rows of bytes of any length are read from memory without an error.
    while reader.read_byte_record(&mut row).unwrap_or_default() {
        let from = row.position().map_or(0, csv::Position::byte);
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let breaks = text.get(from..).unwrap_or_default().iter().take_while(|b| matches!(b, b'\r' | b'\n'));
        let from = from + breaks.count();
        line += text.get(counted..from).unwrap_or_default().split(|b| *b == b'\n').skip(1).count() as u64;
        counted = from;
        each(line, draft(&row, &heading))?;
    }
    Ok(())
}

fn columns(heading: Result<&StringRecord, CsvError>) -> Outcome<StringRecord> {
    let heading = heading.map_err(|_| no_heading("cannot be read as CSV in UTF-8"))?;
    for (nth, column) in heading.iter().enumerate() {
        if !FIELDS.contains(&column) && !column.starts_with("meta.") {
            return Err(no_heading("names a column that is no field, or the file has no heading"));
        }
        if heading.iter().take(nth).any(|earlier| earlier == column) {
            return Err(no_heading("names a column twice"));
        }
    }
    Ok(heading.clone())
}

fn draft(row: &ByteRecord, heading: &StringRecord) -> Read {
    if row.len() != heading.len() {
        return Err(format!("has {} columns, the heading {}", row.len(), heading.len()));
    }
    let mut imported = ImportedRow::default();
    for (column, text) in heading.iter().zip(row) {
        let text = str::from_utf8(text).map_err(|_| "is not UTF-8 text")?;
        if text.contains('\n') && !LISTS.contains(&column) {
            return Err(format!("has a line break in `{column}`; is a quote left open?"));
        }
        imported.set(column, text)?;
    }
    Ok(Draft::Imported(Box::new(imported)))
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

    /// `line: problem` of each bad row, and the line of each good one.
    fn found(text: &[u8]) -> Outcome<Vec<String>> {
        let mut found = Vec::new();
        read(text, &mut |line, read| {
            found.push(read.err().map_or_else(|| line.to_string(), |problem| format!("{line}: {problem}")));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn every_row_is_accounted_for_by_its_line() {
        let rows = "key,subject,scopes\n\nk2,acme,\"a\nb\"\nk4,acme,x\nk5,acme\nk6,acme,\"\"\"\"\nk7,\"acme\nk8,acme,b\"\n";
        let expected = ["3", "5", "6: has 2 columns, the heading 3", "7", "8: has 2 columns, the heading 3"];
        assert_eq!(found(rows.as_bytes()).unwrap(), expected);
        let windows = format!("\u{feff}{}", rows.replace('\n', "\r\n"));
        assert_eq!(found(windows.as_bytes()).unwrap(), expected);
        assert_eq!(found(b"key,subject\n\xff,acme\nk,acme\n").unwrap(), ["2: is not UTF-8 text", "3"]);
    }

    #[test]
    fn a_quote_that_is_left_open_is_named() {
        let found = found(b"key,subject,name\nk2,acme,\"open\nk3,acme,x\n").unwrap();
        assert_eq!(found, ["2: has a line break in `name`; is a quote left open?"]);
    }

    #[test]
    fn a_heading_names_each_column_once() {
        assert_eq!(found(b"key, subject\nk,acme\n").unwrap(), ["2"]);
        for (heading, said) in [
            ("key,subject,subject", "names a column twice"),
            ("key,meta.a,meta.a", "names a column twice"),
            ("key;subject", "no field"),
            ("\"key", "no field"),
        ] {
            let error = found(format!("{heading}\nk,a,b\n").as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
