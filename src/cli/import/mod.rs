//! Keys of other systems, and records, on their way in: what a source says of each key, and the record that follows.

mod csv;
mod declarative;
mod imported_row;
mod json_lines;
mod lines;

use std::io::BufRead;

use clap::ValueEnum;
use keygate_core::key::KeyPrefix;
use keygate_core::key::pepper::Pepper;
use keygate_core::record::Record;
use keygate_core::time::UnixSeconds;

use crate::error::Outcome;
use crate::import::imported_row::ImportedRow;
use crate::time::When;

/// What an imported file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Keys,
    Sha256,
    Csv,
    Jsonl,
    Kong,
    Apisix,
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

/// What a source's reader found at a line: a draft, or why there is none. The reason never repeats what stands there.
pub(crate) type Read = Result<Draft, String>;

/// What is done with each of them.
pub(crate) type Each<'e> = dyn FnMut(u64, Read) -> Outcome<()> + 'e;

/// Reads a source to its end; each key of it is given to `each`, with the line that it stands on.
///
/// # Errors
/// The source cannot be read on, or `each` failed.
pub(crate) fn read(format: Format, input: impl BufRead, each: &mut Each<'_>) -> Outcome<()> {
    match format {
        Format::Keys => lines::read(input, lines::Kind::Key, each),
        Format::Sha256 => lines::read(input, lines::Kind::Sha256, each),
        Format::Csv => csv::read(input, each),
        Format::Jsonl => json_lines::read(input, each),
        Format::Kong => declarative::read_kong(input, each),
        Format::Apisix => declarative::read_apisix(input, each),
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

#[cfg(test)]
mod tests {
    use super::{Format, read};
    use clap::ValueEnum as _;
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    proptest! {
        #[test]
        fn no_source_makes_a_reader_panic_or_repeat_a_key(
            text in "(key|sha256|subject|v|meta\\.x|[,;:\"'{}\\[\\]\\r\\n \t#]|[a-z0-9]{1,8}){0,30}",
            at in 0..8_usize,
        ) {
            const CANARY: &str = "Canary7hVbT1mWcZk3vQ9x";
            let mut lines: Vec<&str> = text.lines().collect();
            lines.insert(at.min(lines.len()), CANARY);
            for format in Format::value_variants() {
                let outcome = read(*format, lines.join("\n").as_bytes(), &mut |_, read| {
                    let problem = read.err().unwrap_or_default();
                    assert!(!problem.contains(CANARY), "{problem}");
                    Ok(())
                });
                let error = outcome.err().map(|error| error.to_string()).unwrap_or_default();
                prop_assert!(!error.contains(CANARY), "{error}");
            }
        }

        #[test]
        fn bytes_that_are_no_text_are_a_fault_or_bad_lines(bytes in vec(any::<u8>(), 0..80)) {
            for format in Format::value_variants() {
                let _ = read(*format, &*bytes, &mut |_, _| Ok(()));
            }
        }

        #[test]
        fn every_line_with_something_on_it_is_accounted_for(lines in vec("[!-\"$-~]{1,12}|", 0..20)) {
            let text = lines.join("\n");
            let mut found = Vec::new();
            read(Format::Keys, text.as_bytes(), &mut |line, _| {
                found.push(line);
                Ok(())
            })
            .unwrap();
            let expected: Vec<u64> = (1_u64..).zip(&lines).filter(|(_, line)| !line.is_empty()).map(|(at, _)| at).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
