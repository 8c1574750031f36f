//! What becomes of each key of a source, as the command reports it.

use keygate_core::key::KeyId;
use keygate_core::record::Record;
use serde::Serialize;

use crate::import::Place;

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) enum Fate {
    /// Its record is written.
    New,
    /// Its record is there, and says the same.
    Same,
    /// Its record is there, and says the same but for the pepper of its digest; it gets the digest of today's.
    Renewed,
    /// Its record is there and says something else; it stays as it is.
    Different,
    /// It cannot be taken.
    Bad,
}

/// One key of the source, and what becomes of it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ImportedKey {
    pub(super) line: u64,
    /// Where the whole source is on one line.
    pub(super) column: Option<u64>,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) id: Option<KeyId>,
    pub(super) subject: Option<String>,
    pub(super) fate: Fate,
    pub(super) problem: Option<String>,
}

impl ImportedKey {
    pub(super) fn place(&self) -> Place {
        Place { line: self.line, column: self.column }
    }

    pub(super) fn bad(Place { line, column }: Place, problem: String) -> Self {
        Self { line, column, id: None, subject: None, fate: Fate::Bad, problem: Some(problem) }
    }

    pub(super) fn of(Place { line, column }: Place, record: &Record, fate: Fate) -> Self {
        let subject = Some(record.subject.to_string());
        Self { line, column, id: Some(record.id), subject, fate, problem: None }
    }
}

impl Fate {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Renewed => "renewed",
            Self::Same => "same",
            Self::Different => "different",
            Self::Bad => "bad",
        }
    }
}
