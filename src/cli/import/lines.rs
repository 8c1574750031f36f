//! One key or one digest a line; a blank and its subject may follow. Empty lines, and lines that begin with `#`, say nothing.

use crate::error::Outcome;
use crate::import::imported_row::ImportedRow;
use crate::import::shape::{self, Text};
use crate::import::{Draft, Each, Place, Read};

/// What stands first on a line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Key,
    Sha256,
}

pub(super) fn read(text: &[u8], kind: Kind, each: &mut Each<'_>) -> Outcome<()> {
    shape::refuse_other_text(text, Text::Lines)?;
    of_each(text, &mut |place, line| match draft(line, kind) {
        Some(read) => each(place, read),
        None => Ok(()),
    })
}

/// What is done with a line or an object: its place, and its text or why there is none.
pub(super) type EachLine<'e> = dyn FnMut(Place, Result<&str, String>) -> Outcome<()> + 'e;

/// Gives each line to `each`: its place, and its text or why it is none.
pub(super) fn of_each(text: &[u8], each: &mut EachLine<'_>) -> Outcome<()> {
    (1_u64..).zip(text.split(|b| *b == b'\n')).try_for_each(|(number, line)| {
        each(
            number.into(),
            str::from_utf8(line).map(str::trim_ascii).map_err(|_| "is not UTF-8 text".to_owned()),
        )
    })
}

fn draft(line: Result<&str, String>, kind: Kind) -> Option<Read> {
    let line = match line {
        Ok(line) if line.is_empty() || line.starts_with('#') => return None,
        Ok(line) => line,
        Err(problem) => return Some(Err(problem)),
    };
    let mut imported = ImportedRow::default();
    let set = match kind {
        Kind::Key => set_key(&mut imported, line),
        Kind::Sha256 => set_digest(&mut imported, line),
    };
    Some(set.map(|()| Draft::Imported(Box::new(imported))))
}

fn set_key(imported: &mut ImportedRow, line: &str) -> Result<(), String> {
    let (key, subject) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if key == "export" {
        return Err("is of the form `NAME=value`; keep only the value on the line".to_owned());
    }
    if key.contains([',', ';', '"', '\'']) {
        return Err(
            "has a comma, a semicolon or a quote in its key; is it CSV? Then use `--format csv`".to_owned()
        );
    }
    imported.set("key", key)?;
    imported.set("subject", subject)
}

/// A digest and its subject, or the output of `sha256sum` and `shasum`, which has a file's name where the subject is.
fn set_digest(imported: &mut ImportedRow, line: &str) -> Result<(), String> {
    if line.starts_with("SHA256") || line.starts_with("SHA2-256") {
        return Err("is the output of a program; keep only the digest on the line".to_owned());
    }
    let (digest, subject) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let is_file_name = subject.starts_with([' ', '*']);
    imported.set("sha256", digest)?;
    if is_file_name {
        imported.set_note("file names, as `sha256sum` writes them, were passed over; they are no subjects");
        return Ok(());
    }
    imported.set("subject", subject)
}
