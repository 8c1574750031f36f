//! Compares the keys of a source with the store, writes those that are new, and reports each.

use std::collections::{HashMap, HashSet};

use keygate_core::key::{KV_NAME_PREFIX, KeyId};
use keygate_core::record::Record;

use crate::bulk_files::BulkFiles;
use crate::cloudflare::WRITE_MAX;
use crate::commands::import::row::{Fate, ImportedKey};
use crate::context::Context;
use crate::entry::Entry;
use crate::error::Outcome;
use crate::import::{Candidate, Place};
use crate::output::{Lines, printable};
use crate::progress::Progress;
use crate::revision;
use crate::store::{Store, Stored};

/// Where the records go.
pub(super) enum Target {
    Store {
        store: Box<dyn Store>,
        /// The names that are taken, so that only their values have to be read.
        names: HashSet<String>,
        dry_run: bool,
    },
    Files(BulkFiles),
}

impl Target {
    pub(super) fn store(store: Box<dyn Store>, dry_run: bool) -> Outcome<Self> {
        let mut names = HashSet::new();
        store.list(KV_NAME_PREFIX, &mut |page| {
            names.extend(page.into_iter().map(|listed| listed.name));
            Ok(())
        })?;
        Ok(Self::Store { store, names, dry_run })
    }
}

/// How many keys have each fate.
pub(super) type Counts = HashMap<Fate, usize>;

/// An import on its way.
pub(super) struct Writer<'c> {
    context: &'c Context,
    target: Target,
    lines: Option<Lines>,
    progress: Progress,
    /// Candidates that wait for a bulk write.
    waiting: Vec<(Place, Candidate)>,
    /// Where each key was first seen.
    seen: HashMap<KeyId, Place>,
    counts: Counts,
    /// How many of the new keys another system issued.
    imported: usize,
}

/// What an import has done.
pub(super) struct Written {
    pub(super) counts: Counts,
    /// How many of the new keys another system issued.
    pub(super) imported: usize,
    /// Where the records are.
    pub(super) place: String,
}

impl<'c> Writer<'c> {
    pub(super) fn new(context: &'c Context, target: Target, dry_run: bool) -> Self {
        Self {
            context,
            target,
            lines: (context.out.is_json() || dry_run).then(|| context.out.lines()),
            progress: Progress::counting("read", None),
            waiting: Vec::new(),
            seen: HashMap::new(),
            counts: Counts::default(),
            imported: 0,
        }
    }

    /// Reports a key that cannot be taken.
    pub(super) fn refuse(&mut self, place: Place, problem: String) -> Outcome<()> {
        self.progress.add(1);
        self.report(&ImportedKey::bad(place, problem))
    }

    /// Takes a key, to be written with others.
    pub(super) fn take(&mut self, place: Place, candidate: Candidate) -> Outcome<()> {
        self.progress.add(1);
        if let Some(first) = self.seen.get(&candidate.record.id) {
            let problem = format!("is the same key as {first}");
            let row = ImportedKey::of(place, &candidate.record, Fate::Bad);
            return self.report(&ImportedKey { problem: Some(problem), ..row });
        }
        self.seen.insert(candidate.record.id, place);
        self.waiting.push((place, candidate));
        if self.waiting.len() == WRITE_MAX { self.settle() } else { Ok(()) }
    }

