//! Where in a source a key stands.

use std::fmt;

use serde_saphyr::Location;

/// A line and, where the whole source is on one line, a column in characters; both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: Option<u64>,
}

impl From<u64> for Place {
    fn from(line: u64) -> Self {
        Self { line, column: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        self.column.map_or(Ok(()), |column| write!(f, ", column {column}"))
    }
}

/// Whether a line is all that could be said of any place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    is_one_line: bool,
}

impl Layout {
    pub(super) fn of(text: &[u8]) -> Self {
        Self { is_one_line: !text.trim_ascii().contains(&b'\n') }
    }

    pub(super) fn place(self, line: u64, column: u64) -> Place {
        Place { line, column: self.is_one_line.then_some(column) }
    }

    pub(super) fn at(self, at: Location) -> Place {
        self.place(at.line(), at.column())
    }
}
