//! CSV (RFC 4180) with a heading: each column is a field. Blanks, commas or semicolons separate the elements of lists.

use csv::{ByteRecord, Position, ReaderBuilder};

use keygate_core::key::digest::ImportedKey as Key;

use crate::error::{Error, Outcome};
use crate::import::imported_row::{FIELDS, ImportedRow, LISTS, is_field, quoted};
use crate::import::shape::{self, Text};
use crate::import::{Draft, Each, Options, Read};

pub(super) fn read(text: &[u8], options: &Options, each: &mut Each<'_>) -> Outcome<()> {
    shape::refuse_other_text(text, Text::Csv)?;
    let (skipped, separator) = separator(text);
    let rows = text.get(skipped..).unwrap_or_default();
    check_quotes(text, skipped, separator)?;
    let mut reader = ReaderBuilder::new().flexible(true).delimiter(separator).from_reader(rows);
    let heading = reader.byte_headers().cloned().unwrap_or_default();
    let heading = columns(&heading, options)?;
    let (mut line, mut counted) = (1, 0);
    let mut row = ByteRecord::new();
    // INVARIANT: rows of bytes of any length are read from memory without an error.
    while reader.read_byte_record(&mut row).unwrap_or_default() {
        let from = row.position().map_or(0, Position::byte);
        let from = skipped.saturating_add(usize::try_from(from).unwrap_or(usize::MAX));
        let breaks = text.get(from..).unwrap_or_default().iter().take_while(|b| matches!(b, b'\r' | b'\n'));
        let from = from + breaks.count();
        line += text.get(counted..from).unwrap_or_default().split(|b| *b == b'\n').skip(1).count() as u64;
        counted = from;
        // Excel ends a table with them.
        if row.iter().any(|field| !field.trim_ascii().is_empty()) {
            each(line.into(), draft(&row, &heading))?;
        }
    }
    Ok(())
}

/// Where the heading begins, and what stands between its columns: as Excel's line `sep=;` says, or as the heading shows. No name of
/// a field has a semicolon or a tab.
fn separator(text: &[u8]) -> (usize, u8) {
    let first = text.split_inclusive(|b| *b == b'\n').next().unwrap_or_default();
    if let Some([separator]) = first.trim_ascii_end().strip_prefix(b"sep=") {
        return (first.len(), *separator);
    }
    if first.starts_with(b"sep=\t") {
        return (first.len(), b'\t');
    }
    let found = [b',', b';', b'\t'].into_iter().find(|separator| first.contains(separator));
    (0, found.unwrap_or(b','))
}

/// Refuses quotes that RFC 4180 does not allow: the `csv` crate reads on after them, and takes rows for the text of one cell.
fn check_quotes(text: &[u8], skipped: usize, separator: u8) -> Outcome<()> {
    let rows = text.get(skipped..).unwrap_or_default();
    let ends = |byte: Option<&u8>| byte.is_none_or(|b| *b == separator || matches!(b, b'\r' | b'\n'));
    let (mut at, mut begins) = (0, true);
    while let Some(byte) = rows.get(at) {
        if *byte != b'"' || !begins {
            begins = ends(Some(byte));
            at += 1;
            continue;
        }
        let opened = skipped + at;
        let quoted = rows.get(at + 1..).unwrap_or_default();
        let closes = closing_quote(quoted).filter(|closes| ends(quoted.get(closes + 1)));
        let Some(closes) = closes else {
            let line = 1 + text.iter().take(opened).filter(|b| **b == b'\n').count();
            return Err(Error::failed(
                format!("line {line}: a quote is not closed at the end of its cell"),
                "close the quote, or write each quote within a cell twice; nothing was imported",
            ));
        };
        at += closes + 2;
        begins = false;
    }
    Ok(())
}

/// Where the first quote stands that is not written twice.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += text.get(at..)?.iter().position(|b| *b == b'"')?;
        if text.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// The field of each column; none of one that is passed over.
fn columns(heading: &ByteRecord, options: &Options) -> Outcome<Vec<Option<String>>> {
    let columns: Result<Vec<&str>, _> = heading.iter().map(str::from_utf8).collect();
    let columns = columns.map_err(|_| no_heading("is not UTF-8 text"))?;
    let fields: Vec<Option<String>> = columns
        .into_iter()
        .map(str::trim)
        .map(|column| (!options.ignores(column)).then(|| field(options.renamed(column))))
        .collect();
    let named = || fields.iter().flatten().filter(|field| !field.is_empty());
    if !named().any(|field| field == "key" || field == "sha256") {
        return Err(no_heading(
            "names a column that is no field, or is no heading: it has neither `key` nor `sha256`",
        ));
    }
    for (nth, field) in named().enumerate() {
        if !is_field(field) {
            return Err(no_heading(&format!("names a column that is no field: {}", quoted(field))));
        }
        if named().take(nth).any(|earlier| earlier == field) {
            return Err(no_heading(&format!("names a column twice: {}", quoted(field))));
        }
    }
    Ok(fields)
}

/// The field of a column, whatever its case; the column itself, if it is none. Excel ends rows with columns without a name.
fn field(column: &str) -> String {
    if let Some(note) =
        column.get(..5).filter(|start| start.eq_ignore_ascii_case("meta.")).and(column.get(5..))
    {
        return format!("meta.{note}");
    }
    let name = column.to_ascii_lowercase().replace([' ', '-'], "_");
    if is_field(&name) { name } else { column.to_owned() }
}