    /// Writes what waits and is new.
    fn settle(&mut self) -> Outcome<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut stored = self.stored(&waiting)?;
        let mut entries = Vec::new();
        let mut rows = Vec::with_capacity(waiting.len());
        for (place, candidate) in waiting {
            if let Some(stored) = stored.remove(&candidate.record.id) {
                match (&self.target, renewed(&candidate, &stored)) {
                    (Target::Store { store, .. }, Some(record)) => {
                        let operator = self.context.operator.as_deref();
                        entries.push(Entry::of(&record, revision::next(&**store, Some(&stored), operator))?);
                        rows.push(ImportedKey::of(place, &record, Fate::Renewed));
                    }
                    _ => rows.push(compared(place, candidate, &stored)),
                }
                continue;
            }
            let revision = match &self.target {
                Target::Store { store, .. } => {
                    revision::next(&**store, None, self.context.operator.as_deref())
                }
                Target::Files(_) => None,
            };
            match Entry::of(&candidate.record, revision) {
                Ok(entry) => {
                    self.imported += usize::from(candidate.record.digest.is_imported());
                    entries.push(entry);
                    rows.push(ImportedKey::of(place, &candidate.record, Fate::New));
                }
                Err(error) => rows.push(ImportedKey::bad(place, error.problem().to_owned())),
            }
        }
        match &mut self.target {
            Target::Store { dry_run: true, .. } => {}
            Target::Store { store, .. } => store.write(&entries).map_err(|error| {
                error.and(
                    "not all keys were written",
                    "run the command again: keys that were written are left as they are",
                )
            })?,
            Target::Files(files) => files.add(&entries)?,
        }
        rows.iter().try_for_each(|row| self.report(row))
    }

    /// The entries that are there already.
    fn stored(&self, waiting: &[(Place, Candidate)]) -> Outcome<HashMap<KeyId, Stored>> {
        let Target::Store { store, names, .. } = &self.target else {
            return Ok(HashMap::new());
        };
        let ids = waiting.iter().map(|(_, candidate)| candidate.record.id);
        let taken: Vec<(KeyId, String)> =
            ids.map(|id| (id, id.kv_name())).filter(|(_, name)| names.contains(name)).collect();
        if taken.is_empty() {
            return Ok(HashMap::new());
        }
        let (ids, names): (Vec<KeyId>, Vec<String>) = taken.into_iter().unzip();
        let entries = store.entries(&names)?;
        Ok(ids.into_iter().zip(entries).filter_map(|(id, entry)| Some((id, entry?))).collect())
    }

    fn report(&mut self, row: &ImportedKey) -> Outcome<()> {
        *self.counts.entry(row.fate).or_default() += 1;
        if self.context.out.is_json()
            && let Some(lines) = &mut self.lines
        {
            return lines.add(row);
        }
        let ImportedKey { id, subject, problem, .. } = row;
        if let Some(problem) = problem {
            self.progress.aside(|| {
                self.context.out.note(printable(&format!(
                    "{}: {}{problem}",
                    row.place(),
                    id.map(|id| format!("key {id} ")).unwrap_or_default()
                )));
            });
        }
        if let (Some(lines), Some(id), Some(subject)) = (&mut self.lines, id, subject) {
            return lines.add_text(format_args!("{:<9}  {id}  {subject}", row.fate.as_str()));
        }
        Ok(())
    }

    /// Writes what still waits.
    pub(super) fn finish(mut self) -> Outcome<Written> {
        self.settle()?;
        self.progress.finish();
        if let Some(lines) = self.lines {
            lines.finish()?;
        }
        let place = match self.target {
            Target::Store { store, .. } => store.place().to_owned(),
            Target::Files(files) => match files.count() {
                1 => "1 bulk file".to_owned(),
                count => format!("{count} bulk files"),
            },
        };
        Ok(Written { counts: self.counts, imported: self.imported, place })
    }
}

/// The record that is there with the candidate's digest, if that is all that has changed. Ids of imported keys follow from the
/// keys, so it is the same key under another pepper, or one that had none.
fn renewed(candidate: &Candidate, stored: &Stored) -> Option<Record> {
    let there = Record::parse_entry(candidate.record.id, &stored.value).ok()?;
    let digest = &candidate.record.digest;
    let is_other = there.digest.to_string() != digest.to_string();
    if !is_other || !there.digest.is_imported() || !digest.is_imported() {
        return None;
    }
    let wanted = candidate.clone().counted_as_first(&there);
    let mut record = there;
    record.digest = digest.clone();
    (wanted.to_json().ok()? == record.to_json().ok()?).then_some(record)
}

fn compared(place: Place, candidate: Candidate, stored: &Stored) -> ImportedKey {
    let Ok(there) = Record::parse_entry(candidate.record.id, &stored.value) else {
        let problem = "has an entry that is no valid record; it is left as it is".to_owned();
        return ImportedKey {
            problem: Some(problem),
            ..ImportedKey::of(place, &candidate.record, Fate::Different)
        };
    };
    let record = candidate.counted_as_first(&there);
    match (record.to_json(), there.to_json()) {
        (Ok(wanted), Ok(found)) if wanted == found => ImportedKey::of(place, &record, Fate::Same),
        (Ok(wanted), Ok(found)) => {
            let of = |value| Stored { value, metadata: None };
            let problem = format!(
                "is there already and is left as it is: {}",
                revision::difference(&of(wanted), &of(found))
            );
            ImportedKey { problem: Some(problem), ..ImportedKey::of(place, &record, Fate::Different) }
        }
        (Err(e), _) | (_, Err(e)) => ImportedKey::bad(place, format!("makes no valid record: {e}")),
    }
}
