//! `keygate import`: many keys of another system, or the records of an export.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use keygate_core::key::{KV_NAME_PREFIX, KeyId};
use keygate_core::record::Record;
use serde::Serialize;

use crate::args::{PepperArgs, StoreArgs};
use crate::bulk_files::BulkFiles;
use crate::cloudflare::WRITE_MAX;
use crate::context::{self, Context};
use crate::entry::Entry;
use crate::error::{Error, Outcome};
use crate::import::{self, Candidate, Draft, Format, Rules};
use crate::output::{Lines, printable};
use crate::progress::Progress;
use crate::revision;
use crate::secrets;
use crate::store::{Store, Stored};
use crate::time::When;

/// Take in many keys of another system, or the records of an export
#[derive(Args, Debug)]
#[command(
    after_help = "A plaintext key is digested and never stored. A key that is there already is left as it is: a second import changes nothing. Lines that cannot be taken are named by number, and the exit code is then 1; all others are taken.\n\nFormats:\n  keys    one key a line; a blank and its subject may follow\n  sha256  one SHA-256 a line, in hex or base64; a blank and its subject may follow\n  csv     a heading of field names: key or sha256, subject, name, scopes, ips, plan, state, created, not_before, not_after, meta.<name>; lists separated by blanks\n  jsonl   one object a line: those fields, or a record as `keygate export` writes it\n  kong    Kong's declarative file: consumers, keyauth_credentials; ACL groups become scopes\n  apisix  APISIX's declarative file, or ADC's: the key-auth of consumers and credentials\n\nExamples:\n  keygate import --format kong --dry-run kong.yaml\n  keygate import --format keys --subject acme --remote < keys.txt\n  keygate import --format jsonl --bulk-dir bulk export.jsonl"
)]
pub(crate) struct ImportArgs {
    /// The file to read; without one standard input is read
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// What the file holds
    #[arg(long, value_enum)]
    format: Format,
    /// Who holds the keys for which the file names nobody
    #[arg(long)]
    subject: Option<String>,
    /// A permission of the keys for which the file says none; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Which limits hold for the keys for which the file says none
    #[arg(long)]
    plan: Option<String>,
    /// When the keys expire for which the file says nothing: 90d, 2027-01-31, an RFC 3339 time, or never
    #[arg(long, value_name = "WHEN")]
    expires: Option<When>,
    /// Take keys that are too easy to guess: who reads the KV namespace can then find them by trial
    #[arg(long)]
    allow_weak: bool,
    /// Write files for `wrangler kv bulk put` into this folder, and nothing to the store; it is not asked either
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dry_run", "remote", "persist_to"])]
    bulk_dir: Option<PathBuf>,
    /// Write nothing; print what would become of each key
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pepper: PepperArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// Imports keys.
pub(crate) fn run(context: &Context, args: &ImportArgs) -> Outcome<ExitCode> {
    let config = context.config()?;
    let mut rules = Rules {
        prefix: config.key_prefix()?,
        pepper: None,
        now: context.now,
        allow_weak: args.allow_weak,
        subject: args.subject.clone(),
        scopes: args.scopes.clone(),
        plan: args.plan.clone(),
        expires: args.expires,
    };
    let target = match &args.bulk_dir {
        Some(folder) => Target::Files(BulkFiles::new(folder)?),
        None => Target::store(context::store(&config, &args.store)?, args.dry_run)?,
    };
    let mut import = Import {
        context,
        target,
        lines: (context.out.is_json() || args.dry_run).then(|| context.out.lines()),
        progress: Progress::counting("read", None),
        waiting: Vec::new(),
        seen: HashMap::new(),
        counts: Counts::default(),
        imported: 0,
    };
    let mut digests = 0;
    import::read(args.format, source(args)?, &mut |line, read| {
        import.progress.add(1);
        if rules.pepper.is_none() && matches!(read, Ok(Draft::Imported(_))) {
            // Only now: a source of records alone needs none. Bulk files may be for a deployed gate, so the local gate's pepper is
            // not taken for them without being named.
            let remote = args.store.remote || args.bulk_dir.is_some();
            rules.pepper = Some(secrets::pepper(&args.pepper, &config, remote)?.pepper);
        }
        digests += usize::from(read.as_ref().is_ok_and(Draft::is_digest));
        match read.and_then(|draft| draft.candidate(&rules)) {
            Ok(candidate) => import.take(line, candidate),
            Err(problem) => import.report(&ImportedKey::bad(line, problem)),
        }
    })?;
    let (counts, imported, place) = import.finish()?;
    let count = |fate| counts.get(&fate).copied().unwrap_or_default();
    announce(context, count, &place, args.dry_run);
    if digests > 0 {
        context.out.note(format_args!(
            "of {digests} keys the source has digests alone: whether they are easy to guess cannot be told"
        ));
    }
    if imported > 0 {
        crate::imported::warn_unless_read(context, &config);
    }
    Ok(ExitCode::from(u8::from(count(Fate::Bad) + count(Fate::Different) > 0)))
}

fn source(args: &ImportArgs) -> Outcome<Box<dyn BufRead>> {
    match args.file.as_deref().filter(|path| path.as_os_str() != "-") {
        None => Ok(Box::new(io::stdin().lock())),
        Some(path) => match File::open(path) {
            Ok(file) => Ok(Box::new(BufReader::new(file))),
            Err(e) => Err(Error::failed(
                format!("cannot read {}: {e}", path.display()),
                "name a readable file, or send the keys to standard input",
            )),
        },
    }
}

/// Where the records go.
enum Target {
    Store {
        store: Box<dyn Store>,
        /// The names that are taken, so that only their values have to be read.
        names: HashSet<String>,
        dry_run: bool,
    },
    Files(BulkFiles),
}

impl Target {
    fn store(store: Box<dyn Store>, dry_run: bool) -> Outcome<Self> {
        let mut names = HashSet::new();
        store.list(KV_NAME_PREFIX, &mut |page| {
            names.extend(page.into_iter().map(|listed| listed.name));
            Ok(())
        })?;
        Ok(Self::Store { store, names, dry_run })
    }
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Fate {
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
    line: u64,
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    id: Option<KeyId>,
    subject: Option<String>,
    fate: Fate,
    problem: Option<String>,
}

impl ImportedKey {
    fn bad(line: u64, problem: String) -> Self {
        Self { line, id: None, subject: None, fate: Fate::Bad, problem: Some(problem) }
    }