fn draft(row: &ByteRecord, heading: &[Option<String>]) -> Read {
    if row.len() != heading.len() {
        return Err(format!("has {} columns, the heading {}", row.len(), heading.len()));
    }
    let mut imported = ImportedRow::default();
    for ((nth, field), text) in (1..).zip(heading).zip(row) {
        // A cell with the rest of its row and the start of the next one has a key in it.
        if text.contains(&b'\n') && Key::may_be_in(&String::from_utf8_lossy(text)) {
            return Err(format!(
                "has in column {nth} a line break and what could be a key; is a quote left open? Else put the cell on one line"
            ));
        }
        let Some(field) = field else { continue };
        let text = str::from_utf8(text).map_err(|_| format!("is not UTF-8 text, in {}", quoted(field)))?;
        if text.trim().contains('\n') && !LISTS.contains(&field.as_str()) {
            return Err(format!("has a line break in {}, which a record cannot hold", quoted(field)));
        }
        if !field.is_empty() {
            imported.set(field, text)?;
        } else if !text.trim().is_empty() {
            return Err("has a value in a column without a name".to_owned());
        }
    }
    Ok(Draft::Imported(Box::new(imported)))
}

fn no_heading(problem: &str) -> Error {
    Error::failed(
        format!("the first line {problem}"),
        format!(
            "begin the file with a line of column names out of {}, meta.<name>; `--rename OLD=FIELD` gives a column one of these names, `--ignore NAME` passes it over",
            FIELDS.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::error::Outcome;
    use crate::import::Options;
    use proptest::collection::vec;
    use proptest::prelude::{prop_assert, proptest};

    /// `line: problem` of each bad row, and the line of each good one.
    fn found(text: &[u8]) -> Outcome<Vec<String>> {
        let mut found = Vec::new();
        read(text, &Options::default(), &mut |place, read| {
            let line = place.line;
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
        assert_eq!(found(rows.replace('\n', "\r\n").as_bytes()).unwrap(), expected);
        let after_separator = format!("sep=;\n{}", rows.replace(',', ";"));
        let later = ["4", "6", "7: has 2 columns, the heading 3", "8", "9: has 2 columns, the heading 3"];
        assert_eq!(found(after_separator.as_bytes()).unwrap(), later);
        let invalid = found(b"key,subject\n\xff,acme\nk,acme\n").unwrap();
        assert_eq!(invalid, ["2: is not UTF-8 text, in `key`", "3"]);
    }

    #[test]
    fn a_quote_that_is_not_closed_is_named_by_its_line() {
        for (rows, said) in [
            ("k2,acme,\"open\nk3,acme,x\n", "line 2: a quote is not closed"),
            ("k2,acme,x\nk3,acme,\"x\"y\n", "line 3: a quote is not closed"),
            ("k2,\"a\nb\",x\n\"k4\"\"", "line 4: a quote is not closed"),
        ] {
            let error = found(format!("key,subject,name\n{rows}").as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
        assert_eq!(
            found(b"key,subject,name\nk2,acme,5\" \"x\"\n\"k3\",\"a\",\"\"\"x\"\"\"").unwrap(),
            ["2", "3"]
        );
    }

    proptest! {
        #[test]
        fn quotes_that_are_written_as_csv_are_read(cells in vec(vec("[a\"\r\n, ]{0,6}", 3), 0..5)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["key", "subject", "name"]).unwrap();
            for row in &cells {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            prop_assert!(super::check_quotes(&text, 0, b',').is_ok());
        }

        #[test]
        fn no_row_is_lost_in_a_cell(cells in vec("(\"|\"\"|x|,|;){0,5}", 6)) {
            let rows: Vec<String> = (10..).zip(&cells).map(|(nth, cell)| format!("Zk3vQ9xLr2K7hVbT1m{nth},{cell}\n")).collect();
            let text = format!("key,scopes\n{}", rows.concat());
            let mut taken = 0;
            let mut refused = false;
            let outcome = read(text.as_bytes(), &Options::default(), &mut |_, read| {
                if read.is_ok() { taken += 1 } else { refused = true }
                Ok(())
            });
            prop_assert!(outcome.is_err() || refused || taken == rows.len(), "{text}");
        }
    }

    #[test]
    fn a_heading_names_each_column_once() {
        for heading in ["key, subject", "KEY;Subject", " Key \tsubject", "sep=;\nkey;subject"] {
            let separator = if heading.contains(';') {
                ";"
            } else if heading.contains('\t') {
                "\t"
            } else {
                ","
            };
            let rows = format!("{heading}\nk{separator}acme\n{separator}\n");
            assert_eq!(found(rows.as_bytes()).unwrap().len(), 1, "{heading}");
        }
        for (heading, said) in [
            ("key,subject,subject", "names a column twice"),
            ("key,Subject,subject", "names a column twice"),
            ("key,meta.a,meta.a", "names a column twice"),
            ("key|subject", "no field"),
            ("\"key", "line 1: a quote is not closed"),
            ("subject,name", "neither `key` nor `sha256`"),
            ("key,usageplanIds", "no field: `usageplanIds`"),
            ("key,Canary7hVbT1mWcZk3vQ9x", "no field: of 22 characters"),
        ] {
            let error = found(format!("{heading}\nk,a,b\n").as_bytes()).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
