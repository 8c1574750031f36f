//! Keys of other systems, and records, on their way in: what a source says of each key, and the record that follows.

mod apisix;
mod better_auth;
mod csv;
mod imported_row;
mod json;
mod json_lines;
mod kong;
mod lines;
mod place;
mod shape;
mod source;
mod subject_map;
#[cfg(test)]
mod tests;
mod unkey;
mod values;
mod yaml;

use clap::ValueEnum;
use keygate_core::key::KeyPrefix;
use keygate_core::key::PepperId;
use keygate_core::key::pepper::Pepper;
use keygate_core::record::Record;
use keygate_core::time::UnixSeconds;

use crate::error::Outcome;
use crate::import::imported_row::ImportedRow;
pub(crate) use crate::import::subject_map::SubjectMap;
use crate::time::When;

pub(crate) use crate::import::imported_row::{FIELDS, is_field};
pub(crate) use crate::import::place::Place;

/// What an imported file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Keys,
    Sha256,
    Csv,
    Jsonl,
    Kong,
    Apisix,
    Unkey,
    BetterAuth,
}

/// How a source is read.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Fields of CSV and JSON lines that have another name: theirs, then ours.
    pub(crate) renamed: Vec<(String, String)>,
    /// Fields that are passed over, although they may restrict a key.
    pub(crate) ignored: Vec<String>,
    /// When the source was written.
    pub(crate) exported_at: Option<UnixSeconds>,
}

impl Options {
    fn ignores(&self, field: &str) -> bool {
        self.ignored.iter().any(|ignored| ignored == field)
    }

    fn renamed<'f>(&'f self, field: &'f str) -> &'f str {
        self.renamed.iter().find(|(theirs, _)| theirs == field).map_or(field, |(_, ours)| ours)
    }
}

/// What holds for a whole import.
pub(crate) struct Rules {
    pub(crate) prefix: KeyPrefix,
    /// What digests are made with; none as long as none was needed.
    pub(crate) pepper: Option<Pepper>,
    pub(crate) now: UnixSeconds,
    /// Whether a key may be taken that could be guessed from its hash.
    pub(crate) allow_weak: bool,
    pub(crate) subject: Option<String>,
    pub(crate) subjects: SubjectMap,
    pub(crate) scopes: Vec<String>,
    pub(crate) plan: Option<String>,
    pub(crate) expires: Option<When>,
}

/// One key as a source describes it.
pub(crate) enum Draft {
    /// A record of Keygate's own, whole.
    Record(Box<Record>),
    /// A key or a digest of another system, with what is known of it.
    Imported(Box<ImportedRow>),
}

/// The record that a draft makes, and which of its times were counted from now.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) record: Record,
    created_now: bool,
    ends_from_now: bool,
}

/// What a source's reader found at a place: a draft, or why there is none. The reason never repeats what stands there.
pub(crate) type Read = Result<Draft, String>;

/// What is done with each of them.
pub(crate) type Each<'e> = dyn FnMut(Place, Read) -> Outcome<()> + 'e;

/// Reads a source; each key of it is given to `each`, with its place.
///
/// # Errors
/// The source is not of this format, or `each` failed.
pub(crate) fn read(format: Format, source: &[u8], options: &Options, each: &mut Each<'_>) -> Outcome<()> {
    let text = source::text(source)?;
    match format {
        Format::Keys => lines::read(&text, lines::Kind::Key, each),
        Format::Sha256 => lines::read(&text, lines::Kind::Sha256, each),
        Format::Csv => csv::read(&text, options, each),
        Format::Jsonl => json_lines::read(&text, options, each),
        Format::Kong => kong::read(&text, options, each),
        Format::Apisix => apisix::read(&text, options, each),
        Format::Unkey => unkey::read(&text, options, each),
        Format::BetterAuth => better_auth::read(&text, options, each),
    }
}

impl Draft {
    /// Whether it has the digest of another system's key, and not the key.
    pub(crate) fn is_digest(&self) -> bool {
        match self {
            Self::Record(_) => false,
            Self::Imported(imported) => imported.is_digest(),
        }
    }

    /// The pepper that the digest of a record was made with.
    pub(crate) fn pepper(&self) -> Option<PepperId> {
        match self {
            Self::Record(record) => record.digest.pepper(),
            Self::Imported(_) => None,
        }
    }

    /// What the operator should know of all keys like this.
    pub(crate) fn note(&self) -> Option<&'static str> {
        match self {
            Self::Record(_) => None,
            Self::Imported(imported) => imported.note(),
        }
    }

    /// The record.
    ///
    /// # Errors
    /// Why there can be none; the text never holds the key.
    pub(crate) fn candidate(self, rules: &Rules) -> Result<Candidate, String> {
        match self {
            Self::Record(record) => {
                Ok(Candidate { record: *record, created_now: false, ends_from_now: false })
            }
            Self::Imported(imported) => imported.candidate(rules),
        }
    }
}

impl Candidate {
    /// The same, with the times that were counted from now as they were counted by the import that wrote `stored`.
    ///
    /// So a second import of a source changes nothing.
    pub(crate) fn counted_as_first(mut self, stored: &Record) -> Record {
        if self.created_now {
            self.record.created = stored.created;
        }
        if self.ends_from_now && self.record.not_after.is_some() && stored.not_after.is_some() {
            self.record.not_after = stored.not_after;
        }
        self.record
    }
}
