//! One key or one digest a line; a blank and its subject may follow. Empty lines, and lines that begin with `#`, say nothing.

use std::io::BufRead;

use zeroize::Zeroize as _;

use crate::error::{Error, Outcome};
use crate::import::imported_row::ImportedRow;
use crate::import::{Draft, Each, Read};

/// What stands first on a line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Key,
    Sha256,
}

pub(super) fn read(input: impl BufRead, kind: Kind, each: &mut Each<'_>) -> Outcome<()> {
    of_each(input, &mut |number, line| match draft(line, kind) {
        Some(read) => each(number, read),
        None => Ok(()),
    })
}

/// What is done with a line: its number, and its text or why there is none.
pub(super) type EachLine<'e> = dyn FnMut(u64, Result<&str, String>) -> Outcome<()> + 'e;

/// Gives each line to `each`: its number, and its text or why it is none.
pub(super) fn of_each(mut input: impl BufRead, each: &mut EachLine<'_>) -> Outcome<()> {
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.zeroize();
        number += 1;
        let length = input.read_until(b'\n', &mut line).map_err(|e| unreadable(&e))?;
        if length == 0 {
            return Ok(());
        }
        let text = str::from_utf8(&line).map(str::trim_ascii).map_err(|_| "is not UTF-8 text".to_owned());
        // Windows' editors begin a file with it.
        let text = text.map(|text| text.trim_start_matches('\u{feff}'));
        each(number, text)?;
    }
}

pub(super) fn unreadable(error: &std::io::Error) -> Error {
    Error::failed(format!("cannot read on: {error}"), "make the source readable, then run the command again")
}

fn draft(line: Result<&str, String>, kind: Kind) -> Option<Read> {
    let line = match line {
        Ok(line) if line.is_empty() || line.starts_with('#') => return None,
        Ok(line) => line,
        Err(problem) => return Some(Err(problem)),
    };
    let (credential, subject) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let field = match kind {
        Kind::Key => "key",
        Kind::Sha256 => "sha256",
    };
    let mut imported = ImportedRow::default();
    let set = imported.set(field, credential).and_then(|()| imported.set("subject", subject));
    Some(set.map(|()| Draft::Imported(Box::new(imported))))
}