    fn of(line: u64, record: &Record, fate: Fate) -> Self {
        let subject = Some(record.subject.to_string());
        Self { line, id: Some(record.id), subject, fate, problem: None }
    }
}

impl Fate {
    fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Renewed => "renewed",
            Self::Same => "same",
            Self::Different => "different",
            Self::Bad => "bad",
        }
    }
}

/// How many keys have each fate.
type Counts = HashMap<Fate, usize>;

/// An import on its way.
struct Import<'c> {
    context: &'c Context,
    target: Target,
    lines: Option<Lines>,
    progress: Progress,
    /// Candidates that wait for a bulk write.
    waiting: Vec<(u64, Candidate)>,
    /// The line on which each key was first seen.
    seen: HashMap<KeyId, u64>,
    counts: Counts,
    /// How many of the new keys another system issued.
    imported: usize,
}

impl Import<'_> {
    fn take(&mut self, line: u64, candidate: Candidate) -> Outcome<()> {
        if let Some(first) = self.seen.get(&candidate.record.id) {
            let problem = format!("is the same key as line {first}");
            let row = ImportedKey::of(line, &candidate.record, Fate::Bad);
            return self.report(&ImportedKey { problem: Some(problem), ..row });
        }
        self.seen.insert(candidate.record.id, line);
        self.waiting.push((line, candidate));
        if self.waiting.len() == WRITE_MAX { self.settle() } else { Ok(()) }
    }

    /// Writes what waits and is new.
    fn settle(&mut self) -> Outcome<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let mut stored = self.stored(&waiting)?;
        let mut entries = Vec::new();
        let mut rows = Vec::with_capacity(waiting.len());
        for (line, candidate) in waiting {
            if let Some(stored) = stored.remove(&candidate.record.id) {
                match (&self.target, renewed(&candidate, &stored)) {
                    (Target::Store { store, .. }, Some(record)) => {
                        let operator = self.context.operator.as_deref();
                        entries.push(Entry::of(&record, revision::next(&**store, Some(&stored), operator))?);
                        rows.push(ImportedKey::of(line, &record, Fate::Renewed));
                    }
                    _ => rows.push(compared(line, candidate, &stored)),
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
                    rows.push(ImportedKey::of(line, &candidate.record, Fate::New));
                }
                Err(error) => rows.push(ImportedKey::bad(line, error.problem().to_owned())),
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
    fn stored(&self, waiting: &[(u64, Candidate)]) -> Outcome<HashMap<KeyId, Stored>> {
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
        let ImportedKey { line, id, subject, problem, .. } = row;
        if let Some(problem) = problem {
            self.progress.aside(|| {
                self.context.out.note(printable(&format!(
                    "line {line}: {}{problem}",
                    id.map(|id| format!("key {id} ")).unwrap_or_default()
                )));
            });
        }
        if let (Some(lines), Some(id), Some(subject)) = (&mut self.lines, id, subject) {
            return lines.add_text(format_args!("{:<9}  {id}  {subject}", row.fate.as_str()));
        }
        Ok(())
    }

    fn finish(mut self) -> Outcome<(Counts, usize, String)> {
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
        Ok((self.counts, self.imported, place))
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

fn compared(line: u64, candidate: Candidate, stored: &Stored) -> ImportedKey {
    let Ok(there) = Record::parse_entry(candidate.record.id, &stored.value) else {
        let problem = "has an entry that is no valid record; it is left as it is".to_owned();
        return ImportedKey {
            problem: Some(problem),
            ..ImportedKey::of(line, &candidate.record, Fate::Different)
        };
    };
    let record = candidate.counted_as_first(&there);
    match (record.to_json(), there.to_json()) {
        (Ok(wanted), Ok(found)) if wanted == found => ImportedKey::of(line, &record, Fate::Same),
        (Ok(wanted), Ok(found)) => {
            let of = |value| Stored { value, metadata: None };
            let problem = format!(
                "is there already and is left as it is: {}",
                revision::difference(&of(wanted), &of(found))
            );
            ImportedKey { problem: Some(problem), ..ImportedKey::of(line, &record, Fate::Different) }
        }
        (Err(e), _) | (_, Err(e)) => ImportedKey::bad(line, format!("makes no valid record: {e}")),
    }
}

fn announce(context: &Context, count: impl Fn(Fate) -> usize, place: &str, dry_run: bool) {
    let written = if dry_run { "would be written to" } else { "written to" };
    context.out.note(format_args!(
        "{} {written} {place}, {} there already and the same, {} there and different, {} not taken",
        count(Fate::New),
        count(Fate::Same),
        count(Fate::Different),
        count(Fate::Bad),
    ));
    if count(Fate::Renewed) > 0 {
        let given = if dry_run { "would get" } else { "got" };
        context
            .out
            .note(format_args!("{} there already {given} digests with this pepper", count(Fate::Renewed)));
    }
    if dry_run {
        context.out.note("nothing was written");
    }
}
